"""Forwarding of log records from a worker process to the logging of its parent. Standard library only.

The logging of a worker may be configured in any way and at any time, for example by modules that it imports. So records
are not forwarded by a handler, which a configuration may drop, but by the class `logging.Logger` itself: all records of
enabled levels reach the parent once, and are handled as the parent's logging is configured.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Mapping
from typing import Protocol

from asyncz._running import add_run_fields
from asyncz.executors._remote_records import dump_record, stand_in
from asyncz.executors.process_pool._frames import LOG


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
            content = dump_record(stand_in(record, error))
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
