"""The most frequent course of a run, in few calls.

Most runs are due, are submitted at once, return a result that nobody awaits, and end while their task has no other run.
The classes here take such a run from its due time to its end; their methods hand every other run to the method of the
base class, which says what they do. A call of a function takes about as long as the work of one of these steps.

Two more copies of this kind are in `asyncz.runs`: `TaskRun.execute` and `execute_async` make the outcome of a function
that returns as `executed` does. That all copies agree with what they repeat is tested.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import Context

from typing_extensions import TypeVar, override

from asyncz._run_ids import run_numbers
from asyncz.events import TaskExecuted, TaskNotification, TaskRemoved, Worker
from asyncz.limits import TaskLimits
from asyncz.runs import RunClock, TaskRun
from asyncz.schedulers._completion import Completion
from asyncz.schedulers._executor_registry import Registration
from asyncz.schedulers._live_run import LiveRun, RunOwner
from asyncz.schedulers._run_logging import log_outcome
from asyncz.schedulers._task_controller import TaskController
from asyncz.specs import TaskSpec

ResultT = TypeVar("ResultT")


class HotController(TaskController[ResultT]):
    """Controller that submits the most frequent due runs itself."""

    # Counted here and in the base class.
    submitted: int

    __slots__ = ()

    @property
    @override
    def is_finished(self) -> bool:
        """True if the schedule is exhausted and the last run is over."""
        return (
            not self.removed
            and self._only_run is None
            and self._live is None
            and self._backlog is None
            and self._retrying is None
            and self.schedule.is_exhausted
        )

    @override
    def offer_run(
        self,
        at: float,
        call: Callable[[], ResultT | Awaitable[ResultT]] | None = None,
        *,
        must_run: bool = False,
    ) -> None:
        """Submit a due run, or let the overlap policy decide about it."""
        # Read into a local first: on Python 3.11, a function in an attribute takes twice as long to call.
        runtime, registration, submit_to = self._runtime, self.registration, self._submit_to
        spec = self.task._spec
        if (
            must_run
            or self._backlog is not None
            or self._retrying is not None
            or not registration.ready
            or spec.limits.misfire_grace_time is not None
            or runtime.inbox.logs_debug
            or runtime.dispatcher.announces_submissions
        ):
            super().offer_run(at, call, must_run=must_run)
            return
        run = HotRun(spec, at, self._context, runtime.run_clock, call, self, registration)
        if self._only_run is None and self._live is None:
            self._only_run = run
        else:
            self.keep(run)
        self.submitted += 1
        runtime.counters.submitted += 1
        try:
            submit_to(run)
        except BaseException as error:
            rejection = self._submission_failed(run, error, None)
            if rejection is not None:
                self._due_run_rejected(run, call, rejection)

    @override
    def on_retired(self) -> None:
        """Handle that the task has finished and is not registered any more."""
        task, runtime = self.task, self._runtime
        last = task._last_notification
        if (
            not isinstance(last, TaskExecuted)
            or self._recent is not None
            or self.chain_ends is not None
            or task._listeners
            or TaskRemoved in runtime.dispatcher.listeners
        ):
            super().on_retired()
            return
        del self.task
        # Read into a local first, as in `offer_run`.
        keep = runtime.history.keep
        keep((task._spec.id, TaskExecuted, last._details, ""))


class HotRun(LiveRun[ResultT]):
    """Run of a `HotController` that completes itself with the most frequent outcome.

    Attributes:
        controller: The owner.
    """

    __slots__ = ("controller",)

    def __init__(  # noqa: PLR0917  # called once per run, where keywords take time
        self,
        task: TaskSpec[ResultT],
        scheduled: float,
        context: Context | None,
        clock: RunClock,
        call: Callable[[], ResultT | Awaitable[ResultT]] | None,
        controller: HotController[ResultT],
        registration: Registration,
    ) -> None:
        # Not `super().__init__`: two calls for each run.
        self.task: TaskSpec[ResultT] = task
        self.task_id: str = task.id
        self.limits: TaskLimits = task.limits
        self.call: Callable[[], ResultT | Awaitable[ResultT]] = task.call if call is None else call
        self.id: int = next(run_numbers)
        self._key = self.id
        self.attempt: int = 1
        self.scheduled: float = scheduled
        self.started: float | None = None
        self.worker: Worker | None = None
        self._outcome = self._shared_outcome = None
        self.cancel_requested: bool = False
        self.released: bool = False
        self._cancellation_seen = self._completed = False
        self._context = context
        self._clock = clock
        self.owner: RunOwner[ResultT] = controller
        self.controller: HotController[ResultT] = controller
        self.registration: Registration = registration

    @override
    def __call__(self) -> None:  # noqa: C901  # one step, see the module
        """Complete the run with its reported outcome, unless another attempt follows. For the loop's thread.

        In one step for a result with details that nobody awaits: the calls of `record_outcome`, `release_run` and
        `log_outcome`.
        """
        outcome = self._outcome
        if self._shared_outcome is not None or not isinstance(outcome, TaskExecuted):
            super().__call__()
            return
        try:
            has_details = outcome._details[0] is self._key
        except Exception:
            # Not a tuple.
            has_details = False
        if not has_details:
            super().__call__()
            return
        self._completed = True
        controller = self.controller
        task, runtime = controller.task, controller._runtime
        previous = task._last_notification
        if previous is not None:
            controller.record(previous, runtime.recent_runs)
        task._last_notification = outcome
        controller.executed += 1
        runtime.counters.executed += 1
        listeners, dispatcher = task._listeners, runtime.dispatcher
        subscribed = dispatcher.snapshot_of(type(outcome))
        try:
            if listeners is not None:
                dispatcher.emit(outcome, listeners.functions())
            elif subscribed is None:
                dispatcher.emit(outcome)
            else:
                dispatcher.call_each(subscribed, outcome)
        finally:
            if self.released:
                if (
                    controller._only_run is not self
                    or controller.removed
                    or controller._backlog is not None
                    or controller._retrying is not None
                ):
                    controller.release_run(self)
                else:
                    controller._only_run = None
                    if controller.schedule.is_exhausted:
                        # As `retire_soon` does.
                        tasks, inbox = controller._parts.tasks, runtime.inbox
                        tasks.finished.append(controller)
                        if inbox.last_call is None:
                            inbox.last_call = tasks.retire_finished
        if runtime.inbox.logs_info:
            log_outcome(outcome, self.registration.alias)


class HotCompletion(Completion):
    """Completion that receives the most frequent report of an executor in one step."""

    @override
    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Report the outcome of a run and that its work is over. Thread-safe.

        The steps of `LiveRun.report` and `Inbox.put`; their comments say why they need no lock: nothing is called
        between the test and the assignment of the outcome, and the run is in the inbox before `awake` is read.
        """
        inbox = self.inbox
        if isinstance(run, LiveRun) and run._outcome is None:
            run._outcome = notification
            # Before the run enters the inbox: the thread of the inbox reads this.
            run.released = True
            inbox.calls.append(run)
            if not inbox.awake:
                inbox.wake()
        else:
            super().finished(run, notification)
