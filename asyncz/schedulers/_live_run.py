"""A run inside the scheduler."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Protocol

from typing_extensions import TypeVar, override

from asyncz.events import TaskError, TaskNotification, Worker
from asyncz.limits import TaskLimits
from asyncz.runs import CallLater, TaskRun, _run_ids
from asyncz.schedulers._executor_registry import Registration
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
    def removed(self) -> bool:
        """Return True if the task is not registered any more."""
        ...

    def retry_run(self, run: LiveRun[ResultT], failure: TaskError, /) -> bool:
        """Schedule another attempt after a failed one; return False if the failure is the outcome of the run."""
        ...

    def record_outcome(self, run: LiveRun[ResultT], outcome: TaskNotification[ResultT], /) -> None:
        """Count and emit the outcome of a run."""
        ...

    def release_run(self, run: LiveRun[ResultT], /) -> None:
        """Free the slot of a run whose work is over."""
        ...

    def refill(self) -> None:
        """Submit runs that wait for a slot."""
        ...

    def retire_if_finished(self) -> None:
        """Remove the task if no run of it can follow."""
        ...


class RunSink(Protocol):
    """Completes runs on the loop's thread."""

    def complete(self, run: LiveRun[ResultT], /) -> None:
        """Complete a run with its reported outcome."""
        ...

    def report_progress(self, run: LiveRun[ResultT], done: float, total: float | None, message: str, /) -> None:
        """Keep and emit a report of the progress of a run. May be called from any thread."""
        ...


class LiveRun(TaskRun[ResultT]):
    """A run with its owner and its executor; executors see the `TaskRun` only.

    The inbox holds callables. A live run is callable and completes itself, so that a report needs no closure.

    Attributes:
        sink: Completes the run.
        owner: Controller of the task.
        registration: Executor of the run, which `Task.modify` does not change.
        released: Whether the executor has reported that the work is over.
    """

    __slots__ = ("owner", "registration", "released", "sink")

    def __init__(  # noqa: PLR0917  # called once per run, where keywords take time
        self,
        task: TaskSpec[ResultT],
        scheduled: float,
        context: Context | None,
        clock_now: Callable[[], float],
        call: Callable[[], ResultT | Awaitable[ResultT]] | None,
        sink: RunSink,
        owner: RunOwner[ResultT],
        registration: Registration,
    ) -> None:
        # The assignments of `TaskRun.__init__`, which would be a second call for each run.
        self.task: TaskSpec[ResultT] = task
        self.task_id: str = task.id
        self.limits: TaskLimits = task.limits
        self.call: Callable[[], ResultT | Awaitable[ResultT]] = task.call if call is None else call
        self.id: int = next(_run_ids)
        self.run_id: int = self.id
        self.attempt: int = 1
        self.scheduled: float = scheduled
        self.started: float | None = None
        self.worker: Worker | None = None
        self._call_later = self._outcome = self._shared_outcome = None
        self.cancel_requested: bool = False
        self.released: bool = False
        self._cancellation_seen = self._completed = False
        self._context = context
        self._clock_now = clock_now
        self._monotonic = time.monotonic
        self._began = 0.0
        self.sink: RunSink = sink
        self.owner: RunOwner[ResultT] = owner
        self.registration: Registration = registration

    def __call__(self) -> None:
        """Complete the run. For the loop's thread."""
        self.sink.complete(self)

    @override
    def report_progress(self, done: float, total: float | None, message: str, /) -> None:
        """Report how much of the work of this run is done. May be called from any thread."""
        self.sink.report_progress(self, done, total, message)

    def follow_clock(self, monotonic: Callable[[], float], call_later: CallLater) -> None:
        """Measure durations and time limits by a clock other than that of the machine."""
        self._monotonic, self._call_later = monotonic, call_later

    def report(self, outcome: TaskNotification[ResultT]) -> bool:
        """Keep the outcome that an executor reports; return False if there is one. May be called from any thread.

        The test and the assignment are one step under the GIL, as nothing is called between them. A free-threaded
        build needs a lock here.
        """
        if self._outcome is not None:
            return False
        self._outcome = outcome
        return True

    def discard_report(self) -> None:
        """Forget an outcome that cannot be used, so that another one can be reported."""
        self._outcome = None

    def next_attempt(self) -> LiveRun[ResultT]:
        """Return the attempt that follows this one: the same run with the same awaiting coroutines."""
        following = LiveRun(
            self.task,
            self.scheduled,
            self._context,
            self._clock_now,
            self.call,
            self.sink,
            self.owner,
            self.registration,
        )
        following._monotonic, following._call_later = self._monotonic, self._call_later
        following.run_id = self.run_id
        following.attempt = self.attempt + 1
        following._shared_outcome = self.shared_outcome()
        return following
