"""Triggers as values."""

from __future__ import annotations

import pickle
import sys
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

import asyncz
from asyncz import (
    AndTrigger,
    CalendarIntervalTrigger,
    CronTrigger,
    DateTrigger,
    IntervalTrigger,
    OrTrigger,
    Trigger,
)
from asyncz.plugins import load_trigger
from asyncz.triggers.base import ValueTrigger
from tests.helpers.times import BERLIN, START, due_times

TRIGGERS: dict[str, tuple[ValueTrigger, str]] = {
    "date": (DateTrigger(), "at once"),
    "date at a time": (DateTrigger(START, timezone="Europe/Berlin"), "at 2030-01-01 00:00:00 UTC"),
    "interval": (IntervalTrigger(minutes=90), "every 1 hour 30 minutes"),
    "odd interval": (IntervalTrigger(weeks=1, days=1, seconds=1.000001), "every 1 week 1 day 1.000001 seconds"),
    "short interval": (IntervalTrigger(seconds=0.25), "every 0.25 seconds"),
    "interval with all": (
        IntervalTrigger(days=2, start_at=START, end_at=START + timedelta(days=9), jitter=5),
        "every 2 days from 2030-01-01 00:00:00 UTC until 2030-01-10 00:00:00 UTC, up to 5 s later",
    ),
    "cron": (CronTrigger(" */5  * * * *"), "*/5 * * * * in UTC"),
    "cron with all": (
        CronTrigger(
            "@daily", timezone="Europe/Berlin", start_at=datetime(2030, 1, 1), end_at=datetime(2031, 1, 1), jitter=1.5
        ),
        "@daily in Europe/Berlin from 2029-12-31 23:00:00 UTC until 2030-12-31 23:00:00 UTC, up to 1.5 s later",
    ),
    "cron with an offset": (CronTrigger("@daily", timezone=timezone(timedelta(hours=2))), "@daily in UTC+02:00"),
    "calendar": (CalendarIntervalTrigger(months=1), "every 1 month at 00:00:00 in UTC"),
    "calendar with all": (
        CalendarIntervalTrigger(
            years=1,
            months=2,
            weeks=3,
            days=4,
            hour=5,
            minute=6,
            second=7,
            timezone=BERLIN,
            start_date=date(2030, 1, 31),
            end_date=date(2040, 1, 1),
            jitter=60,
        ),
        (
            "every 1 year 2 months 3 weeks 4 days at 05:06:07 in Europe/Berlin from 2030-01-31 until 2040-01-01,"
            " up to 60 s later"
        ),
    ),
    "and": (CronTrigger("0 12 * * FRI") & CronTrigger("0 12 13 * *"), "0 12 * * FRI in UTC and 0 12 13 * * in UTC"),
    "or": (
        OrTrigger([CronTrigger("@daily"), IntervalTrigger(hours=5)], jitter=9),
        "@daily in UTC or every 5 hours, up to 9 s later",
    ),
    "nested": (
        (CronTrigger("@hourly") | DateTrigger()) & IntervalTrigger(hours=2),
        "(@hourly in UTC or at once) and every 2 hours",
    ),
}


@pytest.mark.parametrize("name", TRIGGERS)
def test_trigger_str_is_readable(name: str) -> None:
    trigger, text = TRIGGERS[name]
    assert str(trigger) == text


ALIASES = {
    AndTrigger: "and",
    CalendarIntervalTrigger: "calendar",
    CronTrigger: "cron",
    DateTrigger: "date",
    IntervalTrigger: "interval",
    OrTrigger: "or",
}


@pytest.mark.parametrize("name", TRIGGERS)
def test_trigger_repr_and_options_recreate_it(name: str) -> None:
    trigger, _ = TRIGGERS[name]
    names = {each: getattr(asyncz, each) for each in asyncz.__all__}
    assert eval(repr(trigger), {**names, "datetime": sys.modules["datetime"]}) == trigger
    assert load_trigger(ALIASES[type(trigger)], **trigger.options) == trigger
    copy = pickle.loads(pickle.dumps(trigger))
    assert (copy, hash(copy), repr(copy)) == (trigger, hash(trigger), repr(trigger))


def test_triggers_equal_by_options() -> None:
    triggers = [trigger for trigger, _ in TRIGGERS.values()]
    assert len(set(triggers)) == len(triggers)
    assert IntervalTrigger(minutes=60) == IntervalTrigger(hours=1)
    assert IntervalTrigger(minutes=60) != IntervalTrigger(hours=1, jitter=1)
    assert CronTrigger("@daily", timezone=BERLIN) == CronTrigger("@daily", timezone="Europe/Berlin")
    assert CronTrigger("@daily", timezone=UTC) == CronTrigger("@daily", timezone="UTC") == CronTrigger("@daily")
    assert DateTrigger(datetime(2030, 1, 1, 1), timezone=BERLIN) == DateTrigger(START)
    assert DateTrigger() != "at once"


@pytest.mark.parametrize(
    "name", ["interval", "expression", "timezone", "start_date", "jitter", "options", "triggers", "run_at"]
)
def test_trigger_is_immutable(name: str) -> None:
    owners = [trigger for trigger, _ in TRIGGERS.values() if hasattr(trigger, name)]
    assert owners
    for trigger in owners:
        with pytest.raises(AttributeError):
            setattr(trigger, name, 5)
        with pytest.raises(AttributeError):
            setattr(trigger, f"{name}_of_mine", 5)


@pytest.mark.parametrize(
    "trigger",
    [
        IntervalTrigger(days=400),
        CronTrigger("@yearly"),
        CalendarIntervalTrigger(years=1),
        CalendarIntervalTrigger(years=1, start_date=date(9999, 12, 31), timezone="America/New_York"),
        CronTrigger("@yearly", timezone="Pacific/Auckland", jitter=9e7),
        IntervalTrigger(days=400) | CronTrigger("@yearly"),
    ],
    ids=repr,
)
def test_last_supported_year_ends_trigger(trigger: Trigger) -> None:
    late = datetime(9998, 6, 1, tzinfo=UTC)
    assert 0 < len(due_times(trigger, late, 10)) < 4
