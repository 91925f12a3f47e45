"""Arithmetic progressions of due times, which can be intersected without a search."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import attrs

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


@attrs.frozen
class Progression:
    """Due times at a fixed interval. Satisfies the protocols `Trigger` and `SupportsCatchUp`.

    All numbers are microseconds since the epoch, so the arithmetic is exact and cannot overflow.

    Attributes:
        first: The first due time.
        period: The interval.
        last: No due time is later.
    """

    first: int
    period: int
    last: int

    @classmethod
    def of(cls, first: datetime, interval: timedelta, last: datetime | None) -> Progression:
        """Return the progression of an interval trigger."""
        end = _MAX if last is None else (last - _EPOCH) // _MICROSECOND
        return cls((first - _EPOCH) // _MICROSECOND, interval // _MICROSECOND, end)

    def meet(self, other: Progression) -> Progression | None:
        """Return the due times that two progressions share; None if they never meet.

        The Chinese remainder theorem: the shared times repeat with the least common multiple of both periods.
        """
        divisor = math.gcd(self.period, other.period)
        distance, remainder = divmod(other.first - self.first, divisor)
        if remainder:
            return None
        step = other.period // divisor
        period = self.period * step
        shared = self.first + self.period * (distance * pow(self.period // divisor, -1, step) % step)
        first = max(self.first, other.first)
        first += (shared - first) % period
        return Progression(first, period, min(self.last, other.last)) if first <= _MAX else None

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """Return the first due time after `previous`, or the first one from `now` on."""
        earliest = (now - _EPOCH) // _MICROSECOND if previous is None else (previous - _EPOCH) // _MICROSECOND + 1
        following = self.first if earliest <= self.first else earliest + (self.first - earliest) % self.period
        return _EPOCH + following * _MICROSECOND if following <= self.last else None

    def latest_due_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        """Return the last due time up to `now` that is later than `previous`."""
        latest = min((now - _EPOCH) // _MICROSECOND, self.last)
        latest -= (latest - self.first) % self.period
        due = _EPOCH + latest * _MICROSECOND if latest >= self.first else None
        return None if due is None or due <= previous else due
