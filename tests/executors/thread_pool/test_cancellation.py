"""Cancellation of runs in threads."""

from __future__ import annotations

import asyncio

import pytest

from asyncz import AsyncIOScheduler, TaskCancelled, ThreadPoolExecutor
from tests.helpers import payloads

pytestmark = pytest.mark.anyio


async def test_running_thread_not_cancelled_but_queued_is() -> None:
    async with AsyncIOScheduler(executors={"under_test": ThreadPoolExecutor(1)}) as scheduler:
        running = scheduler.add_task(payloads.sleep, 0.3, executor="under_test", trigger=None).run()
        queued = scheduler.add_task(payloads.sleep, 0.3, executor="under_test", trigger=None).run()
        while scheduler.state.executors[0].queued == 2:
            await asyncio.sleep(0.01)
        assert not running.cancel()
        assert queued.cancel()
        assert isinstance(await queued.notification(), TaskCancelled)
        assert await running == "slept"
