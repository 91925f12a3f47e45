"""Log records of runs in a worker of a Dask cluster, on their way to the logging of the scheduler's process.

The worker belongs to the user, and its logging stays as it is. A handler would change it: `logging.basicConfig` does
nothing if the root logger has one. So the class `logging.Logger` itself forwards the records that a run logs. Records
of threads that a function starts, of levels that are not enabled in the worker, and of Dask are not forwarded.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from contextvars import Context
from typing import Protocol, runtime_checkable

from asyncz._running import add_run_fields, running_run
from asyncz.executors._remote_records import dump_record, stand_in

MAX_RECORDS = 1_000
"""Maximum number of records of an attempt that are forwarded."""

MAX_SIZE = 32_768
"""Maximum size of a forwarded record in bytes: the scheduler of the cluster keeps the last 1,000 events of a topic."""

_SHORT = 2_000
_lock = threading.Lock()
_installed: list[object] = []


@runtime_checkable
class ForwardingRun(Protocol):
    """Run in progress whose records are forwarded.

    Attributes:
        records: Number of records that were forwarded.
    """

    records: int

    def send_record(self, content: bytes, /) -> None:
        """Send a record to the process of the scheduler."""
        ...


def forward_records() -> None:
    """Forward the records of runs from now on, besides calling handlers. Repeated calls change nothing. Thread-safe."""
    with _lock:
        if _installed:
            return
        call_handlers = logging.Logger.callHandlers

        def forward(logger: logging.Logger, record: logging.LogRecord) -> None:
            run: object = running_run.get(None)
            if isinstance(run, ForwardingRun):
                add_run_fields(record)
                # Sending may log, and must not forward that.
                Context().run(_forward, run, record)
            call_handlers(logger, record)

        setattr(logging.Logger, "callHandlers", forward)  # noqa: B010  # the type of the method differs
        _installed.append(forward)


def _forward(run: ForwardingRun, record: logging.LogRecord) -> None:
    # Two threads of a run may count one record less: the limit need not be exact.
    run.records += 1
    if run.records > MAX_RECORDS + 1:
        return
    # A record that cannot be sent must not fail the run.
    with contextlib.suppress(Exception):
        run.send_record(_content_of(record if run.records <= MAX_RECORDS else _last_record(record)))


def _content_of(record: logging.LogRecord) -> bytes:
    try:
        content = dump_record(record)
    except BaseException as error:
        return dump_record(stand_in(record, error))
    return content if len(content) <= MAX_SIZE else dump_record(_shortened(record))


def _shortened(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record with the begin of a long message, the end of a long traceback, and no other fields."""
    short = logging.LogRecord(record.name, record.levelno, "", 0, f"{record.getMessage()[:_SHORT]}…", None, None)
    if record.exc_info:
        short.exc_text = f"…{logging.Formatter().formatException(record.exc_info)[-_SHORT:]}"
    _copy_run_fields(record, short)
    return short


def _last_record(record: logging.LogRecord) -> logging.LogRecord:
    text = f"The log records of this attempt after the first {MAX_RECORDS} are not forwarded"
    last = logging.LogRecord("asyncz.executors", logging.WARNING, "", 0, text, None, None)
    _copy_run_fields(record, last)
    return last


def _copy_run_fields(record: logging.LogRecord, target: logging.LogRecord) -> None:
    target.created = record.created
    target.__dict__.update({name: value for name, value in vars(record).items() if name.startswith("asyncz_")})
