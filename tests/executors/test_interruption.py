"""Interruption of coroutines in threads, of cooperative functions, and of tasks that are left behind."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    FuturesExecutor,
    TaskCancelled,
    TaskCancelledError,
    TaskError,
    TaskExecuted,
    TaskTimeoutError,
    ThreadPoolExecutor,
    UniversalExecutor,
    current_run,
)
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

EXECUTORS: dict[str, Callable[[], UniversalExecutor]] = {
    "asyncio": AsyncIOExecutor,
    "threads": partial(ThreadPoolExecutor, 1),
    "futures": partial(FuturesExecutor, partial(concurrent.futures.ThreadPoolExecutor, 1)),
}
every_executor = pytest.mark.parametrize("kind", EXECUTORS)
each_thread_executor = pytest.mark.parametrize("kind", ["threads", "futures"])


@pytest.mark.parametrize("kind", ["asyncio", "threads"])
async def test_coroutine_over_timeout_cleans_up_first(kind: str) -> None:
    log: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
            log.append("committed")
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            log.append("rolled back")
            raise
        finally:
            log.append("closed")

    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": EXECUTORS[kind]()}) as scheduler:
        with pytest.raises(TaskTimeoutError):
            await scheduler.add_task(work, executor="under_test", trigger=None, timeout=0.1).run()
        assert log == ["rolled back", "closed"]


@every_executor
async def test_coroutine_that_swallows_timeout_is_timed_out(kind: str) -> None:
    async def work() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "partial"
        return "whole"

    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": EXECUTORS[kind]()}) as scheduler:
        task = scheduler.add_task(work, executor="under_test", trigger=None, timeout=0.1)
        assert isinstance(await task.run().notification(), TaskError)
        await until(lambda: scheduler.state.executors[0].running == 0)


@every_executor
@pytest.mark.parametrize("ending", ["returns", "raises", "cancelled"])
async def test_cancelled_coroutine_is_cancelled_in_any_case(kind: str, ending: str) -> None:
    started = threading.Event()
    cleaned_up: list[bool] = []

    async def work() -> str:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cleaned_up.append(True)
            if ending == "returns":
                return "result"
            if ending == "raises":
                raise ValueError("in the cleanup") from None
            raise
        return "slept"

    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": EXECUTORS[kind]()}) as scheduler:
        handle = scheduler.add_task(work, executor="under_test", trigger=None).run()
        await until(started.is_set)
        await asyncio.sleep(0.02)
        assert handle.cancel()
        assert isinstance(await handle.notification(), TaskCancelled)
        assert cleaned_up == [True]


@every_executor
@pytest.mark.parametrize("raises", [False, True])
async def test_function_that_saw_cancellation_is_cancelled(kind: str, raises: bool) -> None:
    started = threading.Event()

    def work() -> str:
        started.set()
        deadline = time.monotonic() + 20
        while not current_run().is_cancelled():
            assert time.monotonic() < deadline
            time.sleep(0.002)
        if raises:
            raise OSError("interrupted")
        return "cleaned up"

    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": EXECUTORS[kind]()}) as scheduler:
        handle = scheduler.add_task(work, executor="under_test", trigger=None).run()
        await until(started.is_set)
        handle.cancel()
        with pytest.raises(TaskCancelledError):
            await handle


@each_thread_executor
async def test_function_that_does_not_ask_keeps_its_result(kind: str) -> None:
    started, go_on = threading.Event(), threading.Event()

    def work() -> str:
        started.set()
        go_on.wait(20)
        return "result"

    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": EXECUTORS[kind]()}) as scheduler:
        handle = scheduler.add_task(work, executor="under_test", trigger=None).run()
        await until(started.is_set)
        assert not handle.cancel()
        go_on.set()
        notification = await handle.notification()
        assert isinstance(notification, TaskExecuted)
        assert notification.result == "result"


@each_thread_executor
@pytest.mark.parametrize("swallows", [False, True])
async def test_tasks_left_behind_are_cancelled_with_run(kind: str, swallows: bool) -> None:
    log: list[str] = []
    keep: list[asyncio.Task[None]] = []

    async def left_behind() -> None:
        try:
            await asyncio.sleep(0.05)
            log.append("went on")
        except asyncio.CancelledError:
            log.append("cancelled")
            if not swallows:
                raise
        finally:
            log.append("closed")

    async def work(seconds: float) -> None:
        if not seconds:
            keep.append(asyncio.create_task(left_behind()))
            await asyncio.sleep(0)
        await asyncio.sleep(seconds)

    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": EXECUTORS[kind]()}) as scheduler:
        await scheduler.add_task(work, 0.0, executor="under_test", trigger=None).run()
        assert log == ["cancelled", "closed"]
        await scheduler.add_task(work, 0.1, executor="under_test", trigger=None).run()
        assert log == ["cancelled", "closed"]


@every_executor
async def test_executor_cancels_from_any_thread(kind: str) -> None:
    started = threading.Event()

    async def work() -> None:
        started.set()
        await asyncio.sleep(60)

    executor = EXECUTORS[kind]()
    assert isinstance(executor, AsyncIOExecutor | ThreadPoolExecutor | FuturesExecutor)
    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        task = scheduler.add_task(work, executor="under_test", trigger=None)
        handle = task.run()
        await until(started.is_set)
        await asyncio.sleep(0.02)
        (record,) = executor._base_executor_state.registry.all()
        await asyncio.to_thread(record.hand_to, executor.cancel)
        assert isinstance(await handle.notification(), TaskCancelled)
