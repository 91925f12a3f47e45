"""A run inside the scheduler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Protocol

import attrs
from typing_extensions import TypeVar, override

from asyncz._run_ids import NO_RUN, run_id_of
from asyncz.events import TaskError, TaskExecuted, TaskNotification
from asyncz.runs import RunClock, TaskRun, complete_run
from asyncz.schedulers._executor_registry import Registration
from asyncz.schedulers._inbox import Inbox
from asyncz.schedulers._run_logging import log_outcome
from asyncz.specs import TaskSpec
from asyncz.tasks import Task

ResultT = TypeVar("ResultT")


class RunOwner(Protocol[ResultT]):
    """Controller of a task, as its runs see it. Invariant, like the runs. For the loop's thread."""

    @property
    def task(self) -> Task[ResultT]:
        """Return the task."""
        ...

    @property
    def run_sink(self) -> RunSink:
        """Return the part of the scheduler that all runs share."""
        ...

    @property
    def removed(self) -> bool:
        """Return True if the task is not registered any more."""
        ...

    def retry_run(self, run: LiveRun[ResultT], failure: TaskError, /) -> bool:
        """Schedule another attempt after a failed one; return False if the failure is the outcome of the run."""
        ...

    def record_outcome(self, outcome: TaskNotification[ResultT], /) -> None:
        """Count and emit the outcome of a run."""
        ...

    def release_run(self, run: LiveRun[ResultT], /) -> None:
        """Free the slot of a run when its work is over."""
        ...

    def refill(self) -> None:
        """Submit runs that wait for a slot."""
        ...

    def retire_if_finished(self) -> None:
        """Remove the task if no run of it can follow."""
        ...


class RunSink(Protocol):
    """Part of a scheduler that all its runs share."""

    @property
    def inbox(self) -> Inbox:
        """Return the inbox of the scheduler."""
        ...

    def report_progress(self, run: LiveRun[ResultT], done: float, total: float | None, message: str, /) -> None:
        """Keep and emit a report of the progress of a run. Thread-safe."""
        ...

    def close_progress(self, run: LiveRun[ResultT], /) -> None:
        """Emit the last report of a run, before its outcome is emitted. For the loop's thread."""
        ...


class LiveRun(TaskRun[ResultT]):
    """A run with its owner and its executor; executors see the `TaskRun` only.

    The inbox holds callables. A live run is callable and completes itself, so that a report needs no closure.

    Attributes:
        owner: Controller of the task.
        registration: Executor of the run, which `Task.modify` does not change.
        released: Whether the executor has reported that the work is over.
    """

    __slots__ = ("owner", "registration", "released")

    def __init__(  # noqa: PLR0917  # called once per run, where keywords take time
        self,
        task: TaskSpec[ResultT],
        scheduled: float,
        context: Context | None,
        clock: RunClock,
        call: Callable[[], ResultT | Awaitable[ResultT]] | None,
        owner: RunOwner[ResultT],
        registration: Registration,
    ) -> None:
        super().__init__(task, scheduled, context, clock.time, call)
        self._clock = clock
        self.released: bool = False
        self.owner: RunOwner[ResultT] = owner
        self.registration: Registration = registration

    @property
    def sink(self) -> RunSink:
        """Part of the scheduler that all its runs share."""
        return self.owner.run_sink

    def __call__(self) -> None:
        """Complete the run with its reported outcome, unless another attempt follows. For the loop's thread."""
        if self._outcome is not None:
            self.complete(self._outcome)

    def complete(self, outcome: TaskNotification[ResultT]) -> None:
        """Complete the run with an outcome, with or without details."""
        owner = self.owner
        try:
            outcome = _with_details(self, outcome)
        except BaseException:
            # Not a notification: something else may still be reported, at the latest by a shutdown.
            self._outcome = None
            raise
        self.sink.close_progress(self)
        if isinstance(outcome, TaskError) and owner.retry_run(self, outcome):
            # Late reports of this attempt are dropped. `done` depends on the outcome that the attempts share.
            self._completed = True
            if self.released:
                owner.release_run(self)
            return
        complete_run(self, outcome)
        try:
            owner.record_outcome(outcome)
        finally:
            if self.released:
                owner.release_run(self)
        if self.sink.inbox.logs_info or not isinstance(outcome, TaskExecuted):
            log_outcome(outcome, self.registration.alias)

    @override
    def report_progress(self, done: float, total: float | None, message: str, /) -> None:
        """Report how much of the work of this run is done. Thread-safe."""
        self.sink.report_progress(self, done, total, message)

    def report(self, outcome: TaskNotification[ResultT]) -> bool:
        """Keep the outcome that an executor reports; return False if there is one. Thread-safe.

        The test and the assignment are one step under the GIL, as nothing is called between them. A free-threaded
        build needs a lock here.
        """
        if self._outcome is not None:
            return False
        self._outcome = outcome
        return True

    def next_attempt(self) -> LiveRun[ResultT]:
        """Return the attempt that follows this one: the same run with the same awaiting coroutines."""
        next_attempt = LiveRun(
            self.task,
            self.scheduled,
            self._context,
            self._clock,
            self.call,
            self.owner,
            self.registration,
        )
        next_attempt._key = self._key
        next_attempt.attempt = self.attempt + 1
        next_attempt._shared_outcome = self.shared_outcome()
        return next_attempt


def _with_details(run: TaskRun[ResultT], outcome: TaskNotification[ResultT]) -> TaskNotification[ResultT]:
    """Return the outcome with the details that the run itself knows, if its executor has left them out."""
    run_id = run_id_of(outcome._details[0]) if isinstance(outcome, TaskExecuted) else outcome.details.run_id
    return attrs.evolve(outcome, details=run.details()) if run_id == NO_RUN else outcome
