"""Progress of runs: reported on any thread, emitted on the loop's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from typing_extensions import TypeVar

from asyncz.events import RunDetails, TaskProgress, fraction_of
from asyncz.protocols import Timer
from asyncz.schedulers._live_run import LiveRun
from asyncz.schedulers._runtime import Runtime
from asyncz.tasks import Task, progress_listeners

if TYPE_CHECKING:
    from asyncz.states import RunProgress

ResultT = TypeVar("ResultT")

_Report = tuple[float, float | None, str]

INTERVAL = 0.1
"""Minimum seconds between two events of a run, by the clock of the scheduler."""


class _Owner(Protocol):
    @property
    def task(self) -> Task[object]: ...


class _Run(Protocol):
    """A `LiveRun` of any type."""

    _completed: bool

    @property
    def owner(self) -> _Owner: ...

    @property
    def task_id(self) -> str: ...

    def details(self) -> RunDetails: ...

    def shared_outcome(self) -> object: ...


class ProgressBoard:
    """Latest reports of the live runs that have reported; runs that never report cost nothing.

    `report` and `latest` may be called from any thread, `close` on the loop's thread only.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        # By the id of the attempt.
        self._reports: dict[int, _RunReports] = {}

    def __bool__(self) -> bool:
        """Return True if a live run has reported."""
        return bool(self._reports)

    def report(self, run: LiveRun[ResultT], done: float, total: float | None, message: str) -> None:
        """Keep a report, and have it emitted unless an emission is due already. Late reports are dropped."""
        if run._outcome is not None:
            return
        reports = self._reports.get(run.id)
        if reports is None:
            # One step under the GIL: of two threads that report first, both use the same object.
            reports = self._reports.setdefault(run.id, _RunReports(self._runtime, run, self._reports, run.id))
        reports.latest = (done, total, message)
        # This thread sets `latest` and then reads `is_due`; the loop clears `is_due` and then reads `latest`. In either
        # order of the two threads, one of them sees the change of the other: the latest report is always emitted.
        if not reports.is_due:
            reports.is_due = True
            self._runtime.inbox.put(reports.emit)

    def latest(self, runs: Sequence[LiveRun[ResultT]]) -> RunProgress | None:
        """Return the latest report of the last one of the runs that have reported; None if none has."""
        if not self._reports:
            return None
        from asyncz.states import RunProgress

        for run in reversed(runs):
            reports = self._reports.get(run.id)
            if reports is not None:
                done, total, message = reports.latest
                fraction = fraction_of(done, total)
                return RunProgress(run_id=run.run_id, done=done, total=total, message=message, fraction=fraction)
        return None

    def close(self, run: LiveRun[ResultT]) -> None:
        """Emit the last report of a run, before its outcome is emitted, and forget the run."""
        reports = self._reports.pop(run.id, None)
        if reports is not None:
            reports.close()


class _RunReports:
    """Reports of one attempt of a run. For the loop's thread, except for the two attributes.

    Attributes:
        latest: Latest report.
        is_due: True if the loop is going to emit `latest`.
    """

    __slots__ = ("_emitted", "_forget", "_is_closed", "_run", "_runtime", "_timer", "is_due", "latest")

    def __init__(self, runtime: Runtime, run: _Run, board: dict[int, _RunReports], key: int) -> None:
        self._runtime = runtime
        self._run = run
        self._forget: Callable[[], object] = lambda: board.pop(key, None)
        self._emitted: _Report | None = None
        self._timer: Timer | None = None
        self._is_closed = False
        self.is_due: bool = False
        self.latest: _Report = (0.0, None, "")

    def emit(self) -> None:
        """Emit the latest report, and emit a later one after the interval."""
        run = self._run
        if self._is_closed or run._completed:
            # The report came while the outcome was on its way.
            self._forget()
            return
        # `Completion` closes the reports of runs that have this object, and asks nothing for all others.
        run.shared_outcome()
        self._emit_latest()
        self._timer = self._runtime.clock.call_later(INTERVAL, self._emit_if_due)

    def close(self) -> None:
        """Emit the report that was held back, and stop emitting."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self.latest is not self._emitted:
            self._emit_latest()

    def _emit_if_due(self) -> None:
        self._timer = None
        if self.latest is self._emitted:
            self.is_due = False
            if self.latest is self._emitted:
                return
            # A report came between the two comparisons: it may or may not have put a call into the inbox.
            self.is_due = True
        self.emit()

    def _emit_latest(self) -> None:
        run, self._emitted = self._run, self.latest
        done, total, message = self._emitted
        details = run.details()._replace(finished=None)
        event = TaskProgress(run.task_id, done, total, message, details=details)
        self._runtime.dispatcher.emit(event, progress_listeners(run.owner.task))
