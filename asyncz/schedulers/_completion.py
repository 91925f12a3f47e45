"""Outcomes of runs: received on any thread, completed on the loop's thread."""

from __future__ import annotations

from functools import partial

from typing_extensions import TypeVar

from asyncz.events import TaskNotification
from asyncz.runs import TaskRun
from asyncz.schedulers._inbox import Inbox
from asyncz.schedulers._live_run import LiveRun
from asyncz.schedulers._progress import ProgressBoard
from asyncz.schedulers._runtime import Runtime
from asyncz.schedulers._safe_logging import logger

ResultT = TypeVar("ResultT")


class Completion:
    """Notifier that the executors report to.

    `notify`, `released` and `finished` may be called from any thread: they set the outcome of the run and put a call
    into the inbox. Everything else is done by the loop's thread.

    Attributes:
        inbox: Inbox of the scheduler.
        progress: Progress of the live runs.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.inbox: Inbox = runtime.inbox
        self.progress: ProgressBoard = ProgressBoard(runtime)

    # From any thread

    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Report the outcome of a run and that its work is over."""
        if isinstance(run, LiveRun) and run.report(notification):
            # Before the run enters the inbox: the thread of the inbox reads this.
            run.released = True
            self.inbox.put(run)
        else:
            self.inbox.put(partial(self._reject, run, notification))
            if isinstance(run, LiveRun) and not run.released:
                self.released(run)

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Report the outcome of a run while its work continues."""
        if isinstance(run, LiveRun) and run.report(notification):
            self.inbox.put(run)
        else:
            self.inbox.put(partial(self._reject, run, notification))

    def released(self, run: TaskRun[ResultT], /) -> None:
        """Report that the work of a run is over."""
        self.inbox.put(partial(self._release, run))

    def report_progress(self, run: LiveRun[ResultT], done: float, total: float | None, message: str, /) -> None:
        """Keep and emit a report of the progress of a run."""
        self.progress.report(run, done, total, message)

    # On the loop's thread

    def close_progress(self, run: LiveRun[ResultT], /) -> None:
        """Emit the last report of a run, before its outcome is emitted."""
        if self.progress:
            self.progress.close(run)

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
