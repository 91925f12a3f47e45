"""`shutdown(timeout=T)` returns within T plus the documented margin, whatever user code does."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Never

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    DateTrigger,
    IntervalTrigger,
    Notifier,
    ProcessPoolExecutor,
    Retry,
    TaskExecuted,
    TaskSubmitted,
    ThreadPoolExecutor,
)
from asyncz.executors import asyncio as asyncio_executor, thread_pool
from asyncz.schedulers import _executor_registry
from tests.helpers.payloads import add, fail, process_id
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

WATCHDOG_SECONDS = 60

Setup = Callable[[AsyncIOScheduler, threading.Event], Awaitable[None]]


class StubbornCoroutine:
    """Coroutine function that ignores its cancellation."""

    def __init__(self, release: threading.Event) -> None:
        self._release = release

    async def __call__(self) -> None:
        while not self._release.is_set():
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                continue


class EndlessShutdown(ThreadPoolExecutor):
    """Executor whose shutdown never returns."""

    @override
    async def shutdown(self, wait: bool = True) -> None:
        await asyncio.Event().wait()


class EndlessStart(ThreadPoolExecutor):
    """Executor whose start never returns."""

    @override
    async def start(self, notifier: Notifier, alias: str, /) -> None:
        await asyncio.Event().wait()


class RaisingTrigger:
    """Trigger that raises at its second due time."""

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        if previous is None:
            return now
        raise RuntimeError("no due time")


async def _running(scheduler: AsyncIOScheduler, function: Callable[[], object], executor: str) -> None:
    task = scheduler.add_task(function, trigger=None, executor=executor)
    handle = task.run()
    await until(lambda: task.state.running == 1)
    await asyncio.sleep(0.1)
    assert not handle.done()


async def stubborn_coroutine(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    await _running(scheduler, StubbornCoroutine(release), "asyncio")


async def stubborn_coroutine_in_thread(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    await _running(scheduler, StubbornCoroutine(release), "threadpool")


async def blocked_thread(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    await _running(scheduler, release.wait, "threadpool")


async def full_default_executor(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    scheduler.add_executor(ProcessPoolExecutor(max_workers=1), alias="cpu")
    await scheduler.add_task(process_id, trigger=None, executor="cpu").run()
    for _ in range((os.cpu_count() or 1) + 5):
        scheduler.add_task(release.wait, trigger=None).submit()
    await asyncio.sleep(0.1)


async def endless_listener(scheduler: AsyncIOScheduler, _: threading.Event) -> None:
    async def listen(_: TaskExecuted[object]) -> None:
        await asyncio.Event().wait()

    scheduler.subscribe(TaskExecuted, listen)
    await scheduler.add_task(add, 1, 2, trigger=None).run()


async def stubborn_listener(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    async def listen(_: TaskExecuted[object]) -> None:
        await StubbornCoroutine(release)()

    scheduler.subscribe(TaskExecuted, listen)
    await scheduler.add_task(add, 1, 2, trigger=None).run()


async def raising_listener(scheduler: AsyncIOScheduler, _: threading.Event) -> None:
    def listen(_: TaskSubmitted) -> Never:
        raise SystemExit(3)

    scheduler.subscribe(TaskSubmitted, listen)
    scheduler.add_task(add, 1, 2, trigger=None).submit()


async def endless_shutdown(scheduler: AsyncIOScheduler, _: threading.Event) -> None:
    scheduler.add_executor(EndlessShutdown(), alias="endless")
    await scheduler.add_task(add, 1, 2, trigger=None, executor="endless").run()


async def endless_start(scheduler: AsyncIOScheduler, _: threading.Event) -> None:
    scheduler.add_executor(EndlessStart(), alias="endless")
    scheduler.add_task(add, 1, 2, trigger=None, executor="endless").submit()
    await asyncio.sleep(0.1)


async def stopped_worker(scheduler: AsyncIOScheduler, _: threading.Event) -> None:
    scheduler.add_executor(ProcessPoolExecutor(max_workers=1), alias="cpu")
    pid = await scheduler.add_task(process_id, trigger=None, executor="cpu").run()
    os.kill(pid, signal.SIGSTOP)
    scheduler.add_task(process_id, trigger=None, executor="cpu").submit()
    await asyncio.sleep(0.1)


def _shutting_down(wait: bool, timeout: float | None) -> Setup:
    async def setup(scheduler: AsyncIOScheduler, _: threading.Event) -> None:
        async def shut_down() -> None:
            await scheduler.shutdown(wait=wait, timeout=timeout)
            await asyncio.sleep(0.05)

        scheduler.add_task(shut_down, trigger=None).submit()
        await asyncio.sleep(0.02)

    setup.__name__ = f"run_that_shuts_down_wait_{wait}_timeout_{timeout}"
    return setup


async def pending_retry(scheduler: AsyncIOScheduler, _: threading.Event) -> None:
    task = scheduler.add_task(fail, "as intended", trigger=None, retry=Retry(attempts=3, delay=1000))
    task.submit()
    await asyncio.sleep(0.1)


async def hanging_chain(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    async def wait(_: int) -> None:
        await StubbornCoroutine(release)()

    first = scheduler.add_task(add, 1, 2, trigger=None)
    first.then(wait).then(str)
    first.submit()
    await asyncio.sleep(0.05)


async def raising_trigger(scheduler: AsyncIOScheduler, _: threading.Event) -> None:
    scheduler.add_task(add, 1, 2, trigger=RaisingTrigger())
    scheduler.add_task(add, 1, 2, trigger=IntervalTrigger(seconds=0.01))
    scheduler.add_task(add, 1, 2, trigger=DateTrigger())
    await asyncio.sleep(0.1)


SETUPS: tuple[Setup, ...] = (
    stubborn_coroutine,
    stubborn_coroutine_in_thread,
    blocked_thread,
    full_default_executor,
    endless_listener,
    stubborn_listener,
    raising_listener,
    endless_shutdown,
    endless_start,
    stopped_worker,
    _shutting_down(wait=True, timeout=None),
    _shutting_down(wait=False, timeout=None),
    _shutting_down(wait=True, timeout=0.1),
    pending_retry,
    hanging_chain,
    raising_trigger,
)


@pytest.fixture
def short_cleanup(monkeypatch: pytest.MonkeyPatch) -> None:
    """The documented margin, in smaller units."""
    monkeypatch.setattr(asyncio_executor, "_SHUTDOWN_CLEANUP_SECONDS", 0.5)
    monkeypatch.setattr(thread_pool, "_CLEANUP_SECONDS", 0.5)
    monkeypatch.setattr(_executor_registry, "_CANCELLED_TIMEOUT", 1.5)
    monkeypatch.setattr(_executor_registry, "_LAST_TIMEOUT", 0.5)


@pytest.mark.slow
@pytest.mark.usefixtures("short_cleanup")
@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: getattr(setup, "__name__", ""))
async def test_shutdown_is_bounded(setup: Setup) -> None:
    """The watchdog is generous, as the machine may be busy."""
    release = threading.Event()
    scheduler = AsyncIOScheduler()
    await scheduler.start()
    try:
        await setup(scheduler, release)
        async with asyncio.timeout(WATCHDOG_SECONDS):
            await scheduler.shutdown(timeout=0.5)
            await scheduler.wait_closed()
        assert scheduler.state.status == "stopped"
        # Nothing is left that would keep the next start.
        async with asyncio.timeout(WATCHDOG_SECONDS):
            await scheduler.shutdown(wait=False)
    finally:
        release.set()
