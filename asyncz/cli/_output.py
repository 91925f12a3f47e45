"""Output of all commands: JSON and errors that cannot control a terminal, and the exit status of a failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from pydantic import BaseModel

from asyncz._text import message_of, printable

EXIT_FAILED: Final = 1
"""Exit status if a command could not do its work, or has found a problem. Wrong arguments have 2."""

_LENGTH = 2000


def json_text(value: object, *, indent: int | None = None, default: Callable[[object], str] | None = None) -> str:
    """Return a value as JSON in ASCII, without control characters: `json` does not escape the sign DEL.

    Args:
        value: Value of JSON.
        indent: Number of spaces of each level; None for one line.
        default: Function that returns the text of a value that is not JSON; None if there is none.
    """
    return json.dumps(value, indent=indent, default=default).replace("\x7f", "\\u007f")


def state_text(state: BaseModel, *, indent: int | None = None) -> str:
    """Return a state as JSON in ASCII, without control characters.

    Args:
        state: State; its texts may come from another machine.
        indent: Number of spaces of each level; None for one line.
    """
    # Pydantic writes numbers that JSON does not have as null, but does not escape C1 control characters.
    return json_text(json.loads(state.model_dump_json()), indent=indent)


def print_json(value: object) -> None:
    """Print a report as JSON."""
    print(json_text(value, indent=2))


def error_text(error: BaseException) -> str:
    """Return the message of an error without the name of its class."""
    return printable(message_of(error), _LENGTH)
