"""Submission of runs without waiting for them."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import pytest

from asyncz import (
    AsyncIOScheduler,
    IntervalTrigger,
    SchedulerNotRunningError,
    Task,
    TaskCancelled,
    TaskExecuted,
    TaskLookupError,
    TaskMaxInstances,
    TaskRemoved,
)
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.times import START
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_submit_from_thread_returns_immediately() -> None:
    clock = FakeClock()
    async with asyncio.timeout(30), AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(payloads.add_async, 1, 2, trigger=IntervalTrigger(hours=1), max_instances=2)
        await asyncio.to_thread(task.submit)
        await asyncio.to_thread(scheduler.submit_task, task.id)
        # Both may have ended by now: `result()` would wait for another one.
        await until(lambda: task.state.executed == 2)
        ending = task.last_notification
        assert isinstance(ending, TaskExecuted)
        assert ending.result == 3
        assert task.next_run_at == START + timedelta(hours=1)


async def test_submit_at_maximum_follows_overlap_policy() -> None:
    go_on = asyncio.Event()
    async with AsyncIOScheduler() as scheduler:
        rejected: list[TaskMaxInstances] = []
        scheduler.subscribe(TaskMaxInstances, rejected.append)
        task = scheduler.add_task(go_on.wait, trigger=None)
        for _ in range(3):
            task.submit()
        await until(lambda: task.state.rejected == 2)
        assert (task.state.running, task.state.rejected, task.state.backlog) == (1, 2, 0)
        task.modify(overlap="queue_all")
        for _ in range(3):
            task.submit()
        await until(lambda: task.state.backlog == 3)
        assert (len(rejected), task.state.backlog) == (2, 3)
        go_on.set()
        await until(lambda: task.state.executed == 4)


async def test_submit_during_shutdown_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = AsyncIOScheduler()
    await scheduler.start()
    task = scheduler.add_task(payloads.add_async, 1, 2, trigger=None)
    task.submit()
    await scheduler.shutdown()
    assert (scheduler.state.submitted, scheduler.state.cancelled) == (1, 1)
    assert isinstance(task.last_notification, TaskCancelled)
    # The outcome is not the one of a run that its executor has lost.
    assert caplog.records == []
    with pytest.raises(SchedulerNotRunningError, match="this one is stopped"):
        task.submit()


async def test_submit_while_task_finishes_is_executed() -> None:
    removed: list[TaskRemoved] = []
    async with AsyncIOScheduler() as scheduler:
        scheduler.subscribe(TaskRemoved, removed.append)
        task = scheduler.add_task(payloads.add, 1, 2, executor="debug")

        @task.on_executed
        def again(_: TaskExecuted[int]) -> None:
            # The first run is the last one that is due, and ends after this call.
            if task.state.executed == 1:
                task.submit()
                task.submit()

        await until(lambda: len(removed) == 1)
        assert (task.state.executed, scheduler.state.executed) == (3, 3)
        with pytest.raises(TaskLookupError):
            task.submit()


async def test_submit_before_removal_is_forgotten() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        task.submit()
        scheduler.remove_task(task)
        await until(lambda: not scheduler._parts.tasks.all())
        assert scheduler.state.submitted == 0
        assert not scheduler._parts.tasks._demands


async def test_accepted_submissions_each_have_an_outcome() -> None:
    accepted = 0

    def submit_until_finished(tasks: list[Task[int]]) -> int:
        count = 0
        for task in tasks:
            with contextlib.suppress(TaskLookupError):
                for _ in range(20):
                    task.submit()
                    count += 1
        return count

    async with AsyncIOScheduler() as scheduler:
        tasks = [scheduler.add_task(payloads.add, 1, 2, executor="debug", overlap="queue_all") for _ in range(300)]
        threads = [asyncio.to_thread(submit_until_finished, tasks) for _ in range(2)]
        accepted = sum(await asyncio.gather(*threads))
        await until(lambda: not scheduler.tasks)
        state = scheduler.state
    assert state.executed + state.rejected == accepted + len(tasks)
