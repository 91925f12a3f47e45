"""Errors of constructors that are called with arguments that they do not have."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from asyncz._checks import shown
from asyncz._text import closest
from asyncz.exceptions import ArgumentMismatchError, UnknownOptionError


def explain_misuse(cls: type[object], advice: Mapping[str, str] | None = None) -> None:
    """Let the constructor of a class raise errors that name the known options.

    It then raises `UnknownOptionError` for a keyword that does not exist, and `ArgumentMismatchError` for missing or
    surplus arguments; both are a `TypeError` as well. Called below the class, so that checkers and editors see the
    constructor as it is written.

    Args:
        cls: The class.
        advice: Advice on options that other libraries have, by name.
    """
    construct = cls.__init__

    # Named: since Python 3.14 `wraps` copies a function that computes the annotations, which attrs does not set.
    @functools.wraps(construct, assigned=(*functools.WRAPPER_ASSIGNMENTS, "__annotations__"))
    def __init__(self: object, *args: object, **kwargs: object) -> None:  # noqa: N807  # becomes the method
        try:
            construct(self, *args, **kwargs)
        except TypeError:
            _raise_if_misused(cls, construct, (self, *args), kwargs, advice or {})
            raise

    # Not an assignment: it is not allowed for `__init__`, which subclasses override with other parameters.
    type.__setattr__(cls, "__init__", __init__)


def _raise_if_misused(
    cls: type[object],
    construct: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    advice: Mapping[str, str],
) -> None:
    """Raise an error if the constructor of a class does not accept the arguments, of which the first is `self`."""
    # The import takes longer than that of most modules here.
    import inspect

    assert callable(construct)
    signature = inspect.signature(construct)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        parameters = list(signature.parameters.values())[1:]
        options = tuple(each.name for each in parameters if each.kind is not each.POSITIONAL_ONLY)
        unknown = next((name for name in kwargs if name not in options), None)
        if unknown is not None:
            suggestion = "" if unknown in advice else closest(unknown, options)
            raise UnknownOptionError(unknown, suggestion, options, advice.get(unknown, "")) from None
        given = [shown(each) for each in args[1:]] + [f"{name}={shown(each)}" for name, each in kwargs.items()]
        written = str(signature.replace(parameters=parameters, return_annotation=signature.empty))
        raise ArgumentMismatchError(cls.__name__, ", ".join(given), written, str(error)) from None
