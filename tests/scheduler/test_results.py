"""Results of runs and tasks."""

from __future__ import annotations

import asyncio

import pytest

from asyncz import AsyncIOScheduler, TaskError, TaskExecuted, TaskLookupError
from tests.helpers import payloads

pytestmark = pytest.mark.anyio


async def test_unformattable_exception_still_ends_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object) -> list[str]:
        raise SystemError("AST constructor recursion depth mismatch")

    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.fail, "x", trigger=None)
        with monkeypatch.context() as patched:
            patched.setattr("traceback.format_exception", cannot)
            ending = await task.run().notification()
        assert isinstance(ending, TaskError)
        assert "ValueError" in ending.traceback


async def test_result_of_finished_task_is_last_one() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2)
        assert await task.result() == 3
        while scheduler.tasks:
            await asyncio.sleep(0.01)
        assert await task.result() == 3
        with pytest.raises(TaskLookupError):
            task.run()
        assert (task.state.executed, task.state.next_run_at) == (1, None)


async def test_result_available_before_task_removed() -> None:
    results: list[int] = []
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2)

        async def await_it(_: TaskExecuted[int]) -> None:
            results.append(await task.result())

        task.on_executed(await_it)
        await asyncio.sleep(0.05)
    assert results == [3]


async def test_cancelling_awaiter_keeps_run() -> None:
    async with AsyncIOScheduler() as scheduler:
        handle = scheduler.add_task(payloads.sleep_async, 0.1, trigger=None).run()
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.01):
                await handle
        assert await handle == "slept"


async def test_failed_run_logged_without_listener(caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler() as scheduler:
        scheduler.add_task(payloads.fail, "unheard")
        while scheduler.tasks:
            await asyncio.sleep(0.01)
    assert "unheard" in caplog.text
