"""What the runs of the conformance suite call: at module level, so that it can travel to other processes."""

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

ResultT = TypeVar("ResultT")

_LOOK_EVERY = 0.005


@attrs.frozen
class Gate:
    """Holds work until it is opened; made of files, so that it works across threads and processes.

    Attributes:
        folder: Where the files are.
        limit: After how many seconds it lets work go although nobody has opened it.
    """

    folder: Path
    limit: float

    def open(self) -> None:
        """Let the work go, now and later."""
        (self.folder / "open").touch()

    @property
    def is_open(self) -> bool:
        """Whether it was opened, or the trial is over: work that was given up need not be waited for."""
        return (self.folder / "open").exists() or not self.folder.exists()

    def mark(self, mark: str) -> None:
        """Leave a mark; each is counted."""
        (self.folder / f"{mark}.{uuid.uuid4().hex}").touch()

    def count(self, mark: str) -> int:
        """How often a mark was left; never, once the trial is over: what was given up may still ask."""
        with contextlib.suppress(FileNotFoundError):
            return sum(1 for _ in self.folder.glob(f"{mark}.*"))
        return 0


class WorkError(Exception):
    """What the functions of the suite raise."""


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
    """An awaitable that is not a coroutine."""

    result: ResultT

    def __await__(self) -> Generator[object, None, ResultT]:
        return give_async(self.result).__await__()


def give_awaitable(result: ResultT) -> Awaitable[ResultT]:
    return AwaitableResult(result)


@attrs.frozen
class AsyncGiver(Generic[ResultT]):
    """A callable object whose call is a coroutine."""

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
    gate.mark("begun")
    try:
        until = time.monotonic() + gate.limit
        while not gate.is_open and time.monotonic() < until:
            time.sleep(_LOOK_EVERY)
        return result
    finally:
        gate.mark("ended")


async def hold_async(gate: Gate, result: ResultT) -> ResultT:
    gate.mark("begun")
    try:
        until = time.monotonic() + gate.limit
        while not gate.is_open and time.monotonic() < until:
            await asyncio.sleep(_LOOK_EVERY)
        return result
    finally:
        gate.mark("ended")


variable: ContextVar[object] = ContextVar("variable", default=None)


def give_where_variable_is(expected: object, result: ResultT) -> ResultT:
    if variable.get() != expected:
        raise WorkError(f"the variable is {variable.get()!r}, not {expected!r}")
    return result


async def give_where_variable_is_async(expected: object, result: ResultT) -> ResultT:
    await asyncio.sleep(0)
    return give_where_variable_is(expected, result)


def unpicklable_result() -> object:
    # A lambda would travel where somebody pickles with cloudpickle.
    return threading.Lock()


class UnpicklableError(WorkError):
    """Cannot be pickled, as it holds a lock."""

    def __init__(self) -> None:
        super().__init__(threading.Lock())


def fail_unpicklably() -> Never:
    raise UnpicklableError


def die(survivor: int) -> Never:
    if os.getpid() == survivor:
        raise WorkError(f"runs in the process {survivor} itself, although `runs_in_another_process` says otherwise")
    os._exit(3)
