"""A run whose cleanup never ends keeps its worker from the next run for a bounded time only."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent import futures
from functools import partial
from pathlib import Path

import pytest

from asyncz import (
    AsyncIOScheduler,
    FuturesExecutor,
    ProcessPoolExecutor,
    TaskCancelled,
    TaskExecuted,
    ThreadPoolExecutor,
    UniversalExecutor,
    _shutdown_limits,
)
from tests.helpers.payloads import add
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

WATCHDOG_SECONDS = 60

# In a worker process, another object of this name is never set: the process is killed.
release = threading.Event()


@pytest.fixture(autouse=True)
def released_at_the_end() -> Iterator[None]:
    release.clear()
    yield
    release.set()


async def ignore_cancellation() -> None:
    while not release.is_set():
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            continue


async def endless_generator() -> AsyncGenerator[int]:
    try:
        yield 1
    finally:
        await ignore_cancellation()


async def blocked_in_default_executor() -> None:
    await asyncio.to_thread(release.wait)


stubborn_tasks: list[asyncio.Task[None]] = []


async def stubborn_task_left() -> None:
    stubborn_tasks.append(asyncio.ensure_future(ignore_cancellation()))
    await asyncio.sleep(0)


generators: list[AsyncGenerator[int]] = []


async def stubborn_generator_left() -> None:
    generators.append(endless_generator())
    await anext(generators[-1])


FUNCTIONS = (blocked_in_default_executor, stubborn_task_left, stubborn_generator_left)
EXECUTORS: dict[str, Callable[[], UniversalExecutor]] = {
    "threadpool": partial(ThreadPoolExecutor, 1),
    "processpool": partial(ProcessPoolExecutor, 1),
    "futures": partial(FuturesExecutor, partial(futures.ThreadPoolExecutor, 1)),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the loop is closed with the tasks
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", EXECUTORS)
async def test_hanging_cleanup_leaves_the_worker_usable(kind: str, function: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(WATCHDOG_SECONDS), AsyncIOScheduler(executors={kind: EXECUTORS[kind]()}) as scheduler:
        first = scheduler.add_task(function, trigger=None, executor=kind, timeout=0.5).run()
        await first.notification()
        for _ in range(2):
            outcome = await scheduler.add_task(add, 1, 2, trigger=None, executor=kind).run().notification()
            assert isinstance(outcome, TaskExecuted)


async def mark_end(mark_started: Callable[[], None], mark_ended: Callable[[], None]) -> None:
    mark_started()
    try:
        await asyncio.sleep(WATCHDOG_SECONDS)
    finally:
        await asyncio.sleep(0.1)
        mark_ended()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*EXECUTORS, "asyncio", "dask"])
async def test_shutdown_lets_cancelled_coroutine_clean_up(kind: str, tmp_path: Path) -> None:
    started, ended = tmp_path / "started", tmp_path / "ended"
    executors = {kind: EXECUTORS[kind]()} if kind in EXECUTORS else {}
    scheduler = AsyncIOScheduler(executors=executors)
    await scheduler.start()
    handle = scheduler.add_task(mark_end, started.touch, ended.touch, trigger=None, executor=kind).run()
    await until(started.exists)
    await scheduler.shutdown(wait=False)
    assert isinstance(await handle.notification(), TaskCancelled)
    assert ended.exists()


async def test_shutdown_waits_for_coroutines_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A blocked function does not take the time that cancelled coroutines have for their cleanup."""
    monkeypatch.setattr(_shutdown_limits, "CLEANUP_SECONDS", 10.0 * WATCHDOG_SECONDS)
    started, cleaned_up = threading.Event(), threading.Event()

    async def clean_up() -> None:
        try:
            started.set()
            await asyncio.sleep(WATCHDOG_SECONDS)
        finally:
            await asyncio.sleep(0.2)
            cleaned_up.set()

    scheduler = AsyncIOScheduler(executors={"threadpool": ThreadPoolExecutor(2)})
    await scheduler.start()
    tasks = [scheduler.add_task(each, trigger=None, executor="threadpool") for each in (release.wait, clean_up)]
    for task in tasks:
        task.submit()
    await until(started.is_set)
    await until(lambda: scheduler.state.executors[0].queued == 0)
    async with asyncio.timeout(WATCHDOG_SECONDS):
        await scheduler.shutdown(wait=False)
    assert cleaned_up.is_set()
    assert not release.is_set()
    assert "did not shut down in time" not in caplog.text
