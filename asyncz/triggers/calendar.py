"""Due times at calendar intervals, such as a month."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import MAXYEAR, date, datetime, time, timedelta, tzinfo

from typing_extensions import override

from asyncz._checks import check_count, check_count_in, check_optional_date, shown
from asyncz._constructors import explain_misuse
from asyncz.exceptions import InvalidInputError
from asyncz.triggers._timezones import first_instant, local_time, minus, zone_name, zone_of, zone_option
from asyncz.triggers.base import JitteredTrigger

_DAYS_OF_A_MONTH = 30.436875  # on average
_LONGEST = (MAXYEAR + 1) * 366


class CalendarIntervalTrigger(JitteredTrigger):
    """Due every given number of years, months, weeks and days, at the same local time.

    All intervals are counted from `start_date`. If a month is too short for its day, its last day is used: one month
    after January 31 is February 28 or 29, two months after it is March 31. If the local time is repeated because
    clocks are set back, the first one counts; if it is skipped, the time of the change.

    Args:
        years, months, weeks, days: The interval is the sum; it must be more than zero.
        hour, minute, second: The local time.
        timezone: The zone of the local time: an IANA name, `local` for the zone of this machine, or a tzinfo.
        start_date: The first day, from which the intervals are counted; None means the day on which the task is
            added. Due times before the task is added are not made up for.
        end_date: The last possible day; None means no end.
        jitter: The maximum random delay of each due time, in seconds. A delayed time stays before the next one.

    Raises:
        InvalidInputError: The interval is zero, a number is not an integer or out of its range, the zone does not
            exist, the end is before the start, or `jitter` is negative.
        MissingExtraError: `local` needs a package of the extra `cron`.

    Example:
        >>> str(CalendarIntervalTrigger(months=1, hour=9, timezone="Europe/Berlin", start_date=date(2030, 1, 31)))
        'every 1 month at 09:00:00 in Europe/Berlin from 2030-01-31'
    """

    __slots__ = ("_days", "_end_date", "_is_given", "_months", "_start_date", "_time", "_weeks", "_years", "_zone")

    def __init__(
        self,
        *,
        years: int = 0,
        months: int = 0,
        weeks: int = 0,
        days: int = 0,
        hour: int = 0,
        minute: int = 0,
        second: int = 0,
        timezone: str | tzinfo = "UTC",
        start_date: date | None = None,
        end_date: date | None = None,
        jitter: float = 0.0,
    ) -> None:
        super().__init__(jitter)
        for name, value in (("years", years), ("months", months), ("weeks", weeks), ("days", days)):
            check_count(name, value, at_least=0)
            if value > _LONGEST:
                raise InvalidInputError(name, shown(value), f"it must be at most {_LONGEST}")
        if not (years or months or weeks or days):
            raise InvalidInputError("the interval", "0", "years, months, weeks or days must be more than zero")
        check_count_in("hour", hour, range(24))
        check_count_in("minute", minute, range(60))
        check_count_in("second", second, range(60))
        check_optional_date("start_date", start_date)
        check_optional_date("end_date", end_date)
        if start_date is not None and end_date is not None and end_date < start_date:
            raise InvalidInputError(
                "end_date", end_date.isoformat(), f"it must not be before start_date, {start_date.isoformat()}"
            )
        self._years, self._months, self._weeks, self._days = years, months, weeks, days
        self._time = time(hour, minute, second)
        self._zone = zone_of(timezone)
        self._start_date = start_date
        self._end_date = end_date
        self._is_given = start_date is not None

    @property
    def timezone(self) -> tzinfo:
        """The time zone of the local time."""
        return self._zone

    @property
    def start_date(self) -> date | None:
        """The first day; None means the day on which the task is added."""
        return self._start_date

    @property
    def end_date(self) -> date | None:
        """The last possible day; None means no end."""
        return self._end_date

    @override
    def _all_options(self) -> Mapping[str, object]:
        return {
            "years": self._years,
            "months": self._months,
            "weeks": self._weeks,
            "days": self._days,
            "hour": self._time.hour,
            "minute": self._time.minute,
            "second": self._time.second,
            "timezone": zone_option(self._zone),
            "start_date": self._start_date,
            "end_date": self._end_date,
            "jitter": self.jitter,
        }

    @override
    def _start_counting(self, now: datetime) -> None:
        if not self._is_given:
            self._start_date = self._day_of(now)

    @override
    def _planned_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        earliest = minus(now if previous is None else previous, timedelta(days=1))
        start = self._start_date or self._day_of(now if previous is None else previous)
        # Start a day earlier: if clocks skip a whole day, its due time is on the next day.
        number = self._number_before(self._day_of(earliest), start)
        while (day := self._day(number, start)) is not None and (self._end_date is None or day <= self._end_date):
            due = self._instant_on(day)
            if due is None and day.year > 1:
                return None
            if due is not None and (due > previous if previous is not None else due >= now):
                return due
            number += 1
        return None

    def _instant_on(self, day: date) -> datetime | None:
        """Return the due time on a day, UTC; None if it is outside of the years 1 to 9999."""
        try:
            return first_instant(datetime.combine(day, self._time), self._zone)
        except OverflowError:
            return None

    def _day_of(self, instant: datetime) -> date:
        """Return the local day of an instant, or the first or last possible one."""
        try:
            return local_time(instant, self._zone).date()
        except OverflowError:
            return date.min if instant.year == 1 else date.max

    def _day(self, number: int, start: date) -> date | None:
        """Return the day that is a number of intervals after the start; None after the year 9999."""
        year, month = divmod(start.year * 12 + start.month - 1 + number * (self._years * 12 + self._months), 12)
        days = number * (self._weeks * 7 + self._days)
        if year > MAXYEAR or days > _LONGEST:
            return None
        in_month = date(year, month + 1, min(start.day, monthrange(year, month + 1)[1]))
        return in_month + timedelta(days) if days <= (date.max - in_month).days else None

    def _number_before(self, day: date, start: date) -> int:
        """Return the number of intervals after the start of the last day before another day, or 0."""
        interval = (self._years * 12 + self._months) * _DAYS_OF_A_MONTH + self._weeks * 7 + self._days
        # A first guess from the average length of a month; the loops correct it.
        number = max(0, int((day - start).days / interval))
        while number and ((found := self._day(number, start)) is None or found >= day):
            number -= 1
        while (found := self._day(number + 1, start)) is not None and found < day:
            number += 1
        return number

    @override
    def __str__(self) -> str:
        counts = {"year": self._years, "month": self._months, "week": self._weeks, "day": self._days}
        distance = " ".join(f"{count} {unit}{'s' * (count > 1)}" for unit, count in counts.items() if count)
        start = f" from {self._start_date}" if self._is_given else ""
        until = "" if self._end_date is None else f" until {self._end_date}"
        return f"every {distance} at {self._time} in {zone_name(self._zone)}{start}{until}{self._text_of_rest}"


explain_misuse(CalendarIntervalTrigger)
