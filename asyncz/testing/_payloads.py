"""Functions of the runs in the conformance suite, at module level so that they can be pickled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Coroutine, Generator
from contextvars import ContextVar
from pathlib import Path
from typing import Generic, Never

import attrs
from typing_extensions import TypeVar

from asyncz._current_run import current_run

ResultT = TypeVar("ResultT")

_LOOK_EVERY = 0.005
_CLEANUP = 0.05


@attrs.frozen
class Gate:
    """Gate that holds functions until it is opened; made of files, so that it works across threads and processes.

    Attributes:
        folder: The folder of the files.
        limit: Seconds after which a function returns even if the gate is not opened.
    """

    folder: Path
    limit: float

    def open(self) -> None:
        """Let functions return, now and later."""
        (self.folder / "open").touch()

    @property
    def is_open(self) -> bool:
        """True if the gate was opened or the trial has ended: abandoned functions need not wait."""
        return (self.folder / "open").exists() or not self.folder.exists()

    def mark(self, mark: str) -> None:
        """Add a mark; marks of the same name are counted."""
        (self.folder / f"{mark}.{uuid.uuid4().hex}").touch()

    def count(self, mark: str) -> int:
        """Return the number of marks of a name; 0 after the trial, when abandoned functions may still ask."""
        with contextlib.suppress(FileNotFoundError):
            return sum(1 for _ in self.folder.glob(f"{mark}.*"))
        return 0


class WorkError(Exception):
    """Exception that the functions of the suite raise."""


def give(result: ResultT) -> ResultT:
    return result


def give_beside(result: ResultT, _: object) -> ResultT:
    return result


async def give_async(result: ResultT) -> ResultT:
    await asyncio.sleep(0)
    return result


def give_coroutine(result: ResultT) -> Coroutine[object, Never, ResultT]:
    return give_async(result)


@attrs.frozen
class AwaitableResult(Generic[ResultT]):
    """Awaitable that is not a coroutine."""

    result: ResultT

    def __await__(self) -> Generator[object, None, ResultT]:
        return give_async(self.result).__await__()


def give_awaitable(result: ResultT) -> Awaitable[ResultT]:
    return AwaitableResult(result)


@attrs.frozen
class AsyncGiver(Generic[ResultT]):
    """Callable object with a coroutine function as `__call__`."""

    result: ResultT

    async def __call__(self) -> ResultT:
        return await give_async(self.result)


def fail(error: BaseException) -> Never:
    raise error


async def fail_async(error: BaseException) -> Never:
    await asyncio.sleep(0)
    raise error


def leave() -> Never:
    sys.exit(3)


def interrupt() -> Never:
    raise KeyboardInterrupt


async def leave_async() -> Never:
    sys.exit(3)


def cancel_itself() -> Never:
    raise asyncio.CancelledError


async def cancel_itself_async() -> Never:
    raise asyncio.CancelledError


def hold(gate: Gate, result: ResultT) -> ResultT:
    gate.mark("started")
    try:
        until = time.monotonic() + gate.limit
        while not gate.is_open and time.monotonic() < until:
            time.sleep(_LOOK_EVERY)
        return result
    finally:
        gate.mark("ended")


async def hold_async(gate: Gate, result: ResultT) -> ResultT:
    gate.mark("started")
    try:
        until = time.monotonic() + gate.limit
        while not gate.is_open and time.monotonic() < until:
            await asyncio.sleep(_LOOK_EVERY)
        return result
    finally:
        gate.mark("ended")


async def hold_and_clean_up_async(gate: Gate, result: ResultT) -> ResultT:
    """Hold at a gate, with a cleanup that awaits; a cancellation is not passed on."""
    gate.mark("started")
    try:
        until = time.monotonic() + gate.limit
        while not gate.is_open and time.monotonic() < until:
            await asyncio.sleep(_LOOK_EVERY)
    except asyncio.CancelledError:
        gate.mark("cancelled")
    finally:
        await asyncio.sleep(_CLEANUP)
        gate.mark("cleaned up")
        gate.mark("ended")
    return result


def ask(gate: Gate, result: ResultT) -> ResultT:
    """Hold at a gate until the run is cancelled."""
    gate.mark("started")
    try:
        until = time.monotonic() + gate.limit
        while not gate.is_open and time.monotonic() < until:
            if current_run().is_cancelled():
                gate.mark("asked")
                break
            if not gate.count("asks"):
                gate.mark("asks")
            time.sleep(_LOOK_EVERY)
        return result
    finally:
        gate.mark("ended")


def mark_call(gate: Gate, result: ResultT) -> ResultT:
    gate.mark("called")
    return result


async def mark_call_async(gate: Gate, result: ResultT) -> ResultT:
    gate.mark("called")
    await asyncio.sleep(0)
    return result


def mark_call_and_fail(gate: Gate) -> Never:
    gate.mark("called")
    raise WorkError("called once")


async def mark_call_and_fail_async(gate: Gate) -> Never:
    gate.mark("called")
    await asyncio.sleep(0)
    raise WorkError("called once")


def report_and_give(reports: int, result: ResultT) -> ResultT:
    run = current_run()
    for number in range(1, reports + 1):
        run.report(number, reports, f"step {number}")
    return result


async def report_and_give_async(reports: int, result: ResultT) -> ResultT:
    await asyncio.sleep(0)
    return report_and_give(reports, result)


variable: ContextVar[object] = ContextVar("variable", default=None)


def give_where_variable_is(expected: object, result: ResultT) -> ResultT:
    if variable.get() != expected:
        raise WorkError(f"the variable is {variable.get()!r}, not {expected!r}")
    return result


async def give_where_variable_is_async(expected: object, result: ResultT) -> ResultT:
    await asyncio.sleep(0)
    return give_where_variable_is(expected, result)


def unpicklable_result() -> object:
    # cloudpickle can pickle a lambda, but not a lock.
    return threading.Lock()


class UnpicklableError(WorkError):
    """Exception that cannot be pickled, because it contains a lock."""

    def __init__(self) -> None:
        super().__init__(threading.Lock())


def fail_unpicklably() -> Never:
    raise UnpicklableError


def die(survivor: int) -> Never:
    if os.getpid() == survivor:
        raise WorkError(f"runs in the process {survivor} itself, although `runs_in_another_process` says otherwise")
    os._exit(3)
