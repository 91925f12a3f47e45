"""Execution of a run in a worker of a pool or cluster that belongs to the user. Standard library only."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import socket
import sys
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

_END_DELAY = 0.05
_WATCH_INTERVAL = 1.0

WorkerAddress: TypeAlias = tuple[str, int, str]
"""Machine, process id and thread of a worker."""

Report: TypeAlias = tuple[int, bytes, float | None, WorkerAddress]
"""Kind and content of an outcome, start of the function in seconds since the epoch, and the worker."""


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
        return MISSED, b"", None, worker_address()
    token = running_run.set(run)
    try:
        kind, report = _remote_call.execute(run.load, await_outcome or await_in_new_loop, dumps)
    finally:
        running_run.reset(token)
        if run.reports is not None:
            run.reports.close()
    return kind, report, started, worker_address()


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


def execute_parcel(  # noqa: PLR0917  # pools pass positional arguments to each function
    content: bytes,
    dumps: Callable[[object], bytes],
    latest_start: float | None,
    address: str = "",
    run_id: int = 0,
    program: int = 0,
) -> Report:
    """Execute a run that arrives as bytes and cannot be cancelled while it runs.

    Args:
        content: The run.
        dumps: Pickles the result.
        latest_start: Latest start of the function, in seconds since the epoch; None means no limit.
        address: Address of the socket for the progress of the run; may be empty.
        run_id: Number of the attempt.
        program: Process of the executor, after whose death this one ends; 0 means that it continues.
    """
    run = _ForeignRun(content, address, run_id)
    _running.add(run)
    _end_with(program)
    try:
        return execute(run, dumps, latest_start)
    finally:
        _running.discard(run)


_running: set[_ForeignRun] = set()
_watching_process = 0


def _end_with(program: int) -> None:
    """End this process after the death of the process that has started it, if that is the program of the executor.

    Workers of the standard library's pool wait for ever then: each holds both ends of their queue. A function continues
    to its end before.
    """
    global _watching_process
    parent = multiprocessing.parent_process()
    # A worker that was forked has a copy of this module, but not the thread. Two threads may both start one.
    if parent is None or parent.pid != program or _watching_process == os.getpid():
        return
    _watching_process = os.getpid()
    watch = threading.Thread(target=_end_after, args=(parent.sentinel, program), name="asyncz-lifeline", daemon=True)
    try:
        watch.start()
    except RuntimeError:
        # The system refuses another thread: the next run tries again.
        _watching_process = 0


def _end_after(sentinel: int, program: int) -> None:
    # The sentinel is not enough: workers that were forked later hold the other end of its pipe. The parent is not
    # enough either: that of a worker of a fork server is the server.
    is_child = os.getppid() == program
    while not multiprocessing.connection.wait([sentinel], _WATCH_INTERVAL):
        if is_child and os.getppid() != program:
            break
    while _running:
        time.sleep(_END_DELAY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(0)


def worker_address() -> WorkerAddress:
    """Return the machine, process and thread of this call."""
    return socket.gethostname(), os.getpid(), threading.current_thread().name


def nothing() -> None:
    """Do nothing: the call of a run that has ended before it was sent."""
