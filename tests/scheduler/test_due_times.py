"""Coming due times, the cancellation of a run by its number, and parts of the state."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from asyncz import AsyncIOScheduler, DateTrigger, IntervalTrigger, InvalidInputError, TaskLookupError
from asyncz.testing import FakeClock
from tests.helpers.times import START

pytestmark = pytest.mark.anyio


def nothing() -> None: ...


async def test_due_times_are_those_that_follow() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(nothing, trigger=IntervalTrigger(hours=1), executor="debug")
        assert scheduler.due_times(task, 3) == tuple(START + timedelta(hours=number) for number in (1, 2, 3))
        await clock.advance(hours=1, wait_for_runs=True)
        assert scheduler.due_times(task.id, 1) == (START + timedelta(hours=2),)
        assert task.state.executed == 1


async def test_due_times_end_with_trigger() -> None:
    scheduler, at = AsyncIOScheduler(), datetime.now(UTC) + timedelta(hours=1)
    scheduler.add_task(nothing, id="once", trigger=DateTrigger(at))
    scheduler.add_task(nothing, id="on demand", trigger=None)
    assert scheduler.due_times("once", 5) == (at,)
    assert scheduler.due_times("on demand", 5) == ()


class Breaking:
    """Trigger that raises after two due times."""

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        if previous is not None and previous > now + timedelta(minutes=90):
            raise ValueError("no more")
        return (previous or now) + timedelta(hours=1)


class Stuck:
    """Trigger that returns the same due time again."""

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return previous or now + timedelta(hours=1)


async def test_due_times_end_if_trigger_raises() -> None:
    scheduler = AsyncIOScheduler()
    scheduler.add_task(nothing, id="stuck", trigger=Stuck())
    assert len(scheduler.due_times("stuck", 5)) == 1


async def test_due_times_are_in_utc() -> None:
    scheduler = AsyncIOScheduler()
    scheduler.add_task(nothing, id="t", trigger=Breaking())
    assert {due.tzinfo for due in scheduler.due_times("t", 5)} == {UTC}


async def test_due_times_of_unknown_task_are_rejected() -> None:
    with pytest.raises(TaskLookupError):
        AsyncIOScheduler().due_times("missing")
    with pytest.raises(InvalidInputError):
        AsyncIOScheduler().due_times("missing", 0)


async def test_cancel_run_ends_that_run_only() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(asyncio.sleep, 60, trigger=None, max_instances=2)
        first, second = task.run(), task.run()
        assert scheduler.cancel_run(first.run_id)
        assert type(await first.notification()).__name__ == "TaskCancelled"
        assert not second.done()
        assert not scheduler.cancel_run(first.run_id)
        assert second.cancel()


async def test_cancel_run_of_removed_task_ends_it() -> None:
    async with AsyncIOScheduler() as scheduler:
        handle = scheduler.add_task(asyncio.sleep, 60, id="t", trigger=None).run()
        scheduler.remove_task("t")
        assert scheduler.cancel_run(handle.run_id)
        await handle.notification()


async def test_status_and_executors_are_those_of_state() -> None:
    scheduler = AsyncIOScheduler(executors={"io": "threadpool"})
    statuses = [scheduler.status]
    async with scheduler:
        statuses.append(scheduler.status)
        assert (scheduler.status, scheduler.executors) == (scheduler.state.status, scheduler.state.executors)
        scheduler.pause()
        statuses.append(scheduler.status)
    assert [*statuses, scheduler.status] == ["created", "running", "paused", "stopped"]
