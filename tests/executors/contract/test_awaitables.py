"""Rule: coroutines and other awaitables are awaited."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Generator

import pytest

from asyncz import AsyncIOScheduler
from tests.helpers import payloads
from tests.helpers.executors import every_executor, every_queueing_executor, scheduler_with

pytestmark = pytest.mark.anyio


async def test_future_of_plain_function_awaited() -> None:
    def coroutine_from_a_thread() -> object:
        return payloads.add_async(1, 2)

    async with AsyncIOScheduler() as scheduler:
        assert await scheduler.add_task(coroutine_from_a_thread).result() == 3


class Later:
    """An awaitable that is not a coroutine."""

    def __await__(self) -> Generator[object, None, int]:
        return payloads.add_async(1, 2).__await__()


def give_later() -> Later:
    return Later()


@every_executor
async def test_returned_awaitable_is_awaited(kind: str) -> None:
    async with scheduler_with(kind) as scheduler:
        assert await scheduler.add_task(give_later, executor="under_test", trigger=None).run() == 3


async def where_coroutines_run() -> tuple[int, str]:
    asyncio.get_running_loop()
    return os.getpid(), threading.current_thread().name


def give_coroutine() -> Awaitable[tuple[int, str]]:
    return where_coroutines_run()


@pytest.mark.parametrize("function", [where_coroutines_run, give_coroutine])
@every_queueing_executor
async def test_coroutine_runs_in_loop_of_worker(kind: str, function: Callable[[], Awaitable[tuple[int, str]]]) -> None:
    async with scheduler_with(kind) as scheduler:
        pid, thread = await scheduler.add_task(function, executor="under_test", trigger=None).run()
    here = threading.current_thread().name
    if kind == "processpool":
        assert pid != os.getpid()
    else:
        assert (pid, thread == here) == (os.getpid(), kind == "asyncio")
