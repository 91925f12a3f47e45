"""Due times before the start of a task, which are not made up for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from asyncz import AsyncIOScheduler, CalendarIntervalTrigger, CronTrigger, IntervalTrigger, OrTrigger, Trigger
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.times import due_times

NOW = datetime(2030, 1, 1, 10, 30, tzinfo=UTC)
LONG_AGO = datetime(2022, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("trigger", "hour"),
    [
        (IntervalTrigger(days=1, start_at=LONG_AGO), 0),
        (IntervalTrigger(days=1, start_at=LONG_AGO.replace(hour=5)), 5),
        (CalendarIntervalTrigger(days=1, start_date=LONG_AGO.date(), hour=5), 5),
        (CronTrigger("0 5 * * *", start_at=LONG_AGO), 5),
        (OrTrigger([IntervalTrigger(days=1, start_at=LONG_AGO)]), 0),
        (IntervalTrigger(days=1, start_at=LONG_AGO) & CronTrigger("0 * * * *", start_at=LONG_AGO), 0),
    ],
    ids=str,
)
def test_start_in_the_past_is_due_next_after_now(trigger: Trigger, hour: int) -> None:
    expected = datetime(2030, 1, 2, hour, tzinfo=UTC)
    assert due_times(trigger, NOW, 2) == [expected, expected + timedelta(days=1)]


def test_due_time_at_the_start_counts() -> None:
    for trigger in (
        IntervalTrigger(hours=1, start_at=NOW - timedelta(days=3)),
        CronTrigger("30 * * * *"),
        CalendarIntervalTrigger(days=1, hour=10, minute=30, start_date=date(2030, 1, 1)),
    ):
        assert due_times(trigger, NOW, 1) == [NOW]


@settings(deadline=None)
@given(
    interval=st.timedeltas(timedelta(microseconds=1), timedelta(days=90)),
    age=st.timedeltas(timedelta(days=-1), timedelta(days=9000)),
)
def test_first_due_time_is_multiple_of_interval(interval: timedelta, age: timedelta) -> None:
    seconds = interval.seconds + interval.microseconds / 1e6
    start = NOW - age
    (first,) = due_times(IntervalTrigger(days=interval.days, seconds=seconds, start_at=start), NOW, 1)
    assert (first - start) % interval == timedelta(0)
    assert max(NOW, start) <= first < max(NOW + interval, start + timedelta(microseconds=1))


@pytest.mark.anyio
async def test_program_start_adds_no_run() -> None:
    clock = FakeClock(NOW)
    async with AsyncIOScheduler(clock=clock) as scheduler:
        trigger = IntervalTrigger(days=1, start_at=LONG_AGO)
        task = scheduler.add_task(payloads.add, 1, 2, trigger=trigger, executor="debug")
        await clock.advance(hours=1)
        assert task.state.executed == 0
        await clock.advance(hours=23)
        assert task.state.executed == 1
