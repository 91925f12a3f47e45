"""Rule: runs can be cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typing_extensions import TypeVar, override

from asyncz import AsyncIOScheduler, BaseExecutor, TaskCancelled, TaskCancelledError, TaskRun, current_run
from tests.helpers import payloads
from tests.helpers.executors import every_queueing_executor, scheduler_with
from tests.helpers.payloads import run_until_cancelled
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

ResultT = TypeVar("ResultT")


async def test_cancelled_coroutine_sees_request_in_finally() -> None:
    seen: list[bool] = []

    async def work() -> None:
        seen.append(current_run().is_cancelled())
        try:
            await asyncio.sleep(60)
        finally:
            seen.append(current_run().is_cancelled())

    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        handle = scheduler.add_task(work, trigger=None).run()
        await until(lambda: seen == [False])
        assert handle.cancel()
        assert isinstance(await handle.notification(), TaskCancelled)
    assert seen == [False, True]


@every_queueing_executor
async def test_cancelled_run_frees_slot(kind: str) -> None:
    async with scheduler_with(kind) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None)
        for _ in range(20):
            task.run().cancel()
            await until(lambda: task.state.running == 0)
        assert scheduler.state.executors[0].instances == ()
        assert await task.run() == 3


@pytest.mark.parametrize("kind", ["asyncio", "processpool"])
async def test_running_run_cancelled(kind: str) -> None:
    async with scheduler_with(kind) as scheduler:
        task = scheduler.add_task(payloads.sleep_async, 60.0, executor="under_test", trigger=None)
        handle = task.run()
        while scheduler.state.executors[0].queued:
            await asyncio.sleep(0.01)
        assert task.cancel_runs() == 1
        with pytest.raises(TaskCancelledError):
            await handle
        assert handle.done()
        assert not handle.cancel()


@pytest.mark.parametrize("kind", ["asyncio", "threadpool"])
async def test_thread_that_saw_cancellation_is_cancelled(kind: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    async with asyncio.timeout(60), scheduler_with(kind) as scheduler:
        task = scheduler.add_task(run_until_cancelled, str(mark), executor="under_test", trigger=None)
        handle = task.run()
        await until(mark.exists)
        assert handle.cancel() is False
        with pytest.raises(TaskCancelledError):
            await handle
        assert (tmp_path / "mark-cleaned-up").exists()


class EndsWhileCancelled(BaseExecutor):
    """Executor whose runs fail, as in another thread, while `cancel_run` is cancelling them."""

    def __init__(self, accepts: bool) -> None:
        super().__init__()
        self.accepts = accepts

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        run.begin()

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        self.finish(run, run.failed(ValueError("in the cleanup")))
        return self.accepts


@pytest.mark.parametrize("accepts", [True, False])
async def test_run_that_ends_while_cancelled_is_cancelled(accepts: bool) -> None:
    async with AsyncIOScheduler(executors={"under_test": EndsWhileCancelled(accepts)}) as scheduler:
        handle = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None).run()
        assert handle.cancel()
        assert isinstance(await handle.notification(), TaskCancelled)
