"""Execution of a pickled call and the report of its outcome, in any worker. Standard library only.

The call, its result and its exceptions belong to the user: pickling, unpickling, `repr` and `str` may raise anything.
Every function here that touches them is guarded, so that a run always gets a report.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias
from uuid import UUID

from asyncz._awaitables import is_awaitable
from asyncz._coroutines import await_or_close
from asyncz._text import class_name, type_name
from asyncz.executors._remote_progress import Report, ThrottledReports

RUN_INFO = struct.Struct("!16sIdI")
"""Id of a run, number of the attempt, due time, and length of the id of the task, which follows."""

# Kinds of outcomes.
RESULT, ERROR, CANCELLED, UNLOADABLE, UNPICKLABLE = 13, 14, 15, 16, 19

dumps: Callable[[object], bytes] = partial(pickle.dumps, protocol=pickle.HIGHEST_PROTOCOL)
"""Default pickling of calls and results."""

ErrorReport: TypeAlias = tuple[str, str, str, bytes | None, tuple[str, ...]]
"""An exception's class name, text, traceback, pickled form (None if it cannot be pickled), and names of all classes."""

_MAX_TEXT = 100_000


class SentRun:
    """A run that was sent to a worker, as its function sees it.

    Attributes:
        reports: Reports of its progress; None before the first one.
    """

    # An attribute of the class: most runs never report.
    reports: ThrottledReports | None = None

    def __init__(self, content: bytes | bytearray) -> None:
        self._run_id, self.attempt, self.scheduled, length = RUN_INFO.unpack_from(content)
        start = RUN_INFO.size + length
        self._name = bytes(content[RUN_INFO.size : start])
        self._call: memoryview | None = memoryview(content)[start:]

    @property
    def run_id(self) -> UUID:
        return UUID(bytes=self._run_id)

    @property
    def task_id(self) -> str:
        return self._name.decode("utf-8", "surrogatepass")

    def load(self) -> Callable[[], object]:
        """Unpickle the call, and drop the pickled form."""
        pickled, self._call = self._call, None
        assert pickled is not None
        with pickled:
            call: Callable[[], object] = pickle.loads(pickled)
        return call

    def is_cancelled(self) -> bool:
        """Return True if the function should return; always False where cancellation cannot be signalled."""
        return False

    def report_progress(self, done: float, total: float | None, message: str, /) -> None:
        """Report how much of the work is done. Thread-safe."""
        reports = self.reports
        if reports is None:
            # One step under the GIL: two threads that report first use the same object.
            reports = self.__dict__.setdefault("reports", ThrottledReports(self.send_progress))
        reports.report((done, total, message))

    def send_progress(self, report: Report, /) -> None:
        """Send a report to the parent; does nothing where reports cannot be sent."""


def safe_text(make: Callable[[], str], fallback: str = "") -> str:
    """Return a text that user code makes, or a fallback if that raises."""
    try:
        text = make()
        # A subclass of str is user code as well.
        text = text if type(text) is str else str.__str__(text)
    except BaseException as error:
        return f"{fallback}<text not available: {type_name(error)}>"
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


def safe_repr(value: object) -> str:
    """Return `repr(value)`, or the class name if that raises."""
    return safe_text(lambda: repr(value), f"{type_name(value)} ")


def safe_str(error: BaseException) -> str:
    """Return `str(error)`, or a replacement if that raises."""
    return safe_text(lambda: str(error))


def class_names(error: BaseException) -> tuple[str, ...]:
    """Return the names of an exception's class and of its base classes, the class first."""
    return tuple(safe_text(partial(class_name, cls), "class ") for cls in type(error).__mro__)


def execute(
    load: Callable[[], Callable[[], object]],
    await_outcome: Callable[[Awaitable[object]], object],
    dumps: Callable[[object], bytes],
) -> tuple[int, bytes]:
    """Load and make a call, and return the kind and the report of its outcome. Never raises.

    Args:
        load: Returns the call.
        await_outcome: Awaits an awaitable that the call returned.
        dumps: Pickles the result or the exception.
    """
    try:
        call = load()
    except BaseException as error:
        return UNLOADABLE, report_of(error, dumps)
    try:
        outcome = call()
        if is_awaitable(outcome):
            outcome = await_or_close(outcome, partial(await_outcome, outcome))
    except asyncio.CancelledError:
        return CANCELLED, b""
    except BaseException as error:
        return ERROR, report_of(error, dumps)
    try:
        return RESULT, dumps(outcome)
    except BaseException as error:
        return UNPICKLABLE, pickle.dumps((_shortened(safe_repr(type(outcome))), safe_repr(error)))


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def report_of(error: BaseException, dumps: Callable[[object], bytes]) -> bytes:
    """Return the `ErrorReport` of an exception, pickled. Never raises an `Exception` of the user's code."""
    text = safe_text(lambda: "".join(traceback.format_exception(error)), "Traceback ")
    pickled: bytes | None
    try:
        pickled = dumps(error)
        pickle.loads(pickled)
    except BaseException:
        pickled = None
    names = class_names(error)
    report: ErrorReport = (names[0], safe_str(error), text, pickled, names)
    return pickle.dumps(report)
