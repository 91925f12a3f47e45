"""Clocks that are set forwards and backwards: no due time repeats, and no schedule stalls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from asyncz import AsyncIOScheduler, CalendarIntervalTrigger, CronTrigger, IntervalTrigger, TaskSubmitted, Trigger
from asyncz.schedulers._schedules import TriggerSchedule
from asyncz.schedulers._submitted import SubmittedRanges
from asyncz.testing import FakeClock
from tests.helpers.effort import examples
from tests.helpers.payloads import do_nothing

pytestmark = pytest.mark.anyio

START = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
PERIOD = timedelta(minutes=1)

STEPS = st.lists(
    st.tuples(st.integers(-100_000, 100_000).map(lambda minutes: timedelta(minutes=minutes)), st.integers(0, 5)),
    max_size=6,
)


def run_until(schedule: TriggerSchedule, now: datetime) -> list[float]:
    """Submit what is due, as a scheduler does, and return the due times."""
    submitted: list[float] = []
    while schedule.next_due is not None and schedule.next_due <= now:
        submitted += schedule.advance(now, coalesce=True)
    return submitted


@pytest.mark.parametrize("trigger", [CronTrigger("* * * * *"), IntervalTrigger(minutes=1)])
@given(steps=STEPS)
@settings(deadline=None)
def test_clock_steps_repeat_and_stall_nothing(trigger: Trigger, steps: list[tuple[timedelta, int]]) -> None:
    """Each step sets the clock, and some periods pass."""
    now, submitted = START, list[float]()
    schedule = TriggerSchedule(trigger, now)
    for step, periods in steps:
        now += step
        if step < timedelta(0):
            schedule.restart(now)
        submitted += run_until(schedule, now)
        for _ in range(periods):
            now += PERIOD
            submitted += run_until(schedule, now)
        assert len(set(submitted)) == len(submitted)
        assert schedule.next_due is not None
        # Only due times that were submitted are left out, and gaps that are as short as a period.
        assert schedule.next_due - now <= (2 * len(submitted) + 1) * PERIOD


@pytest.mark.parametrize("trigger", [CronTrigger("* * * * *"), CronTrigger("* * * * *") | CronTrigger("@hourly")])
def test_clock_set_back_twice_in_a_row_repeats_nothing(trigger: Trigger) -> None:
    """Nothing is due between the two steps."""
    now = START
    schedule = TriggerSchedule(trigger, now)
    submitted = [due for number in range(11) for due in run_until(schedule, now + number * PERIOD)]
    for back in (10, 8):
        schedule.restart(now + (10 - back) * PERIOD)
    for number in range(3, 20):
        submitted += run_until(schedule, now + number * PERIOD)
    assert len(set(submitted)) == len(submitted)


@pytest.mark.parametrize("trigger", [CronTrigger("0 * * * *"), CalendarIntervalTrigger(days=1, hour=3)])
async def test_clock_set_forward_and_back_runs_go_on(trigger: Trigger) -> None:
    """A machine starts with a wrong clock, which is then corrected."""
    clock = FakeClock(START)
    due: list[datetime | None] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        scheduler.subscribe(TaskSubmitted, lambda event: due.append(event.details.scheduled_at))
        scheduler.add_task(do_nothing, trigger=trigger)
        await clock.advance(days=2)
        before = len(due)
        clock.set(START + timedelta(days=2000))
        await clock.advance(days=2)
        clock.set(START + timedelta(days=3))
        after = len(due)
        await clock.advance(days=2)
    assert before > 0
    assert len(due) >= after + before
    assert len(set(due)) == len(due)


@pytest.mark.parametrize(
    "trigger",
    [
        IntervalTrigger(seconds=7) | CronTrigger("*/5 * * * *"),
        CronTrigger("*/2 * * * *") | CronTrigger("*/3 * * * *"),
        IntervalTrigger(seconds=90) | IntervalTrigger(minutes=1, start_at=START),
        IntervalTrigger(seconds=60),
    ],
)
@given(steps=st.lists(st.sampled_from([-0.5, -5, -7, -59, -60, -61, -600, -90_000, 45, 3600]), max_size=4))
@settings(deadline=None, max_examples=examples(20))
def test_clock_steps_repeat_no_time_of_a_union(trigger: Trigger, steps: list[float]) -> None:
    """A part of a union counts from the start of the schedule, and another one does not."""
    now, submitted = START, list[float]()
    schedule = TriggerSchedule(trigger, now)
    for step in (0.0, *steps):
        now += timedelta(seconds=step)
        if step < 0:
            schedule.restart(now)
        for _ in range(10):
            now += PERIOD
            submitted += run_until(schedule, now)
        assert len(set(submitted)) == len(submitted)


def test_ranges_beyond_the_maximum_join_the_closest() -> None:
    ranges = SubmittedRanges()
    for number in range(20):
        ranges.add(START + number * number * PERIOD, START + number * number * PERIOD)
    held = list(ranges)
    assert len(held) == 8
    assert held[0] == (START, START + 12 * 12 * PERIOD)
    assert all(ranges.end_around(START + number * number * PERIOD) is not None for number in range(20))
