"""`shutdown(timeout=T)` returns within T plus the documented margin, whatever user code does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent import futures
from datetime import datetime
from functools import partial
from typing import Never

import pytest
from typing_extensions import ParamSpec, TypeVar, Unpack, override

from asyncz import (
    AsyncIOScheduler,
    DaskExecutor,
    DateTrigger,
    FuturesExecutor,
    IntervalTrigger,
    Notifier,
    ProcessPoolExecutor,
    Retry,
    TaskExecuted,
    TaskSubmitted,
    ThreadPoolExecutor,
    _shutdown_limits,
)
from asyncz.config import DaskClusterKwargs
from tests.helpers.generics import Ts
from tests.helpers.payloads import add, fail, process_id
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

ParamT = ParamSpec("ParamT")
ResultT = TypeVar("ResultT")

MARGIN_SECONDS = 5.0
"""Documented in `AsyncIOScheduler.shutdown` and in the README."""

BUSY_SECONDS = 30.0
"""Allowance for a busy machine."""

BLOCKED_SECONDS = 120.0
"""Duration of calls in worker processes, which are killed."""

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


async def blocked_to_thread() -> None:
    await asyncio.to_thread(time.sleep, BLOCKED_SECONDS)


async def ignore_cancellation() -> None:
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(BLOCKED_SECONDS)


async def leave_stubborn_task() -> None:
    task = asyncio.ensure_future(ignore_cancellation())
    await asyncio.sleep(0)
    assert not task.done()


async def stubborn_generator() -> AsyncGenerator[int]:
    try:
        yield 1
    finally:
        await ignore_cancellation()


async def leave_stubborn_generator() -> None:
    generator = stubborn_generator()
    await anext(generator)
    await asyncio.sleep(BLOCKED_SECONDS)


def leave_thread() -> None:
    threading.Thread(target=time.sleep, args=(BLOCKED_SECONDS,)).start()


class SlowToUnpickle:
    """Object that is pickled at once; unpickling it takes long, in whichever process."""

    @override
    def __reduce__(self) -> tuple[Callable[[float], None], tuple[float]]:
        return time.sleep, (BLOCKED_SECONDS,)


class SlowToPickle:
    """Object that is pickled at once the first time, when a task is added; afterwards that takes long."""

    def __init__(self, release: threading.Event) -> None:
        self._release = release
        self._is_first = True

    @override
    def __reduce__(self) -> tuple[Callable[[], int], tuple[()]]:
        if not self._is_first:
            self._release.wait()
        self._is_first = False
        return int, ()


class BlockingHandler(logging.Handler):
    """Log handler that blocks until it is released."""

    def __init__(self, release: threading.Event) -> None:
        super().__init__()
        self._release = release

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._release.wait()


def warn() -> None:
    logging.getLogger("tests.bounds").warning("a record")


def ignore(_: object) -> None:
    pass


class BlockingPool(futures.Executor):
    """Pool whose `submit` and `shutdown` block until it is released."""

    def __init__(self, release: threading.Event) -> None:
        self._release = release

    @override
    def submit(
        self, fn: Callable[ParamT, ResultT], /, *args: ParamT.args, **kwargs: ParamT.kwargs
    ) -> futures.Future[ResultT]:
        self._release.wait()
        raise RuntimeError

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._release.wait()


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


def _in_process(function: Callable[[Unpack[Ts]], object], *arguments: Unpack[Ts]) -> Setup:
    async def setup(scheduler: AsyncIOScheduler, _: threading.Event) -> None:
        scheduler.add_executor(ProcessPoolExecutor(max_workers=1), alias="cpu")
        await scheduler.add_task(process_id, trigger=None, executor="cpu").run()
        scheduler.add_task(function, *arguments, trigger=None, executor="cpu").submit()
        await asyncio.sleep(0.2)

    setup.__name__ = f"{getattr(function, '__name__', 'function')}_in_process"
    return setup


async def argument_slow_to_unpickle(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    await _in_process(ignore, SlowToUnpickle())(scheduler, release)


async def argument_slow_to_pickle(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    await _in_process(ignore, SlowToPickle(release))(scheduler, release)


async def blocking_log_handler(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    handler = BlockingHandler(release)
    logging.getLogger("tests.bounds").addHandler(handler)
    try:
        await _in_process(warn)(scheduler, release)
    finally:
        logging.getLogger("tests.bounds").removeHandler(handler)


async def blocked_thread_beside_coroutine(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    await _running(scheduler, release.wait, "threadpool")
    await _running(scheduler, StubbornCoroutine(release), "threadpool")


async def blocked_pool(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    scheduler.add_executor(FuturesExecutor(lambda: BlockingPool(release)), alias="futures")
    scheduler.add_task(add, 1, 2, trigger=None, executor="futures").submit()
    await asyncio.sleep(0.1)


async def blocked_thread_of_pool(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    scheduler.add_executor(FuturesExecutor(partial(futures.ThreadPoolExecutor, 1)), alias="futures")
    await _running(scheduler, release.wait, "futures")


async def stubborn_coroutine_in_pool(scheduler: AsyncIOScheduler, release: threading.Event) -> None:
    scheduler.add_executor(FuturesExecutor(partial(futures.ThreadPoolExecutor, 1)), alias="futures")
    await _running(scheduler, StubbornCoroutine(release), "futures")


async def blocked_dask_worker(scheduler: AsyncIOScheduler, _: threading.Event) -> None:
    cluster_kwargs: DaskClusterKwargs = {"n_workers": 2, "threads_per_worker": 1}
    scheduler.add_executor(DaskExecutor(cluster_kwargs=cluster_kwargs), alias="dask")
    await scheduler.add_task(process_id, trigger=None, executor="dask").run()
    scheduler.add_task(time.sleep, BLOCKED_SECONDS, trigger=None, executor="dask").submit()
    scheduler.add_task(ignore_cancellation, trigger=None, executor="dask").submit()
    await asyncio.sleep(0.5)


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
    _in_process(time.sleep, BLOCKED_SECONDS),
    _in_process(ignore_cancellation),
    _in_process(blocked_to_thread),
    _in_process(leave_stubborn_task),
    _in_process(leave_stubborn_generator),
    _in_process(leave_thread),
    _in_process(SlowToUnpickle),
    argument_slow_to_unpickle,
    argument_slow_to_pickle,
    blocking_log_handler,
    blocked_thread_beside_coroutine,
    blocked_pool,
    blocked_thread_of_pool,
    stubborn_coroutine_in_pool,
    blocked_dask_worker,
    _shutting_down(wait=True, timeout=None),
    _shutting_down(wait=False, timeout=None),
    _shutting_down(wait=True, timeout=0.1),
    pending_retry,
    hanging_chain,
    raising_trigger,
)


def test_limits_fit_the_margin() -> None:
    assert _shutdown_limits.CLEANUP_SECONDS < _shutdown_limits.EXECUTORS_SECONDS
    assert _shutdown_limits.EXECUTORS_SECONDS + 2 * _shutdown_limits.LISTENERS_SECONDS <= MARGIN_SECONDS
    assert f"at most {MARGIN_SECONDS:g} seconds later" in (AsyncIOScheduler.shutdown.__doc__ or "")


@pytest.mark.slow
@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: getattr(setup, "__name__", ""))
async def test_shutdown_is_bounded(setup: Setup) -> None:
    release = threading.Event()
    scheduler = AsyncIOScheduler()
    await scheduler.start()
    try:
        await setup(scheduler, release)
        async with asyncio.timeout(0.5 + MARGIN_SECONDS + BUSY_SECONDS):
            await scheduler.shutdown(timeout=0.5)
            await scheduler.wait_closed()
        assert scheduler.state.status == "stopped"
        # Nothing is left that would keep the next start.
        async with asyncio.timeout(BUSY_SECONDS):
            await scheduler.shutdown(wait=False)
    finally:
        release.set()
