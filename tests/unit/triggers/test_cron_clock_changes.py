"""Cron expressions when clocks are set forward or back."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from asyncz import CronTrigger
from tests.helpers.times import due_until

BERLIN = ZoneInfo("Europe/Berlin")
FORWARD = datetime(2026, 3, 29, 1, tzinfo=UTC)
BACK = datetime(2026, 10, 25, 1, tzinfo=UTC)


def shown(expression: str, change: datetime) -> list[str]:
    """Return the local due times of the day of a change, with the offset from UTC in hours."""
    midnight = change.replace(hour=0)
    times = due_until(CronTrigger(expression, timezone=BERLIN), midnight, midnight.replace(hour=4))
    return [f"{due.astimezone(BERLIN):%H:%M %z}" for due in times]


def test_skipped_time_is_due_at_the_change() -> None:
    assert shown("30 2 * * *", FORWARD) == ["03:00 +0200"]
    assert shown("15,45 2-3 * * *", FORWARD) == ["03:00 +0200", "03:15 +0200", "03:45 +0200"]


def test_skipped_time_of_every_hour_is_not_due() -> None:
    assert shown("30 * * * *", FORWARD) == ["01:30 +0100", "03:30 +0200", "04:30 +0200", "05:30 +0200"]


def test_repeated_time_is_due_once() -> None:
    assert shown("30 2 * * *", BACK) == ["02:30 +0200"]
    assert shown("15 2-3 * * *", BACK) == ["02:15 +0200", "03:15 +0100"]


def test_repeated_time_of_every_hour_is_due_twice() -> None:
    assert shown("30 * * * *", BACK) == ["02:30 +0200", "02:30 +0100", "03:30 +0100", "04:30 +0100"]


def test_normal_time_is_not_affected_by_a_change() -> None:
    assert shown("0 4 * * *", FORWARD) == ["04:00 +0200"]
    assert shown("0 4 * * *", BACK) == ["04:00 +0100"]
    assert shown("0 4 * * *", datetime(2026, 6, 1, 1, tzinfo=UTC)) == ["04:00 +0200"]
