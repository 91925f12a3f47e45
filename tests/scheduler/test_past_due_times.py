"""Due times in the past: before a task was added, and after the clock was set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from asyncz import AsyncIOScheduler, CronTrigger, IntervalTrigger, TaskSubmitted
from asyncz.testing import FakeClock
from tests.helpers.payloads import do_nothing
from tests.helpers.times import BERLIN, START

pytestmark = pytest.mark.anyio


class EveryTenSeconds:
    """Trigger without `latest_due_time`, whose due times have begun in the past.

    Args:
        first: First due time.
        last: Last due time.
    """

    def __init__(self, first: datetime, last: datetime) -> None:
        self.first = first
        self.last = last

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        due = self.first if previous is None else previous + timedelta(seconds=10)
        return due if due <= self.last else None


class EveryTenSecondsAtOnce(EveryTenSeconds):
    """The same with `latest_due_time`."""

    def latest_due_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        latest = min(now, self.last)
        latest -= (latest - self.first) % timedelta(seconds=10)
        return latest if latest > previous else None


def submitted_seconds(scheduler: AsyncIOScheduler) -> list[float]:
    """Return a list to which the due time of each submitted run is added, in seconds after the start."""
    seconds: list[float] = []
    scheduler.subscribe(
        TaskSubmitted, lambda event: seconds.append((event.details.scheduled or 0.0) - START.timestamp())
    )
    return seconds


@pytest.mark.parametrize("coalesce", [True, False])
@pytest.mark.parametrize("kind", [EveryTenSeconds, EveryTenSecondsAtOnce])
@pytest.mark.parametrize(("added_after", "expected"), [(0, [0, 10, 20]), (5, [10, 20, 30]), (-600, [-600, -590, -580])])
async def test_due_times_before_task_are_left_out(
    added_after: int, expected: list[int], kind: type[EveryTenSeconds], coalesce: bool
) -> None:
    clock = FakeClock(START + timedelta(seconds=added_after))
    trigger = kind(START - timedelta(minutes=10), START + timedelta(hours=1))
    async with AsyncIOScheduler(clock=clock) as scheduler:
        seconds = submitted_seconds(scheduler)
        scheduler.add_task(do_nothing, trigger=trigger, executor="debug", coalesce=coalesce)
        await clock.advance(25, wait_for_runs=True)
    assert seconds == expected


@pytest.mark.parametrize(("added_after", "expected"), [(0, 0), (5, 10)])
async def test_next_run_at_of_trigger_begun_in_past(added_after: int, expected: int) -> None:
    now = START + timedelta(seconds=added_after)
    async with AsyncIOScheduler(clock=FakeClock(now)) as scheduler:
        trigger = EveryTenSecondsAtOnce(START - timedelta(minutes=10), START + timedelta(hours=1))
        task = scheduler.add_task(do_nothing, trigger=trigger)
        assert task.next_run_at == START + timedelta(seconds=expected)


@pytest.mark.parametrize("kind", [EveryTenSeconds, EveryTenSecondsAtOnce])
@pytest.mark.parametrize(("number", "expected"), [(1, [-600]), (2, []), (3, []), (60, []), (61, [0])])
async def test_trigger_with_past_due_times_only(number: int, expected: list[int], kind: type[EveryTenSeconds]) -> None:
    """Run the only due time of a trigger, although it is in the past; of several, none before now."""
    clock, first = FakeClock(START), START - timedelta(minutes=10)
    async with AsyncIOScheduler(clock=clock) as scheduler:
        seconds = submitted_seconds(scheduler)
        trigger = kind(first, first + timedelta(seconds=10 * (number - 1)))
        scheduler.add_task(do_nothing, trigger=trigger, executor="debug")
        await clock.advance(25, wait_for_runs=True)
        assert scheduler.tasks == ()
    assert seconds == expected


@pytest.mark.parametrize(("age", "expected"), [(0, 0), (5, 5), (600, 0), (605, 5)])
async def test_first_due_time_follows_start_of_task(age: int, expected: int) -> None:
    async with AsyncIOScheduler(clock=FakeClock(START)) as scheduler:
        trigger = IntervalTrigger(seconds=10, start_at=START - timedelta(seconds=age))
        task = scheduler.add_task(do_nothing, trigger=trigger)
        assert task.next_run_at == START + timedelta(seconds=expected)


class InBerlin:
    """Trigger that returns the local times of Berlin."""

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return ((previous or now) + timedelta(hours=1)).astimezone(BERLIN)


async def test_due_times_of_local_trigger_are_in_utc() -> None:
    async with AsyncIOScheduler(clock=FakeClock(START)) as scheduler:
        task = scheduler.add_task(do_nothing, trigger=InBerlin())
        coming = scheduler.due_times(task, 3)
        assert coming == tuple(START + timedelta(hours=number) for number in (1, 2, 3))
        assert all(due.tzinfo is UTC for due in coming)


async def test_clock_set_back_before_first_due_time() -> None:
    clock = FakeClock(START)
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(do_nothing, trigger=CronTrigger("0 * * * *", start_at=START + timedelta(hours=1)))
        clock.set(START - timedelta(hours=2))
        await clock.advance()
        assert task.next_run_at == START + timedelta(hours=1)
        task.reschedule(CronTrigger("30 * * * *"))
        clock.set(START - timedelta(hours=4))
        await clock.advance()
        assert task.next_run_at == START - timedelta(hours=3.5)


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        # The skipped due times are still to come: the clock may have been set to a wrong time.
        (90, [0, 90, 30, 60]),
        (119, [0, 90, 30, 60]),
        # After a gap of a minute, which a busy machine may cause, they are not.
        (60, [0, 60, 90]),
        (89, [0, 60, 90]),
    ],
)
async def test_clock_set_forward_and_back(forward: int, expected: list[int]) -> None:
    clock = FakeClock(START)
    async with AsyncIOScheduler(clock=clock) as scheduler:
        seconds = submitted_seconds(scheduler)
        scheduler.add_task(do_nothing, trigger=CronTrigger("*/30 * * * * *"), executor="debug")
        await clock.advance(wait_for_runs=True)
        clock.set(START + timedelta(seconds=forward))
        await clock.advance(wait_for_runs=True)
        clock.set(START + timedelta(seconds=10))
        await clock.advance(80, wait_for_runs=True)
    assert seconds == expected
