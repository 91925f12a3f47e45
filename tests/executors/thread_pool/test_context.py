"""Context of coroutines in pool threads."""

from __future__ import annotations

import contextvars

import pytest

from asyncz import AsyncIOScheduler, ThreadPoolExecutor

pytestmark = pytest.mark.anyio


async def test_coroutines_in_one_thread_keep_context() -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def read() -> str:
        return variable.get()

    async with AsyncIOScheduler(executors={"under_test": ThreadPoolExecutor(1)}) as scheduler:
        task = scheduler.add_task(read, executor="under_test", trigger=None, max_instances=2)
        variable.set("first")
        first = task.run()
        variable.set("second")
        second = task.run()
        assert [await first, await second] == ["first", "second"]
