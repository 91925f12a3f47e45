"""Execution of a run in a worker of a pool or cluster that belongs to the user. Standard library only."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from asyncz._coroutines import await_in_new_loop
from asyncz._running import running_run
from asyncz.executors import _remote_call, _remote_progress

if TYPE_CHECKING:
    from typing_extensions import override
else:
    # Not of the standard library.
    def override(method: object) -> object:
        return method


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
        kind, report = _remote_call.execute(run.load, await_outcome or await_in_new_loop, dumps)
    finally:
        running_run.reset(token)
        if run.reports is not None:
            run.reports.close()
    return kind, report, started, place()


class _ForeignRun(_remote_call.SentRun):
    """A run in a pool that has no channel to its executor."""

    def __init__(self, content: bytes, address: str, run_id: int) -> None:
        super().__init__(content)
        self._address = address
        self._id = run_id

    @override
    def send_progress(self, report: _remote_progress.Report, /) -> None:
        if self._address:
            _remote_progress.send_to(self._address, self._id, report)


def execute_parcel(
    content: bytes, dumps: Callable[[object], bytes], latest_start: float | None, address: str = "", run_id: int = 0
) -> Report:
    """Execute a run that arrives as bytes and cannot be cancelled while it runs.

    Args:
        content: The run.
        dumps: Pickles the result.
        latest_start: Latest start of the function, in seconds since the epoch; None means no limit.
        address: Address of the socket for the progress of the run; may be empty.
        run_id: Number of the attempt.
    """
    return execute(_ForeignRun(content, address, run_id), dumps, latest_start)


def place() -> Place:
    """Return the current machine, process and thread."""
    return socket.gethostname(), os.getpid(), threading.current_thread().name


def nothing() -> None:
    """Do nothing: the call of a run that has ended before it was sent."""
