"""Forwarding of log records from a worker process to the logging of its parent. Standard library only.

The logging of a worker may be configured in any way and at any time, for example by modules that it imports. So records
are not forwarded by a handler, which a configuration may drop, but by the class `logging.Logger` itself: all records of
enabled levels reach the parent once, and are handled as the parent's logging is configured.
"""

from __future__ import annotations

import contextlib
import io
import logging
import pickle
from collections.abc import Mapping
from typing import Protocol

from asyncz._running import add_run_fields
from asyncz._text import type_name
from asyncz.executors._remote_call import safe_repr, safe_str, safe_text
from asyncz.executors.process_pool._frames import LOG

_TEXT_FIELDS = frozenset({"name", "levelname", "pathname", "filename", "module", "funcName", "threadName"})
_NUMBER_FIELDS = frozenset({"levelno", "lineno", "created", "msecs", "relativeCreated", "thread", "process"})
_OPTIONAL_TEXT_FIELDS = frozenset({"exc_text", "stack_info", "processName", "taskName"})
_DROPPED_FIELDS = frozenset({"msg", "args", "exc_info", "message"})
_KNOWN_FIELDS = _TEXT_FIELDS | _NUMBER_FIELDS | _OPTIONAL_TEXT_FIELDS | _DROPPED_FIELDS
_PLAIN_CLASSES = frozenset({bool, bytes, float, int, str, type(None)})


class Channel(Protocol):
    """The part of the channel to the parent that forwards records."""

    closed: bool

    def send(self, kind: int, run_id: int = 0, content: bytes = b"") -> None: ...


def log_levels() -> dict[str, int]:
    """Return the levels of the current loggers by name; the root logger's name is empty."""
    levels = {"": logging.getLogger().level}
    for name, known in list(logging.Logger.manager.loggerDict.items()):
        if isinstance(known, logging.Logger) and known.level != logging.NOTSET:
            levels[name] = known.level
    return levels


def set_levels(levels: Mapping[str, int]) -> None:
    """Set the levels of loggers by name."""
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def forward_records(channel: Channel) -> None:
    """Send the records of all loggers to the parent from now on, instead of calling handlers."""
    call_handlers = logging.Logger.callHandlers
    # A fork has copied the handlers of the parent. A process that a function forks must not call them.
    for name in list(logging.Logger.manager.loggerDict):
        logging.getLogger(name).handlers.clear()
    logging.getLogger().handlers.clear()

    def forward(logger: logging.Logger, record: logging.LogRecord) -> None:
        if channel.closed:
            # A process that a function has forked does not belong to the pool.
            call_handlers(logger, record)
            return
        add_run_fields(record)
        _call_capturing_handlers(logger, record)
        try:
            content = dump_record(record)
        except BaseException as error:
            content = dump_record(_stand_in(record, error))
        with contextlib.suppress(OSError):
            channel.send(LOG, 0, content)

    # `dictConfig` disables the loggers that exist, which are other ones in the parent. There it decides.
    enabled = property(lambda _: False, lambda _, __: None)
    setattr(logging.Logger, "callHandlers", forward)  # noqa: B010  # the type of the method differs
    setattr(logging.Logger, "disabled", enabled)  # noqa: B010  # the type of the attribute differs


def _call_capturing_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
    """Call handlers that write to memory: the function reads them itself."""
    current: logging.Logger | None = logger
    while current is not None:
        for handler in current.handlers:
            captures = isinstance(getattr(handler, "stream", None), io.StringIO)
            if captures and record.levelno >= handler.level:
                handler.handle(record)
        current = current.parent if current.propagate else None


def _stand_in(record: logging.LogRecord, error: BaseException) -> logging.LogRecord:
    """Return a record in place of one that cannot be sent."""
    text = f"{safe_text(lambda: f'{record.msg}')} <log record not available: {type_name(error)}>"
    return logging.LogRecord(f"{record.name}", record.levelno, "", 0, text, None, None)


def dump_record(record: logging.LogRecord) -> bytes:
    """Return a record as bytes: its message and built-in fields as text and numbers, each other field by itself."""
    values = record.__dict__
    plain: dict[str, object] = {"msg": _message_of(record), "args": None, "exc_info": None}
    plain.update((name, f"{values[name]}") for name in _TEXT_FIELDS & values.keys())
    plain.update((name, _number(values[name])) for name in _NUMBER_FIELDS & values.keys())
    for name in _OPTIONAL_TEXT_FIELDS & values.keys():
        plain[name] = None if values[name] is None else f"{values[name]}"
    if record.exc_info and not plain.get("exc_text"):
        plain["exc_text"] = safe_text(lambda: _format_exception(record), "Traceback ")
    extra = {
        name: value
        for name, value in ((name, _dump_extra(values[name])) for name in values.keys() - _KNOWN_FIELDS)
        if value is not None
    }
    return pickle.dumps((plain, extra))


def _message_of(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
        return message if type(message) is str else f"{message}"
    except Exception as error:
        return f"{safe_repr(record.msg)} <arguments do not fit: {safe_str(error)}>"


def _format_exception(record: logging.LogRecord) -> str:
    assert record.exc_info
    return logging.Formatter().formatException(record.exc_info)


def _number(value: object) -> int | float | None:
    # The sum is of the built-in class, whatever the class of the value.
    return value + 0 if isinstance(value, int | float) else None


def _dump_extra(value: object) -> bytes | None:
    try:
        return pickle.dumps(value)
    except BaseException:
        return pickle.dumps(safe_repr(value)) if type(value) in _PLAIN_CLASSES else None


def load_record(content: bytes | bytearray) -> logging.LogRecord:
    """Return the record that a worker sent. Calls user code for fields of the user's own classes."""
    plain, extra = pickle.loads(content)
    record = logging.makeLogRecord(plain)
    for name, pickled in extra.items():
        with contextlib.suppress(BaseException):
            record.__dict__[name] = pickle.loads(pickled)
    return record


def handle_record(content: bytes | bytearray) -> None:
    """Handle the record of a worker as the logging of this process is configured. Calls user code."""
    record = load_record(content)
    target = logging.getLogger(record.name)
    if target.isEnabledFor(record.levelno):
        target.handle(record)
