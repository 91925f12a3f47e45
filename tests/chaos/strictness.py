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
from types import TracebackType

from typing_extensions import override

_FOREIGN = ("/distributed/", "/tornado/")


def is_foreign(error: BaseException | None) -> bool:
    """Return True if an `OSError` or a failed assertion was raised by `distributed` or tornado, called by themselves.

    The storm takes file descriptors from the whole process, and a local Dask cluster has its scheduler there: some of
    its periodic callbacks fail then. No frame of asyncz is involved.
    """
    if not isinstance(error, OSError | AssertionError):
        return False
    files: list[str] = []
    entry: TracebackType | None = error.__traceback__
    while entry is not None:
        files.append(entry.tb_frame.f_code.co_filename)
        entry = entry.tb_next
    return any(part in file for file in files for part in _FOREIGN) and not any("/asyncz/" in file for file in files)


class _Recorder(logging.Handler):
    """Log handler that adds the messages of asyncio to a list, such as exceptions that were never retrieved."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and is_foreign(record.exc_info[1]):
            return
        error = "" if not record.exc_info else "".join(traceback.format_exception(record.exc_info[1]))
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
        if is_foreign(unraisable.exc_value):
            return
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
