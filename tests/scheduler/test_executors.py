"""Removal of executors from a scheduler."""

from __future__ import annotations

import asyncio

import pytest

from asyncz import AsyncIOScheduler, ExecutorRemoved, TaskExecuted, ThreadPoolExecutor
from tests.helpers import payloads
from tests.helpers.executors import scheduler_with
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_remove_executor_right_after_add() -> None:
    executor = ThreadPoolExecutor(1)
    async with AsyncIOScheduler() as scheduler:
        scheduler.add_executor(executor, alias="under_test")
        await scheduler.remove_executor("under_test")
        # The deferred calls were made by then.
        await scheduler.add_task(payloads.add, 1, 2).result()
        assert executor.state.status == "stopped"


async def test_listener_may_remove_executor_of_its_run() -> None:
    async with asyncio.timeout(30), scheduler_with("threadpool") as scheduler:
        removed: list[object] = []
        scheduler.subscribe(ExecutorRemoved, removed.append)
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None)

        async def remove(_: TaskExecuted[int]) -> None:
            scheduler.remove_task(task)
            await scheduler.remove_executor("under_test")

        task.on_executed(remove)
        await task.run()
        await until(lambda: bool(removed))


async def test_removed_executor_is_shut_down() -> None:
    executor = ThreadPoolExecutor(1)
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        await scheduler.remove_executor("under_test")
        assert executor.state.status == "stopped"
