"""Retries of runs whose thread was abandoned."""

from __future__ import annotations

import asyncio
import threading

import pytest

from asyncz import AsyncIOScheduler, Retry, TaskRetrying, TaskTimeoutError, ThreadPoolExecutor
from asyncz.testing import FakeClock
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_retry_waits_for_abandoned_attempt() -> None:
    go_on = threading.Event()
    calls: list[bool] = []

    def slow_at_first() -> int:
        calls.append(True)
        if len(calls) == 1:
            go_on.wait(30)
        return len(calls)

    async with AsyncIOScheduler(executors={"io": ThreadPoolExecutor(2)}) as scheduler:
        retried = asyncio.Event()
        scheduler.subscribe(TaskRetrying, lambda _: retried.set())
        retry = Retry(attempts=2, on=(TaskTimeoutError,))
        task = scheduler.add_task(slow_at_first, timeout=0.05, retry=retry, executor="io", trigger=None)
        handle = task.run()
        await retried.wait()
        await asyncio.sleep(0)
        assert scheduler.state.executors[0].abandoned == 1
        assert not handle.done()
        go_on.set()
        assert await handle == 2


async def test_rejected_attempt_made_when_slot_is_free() -> None:
    clock = FakeClock()
    go_on = threading.Event()
    calls: list[bool] = []

    def slow_at_first() -> int:
        calls.append(True)
        if len(calls) == 1:
            go_on.wait(30)
        return len(calls)

    async with AsyncIOScheduler(executors={"io": ThreadPoolExecutor(2)}, clock=clock) as scheduler:
        retrying: list[object] = []
        scheduler.subscribe(TaskRetrying, retrying.append)
        retry = Retry(attempts=2, on=(TaskTimeoutError,))
        task = scheduler.add_task(slow_at_first, timeout=0.05, retry=retry, executor="io", trigger=None)
        handle = task.run()
        await until(lambda: bool(calls))
        # Time limits follow the clock of the scheduler.
        await clock.advance(0.06)
        await until(lambda: bool(retrying))
        # The attempt is due, and is rejected: the first one's function goes on.
        await clock.advance(0.1)
        assert (scheduler.state.executors[0].abandoned, handle.done()) == (1, False)
        go_on.set()
        async with asyncio.timeout(30):
            assert await handle == 2
