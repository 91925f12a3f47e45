"""Log handlers of executors that raise or hang change no run and stop no thread that runs share."""

from __future__ import annotations

import ast
import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest
from typing_extensions import ParamSpec, TypeVar, override

import asyncz
from asyncz import (
    AsyncIOScheduler,
    BaseExecutor,
    DelegatingExecutor,
    ExecutorNotRunningError,
    FuturesExecutor,
    TaskExecuted,
    TaskNotification,
    TaskRun,
    ThreadPoolExecutor,
    WorkerLostError,
)
from tests.helpers.payloads import add, sleep_async
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

ResultT = TypeVar("ResultT")
T = TypeVar("T")
P = ParamSpec("P")

_METHODS = frozenset({"debug", "info", "warning", "error", "critical", "exception", "log"})
# The loggers of the user and of worker processes, and the ones that `SafeLogger` calls.
_OWN_LOGGERS = frozenset(
    {
        "_safe_logging.py",
        "executors/base.py",
        "executors/_remote_records.py",
        "executors/process_pool/_worker_logging.py",
        "logs.py",
    }
)


class Handler(logging.Handler):
    """Handler that makes a call for each record."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self._call = call

    @override
    def handle(self, record: logging.LogRecord) -> bool:
        # Without the lock of the handler, for which other threads would wait.
        self.emit(record)
        return True

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._call()


def exit_thread() -> None:
    raise SystemExit(3)


def fail() -> None:
    raise RuntimeError


def interrupt() -> None:
    if threading.current_thread() is not threading.main_thread():
        raise KeyboardInterrupt


RAISING: tuple[Callable[[], None], ...] = (exit_thread, fail, interrupt)


@pytest.fixture
def handle_with() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Function that adds a handler to the loggers of executors."""
    logger, added = logging.getLogger("asyncz.executors"), list[logging.Handler]()

    def add_handler(call: Callable[[], object]) -> None:
        added.append(Handler(call))
        logger.addHandler(added[-1])

    yield add_handler
    for handler in added:
        logger.removeHandler(handler)


class FailingObserver(DelegatingExecutor):
    @override
    def on_outcome(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        raise SystemExit(4)


@pytest.mark.parametrize("call", RAISING)
async def test_failing_observer_loses_no_run(
    handle_with: Callable[[Callable[[], object]], None], call: Callable[[], None]
) -> None:
    handle_with(call)
    executor = FailingObserver(ThreadPoolExecutor(2))
    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        for _ in range(3):
            task = scheduler.add_task(add, 1, 2, executor="under_test", trigger=None)
            assert isinstance(await task.run().notification(), TaskExecuted)


@pytest.mark.parametrize("call", RAISING)
async def test_handler_that_raises_keeps_retry_of_thread(
    handle_with: Callable[[Callable[[], object]], None], call: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    start, refused = threading.Thread.start, list[str]()

    def refusing(thread: threading.Thread) -> None:
        if not refused and thread.name.startswith("asyncz_"):
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refusing)
    handle_with(call)
    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": ThreadPoolExecutor(1)}) as scheduler:
        assert await scheduler.add_task(add, 1, 2, executor="under_test", trigger=None).run() == 3
    assert refused


class CancelFails(ThreadPoolExecutor):
    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        raise ValueError


@pytest.mark.parametrize("call", RAISING)
async def test_handler_that_raises_keeps_timeout(
    handle_with: Callable[[Callable[[], object]], None], call: Callable[[], None]
) -> None:
    """The executor logs that the run could not be cancelled."""
    handle_with(call)
    async with asyncio.timeout(30), AsyncIOScheduler(executors={"under_test": CancelFails(1)}) as scheduler:
        task = scheduler.add_task(sleep_async, 0.5, executor="under_test", trigger=None, timeout=0.1)
        with pytest.raises(TimeoutError):
            await task.run()


class BreakingPool(Executor):
    """Pool that is broken from the start, and cannot be shut down."""

    @override
    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        raise futures.BrokenExecutor("broken")

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        raise SystemExit(5)


@pytest.mark.parametrize("call", [*RAISING, threading.Event().wait])
@pytest.mark.parametrize("next_pool", [BreakingPool, exit_thread])
async def test_broken_pools_fail_every_run(
    handle_with: Callable[[Callable[[], object]], None], call: Callable[[], object], next_pool: Callable[[], Executor]
) -> None:
    """Whatever the pool, its maker and the log handler do, the thread that submits goes on."""
    handle_with(call)
    pools: list[Callable[[], Executor]] = [BreakingPool, *[next_pool] * 10]
    executor = FuturesExecutor(lambda: pools.pop(0)())
    scheduler = AsyncIOScheduler(executors={"under_test": executor})
    async with asyncio.timeout(30):
        await scheduler.start()
        for _ in range(6):
            with pytest.raises((WorkerLostError, ExecutorNotRunningError)):
                await scheduler.add_task(add, 1, 2, executor="under_test", trigger=None).run()
        await until(lambda: executor.state.status == "broken")
        await scheduler.shutdown(timeout=1)
    assert scheduler.state.status == "stopped"


class FailsInRelease(BaseExecutor):
    """Executor whose runs go on after the shutdown."""

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self.finish(run, run.execute())

    @override
    async def release(self, *, wait: bool) -> None:
        self.mark_broken()


@pytest.mark.parametrize("call", RAISING)
async def test_handler_that_raises_keeps_shutdown(
    handle_with: Callable[[Callable[[], object]], None], call: Callable[[], None]
) -> None:
    handle_with(call)
    async with asyncio.timeout(30):
        async with AsyncIOScheduler(executors={"under_test": FailsInRelease()}) as scheduler:
            assert await scheduler.add_task(add, 1, 2, executor="under_test", trigger=None).run() == 3
    assert scheduler.state.status == "stopped"


@pytest.mark.slow
def test_library_logs_through_one_place() -> None:
    """A handler that raises then changes no run, whatever is logged."""
    folder = Path(asyncz.__file__).parent
    for path in folder.rglob("*.py"):
        name = path.relative_to(folder).as_posix()
        # No run depends on the thread of the command line.
        if name.startswith("cli/"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr != "getLogger" and node.func.attr not in _METHODS:
                continue
            called = ast.unparse(node.func)
            assert called != "logging.getLogger" or name in _OWN_LOGGERS, f"{name}:{node.lineno}: {called}"
            # `self.logger` of an executor is a logger of `logging`, for subclasses of the user.
            unsafe = node.func.attr in _METHODS and called.removesuffix(f".{node.func.attr}").endswith(".logger")
            assert not unsafe, f"{name}:{node.lineno}: {called}"
