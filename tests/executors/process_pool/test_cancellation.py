"""Cancellation of runs in worker processes."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from asyncz import AsyncIOScheduler, ProcessPoolExecutor, TaskCancelled, TaskCancelledError
from asyncz.executors.process_pool import _slot
from tests.helpers import payloads
from tests.helpers.executors import process_pool_of, start_run
from tests.helpers.payloads import ASKS, asks_for_cancellation, process_id_and_cancellation, run_until_cancelled
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_cancelled_process_may_return_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mark, cleaned_up = tmp_path / "mark", tmp_path / "mark-cleaned-up"
    async with asyncio.timeout(60), AsyncIOScheduler(executors={"under_test": ProcessPoolExecutor(1)}) as scheduler:
        pid = await scheduler.add_task(os.getpid, executor="under_test").result()
        task = scheduler.add_task(run_until_cancelled, str(mark), executor="under_test", trigger=None)
        for _ in range(2):
            handle = task.run()
            await until(lambda: ASKS in caplog.messages)
            caplog.clear()
            assert handle.cancel()
            assert isinstance(await handle.notification(), TaskCancelled)
            assert cleaned_up.exists()
            mark.unlink()
            cleaned_up.unlink()
        # The same worker goes on, and knows nothing of a cancellation any more.
        assert await scheduler.add_task(process_id_and_cancellation, executor="under_test").result() == (pid, False)
        assert scheduler.state.executors[0].replaced_workers == 0


def ask_and_go_on(mark: str) -> None:
    asks_for_cancellation()
    Path(mark).touch()
    time.sleep(60)


@pytest.mark.slow
async def test_cancelled_process_killed_after_delay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_slot, "SECONDS_TO_RETURN", 0.1)

    mark = tmp_path / "mark"
    async with asyncio.timeout(60), AsyncIOScheduler(executors={"under_test": ProcessPoolExecutor(1)}) as scheduler:
        handle = scheduler.add_task(ask_and_go_on, str(mark), executor="under_test", trigger=None).run()
        await until(lambda: ASKS in caplog.messages)
        assert handle.cancel()
        assert isinstance(await handle.notification(), TaskCancelled)
        assert await scheduler.add_task(abs, -1, executor="under_test").result() == 1
        executor = scheduler.state.executors[0]
        assert (executor.replaced_workers, executor.lost_workers) == (1, 0)


async def test_run_of_unready_worker_can_be_cancelled() -> None:
    pool = process_pool_of(1, initializer=payloads.hang_initializer)
    async with AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        handle = start_run(scheduler, payloads.add, 1, 1)
        await until(lambda: scheduler.state.executors[0].queued == 0)
        assert handle.cancel()
        with pytest.raises(TaskCancelledError):
            await handle
        assert scheduler.state.executors[0].lost_workers == 0
