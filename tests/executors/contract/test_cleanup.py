"""The table of the README: effects of cancellations and timeouts on coroutines and functions of each executor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from asyncz import AsyncIOScheduler, Task, TaskCancelled, TaskError, TaskTimeoutError, current_run
from tests.helpers.executors import scheduler_with
from tests.helpers.payloads import ASKS, asks_for_cancellation
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

WATCHDOG_SECONDS = 60


async def coroutine(folder: Path) -> None:
    """Note the start, the cancellation and the cleanup."""
    try:
        (folder / "started").touch()
        await asyncio.sleep(WATCHDOG_SECONDS)
    except asyncio.CancelledError:
        (folder / "cancelled").touch()
        raise
    finally:
        await asyncio.sleep(0.01)
        (folder / "cleaned").touch()


def do_nothing() -> None:
    pass


def asking(folder: Path) -> None:
    """Return once the run is cancelled or over its timeout."""
    try:
        (folder / "started").touch()
        deadline = time.monotonic() + WATCHDOG_SECONDS
        cancelled = asks_for_cancellation()
        while not cancelled and time.monotonic() < deadline:
            time.sleep(0.005)
            cancelled = current_run().is_cancelled()
    finally:
        (folder / "cleaned").touch()


async def timeout_after_start(
    scheduler: AsyncIOScheduler, function: Callable[[Path], Awaitable[None] | None], folder: Path
) -> None:
    """Run a function over its timeout, again with a longer one if a busy machine has not started it in time."""
    # A worker imports this module for its first run, whose timeout includes that.
    await scheduler.add_task(do_nothing, executor="under_test").result()
    for timeout in (0.2, 2.0, 20.0):
        task: Task[object] = scheduler.add_task(function, folder, executor="under_test", trigger=None, timeout=timeout)
        outcome = await task.run().notification()
        assert isinstance(outcome, TaskError)
        assert isinstance(outcome.exception, TaskTimeoutError)
        if (folder / "started").exists():
            break
    await until((folder / "cleaned").exists)


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])
async def test_cancelled_coroutine_runs_its_finally(kind: str, tmp_path: Path) -> None:
    async with asyncio.timeout(WATCHDOG_SECONDS), scheduler_with(kind) as scheduler:
        handle = scheduler.add_task(coroutine, tmp_path, executor="under_test", trigger=None).run()
        await until((tmp_path / "started").exists)
        assert handle.cancel()
        assert isinstance(await handle.notification(), TaskCancelled)
        await until((tmp_path / "cleaned").exists)
    assert (tmp_path / "cancelled").exists()


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])
async def test_coroutine_over_timeout_runs_its_finally(kind: str, tmp_path: Path) -> None:
    """The outcome is reported after the cleanup."""
    async with asyncio.timeout(WATCHDOG_SECONDS), scheduler_with(kind) as scheduler:
        await timeout_after_start(scheduler, coroutine, tmp_path)
    assert (tmp_path / "cancelled").exists()


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])
async def test_function_that_asks_sees_its_timeout(kind: str, tmp_path: Path) -> None:
    """A function that asks returns by itself, and its `finally` runs."""
    async with asyncio.timeout(WATCHDOG_SECONDS), scheduler_with(kind) as scheduler:
        await timeout_after_start(scheduler, asking, tmp_path)


async def test_cancelled_function_that_asks_ends_in_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The only executor that can cancel a running function."""
    async with asyncio.timeout(WATCHDOG_SECONDS), scheduler_with("processpool") as scheduler:
        handle = scheduler.add_task(asking, tmp_path, executor="under_test", trigger=None).run()
        await until(lambda: ASKS in caplog.messages)
        assert handle.cancel()
        assert isinstance(await handle.notification(), TaskCancelled)
        await until((tmp_path / "cleaned").exists)
