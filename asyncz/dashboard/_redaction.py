"""Redaction of the texts that a dashboard shows."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import PurePath
from uuid import UUID

from typing_extensions import override

from asyncz._aliases import Redact as Redact, RedactedKind as RedactedKind
from asyncz._callables import CallWrapper
from asyncz._redaction import (
    HIDDEN as HIDDEN,
    LENGTHS,
    TextRedactor,
    redact_secrets as redact_secrets,
)
from asyncz._text import printable, raw_value_text, value_text
from asyncz.dashboard.states import Argument

_MAX_READ = 10_000
_PLAIN = (str, bytes, int, float, Decimal, date, time, timedelta, UUID, Enum, PurePath)


class Redactor(TextRedactor):
    """Redaction of texts, and of the arguments of calls. Each text but a traceback is shown in one line.

    Args:
        redact: Function of the user.
    """

    @override
    def __call__(self, kind: RedactedKind, name: str, text: str) -> str:
        shown = super().__call__(kind, name, text)
        # Escape sequences make a text longer, so it may be cut again.
        return shown if kind == "traceback" else printable(shown, LENGTHS.get(kind, _MAX_READ))

    def arguments(self, call: object) -> tuple[Argument, ...]:
        """Return the arguments of a call by the names of their parameters. Calls the `repr` of each."""
        return tuple(Argument(name=name, value=self("argument", name, text)) for name, text in _texts(call))

    def shows_argument(self, call: object, search: str) -> bool:
        """Return True if an argument that is a text, number, date or the like contains a text in lower case.

        The text that is shown counts, so that no search finds a secret. Other arguments are not searched: the `repr` of
        one may take long.
        """
        _, positional, named = _parts_of(call)
        plain = (value for value in (*positional, *named.values()) if issubclass(type(value), _PLAIN))
        if not any(search in value_text(value, _MAX_READ).casefold() for value in plain):
            return False
        return any(search in argument.value.casefold() for argument in self.arguments(call))

    def value(self, kind: RedactedKind, task_id: str, value: object) -> str:
        """Return the text of a value. Calls its `repr`."""
        return self(kind, task_id, raw_value_text(value, _MAX_READ))


def _parts_of(call: object) -> tuple[object, tuple[object, ...], dict[str, object]]:
    """Return the function of a call, its positional arguments and its named ones."""
    positional: tuple[object, ...] = ()
    named: dict[str, object] = {}
    while isinstance(call, (partial, CallWrapper)):
        if isinstance(call, partial):
            positional = (*call.args, *positional)
            named = {**call.keywords, **named}
        call = call.func
    return call, positional, named


def _texts(call: object) -> Iterator[tuple[str, str]]:
    function, positional, named = _parts_of(call)
    names = _parameter_names(function)
    for number, value in enumerate(positional):
        yield names[number] if number < len(names) else f"{number + 1}", raw_value_text(value, _MAX_READ)
    for name, value in named.items():
        yield name, raw_value_text(value, _MAX_READ)


def _parameter_names(function: object) -> list[str]:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not callable(function):
        return []
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [parameter.name for parameter in parameters if parameter.kind in positional]
