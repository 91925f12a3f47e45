"""A run ends with its exception, whatever the code of that exception's class does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor as Pool
from functools import partial
from typing import Never

import pytest

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DebugExecutor,
    FuturesExecutor,
    Task,
    TaskError,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from tests.executors.hostile import HOSTILE, raise_hostile, raise_hostile_async
from tests.helpers.payloads import add

pytestmark = pytest.mark.anyio

EXECUTORS: dict[str, Callable[[], UniversalExecutor]] = {
    "asyncio": AsyncIOExecutor,
    "threads": partial(ThreadPoolExecutor, 1),
    "debug": DebugExecutor,
    "futures": partial(FuturesExecutor, partial(Pool, 1)),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("function", [raise_hostile, raise_hostile_async])
@pytest.mark.parametrize("kind", range(len(HOSTILE)))
async def test_run_raising_hostile_exception_ends(
    executor: str, function: Callable[[int], Never], kind: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The exception itself is the outcome, and the executor goes on."""
    async with asyncio.timeout(20), AsyncIOScheduler(executors={"under_test": EXECUTORS[executor]()}) as scheduler:
        task: Task[object] = scheduler.add_task(function, kind, executor="under_test", trigger=None)
        notification = await task.run().notification()
        assert isinstance(notification, TaskError)
        assert type(notification.exception) is HOSTILE[kind]
        assert await scheduler.add_task(add, 1, 2, executor="under_test").result() == 3
