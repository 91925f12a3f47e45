"""Outcomes of runs: received on any thread, completed on the loop's thread."""

from __future__ import annotations

from functools import partial

import attrs
from typing_extensions import TypeVar

from asyncz.events import TaskError, TaskExecuted, TaskNotification
from asyncz.runs import TaskRun, complete_run
from asyncz.schedulers._live_run import LiveRun
from asyncz.schedulers._progress import ProgressBoard
from asyncz.schedulers._run_logging import log_outcome
from asyncz.schedulers._runtime import Runtime
from asyncz.schedulers._safe_logging import logger

ResultT = TypeVar("ResultT")


class Completion:
    """Notifier that the executors report to.

    `notify`, `released` and `finished` may be called from any thread: they set the outcome of the run and put a call
    into the inbox. Everything else is done by the loop's thread.

    Attributes:
        progress: Progress of the live runs.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._inbox = runtime.inbox
        self.progress: ProgressBoard = ProgressBoard(runtime)

    # From any thread

    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Report the outcome of a run and that its work is over."""
        if isinstance(run, LiveRun) and run.report(notification):
            # Before the run enters the inbox, whose thread reads this.
            run.released = True
            self._inbox.put(run)
        else:
            self._inbox.put(partial(self._reject, run, notification))
            if isinstance(run, LiveRun) and not run.released:
                self.released(run)

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Report the outcome of a run whose work goes on."""
        if isinstance(run, LiveRun) and run.report(notification):
            self._inbox.put(run)
        else:
            self._inbox.put(partial(self._reject, run, notification))

    def released(self, run: TaskRun[ResultT], /) -> None:
        """Report that the work of a run is over."""
        self._inbox.put(partial(self._release, run))

    def report_progress(self, run: LiveRun[ResultT], done: float, total: float | None, message: str, /) -> None:
        """Keep and emit a report of the progress of a run."""
        self.progress.report(run, done, total, message)

    # On the loop's thread

    def complete(self, run: LiveRun[ResultT], /) -> None:
        """Complete a run with its reported outcome, unless another attempt follows."""
        outcome = run._outcome
        if outcome is None:
            return
        try:
            is_usual = type(outcome) is TaskExecuted and outcome._details[0] > 0 and run._shared_outcome is None
        except Exception:
            # Details that are not a tuple of numbers.
            is_usual = False
        if not is_usual:
            self._complete_any(run, outcome)
            return
        # The most frequent outcome, completed as `_complete_any` does.
        run._completed = True
        owner = run.owner
        try:
            owner.record_outcome(run, outcome)
        finally:
            if run.released:
                owner.release_run(run)
        if self._inbox.logs_info:
            log_outcome(outcome, run.registration.alias)

    def _complete_any(self, run: LiveRun[ResultT], outcome: TaskNotification[ResultT]) -> None:
        """Complete a run with any outcome, whose details may be missing."""
        try:
            outcome = _with_details(run, outcome)
        except BaseException:
            # Not a notification: something else may still be reported, at the latest by a shutdown.
            run.discard_report()
            raise
        if self.progress:
            self.progress.close(run)
        if isinstance(outcome, TaskError) and run.owner.retry_run(run, outcome):
            # Late reports of this attempt are dropped. `done` depends on the outcome that the attempts share.
            run._completed = True
            if run.released:
                run.owner.release_run(run)
            return
        self.publish(run, outcome)

    def publish(self, run: LiveRun[ResultT], outcome: TaskNotification[ResultT]) -> None:
        """Make an outcome final, emit it, and free the slot of the run if its work is over."""
        complete_run(run, outcome)
        try:
            run.owner.record_outcome(run, outcome)
        finally:
            if run.released:
                run.owner.release_run(run)
        if self._inbox.logs_info or not isinstance(outcome, TaskExecuted):
            log_outcome(outcome, run.registration.alias)

    def _release(self, run: TaskRun[ResultT]) -> None:
        if not isinstance(run, LiveRun) or run.released:
            logger.error("A second release of a run was rejected: %r", run)
            return
        run.released = True
        if run.outcome is not None:
            run.owner.release_run(run)
        else:
            # The run keeps its slot until its outcome is reported, at the latest by a shutdown.
            logger.error("A run was released before its outcome was reported: %r", run)

    def _reject(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT]) -> None:
        logger.error("A second notification of a run was rejected: %r of %r", notification, run)


def _with_details(run: TaskRun[ResultT], outcome: TaskNotification[ResultT]) -> TaskNotification[ResultT]:
    """Return the outcome with the details that the run itself knows, if its executor has left them out."""
    # The first value is the run id, 0 if it was left out; reading it by name costs several times as much.
    if isinstance(outcome, TaskExecuted):
        return outcome if outcome._details[0] else attrs.evolve(outcome, details=run.details())
    return outcome if outcome.details[0] else attrs.evolve(outcome, details=run.details())
