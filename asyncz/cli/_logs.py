"""Logging of `asyncz run`, as text or JSON lines on standard error."""

from __future__ import annotations

import contextlib
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from typing_extensions import override

from asyncz._text import exception_text, printable, traceback_of
from asyncz.cli._output import json_text
from asyncz.exceptions import InvalidInputError

if TYPE_CHECKING:
    from asyncz.schedulers import AsyncIOScheduler

_LINE_LENGTH = 4000
_EXTRA_PREFIX = "asyncz_"


class LogLevel(StrEnum):
    """The lowest level of the log records that are shown."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class LogFormat(StrEnum):
    """The format of log lines."""

    TEXT = "text"
    JSON = "json"


def configure_logging(level: LogLevel | None, log_format: LogFormat | None) -> None:
    """Add a handler for standard error to the root logger.

    Without a level and a format, logging that the imported modules have configured stays as it is.
    """
    root = logging.getLogger()
    if root.handlers and level is None and log_format is None:
        return
    handler = _StandardErrorHandler()
    handler.setFormatter(_JsonFormatter() if log_format is LogFormat.JSON else _TextFormatter())
    root.addHandler(handler)
    root.setLevel((level or LogLevel.WARNING).upper())


def report_logs(scheduler: AsyncIOScheduler) -> None:
    """Have the log records of stored runs kept in the store, if the scheduler has one."""
    with contextlib.suppress(InvalidInputError):
        logging.getLogger().addHandler(scheduler.store.log_handler)


class _StandardErrorHandler(logging.Handler):
    """Handler that looks up `sys.stderr` for each record: the live table replaces it to print above the table."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


class _TextFormatter(logging.Formatter):
    """Formatter for people: time, level, logger and message; line breaks remain in tracebacks only."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(name)s: %(message)s")

    @override
    def format(self, record: logging.LogRecord) -> str:
        lines = [f"{self.formatTime(record)} {record.levelname:8} {record.name}: {_message(record)}"]
        if record.exc_info and record.exc_info[1] is not None:
            lines += self._traceback(record.exc_info[1]).splitlines()
        return "\n".join(printable(line, _LINE_LENGTH) for line in lines)

    def _traceback(self, error: BaseException) -> str:
        return _traceback_text(self, error)


class _JsonFormatter(logging.Formatter):
    """Formatter for programs: one JSON object for each record, with the fields that asyncz adds to it."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        fields |= {name: value for name, value in vars(record).items() if name.startswith(_EXTRA_PREFIX)}
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = _traceback_text(self, record.exc_info[1])
        return json_text(fields, default=str)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:
        return f"{record.msg!r} cannot be formatted: {exception_text(error)}"


def _traceback_text(formatter: logging.Formatter, error: BaseException) -> str:
    try:
        return formatter.formatException((type(error), error, traceback_of(error)))
    except BaseException:
        return exception_text(error)
