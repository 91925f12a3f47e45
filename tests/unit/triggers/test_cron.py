"""Cron triggers, also when clocks are set."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from asyncz import CronTrigger
from tests.helpers.cron import CHANGES
from tests.helpers.times import ZONES, due_times, due_until, in_utc

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def shown(expression: str, now: datetime, count: int, zone: str = "UTC") -> list[str]:
    """Return the local times of the first due times."""
    times = due_times(CronTrigger(expression, timezone=zone), now, count)
    return [f"{time.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}" for time in times]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/20 * * * *", ["2026-01-01 00:00:00", "2026-01-01 00:20:00", "2026-01-01 00:40:00"]),
        ("5 4 * * *", ["2026-01-01 04:05:00", "2026-01-02 04:05:00"]),
        ("*/30 5 4 * * *", ["2026-01-01 04:05:00", "2026-01-01 04:05:30", "2026-01-02 04:05:00"]),
        ("@hourly", ["2026-01-01 00:00:00", "2026-01-01 01:00:00"]),
        ("@daily", ["2026-01-01 00:00:00", "2026-01-02 00:00:00"]),
        ("@Midnight", ["2026-01-01 00:00:00", "2026-01-02 00:00:00"]),
        ("@weekly", ["2026-01-04 00:00:00", "2026-01-11 00:00:00"]),
        ("@monthly", ["2026-01-01 00:00:00", "2026-02-01 00:00:00"]),
        ("@yearly", ["2026-01-01 00:00:00", "2027-01-01 00:00:00"]),
        ("@annually", ["2026-01-01 00:00:00", "2027-01-01 00:00:00"]),
        ("0 9 * * mon-fri", ["2026-01-01 09:00:00", "2026-01-02 09:00:00", "2026-01-05 09:00:00"]),
        ("0 9 * * 7", ["2026-01-04 09:00:00", "2026-01-11 09:00:00"]),
        ("0 9 * FEB,Apr 1", ["2026-02-02 09:00:00", "2026-02-09 09:00:00"]),
        ("0 9 L * *", ["2026-01-31 09:00:00", "2026-02-28 09:00:00"]),
        ("0 9 LW * *", ["2026-01-30 09:00:00", "2026-02-27 09:00:00"]),
        ("0 9 * * MON#2", ["2026-01-12 09:00:00", "2026-02-09 09:00:00"]),
        ("0 9 * * 5L", ["2026-01-30 09:00:00", "2026-02-27 09:00:00"]),
        ("0 9 31 * *", ["2026-01-31 09:00:00", "2026-03-31 09:00:00", "2026-05-31 09:00:00"]),
        ("0 9 29 2 *", ["2028-02-29 09:00:00", "2032-02-29 09:00:00"]),
        ("0 9 13 * FRI", ["2026-01-02 09:00:00", "2026-01-09 09:00:00", "2026-01-13 09:00:00"]),
        ("0 9 */2 * FRI", ["2026-01-09 09:00:00", "2026-01-23 09:00:00"]),
        ("10-40/15 22 * * *", ["2026-01-01 22:10:00", "2026-01-01 22:25:00", "2026-01-01 22:40:00"]),
    ],
)
def test_cron_expression_due_times(expression: str, expected: list[str]) -> None:
    assert shown(expression, NOW, len(expected)) == expected


@pytest.mark.parametrize(
    ("zone", "expression", "now", "expected"),
    [
        # Set forward over it: due at the moment they are set.
        ("Europe/Berlin", "30 2 * * *", "2026-03-29 00:00", ["03-29 03:00", "03-30 02:30"]),
        ("America/New_York", "30 2 * * *", "2026-03-08 00:00", ["03-08 03:00", "03-09 02:30"]),
        ("Pacific/Auckland", "30 2 * * *", "2026-09-27 00:00", ["09-27 03:00", "09-28 02:30"]),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-04 00:00", ["10-04 02:30", "10-05 02:15"]),
        ("America/Santiago", "0 0 * * *", "2026-09-05 12:00", ["09-06 01:00", "09-07 00:00"]),
        ("Africa/Cairo", "0 0 * * *", "2026-04-23 12:00", ["04-24 01:00", "04-25 00:00"]),
        # Shown twice: due the first time only.
        ("Europe/Berlin", "30 2 * * *", "2026-10-25 00:00", ["10-25 02:30", "10-26 02:30"]),
        ("America/New_York", "30 1 * * *", "2026-11-01 00:00", ["11-01 01:30", "11-02 01:30"]),
        ("Pacific/Auckland", "30 2 * * *", "2026-04-05 00:00", ["04-05 02:30", "04-06 02:30"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-05 00:00", ["04-05 01:45", "04-06 01:45"]),
        ("America/Santiago", "30 23 * * *", "2026-04-04 12:00", ["04-04 23:30", "04-05 23:30"]),
        # For every hour: on in real time.
        ("Europe/Berlin", "0 * * * *", "2026-03-29 01:00", ["03-29 01:00", "03-29 03:00", "03-29 04:00"]),
        (
            "Europe/Berlin",
            "0 * * * *",
            "2026-10-25 01:00",
            ["10-25 01:00", "10-25 02:00", "10-25 02:00", "10-25 03:00"],
        ),
        ("Australia/Lord_Howe", "45 * * * *", "2026-04-05 01:00", ["04-05 01:45", "04-05 01:45", "04-05 02:45"]),
        # Some hours only, however often: each local time once.
        ("Europe/Berlin", "*/30 2 * * *", "2026-10-25 00:00", ["10-25 02:00", "10-25 02:30", "10-26 02:00"]),
        ("Europe/Berlin", "0 */2 * * *", "2026-03-29 00:00", ["03-29 00:00", "03-29 03:00", "03-29 04:00"]),
        ("Europe/Berlin", "0 30 2 * * *", "2026-03-29 00:00", ["03-29 03:00", "03-30 02:30"]),
        # No change at all.
        ("Asia/Kolkata", "30 2 * * *", "2026-03-29 00:00", ["03-29 02:30", "03-30 02:30"]),
    ],
)
def test_cron_clock_change_loses_nothing(zone: str, expression: str, now: str, expected: list[str]) -> None:
    """Neither skip nor repeat a due time when clocks are set."""
    found = shown(expression, in_utc(now, ZoneInfo(zone)), len(expected), zone)
    assert found == [f"2026-{each}:00" for each in expected]


def test_cron_repeated_hour_is_due_once() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for at in ("02:15", "02:30", "02:45"):
        now = in_utc(f"2026-10-25 {at}", berlin, fold=1)
        assert shown("30 2 * * *", now, 1, "Europe/Berlin") == ["2026-10-26 02:30:00"]
        assert shown("*/10 * * * *", now, 1, "Europe/Berlin")[0] >= f"2026-10-25 {at}"


@pytest.mark.parametrize("zone", ZONES)
def test_cron_daily_due_every_day_for_years(zone: str) -> None:
    begin = datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC)
    daily = due_until(CronTrigger("30 2 * * *", timezone=zone), begin, begin + timedelta(days=3 * 365))
    assert len(daily) == 3 * 365
    distances = {after - before for before, after in itertools.pairwise(daily)}
    assert distances <= {timedelta(hours=24, minutes=minutes) for minutes in (-60, -30, 0, 30, 60)}


@pytest.mark.parametrize(("name", "change"), [change for change in CHANGES if change[1].year == 2026])
def test_cron_every_hour_uses_elapsed_time(name: str, change: datetime) -> None:
    begin = change - timedelta(hours=3)
    times = due_until(CronTrigger("*/15 * * * *", timezone=name), begin, begin + timedelta(hours=6))
    assert times == [begin + timedelta(minutes=15 * number) for number in range(25)]
