"""What a run is in a worker of a pool or a cluster that a user brings. It imports the standard library only."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Never, TypeAlias

from asyncz._running import running_run
from asyncz.executors import _remote_call

MISSED = 20
"""The kind of end of a run that was too late; the others are those of `_remote_call`."""

Place: TypeAlias = tuple[str, int, str]
"""The machine, the process and the thread of a worker."""

Report: TypeAlias = tuple[int, bytes, float | None, Place]
"""The kind of an end, its content, when the function was called in seconds since the epoch, and where."""


def execute(
    run: _remote_call.SentRun,
    dumps: Callable[[object], bytes],
    latest_start: float | None,
    run_coroutine: Callable[[Coroutine[object, Never, object]], object] = asyncio.run,
) -> Report:
    """Make the call of a run that was sent here, unless it is too late for it; never raises.

    Args:
        run: The run.
        dumps: Pickles the result.
        latest_start: Until when the function may be called, in seconds since the epoch.
        run_coroutine: Runs a coroutine to its end.
    """
    started = time.time()
    if latest_start is not None and started > latest_start:
        return MISSED, b"", None, place()
    token = running_run.set(run)
    try:
        kind, report = _remote_call.execute(run.call, run_coroutine, dumps)
    finally:
        running_run.reset(token)
    return kind, report, started, place()


def execute_parcel(content: bytes, dumps: Callable[[object], bytes], latest_start: float | None) -> Report:
    """The same for a run that arrives as bytes, where nobody can tell it to end."""
    return execute(_remote_call.SentRun(content), dumps, latest_start)


def place() -> Place:
    """The present machine, process and thread."""
    return socket.gethostname(), os.getpid(), threading.current_thread().name


def nothing() -> None:
    """Does nothing, for a run that has ended before it left."""
