"""Log records on their way from a worker to the logging of its parent. Standard library only."""

from __future__ import annotations

import contextlib
import logging
import pickle

from asyncz._text import type_name
from asyncz.executors._remote_call import safe_repr, safe_str, safe_text

_TEXT_FIELDS = frozenset({"name", "levelname", "pathname", "filename", "module", "funcName", "threadName"})
_NUMBER_FIELDS = frozenset({"levelno", "lineno", "created", "msecs", "relativeCreated", "thread", "process"})
_OPTIONAL_TEXT_FIELDS = frozenset({"exc_text", "stack_info", "processName", "taskName"})
_DROPPED_FIELDS = frozenset({"msg", "args", "exc_info", "message"})
_KNOWN_FIELDS = _TEXT_FIELDS | _NUMBER_FIELDS | _OPTIONAL_TEXT_FIELDS | _DROPPED_FIELDS
_PLAIN_CLASSES = frozenset({bool, bytes, float, int, str, type(None)})


def stand_in(record: logging.LogRecord, error: BaseException) -> logging.LogRecord:
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
