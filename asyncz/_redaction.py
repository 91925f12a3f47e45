"""Redaction of texts that may contain secrets, before they are shown or written: results, errors, log messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from asyncz._aliases import Redact, RedactedKind
from asyncz._safe_logging import is_interrupt
from asyncz._text import shortened

HIDDEN = "•••"
"""Text in place of one that must not be shown."""

_SECRET_NAME = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|(?:api|private|access|account)[_-]?key|authorization|signature"
    # The name may begin with the letter of an escaped line break: `\nsig=` in the `repr` of a text.
    r"|(?:^[nrt]?|[_-])sig(?:$|[_-])",
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
LENGTHS: Final[Mapping[RedactedKind, int]] = {"argument": 300, "result": 300, "error": 1000, "log": 2000}
"""Longest texts to show. They are cut after their redaction: the rest of a secret that was cut is not recognized."""


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


class TextRedactor:
    """Guarded call of a function that redacts: a text is hidden if the function raises.

    Texts come with all their characters: the function may not find a name behind the escape sequence of a line break.

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
        return shortened(shown, LENGTHS.get(kind, len(shown)))

    def error(self, task_id: str) -> Callable[[str], str]:
        """Return a function that redacts the errors of a task."""
        return partial(self, "error", task_id)
