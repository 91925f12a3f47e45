"""Fields of log records that name the run that logs."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from typing import NamedTuple
from uuid import UUID
from weakref import WeakValueDictionary

from typing_extensions import override

from asyncz._run_ids import parsed_run_id
from asyncz._running import add_run_fields
from asyncz._text import raw_exception_text, shortened
from asyncz.clock import utc


class RunFields(logging.Filter):
    """Filter that gives each record the fields `asyncz_task`, `asyncz_run` and `asyncz_attempt` of the current run.

    A record outside of a run gets `""` for each of them. Records of the scheduler and of worker processes bring fields
    of their own, which stay. `asyncz_executor` and `asyncz_duration`, which only records of the scheduler have, are
    `""` in the others, so that a format may contain all five.
    `asyncz_trace` and `asyncz_span`, the ids of the current span, are `""` unless the run is traced; see `asyncz.otel`.
    """

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Add the fields; every record passes."""
        add_run_fields(record)
        # Not None: an exporter warns of it, by a record that passes here again, without end.
        values = record.__dict__
        values.setdefault("asyncz_task", "")
        values.setdefault("asyncz_run", "")
        values.setdefault("asyncz_attempt", "")
        values.setdefault("asyncz_executor", "")
        values.setdefault("asyncz_duration", "")
        values.setdefault("asyncz_trace", "")
        values.setdefault("asyncz_span", "")
        return True


class SeenRecords:
    """Log records that a handler has received: a handler of a logger and of a parent of that receives each one twice.

    Nothing is kept in a record, which other handlers export and which is pickled for other processes. `emit` holds the
    lock of its handler, so that the calls of one handler follow each other.
    """

    def __init__(self) -> None:
        # By their ids, as a class of users may define `__eq__`. An entry ends with its record, before an id is reused.
        self._seen: WeakValueDictionary[int, logging.LogRecord] = WeakValueDictionary()

    def add(self, record: logging.LogRecord) -> bool:
        """Add a record; return False if it was added before."""
        if self._seen.get(id(record)) is record:
            return False
        self._seen[id(record)] = record
        return True


class RunRecordHandler(logging.Handler, ABC):
    """Base class of handlers that keep the log records of runs, each record once."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = SeenRecords()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record, if a run has logged it."""
        # Not `RunFields`: formats of other handlers do not need the fields of this one.
        add_run_fields(record)
        text: object = getattr(record, "asyncz_run", None)
        run_id = parsed_run_id(text) if isinstance(text, str) else None
        if run_id is not None and self._seen.add(record):
            self.keep(run_id, record)

    @abstractmethod
    def keep(self, run_id: UUID, record: logging.LogRecord) -> None:
        """Keep a record of a run. Called under the lock of the handler."""


class LoggedTexts(NamedTuple):
    """Time and texts of a log record.

    Attributes:
        at: Time of the record, in seconds since the epoch; the current time if the record has an invalid one.
        level: Name of the level.
        logger: Name of the logger.
        message: Message, with all its characters.
    """

    at: float
    level: str
    logger: str
    message: str


def logged_texts(record: logging.LogRecord, length: int) -> LoggedTexts:
    """Return the time and the texts of a log record.

    Args:
        record: The record.
        length: Maximum number of characters of the message.
    """
    try:
        message = record.getMessage()
    except Exception as error:
        message = f"a message that cannot be formatted: {raw_exception_text(error)}"
    try:
        at = utc(record.created).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        at = time.time()
    return LoggedTexts(at, f"{record.levelname}", f"{record.name}", shortened(message, length))


def install_log_fields(handler: logging.Handler | None = None) -> None:
    """Name the run in each record that a function of a task logs, in worker processes of a process pool too.

    Call this after logging is configured: if the root logger has no handlers yet, nothing changes. Formats can then
    contain `%(asyncz_task)s`, `%(asyncz_run)s` and `%(asyncz_attempt)s`, and `%(asyncz_executor)s` and
    `%(asyncz_duration)s`, which records of functions leave empty.
    Repeated calls change nothing. Thread-safe.

    Args:
        handler: Handler of the records; by default all handlers of the root logger.

    Example:
        >>> logging.basicConfig(format="%(asctime)s %(asyncz_task)s %(asyncz_run)s %(message)s")
        >>> install_log_fields()
    """
    for each in (handler,) if handler is not None else tuple(logging.getLogger().handlers):
        if not any(isinstance(known, RunFields) for known in each.filters):
            each.addFilter(RunFields())
