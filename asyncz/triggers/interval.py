"""Due times at a fixed interval."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo

from typing_extensions import override

from asyncz._checks import check_number, shown
from asyncz._constructors import explain_misuse
from asyncz.exceptions import InvalidInputError
from asyncz.triggers._progressions import Progression
from asyncz.triggers._timezones import check_order, optional_utc_time, text_of
from asyncz.triggers.base import JitteredTrigger

_UNITS = {
    "weeks": timedelta(weeks=1),
    "days": timedelta(days=1),
    "hours": timedelta(hours=1),
    "minutes": timedelta(minutes=1),
    "seconds": timedelta(seconds=1),
}


class IntervalTrigger(JitteredTrigger):
    """Due at a fixed interval from `start_at` on.

    The interval is elapsed time. Clock changes of a time zone do not affect it.

    Args:
        weeks, days, hours, minutes, seconds: The interval is the sum; it must be more than zero.
        start_at: The first due time; None means one interval after the task is added. If it is in the past, the first
            due time is the next one at a multiple of the interval after it.
        end_at: The latest due time; None means no end.
        timezone: The zone of a `start_at` or `end_at` without one: an IANA name, `local` for the zone of this
            machine, or a tzinfo.
        jitter: The maximum random delay of each due time, in seconds; less than the interval.

    Raises:
        InvalidInputError: The interval is not positive, the end is before the start, `jitter` is negative or not
            less than the interval, or a time has no zone.
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
        interval = _sum_of({"weeks": weeks, "days": days, "hours": hours, "minutes": minutes, "seconds": seconds})
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
        """The time between two due times."""
        return self._interval

    @property
    def start_at(self) -> datetime | None:
        """The first due time, UTC; None means one interval after the task is added."""
        return self._start_at

    @property
    def end_at(self) -> datetime | None:
        """The latest due time, UTC; None means no end."""
        return self._end_at

    @override
    def _all_options(self) -> Mapping[str, object]:
        rest = {"start_at": self._start_at, "end_at": self._end_at, "jitter": self.jitter}
        return {**_in_one_unit(self._interval), **rest}

    @property
    @override
    def _progression(self) -> Progression | None:
        if self._start_at is None:
            return None
        return Progression.of(self._start_at, self._interval, self._end_at)

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
                if start is None:
                    following = now + interval
                else:
                    following = start if start >= now else now + (start - now) % interval
            elif start is None:
                following = previous + interval
            elif previous < start:
                following = start
            else:
                following = previous + interval - (previous - start) % interval
        except OverflowError:
            # The time would lie after the year 9999.
            return None
        return None if self._end_at is not None and following > self._end_at else following

    @override
    def _latest_planned_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        if self._end_at is not None and self._end_at < now:
            now = self._end_at
        start = previous if self._start_at is None else self._start_at
        if now < start:
            return None
        planned = now - (now - start) % self._interval
        return planned if planned > previous else None

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


explain_misuse(IntervalTrigger)


def _sum_of(given: Mapping[str, float]) -> timedelta:
    """Return the sum of numbers of units.

    Raises:
        InvalidInputError: A number is not finite or too large.
    """
    for name, value in given.items():
        check_number(name, value)
        try:
            _ = value * _UNITS[name]
        except OverflowError:
            raise InvalidInputError(name, shown(value), "an interval is at most 999999999 days") from None
    try:
        return timedelta(**given)
    except OverflowError:
        raise InvalidInputError("the interval", shown(given), "an interval is at most 999999999 days") from None


def _in_one_unit(interval: timedelta) -> dict[str, float]:
    for unit, length in _UNITS.items():
        if not interval % length:
            return {unit: interval // length}
    return {"days": interval.days, "seconds": (interval - timedelta(interval.days)).total_seconds()}


def _in_all_units(interval: timedelta) -> str:
    parts: list[str] = []
    for unit, length in _UNITS.items():
        count, interval = divmod(interval, length)
        number = f"{count + interval / length:.15g}" if unit == "seconds" else f"{count}"
        if number != "0":
            parts.append(f"{number} {unit.removesuffix('s') if number == '1' else unit}")
    return " ".join(parts)
