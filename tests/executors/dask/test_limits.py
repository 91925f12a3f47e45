"""Timeouts, cancellation and shutdown on a Dask cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from asyncz import AsyncIOScheduler, DaskExecutor, TaskCancelled, TaskCancelledError, TaskMissed, TaskTimeoutError
from tests.helpers import payloads
from tests.helpers.executors import start_run
from tests.helpers.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("cluster"), pytest.mark.slow]


async def test_dask_cancel_reaches_coroutine(cluster: str, tmp_path: Path) -> None:
    begun, cancelled = tmp_path / "begun", tmp_path / "cancelled"
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        handle = scheduler.add_task(
            payloads.wait_to_be_cancelled, str(begun), str(cancelled), executor="under_test", trigger=None
        ).run()
        await until(begun.exists)
        assert handle.cancel()
        with pytest.raises(TaskCancelledError):
            await handle
        await until(cancelled.exists)
        await until(lambda: scheduler.state.executors[0].running == 0)


@asynccontextmanager
async def full(scheduler: AsyncIOScheduler, folder: Path) -> AsyncIterator[None]:
    """Every thread of the cluster is busy in this block."""
    marks = [folder / f"busy-{number}" for number in range(4)]
    busy = [start_run(scheduler, payloads.mark_and_wait, str(mark), str(folder / "go on")) for mark in marks]
    await until(lambda: all(mark.exists() for mark in marks))
    yield
    (folder / "go on").touch()
    await asyncio.gather(*busy)


async def test_dask_timeout_starts_with_function(cluster: str, tmp_path: Path) -> None:
    begun, cancelled = tmp_path / "begun", tmp_path / "cancelled"
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        limited = partial(scheduler.add_task, executor="under_test", trigger=None, timeout=0.2)
        async with full(scheduler, tmp_path):
            waiting = limited(payloads.add, 1, 2).run()
            await asyncio.sleep(0.3)
            assert not waiting.done()
        assert await waiting == 3
        with pytest.raises(TaskTimeoutError):
            await limited(payloads.wait_to_be_cancelled, str(begun), str(cancelled)).run()
        await until(cancelled.exists)


async def test_dask_abandoned_run_counts_until_return(cluster: str, tmp_path: Path) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        task = scheduler.add_task(
            payloads.mark_and_wait, str(begun), str(go_on), executor="under_test", trigger=None, timeout=0.05
        )
        with pytest.raises(TaskTimeoutError):
            await task.run()
        # The answers of the workers to the cancellation arrive later.
        assert await start_run(scheduler, payloads.add, 1, 2) == 3
        state = scheduler.state.executors[0]
        assert (state.running, state.abandoned) == (1, 1)
        go_on.touch()
        await until(lambda: scheduler.state.executors[0].running == 0)


async def test_dask_current_run_sees_cancellation(cluster: str, tmp_path: Path) -> None:
    begun, noted = tmp_path / "begun", tmp_path / "noted"
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        known = scheduler.add_task(payloads.run_that_calls, id="known", executor="under_test", trigger=None).run()
        assert await known == (known.run_id, "known", 1)
        handle = start_run(scheduler, payloads.note_once_cancelled, str(begun), str(noted))
        await until(begun.exists)
        assert handle.cancel()
        with pytest.raises(TaskCancelledError):
            await handle
        await until(noted.exists)
        await until(lambda: scheduler.state.executors[0].running == 0)


async def test_dask_cancelled_waiting_run_never_executes(cluster: str, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        async with full(scheduler, tmp_path):
            waiting = start_run(scheduler, payloads.note_and_fail, str(noted))
            # It has left for the cluster.
            await until(lambda: scheduler.state.executors[0].queued == 0)
            assert waiting.cancel()
            with pytest.raises(TaskCancelledError):
                await waiting
            # It is released although nothing has become free.
            await until(lambda: scheduler.state.executors[0].running == 4)
        assert await start_run(scheduler, payloads.add, 1, 2) == 3
    assert not noted.exists()


async def test_dask_late_run_missed_on_cluster(cluster: str, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        async with full(scheduler, tmp_path):
            late = scheduler.add_task(
                payloads.note_and_fail, str(noted), executor="under_test", trigger=None, misfire_grace_time=0.1
            ).run()
            await asyncio.sleep(0.2)
        assert isinstance(await late.notification(), TaskMissed)
    assert not noted.exists()


async def test_dask_shutdown_without_wait_cancels_runs(cluster: str, tmp_path: Path) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    scheduler = AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)})
    await scheduler.start()
    handle = start_run(scheduler, payloads.mark_and_wait, str(begun), str(go_on))
    await until(begun.exists)
    await scheduler.shutdown(wait=False)
    assert isinstance(await handle.notification(), TaskCancelled)
    assert scheduler.state.executors[0].running == 0
    go_on.touch()
