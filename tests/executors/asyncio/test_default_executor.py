"""Functions in the default executor of the loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from pathlib import Path

import pytest

from asyncz import AsyncIOScheduler, TaskCancelled, TaskExecuted
from tests.helpers import payloads
from tests.helpers.executors import scheduler_with

pytestmark = pytest.mark.anyio


async def test_dropped_default_executor_run_is_cancelled(tmp_path: Path) -> None:
    mark, go_on = tmp_path / "mark", tmp_path / "go-on"

    pool = concurrent.futures.ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(pool)
    async with scheduler_with("asyncio") as scheduler:
        running = scheduler.add_task(
            payloads.mark_and_wait, str(mark), str(go_on), executor="under_test", trigger=None
        ).run()
        while not mark.exists():
            await asyncio.sleep(0.005)
        waiting = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None).run()
        pool.shutdown(wait=False, cancel_futures=True)
        assert isinstance(await waiting.notification(), TaskCancelled)
        go_on.touch()
        assert isinstance(await running.notification(), TaskExecuted)
        assert scheduler.state.executors[0].running == 0


async def test_functions_use_default_executor_of_loop() -> None:
    async def thread_of_coroutine() -> str:
        return threading.current_thread().name

    def thread_of_function() -> str:
        return threading.current_thread().name

    asyncio.get_running_loop().set_default_executor(
        concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="the-default-of-the-loop")
    )
    async with AsyncIOScheduler() as scheduler:
        assert await scheduler.add_task(thread_of_coroutine).result() == "MainThread"
        name = await scheduler.add_task(thread_of_function).result()
        assert name.startswith("the-default-of-the-loop")


async def test_queued_default_executor_run_cancelled() -> None:
    asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
    async with AsyncIOScheduler() as scheduler:
        running = scheduler.add_task(payloads.sleep, 0.2, trigger=None).run()
        waiting = scheduler.add_task(payloads.sleep, 0.2, trigger=None).run()
        while scheduler.state.executors[0].queued != 1:
            await asyncio.sleep(0.01)
        assert waiting.cancel()
        assert await running == "slept"
