"""Due times at equal distances."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo

from typing_extensions import override

from asyncz._checks import check_number
from asyncz.exceptions import InvalidInputError
from asyncz.triggers._times import check_order, optional_utc_time, text_of
from asyncz.triggers._values import JitteredTrigger

_UNITS = {
    "weeks": timedelta(weeks=1),
    "days": timedelta(days=1),
    "hours": timedelta(hours=1),
    "minutes": timedelta(minutes=1),
    "seconds": timedelta(seconds=1),
}


class IntervalTrigger(JitteredTrigger):
    """Due again and again, at equal distances from `start_at`.

    The distances are real time: in UTC, whatever a time zone does in between.

    Args:
        weeks, days, hours, minutes, seconds: Together the distance; more than zero.
        start_at: The first due time; None is one distance after the task was added.
        end_at: No due time is later than this; None is no end.
        timezone: The zone of a `start_at` or `end_at` without one: an IANA name, `local` for that of this
            machine, or a tzinfo.
        jitter: Each due time is put off by a random time of up to so many seconds, less than the distance.

    Raises:
        InvalidInputError: The distance is not positive, the end lies before the start, `jitter` is
            negative or not less than the distance, or a time has no zone.
        MissingExtraError: `local` needs a package of the extra `cron`.

    Example:
        >>> IntervalTrigger(minutes=90)
        IntervalTrigger(minutes=90)
        >>> str(IntervalTrigger(minutes=90))
        'every 1 hour 30 minutes'
    """

    __slots__ = ("_end_at", "_interval", "_is_given", "_start_at")

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
        super().__init__(jitter)
        given = {"weeks": weeks, "days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        for name, value in given.items():
            check_number(name, value)
        try:
            interval = timedelta(**given)
        except OverflowError:
            raise InvalidInputError("the interval", str(given), "it is longer than a datetime can count") from None
        if interval <= timedelta(0):
            raise InvalidInputError("the interval", str(interval), "it must be more than zero")
        if self._jitter >= interval:
            raise InvalidInputError("jitter", repr(jitter), f"it must be less than the interval, {interval}")
        self._interval = interval
        self._start_at = optional_utc_time("start_at", start_at, timezone)
        self._end_at = optional_utc_time("end_at", end_at, timezone)
        self._is_given = start_at is not None
        check_order("start_at", self._start_at, "end_at", self._end_at)

    @property
    def interval(self) -> timedelta:
        """The distance between two due times."""
        return self._interval

    @property
    def start_at(self) -> datetime | None:
        """The first due time, UTC; None is one distance after the task was added."""
        return self._start_at

    @property
    def end_at(self) -> datetime | None:
        """No due time is later than this, UTC; None is no end."""
        return self._end_at

    @override
    def _all_options(self) -> Mapping[str, object]:
        rest = {"start_at": self._start_at, "end_at": self._end_at, "jitter": self.jitter}
        return {**_in_one_unit(self._interval), **rest}

    @override
    def _start_counting(self, now: datetime) -> None:
        if not self._is_given:
            self._start_at = None
            self._start_at = self._planned_time(None, now)

    @override
    def _planned_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        start, interval = self._start_at, self._interval
        try:
            if previous is None:
                following = now + interval if start is None else start
            elif start is None:
                following = previous + interval
            elif previous < start:
                following = start
            else:
                following = previous + interval - (previous - start) % interval
        except OverflowError:
            # It would lie after the last year that a datetime can tell.
            return None
        return None if self._end_at is not None and following > self._end_at else following

    @property
    @override
    def _latest(self) -> datetime | None:
        return self._end_at

    @override
    def __str__(self) -> str:
        text = f"every {_in_all_units(self._interval)}"
        if self._is_given and self._start_at is not None:
            text += f" from {text_of(self._start_at)}"
        return text + self._text_of_rest


def _in_one_unit(interval: timedelta) -> dict[str, float]:
    for unit, length in _UNITS.items():
        if not interval % length:
            return {unit: interval // length}
    return {"days": interval.days, "seconds": (interval - timedelta(interval.days)).total_seconds()}


def _in_all_units(interval: timedelta) -> str:
    parts: list[str] = []
    for unit, length in _UNITS.items():
        count, interval = divmod(interval, length)
        number = f"{count + interval / length:g}" if unit == "seconds" else f"{count}"
        if number != "0":
            parts.append(f"{number} {unit.removesuffix('s') if number == '1' else unit}")
    return " ".join(parts)
