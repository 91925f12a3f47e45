"""Checks of arguments that all stores share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from asyncz.exceptions import InvalidInputError

_SHORTEST_TTL = timedelta(seconds=3)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
