"""Checks of arguments that all stores share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from asyncz._checks import shown
from asyncz.exceptions import InvalidInputError

_SHORTEST_TTL = timedelta(seconds=3)
# PostgreSQL has entries of up to 2,704 bytes in its indexes.
_LONGEST_KEY = 2000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ADD_IT_EARLY = "add the task before the start of the scheduler"
"""Advice for a stored task that a program may only be about to add: the store is read before."""


def check_ttl(ttl: timedelta) -> None:
    """Check the duration of a lease: a shorter one ends while its node is alive, but busy.

    Raises:
        InvalidInputError: It is shorter than 3 seconds.
    """
    if ttl < _SHORTEST_TTL:
        raise InvalidInputError("ttl", repr(ttl), "a lease takes at least 3 seconds")


def check_limit(limit: int) -> None:
    """Check the maximum number of records of a call.

    Raises:
        InvalidInputError: It is less than 1.
    """
    if limit < 1:
        raise InvalidInputError("limit", repr(limit), "pass at least 1")


def check_keep(keep: int) -> None:
    """Check the number of runs to keep.

    Raises:
        InvalidInputError: It is negative.
    """
    if keep < 0:
        raise InvalidInputError("keep", repr(keep), "pass at least 0")


def usable_age(age: timedelta, now: datetime) -> timedelta:
    """Return an age, or the time since 1970 if that is shorter: dates end, and no run is older."""
    return max(min(age, now - _EPOCH), timedelta(0))


def check_key(name: str, text: str) -> None:
    """Check a text that databases keep in an index.

    Raises:
        InvalidInputError: It is too long, or has a NUL or a lone surrogate.
    """
    if not is_storable(text) or len(text.encode()) > _LONGEST_KEY:
        allowed = f"a store keeps up to {_LONGEST_KEY:,} bytes of UTF-8, without NUL and lone surrogates"
        raise InvalidInputError(name, shown(text), allowed)


def is_storable(text: str) -> bool:
    """Return False if a text has a character that a database does not accept: a NUL or a lone surrogate."""
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)
