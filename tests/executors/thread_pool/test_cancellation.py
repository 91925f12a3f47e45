"""Cancellation of runs in threads."""

from __future__ import annotations

import pytest

from asyncz import AsyncIOScheduler, TaskCancelled, TaskExecuted, ThreadPoolExecutor
from tests.helpers import payloads
from tests.helpers.waiting import Gate, until

pytestmark = pytest.mark.anyio


async def test_running_thread_not_cancelled_but_queued_is(gate: Gate) -> None:
    async with AsyncIOScheduler(executors={"under_test": ThreadPoolExecutor(1)}) as scheduler:
        running = scheduler.add_task(gate, executor="under_test", trigger=None).run()
        queued = scheduler.add_task(payloads.sleep, 0.3, executor="under_test", trigger=None).run()
        await until(gate.is_reached)
        assert not running.cancel()
        assert queued.cancel()
        assert isinstance(await queued.notification(), TaskCancelled)
        gate.open()
        assert isinstance(await running.notification(), TaskExecuted)
