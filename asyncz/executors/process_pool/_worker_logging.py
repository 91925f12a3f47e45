"""Log records of a worker process, on their way to the parent. Standard library only."""

from __future__ import annotations

import logging
import pickle
from typing import TYPE_CHECKING, Protocol

from asyncz.executors.process_pool._frames import LOG

if TYPE_CHECKING:
    from typing_extensions import override
else:
    # Importing it costs more than all the rest of this module.
    def override(method: object) -> object:
        return method


class Channel(Protocol):
    """The part of the channel to the parent that forwards records."""

    closed: bool

    def send(self, kind: int, number: int = 0, content: bytes = b"") -> None: ...


class ForwardingHandler(logging.Handler):
    """Sends log records to the parent, at once, so that they arrive even if the worker is killed then."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if self._channel.closed:
            if logging.lastResort is not None:
                logging.lastResort.handle(record)
            return
        try:
            fields = dict(record.__dict__)
            fields["msg"], fields["args"] = record.getMessage(), None
            if record.exc_info:
                fields["exc_text"] = record.exc_text or logging.Formatter().formatException(record.exc_info)
            fields["exc_info"] = None
            self._channel.send(LOG, 0, pickle.dumps(fields))
        except Exception:
            self.handleError(record)


class RootLogger(logging.RootLogger):
    """A root logger that keeps sending records to the parent, whatever the logging is configured to."""

    @override
    def removeHandler(self, hdlr: logging.Handler) -> None:  # noqa: N802  # the name in `logging`
        if not isinstance(hdlr, ForwardingHandler):
            super().removeHandler(hdlr)
