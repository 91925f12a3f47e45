"""The runs of one task: slots, submission, overlap, further attempts and cancellation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial

from typing_extensions import TypeVar

from asyncz._run_ids import RunKey, WantedRun
from asyncz.events import (
    TaskError,
    TaskExecuted,
    TaskMaxInstances,
    TaskNotification,
    TaskQueueFull,
    TaskRetrying,
    TaskSubmitted,
)
from asyncz.exceptions import MaximumInstancesError, QueueFullError
from asyncz.runs import TaskRun
from asyncz.schedulers._backlog import Backlog, DueRun
from asyncz.schedulers._dispatcher import Dispatcher
from asyncz.schedulers._executor_registry import Registration
from asyncz.schedulers._live_run import LiveRun, RunSink
from asyncz.schedulers._live_runs import LiveRuns
from asyncz.schedulers._parts import SchedulerParts
from asyncz.schedulers._retrying import Retrying
from asyncz.schedulers._run_logging import log_rejection, log_retry, log_submission
from asyncz.schedulers._safe_logging import logger
from asyncz.tasks import Task

ResultT = TypeVar("ResultT")

# Seconds after which an executor with a full queue is asked again for a run that must run.
_QUEUE_FULL_DELAY = 1.0


class TaskRuns(LiveRuns[ResultT], ABC):
    """Live runs, backlog and pending attempts of one task.

    For the loop's thread, except for the properties `live_count`, `backlog_size` and `retrying`.

    The abstract base class of the task's controller, which decides about the schedule, the removal and, in `refill`,
    whether the backlog may be submitted. A base class instead of an object of its own, because a scheduler may have a
    million tasks: that saves 50 bytes and one call for each.

    A run is live from its submission until its executor releases it, attempts that wait for their delay included.

    Attributes:
        task: Task of the runs. Deleted once the task is removed and has no live runs, which breaks the reference cycle
            between the two. Another thread reads it under the lock of the runtime, while the task is registered.
        removed: Whether the task is not registered any more.
        registration: Executor of the next runs.
    """

    # Counted here and in the base class.
    submitted: int
    executed: int

    __slots__ = (
        "_context",
        "_parts",
        "_runtime",
        "_submit_to",
        "registration",
        "removed",
        "task",
    )

    def __init__(
        self,
        parts: SchedulerParts,
        task: Task[ResultT],
        context: Context,
        registration: Registration,
        submit_to: Callable[[TaskRun[ResultT]], None],
    ) -> None:
        super().__init__()
        self._parts = parts
        self._runtime = parts.runtime
        self.task: Task[ResultT] = task
        self._context = context
        self.registration: Registration = registration
        self._submit_to: Callable[[TaskRun[ResultT]], None] = submit_to
        self.removed: bool = False

    @property
    def run_sink(self) -> RunSink:
        """Part of the scheduler that all runs share."""
        return self._parts.completion

    @abstractmethod
    def release_run(self, run: LiveRun[ResultT], /) -> None:
        """Free the slot of a run when its work is over."""

    @abstractmethod
    def refill(self) -> None:
        """Submit runs that wait for a slot, if they may run now."""

    @abstractmethod
    def retire_if_finished(self) -> None:
        """Remove the task if no run of it is live or can follow."""

    # Submission

    def new_run(
        self,
        at: float,
        call: Callable[[], ResultT | Awaitable[ResultT]] | None = None,
        context: Context | None = None,
    ) -> LiveRun[ResultT]:
        """Make a run that is due at a time. All runs of the task are made here."""
        runtime = self._runtime
        return LiveRun(
            self.task._spec,
            at,
            self._context if context is None else context,
            runtime.run_clock,
            call,
            self,
            self.registration,
        )

    def submit_run(self, run: LiveRun[ResultT]) -> MaximumInstancesError | QueueFullError | None:
        """Submit a run, or complete it if its outcome is known already; return the rejection, if there is one."""
        announcement = self._track(run)
        try:
            self._submit_checked(run)
        except BaseException as error:
            return self._submission_failed(run, error, announcement)
        return None

    def offer_run(
        self,
        at: float,
        call: Callable[[], ResultT | Awaitable[ResultT]] | None = None,
        *,
        must_run: bool = False,
    ) -> None:
        """Submit a due run, or let the overlap policy decide about it."""
        if must_run or self._backlog is not None or self._retrying is not None:
            self._apply_overlap_policy(_due_run(at, call, must_run))
            return
        run = self.new_run(at, call)
        rejection = self.submit_run(run)
        if rejection is not None:
            self._due_run_rejected(run, call, rejection)

    def _due_run_rejected(
        self,
        run: LiveRun[ResultT],
        call: Callable[[], ResultT | Awaitable[ResultT]] | None,
        rejection: MaximumInstancesError | QueueFullError,
    ) -> None:
        if isinstance(rejection, QueueFullError):
            self._reject(TaskQueueFull(run.task_id, details=run.details()))
        else:
            self._apply_overlap_policy(_due_run(run.scheduled, call, must_run=False))

    def _submission_failed(
        self, run: LiveRun[ResultT], error: BaseException, announcement: _SubmittedEvent | None
    ) -> MaximumInstancesError | QueueFullError | None:
        """Undo a rejected submission and return the rejection; end the run as failed after any other error."""
        if not isinstance(error, (MaximumInstancesError, QueueFullError)):
            # Has no effect if the executor reported an outcome before it raised.
            self._parts.completion.finished(run, run.failed(error))
            return None
        if announcement is not None:
            announcement.withdrawn = True
        self.submitted -= 1
        self._runtime.counters.submitted -= 1
        self.drop(run)
        return error

    def enqueue(self, due: DueRun[ResultT]) -> None:
        """Put a due run into the backlog, whatever the overlap policy is; `submit_backlog` submits it."""
        self._ensure_backlog().append(due)

    def _ensure_backlog(self) -> Backlog[ResultT]:
        if self._backlog is None:
            self._backlog = Backlog[ResultT]()
        return self._backlog

    def complete_at_once(self, run: LiveRun[ResultT], outcome: TaskNotification[ResultT]) -> None:
        """Count a run as submitted and report its outcome, without an executor."""
        self._track(run)
        self._parts.completion.finished(run, outcome)

    def submit_backlog(self) -> None:
        """Submit rejected attempts and the backlog, as far as there are slots."""
        if self._retrying is not None:
            for key in self._retrying.rejected():
                self._submit_attempt(key)
        backlog = self._backlog
        if backlog is None:
            return
        backlog.stop_timer()
        while backlog and self.live_count < self.task._spec.limits.max_instances:
            if not self._submit_due(backlog.next):
                if backlog.next.must_run:
                    backlog.timer = self._runtime.clock.call_later(_QUEUE_FULL_DELAY, self.refill)
                return
            backlog.pop()
        if not backlog:
            self._backlog = None

    def _track(self, run: LiveRun[ResultT]) -> _SubmittedEvent | None:
        """Give a run its slot, count it, and announce it if there are listeners.

        Before the submission, in which a thread may report the outcome, or the function may ask for its own run.
        """
        runtime = self._runtime
        announcement: _SubmittedEvent | None = None
        if runtime.dispatcher.announces_submissions:
            # Emitted from the inbox, so that a rejected submission can still be withdrawn.
            announcement = _SubmittedEvent(runtime.dispatcher, TaskSubmitted(run.task_id, details=run.details()))
            runtime.inbox.put(announcement)
        self.keep(run)
        self.submitted += 1
        runtime.counters.submitted += 1
        if runtime.inbox.logs_debug:
            runtime.inbox.put(partial(log_submission, run.task_id, run.details(), run.registration.alias))
        return announcement

    def _submit_checked(self, run: LiveRun[ResultT]) -> None:
        """Submit a run, unless it is too late or its executor is not ready."""
        registration = run.registration
        if run.limits.misfire_grace_time is not None and run.is_too_late():
            self._parts.completion.finished(run, run.missed())
        elif registration.ready:
            self._submit_to(run)
        elif registration.failure is not None:
            self._parts.completion.finished(run, run.failed(registration.failure))
        elif self._runtime.status == "draining" and registration.starting is None:
            # The executor was shut down, and rejects the run.
            self._submit_to(run)
        elif self.live_count > run.limits.max_instances:
            # The run itself is one of the live runs.
            raise MaximumInstancesError(run.task_id, run.limits.max_instances)
        else:
            registration.pending[run.id] = partial(self._submit_pending, run)

    def _submit_pending(self, run: LiveRun[ResultT]) -> None:
        """Submit a run that waited for the start of its executor: a rejection is its outcome."""
        try:
            self._submit_checked(run)
        except BaseException as error:
            self._parts.completion.finished(run, run.failed(error))

    def _submit_due(self, due: DueRun[ResultT]) -> bool:
        """Submit a due run; return False if it has to wait. A run that need not run is rejected by a full queue."""
        run = self.new_run(due.at, due.call)
        rejection = self.submit_run(run)
        if isinstance(rejection, QueueFullError) and not due.must_run:
            self._reject(TaskQueueFull(run.task_id, details=run.details()))
            return True
        return rejection is None

    # Overlap

    def _apply_overlap_policy(self, due: DueRun[ResultT]) -> None:
        limits = self.task._spec.limits
        if limits.overlap_policy == "skip" and not due.must_run:
            # A run that waits for its next attempt has a slot here and none on its executor: let that decide.
            if self._backlog is not None or self._retrying is None or not self._submit_due(due):
                self._reject_at_maximum(due)
            return
        decision = self._ensure_backlog().admit(due, limits, self.live_count)
        if decision.cancel_oldest:
            self.cancel_oldest()
        for each in decision.rejected:
            self._reject_at_maximum(each)
        self.refill()

    def _reject_at_maximum(self, due: DueRun[ResultT]) -> None:
        run = self.new_run(due.at, due.call)
        self._reject(TaskMaxInstances(run.task_id, details=run.details()))

    def _reject(self, event: TaskMaxInstances | TaskQueueFull) -> None:
        runtime = self._runtime
        self.increment(type(event))
        runtime.counters.increment(type(event))
        # Through the inbox, like submissions: of several due times, the submitted one is announced first.
        runtime.emit_soon(event)
        runtime.inbox.put(self.retire_if_finished)
        limit = self.task._spec.limits.max_instances
        reason = f"max_instances is {limit}" if isinstance(event, TaskMaxInstances) else "the queue is full"
        log_rejection(event.task_id, event.details, self.registration.alias, reason)

    # Outcomes

    def record_outcome(self, outcome: TaskNotification[ResultT], /) -> None:
        """Count and emit the outcome of a run."""
        task, runtime = self.task, self._runtime
        previous, task._last_notification = task._last_notification, outcome
        if previous is not None:
            self.record(previous, runtime.recent_runs)
        kind = type(outcome)
        if kind is TaskExecuted:
            self.executed += 1
            runtime.counters.executed += 1
        else:
            self.increment(kind)
            runtime.counters.increment(kind)
        listeners, dispatcher = task._listeners, runtime.dispatcher
        dispatcher.emit(outcome, () if listeners is None else listeners.functions())

    # Further attempts

    def retry_run(self, run: LiveRun[ResultT], failure: TaskError, /) -> bool:
        """Schedule another attempt after a failed one; return False if the failure is the outcome of the run."""
        if not self._runtime.running or run.cancel_requested or self.find_live(run._key) is not run:
            return False
        delay = self.retry_delay(run.attempt, failure.exception)
        if delay is None:
            return False
        next_attempt = run.next_attempt()
        self.keep(next_attempt)
        if self._retrying is None:
            self._retrying = Retrying[ResultT](self._runtime.clock)
        self._retrying.schedule(next_attempt, failure, delay, partial(self._submit_attempt, run._key))
        self.emit_retry(run, failure, delay)
        return True

    def retry_delay(self, attempt: int, error: BaseException, /) -> float | None:
        """Return the delay after a failed attempt; None if no other one follows."""
        retry = None if self.removed else self.task._spec.limits.retry
        try:
            return None if retry is None or not retry.follows(attempt, error) else retry.delay_after(attempt)
        except BaseException:
            # A retry policy calls code of exception classes.
            logger.exception("The retry policy of the task %r raised; no attempt follows", self.task.id)
            return None

    def emit_retry(self, run: LiveRun[ResultT], failure: TaskError, delay: float) -> None:
        """Emit and log that another attempt follows a failed one."""
        event = TaskRetrying(
            failure.task_id, failure.exception, delay, traceback=failure.traceback, details=failure.details
        )
        self._runtime.dispatcher.emit(event)
        log_retry(failure, run.registration.alias, delay)

    def _submit_attempt(self, key: RunKey) -> None:
        """Submit a pending attempt; one that is rejected stays pending."""
        retrying = self._retrying
        attempt = None if retrying is None else retrying.withdraw(key)
        if attempt is None or retrying is None:
            return
        run = attempt.run
        run.registration = self.registration
        try:
            self._submit_checked(run)
        except (MaximumInstancesError, QueueFullError):
            retrying.schedule_again(attempt, partial(self._submit_attempt, key))
        except BaseException as error:
            self._parts.completion.finished(run, run.failed(error))
        self._drop_empty_retrying()

    def end_attempts(self) -> None:
        """End the runs that wait for their next attempt with the error of their last one."""
        attempts = () if self._retrying is None else self._retrying.withdraw_all()
        self._retrying = None
        for attempt in attempts:
            self._parts.completion.finished(attempt.run, attempt.failure)

    def _drop_empty_retrying(self) -> None:
        if self._retrying is not None and not len(self._retrying):
            self._retrying = None

    # Another executor

    def change_executor(self, registration: Registration, submit_to: Callable[[TaskRun[ResultT]], None]) -> None:
        """Submit later runs and attempts to another executor; runs that it has accepted stay where they are."""
        before = self.registration
        self.registration, self._submit_to = registration, submit_to
        # Runs that wait for the start of the old executor have not reached it.
        moved = [run for run in self.live_runs() if before.pending.pop(run.id, None) is not None]
        for run in moved:
            run.registration = registration
            if registration.ready:
                # Not now: the change is made under the lock, and a submission calls the executor.
                self._runtime.inbox.put(partial(self._submit_pending, run))
            else:
                registration.pending[run.id] = partial(self._submit_pending, run)
        if self.live_count > len(moved):
            self._submit_to = partial(self._submit_moved, submit_to)

    def hook_submissions(self) -> None:
        """Call the hook of the scheduler before each later submission. Under the lock."""
        self._submit_to = self._parts.executors.hooked(self._submit_to, self.registration.alias)

    def _submit_moved(self, submit_to: Callable[[TaskRun[ResultT]], None], run: TaskRun[ResultT]) -> None:
        """Submit a run while others may be on the executor that the task was moved from: count them too.

        An executor counts its own runs only. Once no run is elsewhere, `submit_to` is called directly again.

        Raises:
            MaximumInstancesError: The task has its maximum of live runs.
        """
        others = [other for other in self.live_runs() if other._key != run._key]
        if not any(other.registration is not self.registration for other in others):
            self._submit_to = self._parts.executors.hooked(submit_to, self.registration.alias)
        elif len(others) >= run.limits.max_instances:
            raise MaximumInstancesError(run.task_id, run.limits.max_instances)
        submit_to(run)

    # Cancellation

    def cancel_run(self, wanted: WantedRun, /) -> bool:
        """Ask for the cancellation of the live runs with an id; return whether a request is accepted."""
        self._runtime.check_thread("cancelling runs")
        # A list: each of them is asked.
        return any([self.cancel_live(run._key) for run in self.find_wanted(wanted)])  # noqa: C419

    def cancel_live(self, key: RunKey) -> bool:
        """Ask for the cancellation of a run by its key; return whether the request is accepted."""
        self._runtime.check_thread("cancelling runs")
        run = self.find_live(key)
        if run is None:
            return False
        attempt = None if self._retrying is None else self._retrying.withdraw(key)
        self._drop_empty_retrying()
        if attempt is not None or run.registration.pending.pop(run.id, None) is not None:
            self._parts.completion.finished(run, run.cancelled())
            return True
        run.cancel_requested = True
        return run.registration.cancel(run)

    def cancel_live_runs(self, registration: Registration | None = None) -> int:
        """Ask for the cancellation of all runs, or of those on one executor; return how many accept the request."""
        runs = [run for run in self.live_runs() if registration is None or run.registration is registration]
        return sum(self.cancel_live(run._key) for run in runs)

    def cancel_oldest(self) -> None:
        """Ask for the cancellation of the oldest run that accepts it; no run is asked twice."""
        for run in self.live_runs():
            try:
                # A second request would interrupt the clean-up of a run.
                if not run.cancel_requested and self.cancel_live(run._key):
                    return
            except BaseException:
                logger.exception("A run of the task %r could not be cancelled", self.task.id)

    def cancel_backlog(self) -> None:
        """End the runs in the backlog as cancelled."""
        for due in self.forget_backlog():
            run = self.new_run(due.at, due.call)
            self.complete_at_once(run, run.cancelled())

    def forget_backlog(self) -> tuple[DueRun[ResultT], ...]:
        """Remove and return the runs in the backlog."""
        backlog, self._backlog = self._backlog, None
        return () if backlog is None else backlog.take_all()

    def cancel_unfinished(self) -> int:
        """End runs without an outcome as cancelled; return their number."""
        unfinished = [run for run in self.live_runs() if not run.done]
        for run in unfinished:
            self._parts.completion.finished(run, run.cancelled())
        return len(unfinished)


def _due_run(at: float, call: Callable[[], ResultT | Awaitable[ResultT]] | None, must_run: bool) -> DueRun[ResultT]:
    # ty infers the union as the type of the result. `DueRun[ResultT](...)` would help, but costs more than the call.
    return DueRun(at, call, must_run)  # ty: ignore[invalid-explicit-return]


class _SubmittedEvent:
    """Call in the inbox that announces a submission, unless that was rejected."""

    __slots__ = ("_dispatcher", "_event", "withdrawn")

    def __init__(self, dispatcher: Dispatcher, event: TaskSubmitted) -> None:
        self._dispatcher = dispatcher
        self._event = event
        self.withdrawn = False

    def __call__(self) -> None:
        if not self.withdrawn:
            self._dispatcher.emit(self._event)
