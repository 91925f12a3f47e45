"""Durations in options, such as 30d."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

import typer

from asyncz._text import printable

_UNITS: Mapping[str, timedelta] = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def duration_of(text: str, option: str) -> timedelta:
    """Return the duration that the value of an option describes.

    Args:
        text: Value, such as `30d`.
        option: Name of the option.

    Raises:
        BadParameter: The value is not a duration, or too long.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)([smhdw])", text, re.ASCII)
    if found is None:
        message = printable(f"{text!r} is not a duration; write it like 90s, 15m, 12h, 30d or 4w")
        raise typer.BadParameter(message, param_hint=option)
    try:
        return float(found[1]) * _UNITS[found[2]]
    except OverflowError:
        raise typer.BadParameter(printable(f"{text!r} is too long"), param_hint=option) from None
