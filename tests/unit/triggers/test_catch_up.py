"""The last of many missed due times."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, reject, settings, strategies as st

from asyncz import (
    CalendarIntervalTrigger,
    CronTrigger,
    DateTrigger,
    IntervalTrigger,
    NeverDueError,
    OrTrigger,
    Trigger,
)
from asyncz.triggers.base import latest_due_time, start_trigger
from tests.helpers.effort import examples
from tests.unit.triggers.strategies import intersections, times, triggers

NOW = datetime(2030, 1, 1, 0, 0, 5, tzinfo=UTC)
MOST_STEPS = 1000


def last_by_walking(trigger: Trigger, previous: datetime, now: datetime) -> datetime | None:
    """Return the last due time up to now by one call after the other."""
    last, due = None, trigger.next_due_time(previous, now)
    for _ in range(MOST_STEPS):
        if due is None or due > now:
            return last
        last, due = due, trigger.next_due_time(due, now)
    reject()


@pytest.mark.slow
@settings(deadline=None, max_examples=examples(15))
@given(triggers | intersections, times, st.timedeltas(timedelta(0), timedelta(days=4)), times)
def test_latest_due_time_agrees_with_walking(
    trigger: Trigger, added_at: datetime, length: timedelta, previous: datetime
) -> None:
    started = start_trigger(trigger, added_at)
    try:
        expected = last_by_walking(started, previous, previous + length)
    except NeverDueError:
        reject()
    assert latest_due_time(started, previous, previous + length) == expected


class HalfHours:
    """A trigger without latest_due_time."""

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        moment = previous or now
        return moment - (moment - datetime.min.replace(tzinfo=UTC)) % timedelta(minutes=30) + timedelta(minutes=30)


@settings(deadline=None)
@given(times, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_latest_due_time_of_custom_trigger_is_found(previous: datetime, length: timedelta) -> None:
    found = latest_due_time(HalfHours(), previous, previous + length)
    assert found == last_by_walking(HalfHours(), previous, previous + length)


@pytest.mark.parametrize(
    "trigger",
    [
        IntervalTrigger(seconds=1, start_at=NOW - timedelta(days=2000)),
        IntervalTrigger(seconds=1, start_at=NOW - timedelta(days=2000), jitter=0.5),
        CronTrigger("* * * * * *", timezone="Europe/Berlin"),
        CronTrigger("* * * * * *", timezone="Europe/Berlin", jitter=86400),
        CalendarIntervalTrigger(days=1),
        IntervalTrigger(seconds=1) | CronTrigger("* * * * * *"),
        IntervalTrigger(seconds=1) & CronTrigger("* * * * * *"),
        OrTrigger([HalfHours(), IntervalTrigger(seconds=0.001)], jitter=3),
        HalfHours(),
    ],
    ids=lambda trigger: f"{type(trigger).__name__}",
)
def test_catching_up_years_takes_milliseconds(trigger: Trigger) -> None:
    previous = NOW - timedelta(days=2000)
    started = start_trigger(trigger, previous)
    best, found = 10.0, None
    for _ in range(3):
        begun = time.perf_counter()
        found = latest_due_time(started, previous, NOW)
        best = min(best, time.perf_counter() - begun)
    assert found is not None
    assert NOW - timedelta(days=1, hours=1) < found <= NOW
    following = started.next_due_time(found, NOW)
    assert following is not None
    assert following > NOW
    # Walking takes minutes; the limit leaves room for a busy machine.
    assert best < 1


def test_latest_due_time_of_date_is_between_both_times() -> None:
    trigger = DateTrigger(NOW)
    assert trigger.latest_due_time(NOW - timedelta(1), NOW) == NOW
    assert trigger.latest_due_time(NOW, NOW + timedelta(1)) is None
    assert trigger.latest_due_time(NOW - timedelta(2), NOW - timedelta(1)) is None
