"""Registry of tasks."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from asyncz import AsyncIOScheduler, TaskExecuted, TaskRemoved
from tests.helpers.payloads import do_nothing


def test_task_stays_until_demands_are_handled() -> None:
    scheduler = AsyncIOScheduler()
    tasks = scheduler._parts.tasks
    controller = tasks.controller_of(scheduler.add_task(do_nothing))
    assert controller is not None
    controller.schedule.advance(datetime.now(UTC), coalesce=False)
    for _ in range(4):
        tasks.demanded(controller)
    for _ in range(4):
        assert not tasks.retire(controller)
        tasks.demand_handled(controller)
    assert tasks.retire(controller)
    assert not tasks.retire(controller)


@pytest.mark.anyio
async def test_listener_sees_no_task_that_has_ended() -> None:
    """Tasks that end in one burst are unregistered together, but a listener finds each of them gone."""
    seen: list[tuple[str, ...]] = []
    removed: list[str] = []
    async with AsyncIOScheduler() as scheduler:
        done = asyncio.Event()

        def on_executed(event: TaskExecuted[object]) -> None:
            seen.append(tuple(sorted(task.id for task in scheduler.tasks)))
            if event.task_id == "2":
                # The id is free again.
                scheduler.add_task(do_nothing, trigger=None, id="1")
            if event.task_id == "3":
                done.set()

        scheduler.pause()
        for number in (1, 2, 3):
            scheduler.add_task(do_nothing, executor="debug", id=f"{number}")
        scheduler.subscribe(TaskExecuted, on_executed)
        scheduler.resume()
        await done.wait()
        assert [task.id for task in scheduler.tasks] == ["1"]
        assert seen == [("1", "2", "3"), ("2", "3"), ("1", "3")]
        scheduler.subscribe(TaskRemoved, lambda event: removed.append(event.task_id))
        await scheduler.add_task(do_nothing, executor="debug", id="4").result()
        assert removed == ["4"]


@pytest.mark.anyio
async def test_removals_are_emitted_without_the_lock() -> None:
    """Also those of tasks that are unregistered early, because a listener looks at the tasks under the lock."""
    removed: list[tuple[str, bool]] = []
    async with AsyncIOScheduler() as scheduler:
        done = asyncio.Event()

        def on_removed(event: TaskRemoved) -> None:
            other = threading.Thread(target=lambda: scheduler.tasks, daemon=True)
            other.start()
            other.join(10)
            removed.append((event.task_id, other.is_alive()))
            if event.task_id == "3":
                done.set()

        scheduler.pause()
        for number in (1, 2, 3):
            scheduler.add_task(do_nothing, executor="debug", id=f"{number}")
        scheduler.subscribe(TaskExecuted, lambda _: len(scheduler.state.tasks))
        scheduler.subscribe(TaskRemoved, on_removed)
        scheduler.resume()
        await done.wait()
    assert removed == [("1", False), ("2", False), ("3", False)]


@pytest.mark.anyio
async def test_ended_tasks_are_gone_before_a_shutdown() -> None:
    async with AsyncIOScheduler() as scheduler:
        ended = asyncio.Event()

        def stop(_: TaskExecuted[object]) -> None:
            ended.set()

        scheduler.subscribe(TaskExecuted, stop)
        scheduler.add_task(do_nothing, executor="debug")
        await ended.wait()
    assert not scheduler.tasks
