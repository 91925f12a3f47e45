"""Rule: failed runs are retried on every executor."""

from __future__ import annotations

import threading

import pytest

from asyncz import AsyncIOScheduler, Retry

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "debug"])
async def test_retry_on_every_executor(kind: str) -> None:
    calls: list[str] = []

    def flaky() -> int:
        calls.append(threading.current_thread().name)
        if len(calls) < 3:
            raise OSError("no answer")
        return len(calls)

    async with AsyncIOScheduler(executors={"under_test": kind}) as scheduler:
        assert await scheduler.add_task(flaky, retry=Retry(attempts=3), executor="under_test").result() == 3
