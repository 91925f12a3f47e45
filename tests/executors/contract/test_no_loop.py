"""Runs of coroutines for which no event loop can be made."""

from __future__ import annotations

import asyncio
import gc
import selectors
import socket
import threading
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import NoReturn

import pytest

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DebugExecutor,
    FuturesExecutor,
    TaskError,
    TaskNotification,
    TaskRun,
    TaskSpec,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from asyncz.executors import _remote_call, _remote_worker
from asyncz.executors._serialization import parcel_of
from asyncz.executors.debug import _await_in_another_thread


async def never_called() -> int:
    return 1


def refuse(*_: object) -> NoReturn:
    raise OSError(24, "Too many open files")


@pytest.fixture(params=["selector", "sockets"])
def without_loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that lets the constructor of event loops fail at its first or at its second descriptor."""
    owner, name = (selectors, "DefaultSelector") if request.param == "selector" else (socket, "socketpair")
    return lambda: monkeypatch.setattr(owner, name, refuse)


def open_descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def test_coroutine_without_loop_leaves_nothing(without_loops: Callable[[], None]) -> None:
    """pytest would report a coroutine that was never awaited, and a loop whose finalizer fails."""
    run = TaskRun(TaskSpec[int]("coroutine", never_called))
    before = open_descriptors()
    without_loops()
    outcome = run.execute()
    assert isinstance(outcome, TaskError)
    assert isinstance(outcome.exception, OSError)
    assert open_descriptors() == before


def test_coroutine_in_remote_worker_without_loop_fails(without_loops: Callable[[], None]) -> None:
    content = parcel_of(TaskRun(TaskSpec[int]("coroutine", never_called)))
    before = open_descriptors()
    without_loops()
    kind, *_ = _remote_worker.execute_parcel(content, _remote_call.dumps, None)
    assert kind == _remote_call.ERROR
    assert open_descriptors() == before


@pytest.mark.anyio
@pytest.mark.parametrize(
    "make", [lambda: ThreadPoolExecutor(1), DebugExecutor, lambda: FuturesExecutor(futures.ThreadPoolExecutor)]
)
async def test_executor_without_loop_goes_on(
    make: Callable[[], UniversalExecutor], without_loops: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncIOScheduler(executors={"under_test": make()}) as scheduler:
        task = scheduler.add_task(never_called, executor="under_test", trigger=None)
        without_loops()
        assert isinstance(await task.run().notification(), TaskError)
        monkeypatch.undo()
        assert await task.run() == 1
    gc.collect()


@pytest.mark.anyio
async def test_awaitable_of_run_cancelled_early_is_closed() -> None:
    """A function returns a coroutine whose task is cancelled before its first step."""
    executor = AsyncIOExecutor()
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        task = scheduler.add_task(lambda: never_called(), executor="under_test", trigger=None)
        handle = task.run()
        outcome: TaskNotification[object] | None = None
        while outcome is None:
            handle.cancel()
            await asyncio.sleep(0)
            outcome = await handle.notification() if handle.done() else None
    gc.collect()


def test_debug_run_without_thread_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The coroutine has no thread to run in: it is closed, and pytest would report it otherwise."""

    def refuse_thread(_: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    run = TaskRun(TaskSpec[int]("coroutine", never_called))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse_thread)
        outcome = run.execute(_await_in_another_thread)
    assert isinstance(outcome, TaskError)
    assert str(outcome.exception) == "can't start new thread"
    gc.collect()
