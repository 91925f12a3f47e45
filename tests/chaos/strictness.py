"""Record of everything that Python would only print: exceptions and warnings without a caller to receive them."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import Generator
from contextlib import contextmanager

from typing_extensions import override


class _Recorder(logging.Handler):
    """Log handler that adds the messages of asyncio to a list, such as exceptions that were never retrieved."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    @override
    def emit(self, record: logging.LogRecord) -> None:
        error = "" if record.exc_info is None else "".join(traceback.format_exception(record.exc_info[1]))
        self._found.append(f"{record.name}: {record.getMessage()} {error}".rstrip())


@contextmanager
def strictness() -> Generator[list[str]]:
    """Raise warnings as errors, and collect the exceptions that no caller receives.

    Examples are coroutines that were never awaited, resources that were never closed, finalizers and threads that fail.
    The list is complete after the context.
    """
    found: list[str] = []
    before = sys.unraisablehook, threading.excepthook

    def on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
        # Imports nothing and opens nothing: descriptors may be missing.
        found.append(f"{unraisable.err_msg or 'ignored'} in {unraisable.object!r}: {unraisable.exc_value!r}")

    def on_thread_error(arguments: threading.ExceptHookArgs) -> None:
        found.append(f"in {arguments.thread}: {arguments.exc_value!r}")

    recorder = _Recorder(found)
    logging.getLogger("asyncio").addHandler(recorder)
    sys.unraisablehook, threading.excepthook = on_unraisable, on_thread_error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield found
            gc.collect()
    finally:
        sys.unraisablehook, threading.excepthook = before
        logging.getLogger("asyncio").removeHandler(recorder)
