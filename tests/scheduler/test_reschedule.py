"""Changes of the trigger of a task."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from asyncz import AsyncIOScheduler, DateTrigger, IntervalTrigger, TaskLookupError
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.payloads import do_nothing
from tests.helpers.times import EVERY_SECOND, START

pytestmark = pytest.mark.anyio


async def test_reschedule_replaces_trigger() -> None:
    clock = FakeClock()
    due: list[float] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(do_nothing, trigger=IntervalTrigger(seconds=10))
        task.on_executed(lambda event: due.append((event.details.scheduled or 0) - START.timestamp()))
        await clock.advance(15)
        scheduler.reschedule_task(task, IntervalTrigger(seconds=4))
        assert task.next_run_at == START + timedelta(seconds=19)
        await clock.advance(8)
        scheduler.reschedule_task(task.id, None)
        assert task.state.next_run_at is None
        await clock.advance(hours=1)
        assert due == [10, 19, 23]
        # It is not finished: it can be run, and be scheduled again.
        task.reschedule(DateTrigger(START + timedelta(hours=2)))
        await clock.advance(hours=3)
        assert due[3:] == [7200]
        assert scheduler.tasks == ()
        with pytest.raises(TaskLookupError):
            task.reschedule(EVERY_SECOND)


async def test_reschedule_before_start_adds_schedule() -> None:
    clock = FakeClock()
    scheduler = AsyncIOScheduler(clock=clock)
    task = scheduler.add_task(do_nothing, trigger=None)
    task.reschedule(EVERY_SECOND)
    assert task.next_run_at == START + timedelta(seconds=1)
    async with scheduler:
        await clock.advance(3)
        assert task.state.executed == 3


async def test_reschedule_during_last_run_keeps_task() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(do_nothing)

        def reschedule_from_a_thread(_: object) -> None:
            # The loop stands still meanwhile: the change waits for it, and the end of the run comes first.
            thread = threading.Thread(target=task.reschedule, args=(IntervalTrigger(minutes=1),))
            thread.start()
            thread.join(30)

        task.on_done(reschedule_from_a_thread)
        await clock.advance(1)
        assert scheduler.tasks == (task,)
        await clock.advance(minutes=2)
        assert task.state.executed >= 2


async def test_reschedule_restarts_trigger() -> None:
    clock, trigger = FakeClock(START), IntervalTrigger(hours=1, jitter=60)
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=trigger, executor="debug")
        await clock.advance(minutes=30)
        task.reschedule(trigger)
        await clock.advance(minutes=10)
        for hours in range(1, 20):
            due = task.next_run_at
            assert due is not None
            assert timedelta(0) <= due - START - timedelta(hours=hours, minutes=30) <= timedelta(minutes=1)
            await clock.advance(hours=1)
