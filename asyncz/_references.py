"""Import of objects that are named as `package.module:name`."""

from __future__ import annotations

import pkgutil
import re
import sys
from collections.abc import Iterable

from asyncz._safe_logging import is_interrupt
from asyncz._text import closest, exception_text
from asyncz.exceptions import ConfigurationError, ConfigurationProblem

_NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_REFERENCE = re.compile(rf"({_NAME}):({_NAME})")


def is_below(reference: str, packages: Iterable[str]) -> bool:
    """Return True if the module of a reference is one of some packages or modules, or in one of them."""
    module = reference.partition(":")[0]
    return any(module == each or module.startswith(f"{each}.") for each in packages)


def load(reference: str, *path: str | int) -> object:
    """Import the module that a reference names and return the object in it.

    Args:
        reference: A text such as `package.module:name`; the name may have dots.
        path: The keys that lead to the reference in a configuration.

    Raises:
        ConfigurationError: The reference has another form, the module cannot be imported, or it has no such object.
    """

    def problem(reason: str, suggestion: str = "") -> ConfigurationError:
        return ConfigurationError((ConfigurationProblem(path, reason, repr(reference), suggestion=suggestion),))

    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise problem('it must have the form "package.module:name"')
    module_name, names = match.groups()
    try:
        # First the module alone: an AttributeError raised by its code is then not taken for a missing name.
        pkgutil.resolve_name(f"{module_name}:")
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise problem(f"the module cannot be imported: {exception_text(error)}") from error
    try:
        value: object = pkgutil.resolve_name(reference)
    except AttributeError as error:
        missing, owner = error.name or names, error.obj
        is_module = owner is sys.modules.get(module_name)
        where = f"the module {module_name}" if is_module else names.partition(f".{missing}")[0].rpartition(".")[2]
        known = [name for name in dir(owner) if not name.startswith("_")]
        raise problem(f"{where} has no {missing!r}", closest(missing, known)) from error
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise problem(f"its value cannot be read: {exception_text(error)}") from error
    return value
