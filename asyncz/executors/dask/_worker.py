"""Runs in a worker of a Dask cluster, and their cancellation.

The module imports only the standard library and modules that every Dask worker has loaded.
"""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from typing_extensions import override

from asyncz._coroutines import CoroutineCall, run_in_new_loop
from asyncz.executors import _remote_call, _remote_worker
from asyncz.executors._remote_progress import Report
from asyncz.executors.dask import _worker_logging

Parcel: TypeAlias = tuple[str, bytes, float | None, str, bool, bool]
"""Key of a run, its call, its latest start, the topic of its events, and two flags: an event announces its start; Dask
may execute it again."""

KEY_MARKER = "-asyncz-"
"""Part of the keys of all runs."""

PROGRESS = "progress"
"""First part of the event that reports the progress of a run."""

RECORD = "record"
"""First part of the event that forwards a log record of a run."""

local_topics: set[str] = set()
"""Topics of the executors of this process, whose runs in this process log to its own handlers."""

_CANCELLED_KEYS_KEPT = 10_000

_lock = threading.Lock()
# Functions that cancel the runs of this worker; None for a plain function, which cannot be stopped.
_running: dict[str, Callable[[], object] | None] = {}
# A run may be cancelled before it arrives here.
_cancelled: dict[str, None] = {}


class RetryableFailure(Exception):  # noqa: N818  # a signal to Dask, which then tries again
    """Failure of a run that Dask may execute again."""

    def __init__(self, report: _remote_worker.Report) -> None:
        super().__init__(report)
        self.report = report


def dumps(value: object) -> bytes:
    """Pickle as Dask does: by value if pickle cannot, or if other processes would not find the object."""
    # Installed with Dask; not needed to import the class of the executor.
    import cloudpickle

    if not cloudpickle.list_registry_pickle_by_value():
        try:
            plain = _remote_call.dumps(value)
        except Exception:
            return cloudpickle.dumps(value)
        if b"__main__" not in plain:
            return plain
    return cloudpickle.dumps(value)


class _Run(_remote_call.SentRun):
    """A run on the cluster that can be cancelled."""

    def __init__(self, key: str, content: bytes, log_event: Callable[[list[object]], object]) -> None:
        super().__init__(content)
        self._key = key
        self._log_event = log_event

    @override
    def is_cancelled(self) -> bool:
        return self._key in _cancelled

    @override
    def send_progress(self, report: Report, /) -> None:
        self._log_event([PROGRESS, self._key, *report])


class _ForwardingRun(_Run):
    """A run in another process than that of its scheduler.

    Attributes:
        records: Number of log records that were forwarded.
    """

    records = 0

    def send_record(self, content: bytes, /) -> None:
        """Send a log record to the process of the scheduler."""
        self._log_event([RECORD, self._key, content])


def execute(packed: bytes) -> bytes:
    """Execute the call of a parcel in the current thread, unless the run was cancelled.

    Returns:
        The pickled report; Dask would take a tuple apart.

    Raises:
        RetryableFailure: The run failed, and Dask may execute it again.
    """
    parcel: Parcel = pickle.loads(packed)
    key, content, latest_start, topic, announces_start, may_repeat = parcel
    with _lock:
        if key in _cancelled:
            return pickle.dumps((_remote_call.CANCELLED, b"", None, _remote_worker.worker_address()))
        _running[key] = None
    try:
        log_event = _event_log(topic)
        if announces_start:
            log_event([key, *_remote_worker.worker_address()])
        run = _run_of(key, content, topic, log_event)
        report = _remote_worker.execute(run, dumps, latest_start, partial(_await_outcome, key))
    finally:
        with _lock:
            del _running[key]
    if may_repeat and report[0] in {_remote_call.ERROR, _remote_call.UNLOADABLE, _remote_call.UNPICKLABLE}:
        raise RetryableFailure(report)
    return pickle.dumps(report)


def _run_of(key: str, content: bytes, topic: str, log_event: Callable[[list[object]], object]) -> _Run:
    if topic in local_topics:
        return _Run(key, content, log_event)
    _worker_logging.forward_records()
    return _ForwardingRun(key, content, log_event)


def cancel(keys: list[str]) -> list[str]:
    """Cancel runs: coroutines that are running here, and runs that have not arrived yet.

    Returns:
        The keys of the runs that are running here.
    """
    with _lock:
        _cancelled.update(dict.fromkeys(keys))
        while len(_cancelled) > _CANCELLED_KEYS_KEPT:
            del _cancelled[next(iter(_cancelled))]
        running_here = [key for key in keys if key in _running]
        for key in running_here:
            cancel_coroutine = _running[key]
            if cancel_coroutine is not None:
                cancel_coroutine()
    return running_here


def _event_log(topic: str) -> Callable[[list[object]], object]:
    """Return a function that logs an event of the current worker, which other threads cannot look up."""
    from distributed.worker import get_worker

    return partial(get_worker().log_event, topic)


def _await_outcome(key: str, awaitable: Awaitable[object]) -> object:
    call = CoroutineCall(awaitable)
    with _lock:
        if key in _cancelled:
            raise asyncio.CancelledError
        _running[key] = call.cancel
    try:
        return run_in_new_loop(call)
    finally:
        with _lock:
            _running[key] = None
