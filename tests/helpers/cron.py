"""Cron expressions for hypothesis, and an independent minute-by-minute search for their due times."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.helpers.times import ZONES


def changes_of(name: str, year: int) -> list[tuple[str, datetime]]:
    """When the clocks of a zone are set in a year, UTC, to half an hour."""
    zone, begin, found = ZoneInfo(name), datetime(year, 1, 1, tzinfo=UTC), []
    for day in (begin + timedelta(days=number) for number in range(365)):
        if day.astimezone(zone).utcoffset() != (day + timedelta(days=1)).astimezone(zone).utcoffset():
            halves = [day + timedelta(minutes=30 * number) for number in range(49)]
            offsets = [half.astimezone(zone).utcoffset() for half in halves]
            found.append((name, halves[offsets.index(offsets[-1])]))
    return found


CHANGES = [change for name in ZONES for year in (2011, 2026) for change in changes_of(name, year)]
_NUMBERS = {"minute": range(60), "hour": range(24), "day": range(1, 32), "month": range(1, 13), "weekday": range(7)}


@st.composite
def cron_fields(draw: st.DrawFn, name: str) -> str:
    """A field of a cron expression."""
    numbers = _NUMBERS[name]
    number = st.integers(numbers[0], numbers[-1])

    def span() -> str:
        low, high = sorted((draw(number), draw(number)))
        return f"{low}-{high}"

    kind = draw(st.sampled_from(["*", "*", "step", "number", "range", "step of range", "list", "special"]))
    if kind == "step":
        return f"*/{draw(st.integers(1, len(numbers)))}"
    if kind == "number":
        return f"{draw(number)}"
    if kind == "range":
        return span()
    if kind == "step of range":
        return f"{span()}/{draw(st.integers(1, len(numbers)))}"
    if kind == "list":
        return ",".join(draw(st.lists(number.map(str), min_size=2, max_size=4)))
    if kind == "special" and name == "day":
        return draw(st.sampled_from(["L", "LW", "L,15", "1"]))
    if kind == "special" and name == "weekday":
        return draw(st.sampled_from(["MON#1", "5#3", "SUN", "7", "FRI-7", "2L", "MON#1,WED"]))
    if kind == "special" and name == "month":
        return draw(st.sampled_from(["MAR", "OCT-DEC", "jan,APR"]))
    return "*"


def cron_expressions() -> st.SearchStrategy[str]:
    """Cron expressions of five fields."""
    return st.tuples(*map(cron_fields, _NUMBERS)).map(" ".join)


class ReckonedCron:
    """Cron expression of five fields that is evaluated minute by minute, without the library."""

    names = {name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])} | {
        name.upper(): number for number, name in enumerate(calendar.month_abbr) if name
    }

    def __init__(self, expression: str) -> None:
        minute, hour, self.day, month, self.weekday = expression.upper().split()
        self.minutes = self.plain(minute, 0, 59)
        self.hours = self.plain(hour, 0, 23)
        self.months = self.plain(month, 1, 12)
        self.is_for_every_hour = self.hours == set(range(24))

    def number(self, text: str) -> int:
        return self.names[text] if text in self.names else int(text)

    def plain(self, field: str, low: int, high: int) -> set[int]:
        found: set[int] = set()
        for term in field.split(","):
            span, _, step = term.partition("/")
            first, _, last = span.partition("-")
            begin = low if first == "*" else self.number(first)
            end = high if first == "*" or (step and not last) else self.number(last or first)
            found.update(range(begin, end + 1, int(step or 1)))
        return found

    def is_day_of_month(self, local: datetime) -> bool:
        last = calendar.monthrange(local.year, local.month)[1]
        for term in self.day.split(","):
            if term == "L":
                days = {last}
            elif term == "LW":
                days = {max(day for day in range(1, last + 1) if local.replace(day=day).isoweekday() < 6)}
            else:
                days = self.plain(term, 1, 31)
            if local.day in days:
                return True
        return False

    def is_day_of_week(self, local: datetime) -> bool:
        last = calendar.monthrange(local.year, local.month)[1]
        today = {local.isoweekday() % 7, local.isoweekday()}
        for term in self.weekday.split(","):
            weekday, _, which = term.partition("#")
            if which:
                if self.number(weekday) in today and (local.day - 1) // 7 + 1 == int(which):
                    return True
            elif weekday.endswith("L"):
                if self.number(weekday[:-1]) in today and local.day + 7 > last:
                    return True
            elif today & self.plain(weekday, 0, 7):
                return True
        return False

    def is_due(self, local: datetime) -> bool:
        """Return True if the expression matches this local time."""
        if not (local.minute in self.minutes and local.hour in self.hours and local.month in self.months):
            return False
        days = self.is_day_of_month(local), self.is_day_of_week(local)
        return all(days) if self.day.startswith("*") or self.weekday.startswith("*") else any(days)

    def due_between(self, begin: datetime, end: datetime, zone: tzinfo) -> Iterator[datetime]:
        """Each due time from `begin` until before `end`, as clocks show them that go on minute by minute."""
        shown_already: set[datetime] = set()
        # Start some hours earlier, to recognize local times that occur a second time.
        instant = begin if self.is_for_every_hour else begin - timedelta(hours=3)
        shown = instant.astimezone(zone).replace(tzinfo=None, fold=0)
        while instant < end:
            before, shown = shown, instant.astimezone(zone).replace(tzinfo=None, fold=0)
            if self.is_for_every_hour:
                due = self.is_due(shown)
            else:
                # All minutes since the one before, the left out ones too, that were not shown before.
                passed = [
                    before + timedelta(minutes=number) for number in range(1, (shown - before) // timedelta(minutes=1))
                ]
                due = any(self.is_due(each) for each in [*passed, shown] if each not in shown_already)
                shown_already.update([*passed, shown])
            if due and instant >= begin:
                yield instant
            instant += timedelta(minutes=1)
