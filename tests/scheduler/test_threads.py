"""Calls from threads other than that of the loop."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import get_args
from uuid import UUID

import pytest

from asyncz import (
    AsyncIOScheduler,
    DuplicateTaskError,
    IntervalTrigger,
    InvalidInputError,
    OverlapPolicy,
    SchedulerState,
    Task,
    TaskAdded,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskModified,
    TaskRemoved,
    TaskSubmitted,
)
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.payloads import do_nothing
from tests.helpers.recorder import EventRecorder
from tests.helpers.times import EVERY_SECOND
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_modify_from_thread_applied_in_order() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        recorded = EventRecorder.of_scheduler(scheduler, TaskModified)

        def change() -> None:
            task.modify(max_instances=2)
            task.modify(max_instances=3)

        thread = threading.Thread(target=change)
        thread.start()
        thread.join(30)
        assert task.limits.max_instances == 1
        # Those that wait are made first.
        task.modify(max_instances=4)
        assert task.limits.max_instances == 4
        await task.run()
        changes = [event.change for event in recorded.of(TaskModified)]
        assert changes == ["max_instances: 1 to 2", "max_instances: 2 to 3", "max_instances: 3 to 4"]


def test_threads_modify_while_runs_are_due() -> None:
    """Submit and finish each run once while four threads change everything."""
    ids = [f"job-{number}" for number in range(4)]
    submitted: set[UUID] = set()
    ended: list[UUID] = []

    def replace_task(scheduler: AsyncIOScheduler, task_id: str, number: int) -> None:
        function = payloads.add_async if number % 2 else payloads.add
        scheduler.add_task(function, 1, number, trigger=EVERY_SECOND, id=task_id, replace_existing=True)

    def change(scheduler: AsyncIOScheduler, seed: int) -> None:
        executors = itertools.cycle(["asyncio", "threadpool", "debug"])
        overlaps = itertools.cycle(get_args(OverlapPolicy))
        for number in range(60):
            task_id = ids[(number + seed) % len(ids)]
            actions: list[Callable[[], object]] = [
                partial(scheduler.modify_task, task_id, max_instances=number % 3 + 1, executor=next(executors)),
                partial(scheduler.modify_task, task_id, overlap=next(overlaps)),
                partial(scheduler.reschedule_task, task_id, IntervalTrigger(seconds=number % 3 + 1)),
                partial(scheduler.pause_task, task_id),
                partial(scheduler.resume_task, task_id),
                partial(scheduler.submit_task, task_id),
                scheduler.pause,
                scheduler.resume,
                partial(replace_task, scheduler, task_id, number),
            ]
            actions[(number * 7 + seed) % len(actions)]()

    async def main() -> SchedulerState:
        clock = FakeClock()
        async with asyncio.timeout(60), AsyncIOScheduler(clock=clock) as scheduler:
            scheduler.subscribe(TaskSubmitted, lambda event: submitted.add(event.details.run_id))
            for event in (TaskError, TaskMissed, TaskCancelled):
                scheduler.subscribe(event, lambda event: ended.append(event.details.run_id))
            scheduler.subscribe(TaskExecuted, lambda event: ended.append(event.details.run_id))
            for task_id in ids:
                scheduler.add_task(payloads.add, 1, 2, trigger=EVERY_SECOND, id=task_id)
            changing = asyncio.gather(*(asyncio.to_thread(change, scheduler, seed) for seed in range(4)))
            while not changing.done():
                await clock.advance(1)
            await changing
            scheduler.resume()
            last = scheduler.tasks
            assert {task.id for task in last} == set(ids)
            for task in last:
                task.modify(timeout=7, executor="threadpool")
                task.resume()
            await clock.advance(5, wait_for_runs=True)
            for task in last:
                assert (task.limits.timeout, task.executor, task.state.paused) == (7, "threadpool", False)
        return scheduler.state

    state = asyncio.run(main())
    assert len(ended) == len(set(ended))
    assert set(ended) == submitted
    assert state.submitted == len(submitted) > 0


async def test_modify_from_thread_visible_after_iteration() -> None:
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        task: Task[int] = scheduler.add_task(payloads.add, 1, 2, trigger=None)

        def change() -> None:
            scheduler.modify_task(task, executor="threadpool", timeout=5)
            scheduler.pause_task(task)
            with pytest.raises(InvalidInputError):
                scheduler.modify_task(task, timeout=-5)

        await asyncio.to_thread(change)
        await until(lambda: task.state.paused)
        assert (task.executor, task.limits.timeout, task.state.paused) == ("threadpool", 5, True)
        assert await task.run() == 3


async def test_add_task_from_thread_wakes_idle_loop() -> None:
    async with AsyncIOScheduler() as scheduler:
        ran = asyncio.Event()
        loop = asyncio.get_running_loop()

        def add() -> None:
            scheduler.add_task(loop.call_soon_threadsafe, ran.set)

        # The loop sleeps and has nothing to do for a long time, when the other thread comes.
        threading.Timer(0.1, add).start()
        began = time.monotonic()
        async with asyncio.timeout(30):
            await ran.wait()
        # The scheduler looks at its timetable by itself only every ten seconds.
        assert time.monotonic() - began < 9


async def test_thread_calls_applied_on_loop_thread() -> None:
    async with AsyncIOScheduler() as scheduler:
        heard: list[tuple[str, int]] = []
        scheduler.subscribe(TaskAdded, lambda event: heard.append((event.task_id, threading.get_ident())))
        scheduler.subscribe(TaskModified, lambda event: heard.append((event.task_id, threading.get_ident())))
        scheduler.subscribe(TaskRemoved, lambda event: heard.append((event.task_id, threading.get_ident())))
        rejected: list[str] = []

        def use() -> None:
            first = scheduler.add_task(do_nothing, trigger=IntervalTrigger(hours=1), id="first")
            scheduler.add_task(do_nothing, trigger=IntervalTrigger(hours=1), id="second")
            scheduler.pause_task(first)
            scheduler.resume_task(first)
            scheduler.pause()
            scheduler.resume()
            scheduler.remove_task("second")
            try:
                scheduler.add_task(do_nothing, id="first")
            except DuplicateTaskError as error:
                rejected.append(error.task_id)

        thread = threading.Thread(target=use)
        thread.start()
        # The loop does nothing meanwhile, and nothing waits for it.
        thread.join(10)
        assert not thread.is_alive()
        assert rejected == ["first"]
        assert heard == []
        assert scheduler._parts.timer.earliest is None
        await until(lambda: len(heard) == 5)
        here = threading.get_ident()
        assert sorted(heard) == sorted([("first", here)] * 3 + [("second", here)] * 2)
        assert scheduler._parts.timer.earliest is not None
