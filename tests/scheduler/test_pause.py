"""Pausing and resuming of tasks and schedulers."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from asyncz import AsyncIOScheduler, DateTrigger, SchedulerPaused, SchedulerResumed, SchedulerStarted, TaskSubmitted
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.payloads import do_nothing
from tests.helpers.times import EVERY_SECOND

pytestmark = pytest.mark.anyio


async def test_paused_task_is_not_due_in_same_iteration() -> None:
    async with AsyncIOScheduler() as scheduler:
        due_at = datetime.now(UTC) + timedelta(seconds=0.2)
        task = scheduler.add_task(do_nothing, trigger=DateTrigger(due_at))
        await asyncio.sleep(0.01)
        remaining = (due_at - datetime.now(UTC)).total_seconds()
        asyncio.get_running_loop().call_later(remaining - 0.01, task.pause)
        # Both times pass while the loop stands still: the task is paused and due in the same turn.
        time.sleep(max(0.0, remaining) + 0.02)  # noqa: ASYNC251  # it is to stand still
        await asyncio.sleep(0.01)
        assert (task.state.paused, task.state.submitted) == (True, 0)


async def test_paused_task_due_after_resume() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(do_nothing, trigger=EVERY_SECOND)
        await clock.advance(1)
        task.pause()
        assert task.state.paused
        await clock.advance(5)
        assert task.state.executed == 1
        task.resume()
        await clock.advance()
        assert (task.state.paused, task.state.executed) == (False, 2)


async def test_paused_scheduler_keeps_paused_tasks() -> None:
    """Resume only the tasks that were not paused by themselves."""
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        held = scheduler.add_task(do_nothing, trigger=EVERY_SECOND)
        free = scheduler.add_task(do_nothing, trigger=EVERY_SECOND)
        held.pause()
        scheduler.pause()
        assert scheduler.state.status == "paused"
        later = scheduler.add_task(do_nothing, trigger=EVERY_SECOND)
        await clock.advance(3)
        assert scheduler.state.submitted == 0
        scheduler.resume()
        await clock.advance()
        assert [task.state.executed for task in (held, free, later)] == [0, 1, 1]


async def test_start_paused_submits_after_resume() -> None:
    scheduler, happened = AsyncIOScheduler(), list[str]()

    def note(event: SchedulerStarted | SchedulerPaused | TaskSubmitted | SchedulerResumed) -> None:
        happened.append(type(event).__name__)

    scheduler.subscribe(SchedulerStarted, note)
    scheduler.subscribe(SchedulerPaused, note)
    scheduler.subscribe(TaskSubmitted, note)
    scheduler.subscribe(SchedulerResumed, note)
    task = scheduler.add_task(payloads.add, 1, 2, executor="debug")
    await scheduler.start(paused=True)
    assert (scheduler.state.status, task.state.submitted) == ("paused", 0)
    scheduler.resume()
    assert await task.result() == 3
    await scheduler.shutdown()
    assert happened == ["SchedulerStarted", "SchedulerPaused", "SchedulerResumed", "TaskSubmitted"]
