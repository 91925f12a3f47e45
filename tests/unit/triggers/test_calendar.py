"""Calendar interval triggers."""

from __future__ import annotations

from datetime import date

import pytest

from asyncz import CalendarIntervalTrigger
from tests.helpers.times import due_times, in_utc


@pytest.mark.parametrize(
    ("trigger", "now", "expected"),
    [
        # Days that a month does not have.
        (
            CalendarIntervalTrigger(months=1, start_date=date(2030, 1, 31)),
            "2030-01-01",
            ["2030-01-31 00:00", "2030-02-28 00:00", "2030-03-31 00:00", "2030-04-30 00:00", "2030-05-31 00:00"],
        ),
        (
            CalendarIntervalTrigger(months=3, start_date=date(2027, 11, 30), hour=12),
            "2030-02-01",
            ["2030-02-28 12:00", "2030-05-30 12:00"],
        ),
        (
            CalendarIntervalTrigger(years=1, start_date=date(2028, 2, 29)),
            "2028-01-01",
            ["2028-02-29 00:00", "2029-02-28 00:00", "2030-02-28 00:00", "2031-02-28 00:00", "2032-02-29 00:00"],
        ),
        # Everything together, counted from the start.
        (
            CalendarIntervalTrigger(years=1, months=1, weeks=1, days=1, start_date=date(2030, 1, 1)),
            "2030-01-01",
            ["2030-01-01 00:00", "2031-02-09 00:00", "2032-03-17 00:00"],
        ),
        # Without a start: from the day on which it is added, if its time is still to come.
        (CalendarIntervalTrigger(months=1, hour=9), "2030-01-15 08:00", ["2030-01-15 09:00", "2030-02-15 09:00"]),
        (CalendarIntervalTrigger(months=1, hour=9), "2030-01-15 09:00", ["2030-01-15 09:00", "2030-02-15 09:00"]),
        (CalendarIntervalTrigger(months=1, hour=9), "2030-01-15 09:01", ["2030-02-15 09:00", "2030-03-15 09:00"]),
        (CalendarIntervalTrigger(months=1, hour=9), "2030-01-31 12:00", ["2030-02-28 09:00", "2030-03-31 09:00"]),
        # Due times before the task was added are not made up for; the end is the last day.
        (CalendarIntervalTrigger(weeks=2, start_date=date(2029, 12, 25)), "2030-01-01", ["2030-01-08 00:00"]),
        (
            CalendarIntervalTrigger(days=2, start_date=date(2030, 1, 5), end_date=date(2030, 1, 9), hour=23),
            "2030-01-01",
            ["2030-01-05 23:00", "2030-01-07 23:00", "2030-01-09 23:00"],
        ),
        # Clocks that are set forward, back, and over a whole day.
        (
            CalendarIntervalTrigger(days=1, hour=2, minute=30, timezone="Europe/Berlin"),
            "2026-03-28 00:00",
            ["2026-03-28 02:30", "2026-03-29 03:00", "2026-03-30 02:30"],
        ),
        (
            CalendarIntervalTrigger(days=1, hour=2, minute=30, timezone="Europe/Berlin"),
            "2026-10-24 00:00",
            ["2026-10-24 02:30", "2026-10-25 02:30", "2026-10-26 02:30"],
        ),
        (
            CalendarIntervalTrigger(days=1, timezone="America/Santiago"),
            "2026-09-05 00:00",
            ["2026-09-05 00:00", "2026-09-06 01:00", "2026-09-07 00:00"],
        ),
        (
            CalendarIntervalTrigger(days=1, hour=5, timezone="Pacific/Apia"),
            "2011-12-29 00:00",
            ["2011-12-29 05:00", "2011-12-31 00:00", "2011-12-31 05:00", "2012-01-01 05:00"],
        ),
        (
            CalendarIntervalTrigger(days=1, timezone="Pacific/Apia"),
            "2011-12-29 00:00",
            ["2011-12-29 00:00", "2011-12-31 00:00", "2012-01-01 00:00"],
        ),
    ],
)
def test_calendar_interval_due_times(trigger: CalendarIntervalTrigger, now: str, expected: list[str]) -> None:
    found = due_times(trigger, in_utc(now, trigger.timezone), len(expected))
    assert [f"{due.astimezone(trigger.timezone):%Y-%m-%d %H:%M}" for due in found] == expected
