"""Redaction of texts that may contain secrets: arguments, results, errors, tracebacks and log messages."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import PurePath
from typing import Literal, TypeAlias
from uuid import UUID

from asyncz._callables import CallWrapper
from asyncz._safe_logging import is_interrupt
from asyncz._text import value_text
from asyncz.dashboard.states import Argument

RedactedKind: TypeAlias = Literal["argument", "result", "error", "traceback", "log", "progress"]
"""Kind of a text that is redacted."""

Redact: TypeAlias = Callable[[RedactedKind, str, str], str]
"""Function of the kind, the name and the text; it returns the text to show.

The name is that of the parameter for an argument, or its position if the name is not known, such as `1`. For other
kinds, it is the id of the task.
"""

HIDDEN = "•••"
"""Text in place of one that must not be shown."""

_SECRET_NAME = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|(?:api|private|access|account)[_-]?key|authorization|signature"
    r"|(?:^|[_-])sig(?:$|[_-])",
    re.IGNORECASE,
)
# No pattern may need time that grows with the square of the length: repetitions are possessive, and a search continues
# behind the text that it has read.
# A name and the sign behind it; `\\` and a quote belong to JSON in a string, the comma to pairs and arguments.
_NAME = re.compile(
    r"""(?<![\w-])(?P<name>[\w-]++)
    (?: \\*+["']?\s*+(?:[=:]{1,2}>?)\s*+
      | ["']\s*+,\s*+(?=[bru]{0,2}["']) )""",
    re.IGNORECASE | re.VERBOSE,
)
_VALUE = re.compile(
    r"""(?:[\w.|\[\]\ ]{0,60}=\s*+)?             # an annotation: the value comes behind the sign =
    (?:(?:Bearer|Basic|Token)\s++)?
    (?: [bru]{0,2}(?: \'{3}(?s:.*?)(?:\'{3}|\Z) | "{3}(?s:.*?)(?:"{3}|\Z)
                    | '(?:[^'\\]++|\\(?s:.))*+'? | "(?:[^"\\]++|\\(?s:.))*+"? )
      | \\++["'][^"']*+["']?                   # a string in a string
      | [\w.]*+[\[({<]\s*+[^\n]*+             # a container, a call or a description: up to the end of the line
      | \S*[^\s,;)}\]'"] )""",
    re.IGNORECASE | re.VERBOSE,
)
_AUTHORIZATION = re.compile(r"""(?![bru]{0,2}["'])[^\s'"\\\[({<][^\n'"]*+""", re.IGNORECASE)
# The user and the rest of the word; the password ends at the last @, because it may contain others.
_URL = re.compile(r"(?<=://)([^/\s:]*+):(\S++)")
_CUT_SIGN = "…"
_PORT = re.compile(r"\d{1,5}(?:[/?#…]|$)")
# The longest texts to show. They are cut after their redaction: the rest of a secret that was cut is not recognized.
_LENGTHS: dict[RedactedKind, int] = {"argument": 300, "result": 300, "error": 1000, "log": 2000}
_MAX_READ = 10_000
_PLAIN = (str, bytes, int, float, Decimal, date, time, timedelta, UUID, Enum, PurePath)


def redact_secrets(kind: RedactedKind, name: str, text: str) -> str:
    """Hide arguments without names or with names of secrets, passwords in URLs, and assigned secrets in texts.

    The default of `Dashboard`. It finds common forms only: pass another function if texts can contain other secrets.

    Args:
        kind: Kind of the text.
        name: Name of the parameter for an argument, or its position; else the id of the task.
        text: Text.
    """
    # A number stands for a parameter whose name is not known: it may be that of a secret.
    if kind == "argument" and (name.isdecimal() or _SECRET_NAME.search(name)):
        return HIDDEN
    return _without_values(_URL.sub(_without_password, text))


def _without_password(url: re.Match[str]) -> str:
    user, rest = url.groups()
    _, at, host = rest.rpartition("@")
    if at:
        return f"{user}:{HIDDEN}@{host}"
    # The sign @ may be missing because the text was cut before.
    is_cut = _CUT_SIGN in rest and not _PORT.match(rest)
    return f"{user}:{HIDDEN}" if is_cut else url[0]


def _without_values(text: str) -> str:
    """Hide the values behind names that look like those of secrets."""
    parts: list[str] = []
    end = 0
    position = 0
    while (found := _NAME.search(text, position)) is not None:
        position = found.end()
        name = found["name"]
        if not _SECRET_NAME.search(name):
            continue
        value = _AUTHORIZATION.match(text, position) if "authorization" in name.lower() else None
        value = value or _VALUE.match(text, position)
        if value is not None:
            parts += (text[end:position], HIDDEN)
            end = position = value.end()
    return "".join((*parts, text[end:])) if parts else text


class Redactor:
    """Guarded call of a function that redacts: a text is hidden if the function raises.

    Args:
        redact: Function of the user.
    """

    def __init__(self, redact: Redact) -> None:
        self._redact = redact

    def __call__(self, kind: RedactedKind, name: str, text: str) -> str:
        """Return the text to show, which is redacted first, and then cut to the length of its kind."""
        if not text:
            return text
        try:
            shown = f"{self._redact(kind, name, text)}"
        except BaseException as error:
            if is_interrupt(error):
                raise
            return HIDDEN
        length = _LENGTHS.get(kind, len(shown))
        return shown if len(shown) <= length else f"{shown[: length - 1]}{_CUT_SIGN}"

    def error(self, task_id: str) -> Callable[[str], str]:
        """Return a function that redacts the errors of a task."""
        return partial(self, "error", task_id)

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
        return self(kind, task_id, value_text(value, _MAX_READ))


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
        yield names[number] if number < len(names) else f"{number + 1}", value_text(value, _MAX_READ)
    for name, value in named.items():
        yield name, value_text(value, _MAX_READ)


def _parameter_names(function: object) -> list[str]:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not callable(function):
        return []
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [parameter.name for parameter in parameters if parameter.kind in positional]
