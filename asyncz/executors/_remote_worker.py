"""Execution of a run in a worker of a pool or cluster that belongs to the user. Standard library only."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from asyncz._coroutines import CoroutineCall, run_in_new_loop
from asyncz._running import running_run
from asyncz.executors import _remote_call

MISSED = 20
"""Kind of the outcome of a run that was too late; the other kinds are in `_remote_call`."""

Place: TypeAlias = tuple[str, int, str]
"""Machine, process id and thread of a worker."""

Report: TypeAlias = tuple[int, bytes, float | None, Place]
"""Kind and content of an outcome, start of the function in seconds since the epoch, and place."""


def execute(
    run: _remote_call.SentRun,
    dumps: Callable[[object], bytes],
    latest_start: float | None,
    await_outcome: Callable[[Awaitable[object]], object] | None = None,
) -> Report:
    """Make the call of a run, unless it is too late. Never raises.

    Args:
        run: The run.
        dumps: Pickles the result.
        latest_start: Latest start of the function, in seconds since the epoch; None means no limit.
        await_outcome: Awaits an awaitable that the call returned; by default in a new event loop.
    """
    started = time.time()
    if latest_start is not None and started > latest_start:
        return MISSED, b"", None, place()
    token = running_run.set(run)
    try:
        kind, report = _remote_call.execute(run.load, await_outcome or _await_in_new_loop, dumps)
    finally:
        running_run.reset(token)
    return kind, report, started, place()


def execute_parcel(content: bytes, dumps: Callable[[object], bytes], latest_start: float | None) -> Report:
    """Execute a run that arrives as bytes and cannot be cancelled while it runs."""
    return execute(_remote_call.SentRun(content), dumps, latest_start)


def _await_in_new_loop(awaitable: Awaitable[object]) -> object:
    return run_in_new_loop(CoroutineCall(awaitable))


def place() -> Place:
    """Return the current machine, process and thread."""
    return socket.gethostname(), os.getpid(), threading.current_thread().name


def nothing() -> None:
    """Do nothing: the call of a run that has ended before it was sent."""
