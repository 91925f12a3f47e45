"""A trigger and a clock of the application."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

from typing_extensions import override

from asyncz import BaseTrigger, Clock
from asyncz.protocols import Timer


class OfficeHours(BaseTrigger):
    """A fixed interval between two hours of the day, UTC.

    Args:
        every: The interval.
        begin: The first hour of the day.
        end: The hour at which the day ends.
    """

    def __init__(self, every: timedelta, begin: int = 8, end: int = 18) -> None:
        self.every = every
        self.begin = begin
        self.end = end

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        after = (previous or now).astimezone(UTC)
        opening = datetime.combine(after.date(), time(self.begin), UTC)
        if after < opening:
            return opening
        due = opening + ((after - opening) // self.every + 1) * self.every
        return due if due < opening + timedelta(hours=self.end - self.begin) else opening + timedelta(days=1)

    @override
    def __str__(self) -> str:
        return f"every {self.every} from {self.begin} to {self.end} o'clock UTC"


class ShiftedClock:
    """A clock that runs a fixed number of seconds ahead of another one, to rehearse a date."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def now(self) -> float:
        """Return the shifted time in seconds since the epoch."""
        return self._clock.now() + self._seconds

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call back after `delay` seconds, which the shift does not change."""
        return self._clock.call_later(delay, callback)
