"""Due times at equal distances."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, tzinfo

from typing_extensions import override

from asyncz.exceptions import InvalidInputError
from asyncz.triggers._times import utc_time


class IntervalTrigger:
    """Due again and again, at equal distances from `start_at`.

    The distances are real time: in UTC, whatever a time zone does in between.

    Args:
        weeks, days, hours, minutes, seconds: Together the distance; more than zero.
        start_at: The first due time; None is one distance after the task was added.
        end_at: No due time is later than this; None is no end.
        timezone: The zone of a `start_at` or `end_at` without one, as an IANA name or a tzinfo.
        jitter: Each due time is put off by a random time of up to so many seconds, less than the distance.

    Raises:
        InvalidInputError: The distance is not positive, the end lies before the start, `jitter` is
            negative or not less than the distance, or a time has no zone.

    Example:
        >>> IntervalTrigger(minutes=5)
        IntervalTrigger(0:05:00)
    """

    __slots__ = ("_anchor", "_end_at", "_interval", "_jitter", "_start_at")

    def __init__(
        self,
        *,
        weeks: float = 0,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        start_at: datetime | None = None,
        end_at: datetime | None = None,
        timezone: str | tzinfo | None = None,
        jitter: float = 0,
    ) -> None:
        interval = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        if interval <= timedelta(0):
            raise InvalidInputError("the interval", str(interval), "it must be more than zero")
        if not 0 <= jitter < interval.total_seconds():
            raise InvalidInputError(
                "jitter", repr(jitter), "it must be at least 0 and less than the interval, in seconds"
            )
        self._interval = interval
        self._jitter = jitter
        self._start_at = None if start_at is None else utc_time("start_at", start_at, timezone)
        self._end_at = None if end_at is None else utc_time("end_at", end_at, timezone)
        self._anchor = self._start_at
        if self._start_at is not None and self._end_at is not None and self._end_at < self._start_at:
            raise InvalidInputError("end_at", self._end_at.isoformat(), "it must not lie before start_at")

    @property
    def interval(self) -> timedelta:
        """The distance between two due times."""
        return self._interval

    def next_fire_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """The first due time after `previous`; jitter never moves one past the next."""
        if previous is None:
            # Counting from one time, and not from the jittered one before, keeps jitter from adding up.
            self._anchor = self._start_at or now + self._interval
            following = self._anchor
        else:
            anchor = self._anchor or previous
            following = anchor + ((previous - anchor) // self._interval + 1) * self._interval
        if self._jitter:
            following += timedelta(seconds=random.uniform(0, self._jitter))  # noqa: S311  # spreads load, hides nothing
        if self._end_at is not None and following > self._end_at:
            return None
        return following

    @override
    def __repr__(self) -> str:
        jitter = f", jitter={self._jitter:g}" if self._jitter else ""
        return f"IntervalTrigger({self._interval}{jitter})"
