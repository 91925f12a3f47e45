"""Redaction of texts that may contain secrets: arguments, results, errors, tracebacks and log messages."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, TypeAlias

from asyncz._callables import CallWrapper
from asyncz._text import value_text
from asyncz.dashboard.states import Argument

RedactedKind: TypeAlias = Literal["argument", "result", "error", "traceback", "log", "progress"]
"""Kind of a text that is redacted."""

Redact: TypeAlias = Callable[[RedactedKind, str, str], str]
"""Function of the kind, the name and the text; it returns the text to show.

The name is that of the parameter for an argument, else the id of the task.
"""

HIDDEN = "•••"
"""Text in place of one that must not be shown."""

_SECRET_NAME = re.compile(r"passw|secret|token|credential|api_?key|private_?key|authorization", re.IGNORECASE)
# The password of a URL, and a value behind a name that looks like a secret.
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@")
_ASSIGNED = re.compile(
    r"((?:passw(?:or)?d|secret|token|credential|api_?key|authorization)['\"]?\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s,;)}\]'\"]+)",
    re.IGNORECASE,
)
_MAX_VALUE = 300


def redact_secrets(kind: RedactedKind, name: str, text: str) -> str:
    """Hide arguments whose names look like those of secrets, passwords in URLs, and assigned secrets in texts.

    The default of `Dashboard`. It finds common forms only: pass another function if texts can contain other secrets.

    Args:
        kind: Kind of the text.
        name: Name of the parameter for an argument, else the id of the task.
        text: Text.
    """
    if kind == "argument" and _SECRET_NAME.search(name):
        return HIDDEN
    return _ASSIGNED.sub(rf"\1{HIDDEN}", _URL_PASSWORD.sub(rf"\1:{HIDDEN}@", text))


class Redactor:
    """Guarded call of a function that redacts: a text is hidden if the function raises.

    Args:
        redact: Function of the user.
    """

    def __init__(self, redact: Redact) -> None:
        self._redact = redact

    def __call__(self, kind: RedactedKind, name: str, text: str) -> str:
        """Return the text to show."""
        if not text:
            return text
        try:
            return f"{self._redact(kind, name, text)}"
        except Exception:
            return HIDDEN

    def error(self, task_id: str) -> Callable[[str], str]:
        """Return a function that redacts the errors of a task."""
        return partial(self, "error", task_id)

    def arguments(self, call: object) -> tuple[Argument, ...]:
        """Return the arguments of a call by the names of their parameters. Calls the `repr` of each."""
        return tuple(Argument(name=name, value=self("argument", name, text)) for name, text in _texts(call))

    def value(self, kind: RedactedKind, task_id: str, value: object) -> str:
        """Return the text of a value. Calls its `repr`."""
        return self(kind, task_id, value_text(value, _MAX_VALUE))


def _texts(call: object) -> Iterator[tuple[str, str]]:
    positional: tuple[object, ...] = ()
    named: dict[str, object] = {}
    while isinstance(call, (partial, CallWrapper)):
        if isinstance(call, partial):
            positional = (*call.args, *positional)
            named = {**call.keywords, **named}
        call = call.func
    names = _parameter_names(call)
    for number, value in enumerate(positional):
        yield names[number] if number < len(names) else f"{number + 1}", value_text(value, _MAX_VALUE)
    for name, value in named.items():
        yield name, value_text(value, _MAX_VALUE)


def _parameter_names(function: object) -> list[str]:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not callable(function):
        return []
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [parameter.name for parameter in parameters if parameter.kind in positional]
