"""An executor works again after the system has refused a thread, and its shutdown does not need foreign threads."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor as Pool
from functools import partial

import pytest

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    FuturesExecutor,
    TaskError,
    ThreadPoolExecutor,
    UniversalExecutor,
    WorkerStartError,
)
from asyncz.executors import thread_pool
from tests.helpers.payloads import add

pytestmark = pytest.mark.anyio


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Give a function that has the next starts of pool threads refused."""
    start = threading.Thread.start
    refused = [0]

    def refusing(thread: threading.Thread) -> None:
        if refused[0] and thread.name.startswith("asyncz_"):
            refused[0] -= 1
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refusing)

    def refuse(times: int) -> None:
        refused[0] = times

    return refuse


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_refused_thread_is_started_later(refuse: Callable[[int], None], times: int) -> None:
    executor = ThreadPoolExecutor(1)
    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        task = scheduler.add_task(add, 1, 2, executor="under_test", trigger=None, max_instances=3)
        refuse(times)
        handles = [task.run(), task.run()]
        assert [await handle for handle in handles] == [3, 3]
        assert await task.run() == 3
    assert executor.state.workers == 0


async def test_refused_thread_leaves_queue_to_working_thread(refuse: Callable[[int], None]) -> None:
    started, go_on = threading.Event(), threading.Event()

    def hold() -> bool:
        started.set()
        return go_on.wait(20)

    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": ThreadPoolExecutor(2)}) as scheduler:
        first = scheduler.add_task(hold, executor="under_test", trigger=None).run()
        await asyncio.to_thread(started.wait, 20)
        refuse(1)
        second = scheduler.add_task(add, 1, 2, executor="under_test", trigger=None).run()
        go_on.set()
        assert (await first, await second) == (True, 3)


async def test_threads_refused_for_long_fail_the_queue(
    refuse: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_pool, "_START_DELAYS", (0.001, 0.001))
    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": ThreadPoolExecutor(1)}) as scheduler:
        task = scheduler.add_task(add, 1, 2, executor="under_test", trigger=None)
        refuse(3)
        notification = await task.run().notification()
        assert isinstance(notification, TaskError)
        assert isinstance(notification.exception, WorkerStartError)
        assert isinstance(notification.exception.__cause__, RuntimeError)
        assert await task.run() == 3


async def test_refused_thread_of_the_loop_ends_the_run(refuse: Callable[[int], None]) -> None:
    asyncio.get_running_loop().set_default_executor(Pool(1, "asyncz"))
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(add, 1, 2, trigger=None)
        refuse(1)
        notification = await task.run().notification()
        assert isinstance(notification, TaskError)
        assert isinstance(notification.exception, WorkerStartError)
        assert await task.run() == 3


@pytest.mark.parametrize(
    "make",
    [AsyncIOExecutor, partial(ThreadPoolExecutor, 2), partial(FuturesExecutor, partial(Pool, 2))],
    ids=["asyncio", "threads", "futures"],
)
async def test_shutdown_does_not_need_the_default_executor(make: Callable[[], UniversalExecutor]) -> None:
    go_on = threading.Event()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(60):
        scheduler = AsyncIOScheduler(executors={"under_test": make()})
        await scheduler.start()
        assert await scheduler.add_task(add, 1, 2, executor="under_test").result() == 3
        hanging = [loop.run_in_executor(None, go_on.wait, 50) for _ in range((os.cpu_count() or 1) + 4)]
        begin = time.monotonic()
        await scheduler.shutdown(timeout=1)
        assert time.monotonic() - begin < 20
        assert not any(future.done() for future in hanging)
        go_on.set()
