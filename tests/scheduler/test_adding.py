"""Adding tasks to a scheduler."""

from __future__ import annotations

import asyncio

import pytest

from asyncz import AsyncIOScheduler, DuplicateTaskError, ProcessPoolExecutor, SerializationError, ThreadPoolExecutor
from tests.helpers import payloads

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("running", [False, True])
async def test_rejected_task_leaves_no_trace(running: bool) -> None:
    scheduler = AsyncIOScheduler()
    scheduler.add_task(payloads.add, 1, 2, id="taken", trigger=None, executor="debug")
    if running:
        await scheduler.start()
    with pytest.raises(SerializationError):
        scheduler.add_task(lambda: 1, executor="processpool")
    with pytest.raises(SerializationError):
        scheduler.add_task(lambda: 1, executor=ProcessPoolExecutor(1))
    with pytest.raises(DuplicateTaskError):
        scheduler.add_task(payloads.add, 1, 2, id="taken", executor="threadpool")
    with pytest.raises(DuplicateTaskError):
        scheduler.add_task(payloads.add, 1, 2, id="taken", executor=ThreadPoolExecutor(1))
    assert [executor.alias for executor in scheduler.state.executors] == [""] if not running else ["debug"]
    assert [task.id for task in scheduler.tasks] == ["taken"]
    await scheduler.shutdown()


async def test_task_decorator_keeps_function_callable() -> None:
    async with AsyncIOScheduler() as scheduler:

        @scheduler.task(executor="threadpool")
        def double(number: int, *, times: int = 1) -> int:
            return number * 2 * times

        @scheduler.task()
        async def double_async(number: int) -> int:
            return number * 2

        assert double(2) == 4
        assert await double.schedule(2, times=3).result() == 12
        assert await double_async(2) == 4
        assert await double_async.schedule(2).result() == 4


async def test_add_task_from_thread_and_before_start() -> None:
    scheduler = AsyncIOScheduler()
    early = scheduler.add_task(payloads.add, 1, 1)
    async with scheduler:
        assert await early.result() == 2
        added = await asyncio.to_thread(scheduler.add_task, payloads.add, 2, 2)
        assert await added.result() == 4
