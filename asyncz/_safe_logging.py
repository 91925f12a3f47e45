"""Logger that never raises."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Mapping

from asyncz._text import traceback_of


class SafeLogger:
    """The one place through which asyncz logs: handlers and filters are user code, and must not change a run.

    Args:
        logger: Logger, or its name.
    """

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger | str) -> None:
        self._logger: logging.Logger = logging.getLogger(logger) if isinstance(logger, str) else logger

    def is_enabled_for(self, level: int) -> bool:
        """Return True if records of a level are logged."""
        try:
            return self._logger.isEnabledFor(level)
        except Exception:
            # The class of the logger may be user code.
            return False

    def debug(self, message: str, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at the level DEBUG."""
        self._log(logging.DEBUG, message, args, None, extra)

    def info(self, message: str, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at the level INFO."""
        self._log(logging.INFO, message, args, None, extra)

    def warning(self, message: str, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at the level WARNING."""
        self._log(logging.WARNING, message, args, None, extra)

    def error(
        self,
        message: str,
        *args: object,
        exc_info: BaseException | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        """Log at the level ERROR, with the traceback of `exc_info` if that is given."""
        self._log(logging.ERROR, message, args, exc_info, extra)

    def critical(self, message: str, *args: object, exc_info: BaseException | None = None) -> None:
        """Log at the level CRITICAL, with the traceback of `exc_info` if that is given."""
        self._log(logging.CRITICAL, message, args, exc_info, None)

    def exception(self, message: str, *args: object) -> None:
        """Log at the level ERROR, with the traceback of the exception that is being handled."""
        self._log(logging.ERROR, message, args, sys.exception(), None)

    def _log(
        self,
        level: int,
        message: str,
        args: tuple[object, ...],
        exc_info: BaseException | None,
        extra: Mapping[str, object] | None,
    ) -> None:
        try:
            # A tuple: `logging` would ask an exception for its truth, and for its traceback, which may be user code.
            error = None if exc_info is None else (type(exc_info), exc_info, traceback_of(exc_info))
            self._logger.log(level, message, *args, exc_info=error, extra=extra, stacklevel=3)
        except BaseException as raised:
            if is_interrupt(raised):
                raise
            _print_error()


def is_interrupt(error: BaseException) -> bool:
    """Return True if an exception is an interrupt of the user, which may come at any moment: in the main thread only.

    Code of users may raise the class in other threads too, like any other exception.
    """
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def _print_error() -> None:
    """Print the error of a handler as `logging` does with errors that handlers catch themselves."""
    try:
        if logging.raiseExceptions:
            traceback.print_exc()
    except Exception:  # noqa: S110  # standard error may be closed, and nothing else is left to report to
        pass
