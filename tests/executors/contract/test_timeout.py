"""Rule: a run that exceeds its timeout ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from asyncz import AsyncIOScheduler, MaximumInstancesError, TaskTimeoutError
from tests.helpers import payloads
from tests.helpers.executors import events_of_one_run, every_queueing_executor, scheduler_with, with_one_worker
from tests.helpers.payloads import process_id_and_cancellation, run_until_cancelled
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])
async def test_timeout_visible_in_function(kind: str, tmp_path: Path) -> None:
    mark, cleaned_up = tmp_path / "mark", tmp_path / "mark-cleaned-up"
    async with asyncio.timeout(60), scheduler_with(kind) as scheduler:
        # A worker that has imported this module: its time limit is for the function.
        assert not (await scheduler.add_task(process_id_and_cancellation, executor="under_test").result())[1]
        task = scheduler.add_task(run_until_cancelled, str(mark), executor="under_test", trigger=None, timeout=0.5)
        with pytest.raises(TaskTimeoutError):
            await task.run()
        await until(lambda: not task.state.running)
        assert cleaned_up.exists()
        assert scheduler.state.executors[0].replaced_workers == 0


@every_queueing_executor
@pytest.mark.parametrize("function", [payloads.sleep, payloads.sleep_async])
def test_timeout_reported_once(kind: str, function: Callable[[float], object]) -> None:
    listener = events_of_one_run(kind, partial(function, 0.3), timeout=0.05)
    assert listener.names == ["TaskSubmitted", "TaskError", "TaskSubmitted", "TaskExecuted", "SchedulerShutdown"]
    assert isinstance(listener.exceptions[0], TaskTimeoutError)


@pytest.mark.bites(
    "asyncz.executors.base:BaseExecutor.start_timeout",
    "state.call_on_loop(_Timeout(self, run, timeout).start)",
    "pass",
)
@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])
async def test_timeout_ends_run_immediately(kind: str) -> None:
    async with scheduler_with(kind) as scheduler:
        task = scheduler.add_task(payloads.sleep, 0.6, executor="under_test", trigger=None, timeout=0.1)
        with pytest.raises(TaskTimeoutError):
            await task.run()
        if kind != "processpool":
            assert scheduler.state.executors[0].abandoned == 1
            with pytest.raises(MaximumInstancesError):
                task.run()


@pytest.mark.slow
@every_queueing_executor
async def test_timeout_excludes_queue_time(kind: str, tmp_path: Path) -> None:
    mark, go_on = tmp_path / "mark", tmp_path / "go-on"

    async with asyncio.timeout(60), AsyncIOScheduler(executors={"under_test": with_one_worker(kind)}) as scheduler:
        first = scheduler.add_task(
            payloads.mark_and_wait, str(mark), str(go_on), executor="under_test", trigger=None
        ).run()
        await until(mark.exists)
        limited = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None, timeout=2.0).run()
        await asyncio.sleep(2.5)
        go_on.touch()
        await first
        assert await limited == 3
