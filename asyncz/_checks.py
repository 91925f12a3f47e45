"""Checks of input: not every user has a type checker."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from uuid import UUID

from typing_extensions import TypeIs

from asyncz.exceptions import InvalidInputError

MAX_INT32 = 2**31 - 1
"""Greatest `integer` of PostgreSQL."""

_LONGEST_VALUE = 200


def shown(value: object) -> str:
    """Return the repr of a value for an error message, shortened if it is long.

    A repr may raise: an integer of more than 4,300 digits has none.
    """
    try:
        text = repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def check_text(name: str, value: object) -> None:
    """Reject a value that is not a text, or is empty."""
    if not isinstance(value, str) or not value:
        raise InvalidInputError(name, shown(value), "it must be a text that is not empty")


def check_count(name: str, value: object, *, at_least: int = 1) -> None:
    """Reject a value that is not a whole number, or is too small."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise InvalidInputError(name, shown(value), f"it must be a whole number, at least {at_least}")


def check_run_id(name: str, value: object) -> None:
    """Reject a value that is not the id of a run."""
    if not isinstance(value, UUID):
        raise InvalidInputError(
            name, shown(value), "it must be a uuid.UUID, as events and handles have it; UUID(text) makes one of a text"
        )


def check_flag(name: str, value: object) -> None:
    """Reject a value that is neither True nor False."""
    if not isinstance(value, bool):
        raise InvalidInputError(name, shown(value), "it must be True or False")


def check_callable(name: str, value: object) -> None:
    """Reject a value that cannot be called."""
    if not callable(value):
        raise InvalidInputError(name, shown(value), "it must be a function or another callable")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Reject a value that is not one of the choices."""
    if value not in choices:
        raise InvalidInputError(name, shown(value), f"it must be one of: {', '.join(choices)}")


def check_optional_count(name: str, value: object, *, at_least: int = 1) -> None:
    """Reject a value that is neither None nor a whole number of at least `at_least`."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < at_least):
        raise InvalidInputError(
            name, shown(value), f"it must be a whole number, at least {at_least}, or None for no limit"
        )


def check_optional_seconds(name: str, value: object, *, zero_allowed: bool) -> None:
    """Reject a value that is not a duration in seconds; None is accepted."""
    if value is None or (_is_number(value) and (value > 0 or (zero_allowed and value == 0))):
        return
    bound = "at least 0 seconds" if zero_allowed else "more than 0 seconds"
    if not _is_number(value):
        bound = f"a number of seconds, {'at least' if zero_allowed else 'more than'} 0"
    raise InvalidInputError(name, shown(value), f"it must be {bound}, or None for no limit")


def check_instance(name: str, value: object, wanted: type[object]) -> None:
    """Reject a value that is not an instance of a class."""
    if not isinstance(value, wanted):
        raise InvalidInputError(name, shown(value), f"it must be a {wanted.__name__}")


def check_optional_instance(name: str, value: object, wanted: type[object]) -> None:
    """Reject a value that is neither None nor an instance of a class."""
    if value is not None and not isinstance(value, wanted):
        raise InvalidInputError(name, shown(value), f"it must be a {wanted.__name__}, or None")


def check_number(name: str, value: object) -> None:
    """Reject a value that is not a finite number. An integer may be too large for a float."""
    if not _is_number(value) or (isinstance(value, float) and not math.isfinite(value)):
        raise InvalidInputError(name, shown(value), "it must be a number")


def check_count_in(name: str, value: object, allowed: range) -> None:
    """Reject a value that is not a whole number of a range."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        raise InvalidInputError(name, shown(value), f"it must be a whole number from {allowed[0]} to {allowed[-1]}")


def check_seconds(name: str, value: object) -> None:
    """Reject a value that is not a number of seconds, or is negative."""
    if not _is_number(value) or not value >= 0:
        raise InvalidInputError(name, shown(value), "it must be at least 0 seconds")


def check_at_least(name: str, value: object, bound: float) -> None:
    """Reject a value that is not a number, or is too small."""
    if not _is_number(value) or not value >= bound:
        raise InvalidInputError(name, shown(value), f"it must be a number, at least {bound:.15g}")


def check_datetime(name: str, value: object) -> None:
    """Reject a value that is not a datetime."""
    if not isinstance(value, datetime):
        raise InvalidInputError(name, shown(value), "a datetime is needed")


def check_optional_date(name: str, value: object) -> None:
    """Reject a value that is neither None nor a date; a datetime is rejected."""
    if value is not None and (isinstance(value, datetime) or not isinstance(value, date)):
        raise InvalidInputError(name, shown(value), "it must be a date, which has no time of the day, or None")


def check_amounts(name: str, value: object) -> None:
    """Reject a value that is not a mapping of names to finite amounts."""
    if not _is_mapping(value) or not all(
        isinstance(key, str) and _is_number(amount) and 0 <= amount <= sys.float_info.max
        for key, amount in value.items()
    ):
        raise InvalidInputError(name, shown(value), 'it must map names to finite amounts, such as {"GPU": 1}')


def check_iterable(name: str, value: object) -> None:
    """Reject a value that is not iterable."""
    if not isinstance(value, Iterable):
        raise InvalidInputError(name, shown(value), "it must be a list or another iterable")


def is_aware(value: object) -> bool:
    """Return True if a value is a datetime with a time zone."""
    return isinstance(value, datetime) and value.tzinfo is not None


def _is_mapping(value: object) -> TypeIs[Mapping[object, object]]:
    return isinstance(value, Mapping)


def _is_number(value: object) -> TypeIs[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
