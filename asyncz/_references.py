"""What a text such as `package.module:function` stands for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module

from asyncz.exceptions import ConfigurationError, ConfigurationProblem


def load(reference: str, *path: str | int) -> object:
    """Import what `module:name` stands for; the name may have dots.

    Args:
        reference: The text.
        path: Where it stands in a configuration.

    Raises:
        ConfigurationError: It has another form, or cannot be imported.
    """

    def problem(reason: str, suggestion: str = "") -> ConfigurationError:
        return ConfigurationError((ConfigurationProblem(path, reason, repr(reference), suggestion=suggestion),))

    module_name, _, names = reference.partition(":")
    parts = names.split(".")
    if not all(part.isidentifier() for part in (*module_name.split("."), *parts)):
        raise problem('it must have the form "package.module:name"')
    try:
        value: object = import_module(module_name)
    except (Exception, SystemExit) as error:
        raise problem(f"the module cannot be imported: {type(error).__name__}: {error}") from error
    reached = f"the module {module_name}"
    for part in parts:
        if not hasattr(value, part):
            known = [name for name in dir(value) if not name.startswith("_")]
            raise problem(f"{reached} has no {part!r}", closest(part, known))
        value = getattr(value, part)
        reached = part
    return value


def closest(wrong: str, known: Iterable[str]) -> str:
    """What was probably meant; empty where nothing is alike."""
    return next(iter(difflib.get_close_matches(wrong, list(known), n=1)), "")
