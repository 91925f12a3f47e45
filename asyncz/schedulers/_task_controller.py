"""A task in its scheduler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import TypeVar, override

from asyncz._aliases import OtherAlias
from asyncz._checks import check_text
from asyncz._run_ids import WantedRun
from asyncz._running import context_for_later, shared_context_for_later
from asyncz._text import printable
from asyncz._traced_call import CallWithOrigin
from asyncz._unsafe import alias_text
from asyncz.clock import utc
from asyncz.events import TaskAdded, TaskModified, TaskRemoved
from asyncz.exceptions import (
    InvalidInputError,
    NoResultError,
    TaskLookupError,
)
from asyncz.limits import TaskLimits, TaskOptions, check_options
from asyncz.plugins import check_trigger
from asyncz.protocols import Trigger
from asyncz.runs import RunHandle, TaskRun
from asyncz.schedulers._backlog import DueRun
from asyncz.schedulers._counters import TaskHistory
from asyncz.schedulers._executor_registry import ExecutorTarget, Registration
from asyncz.schedulers._live_run import LiveRun
from asyncz.schedulers._parts import ChainEnds, SchedulerParts
from asyncz.schedulers._run_logging import run_fields
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._schedules import Schedule, TriggerSchedule, trigger_text
from asyncz.schedulers._task_runs import TaskRuns
from asyncz.specs import TaskSpec
from asyncz.tasks import ChainFactory, Task, close_streams, replace_spec

if TYPE_CHECKING:
    from asyncz.states import RunProgress, RunSummary, TaskState

ResultT = TypeVar("ResultT")


class TaskController(TaskRuns[ResultT]):
    """A task in its scheduler: schedule, changes and removal, and its runs.

    Invariant, like its runs; collections hold it as `AnyController`. On the loop's thread, except for the methods of
    `TaskOwner`, which may be called from any thread if `asyncz.Task` does not say otherwise.

    Attributes:
        heap_version: See `Due`.
        chain_ends: Chain links of the task; None if it has none.
    """

    __slots__ = ("chain_ends", "heap_version", "paused", "schedule")

    def __init__(  # noqa: PLR0917  # called once per task, where keywords take time
        self,
        parts: SchedulerParts,
        spec: TaskSpec[ResultT],
        schedule: Schedule[ResultT],
        registration: Registration,
        submit_to: Callable[[TaskRun[ResultT]], None],
        paused: bool,
    ) -> None:
        super().__init__(parts, Task(spec, self), shared_context_for_later(), registration, submit_to)
        self.schedule: Schedule[ResultT] = schedule
        self.paused: bool = paused
        self.heap_version: int = 0
        self.chain_ends: ChainEnds | None = None

    @property
    def is_finished(self) -> bool:
        """True if the schedule is exhausted and the last run is over."""
        return not self.removed and self.is_idle and self.schedule.is_exhausted

    @property
    def has_ended(self) -> bool:
        """True if the last run has its outcome, as far as is known now."""
        is_exhausted = self.removed or (self.schedule.is_exhausted and not self.backlog_size)
        return is_exhausted and not self.any_incomplete

    @property
    def feeds_chain(self) -> bool:
        """True if an incomplete run or a waiting result may still lead to another run."""
        backlog = self._backlog
        if backlog and not self.paused and not isinstance(self.schedule, TriggerSchedule):
            # With a timer, the first run of the backlog waits until the queue of the executor has room.
            return self.any_incomplete or backlog.timer is not None
        return self.chain_ends is not None and bool(self.chain_ends.downstream) and self.any_incomplete

    # Schedule

    def activate(self) -> None:
        """Announce a new task, and schedule it."""
        dispatcher = self._runtime.dispatcher
        if TaskAdded in dispatcher.listeners:
            dispatcher.emit(TaskAdded(self.task.id))
        if self._runtime.inbox.logs_info:
            trigger, executor = self.schedule.text or "on demand", self.task.executor
            _log_info(self.task, "added, %s, on %s", printable(trigger), executor)
        self.update_timer()
        if self.schedule.next_due is None:
            self.retire_if_finished()

    def on_due(self, _at: float, now: datetime, /) -> None:
        """Submit runs for the due times up to `now`, and schedule the next one."""
        schedule = self.schedule
        if self.removed:
            return
        due_times = schedule.advance(now, self.task._spec.limits.coalesce)
        failure = schedule.failure
        if failure is not None:
            if not self._on_trigger_error(failure):
                return
            # A listener may have given the task another one.
            schedule = self.schedule
        if schedule.next_due is not None:
            self.update_timer(now)
        elif not due_times:
            self.retire_if_finished()
        for at in due_times:
            self.offer_run(at)

    def restart_schedule(self, now: datetime, /) -> None:
        """Compute the next due time again, because the clock was set back."""
        schedule = self.schedule
        if isinstance(schedule, TriggerSchedule) and schedule.next_due is not None and not self.removed:
            schedule.restart(now)
            failure = schedule.failure
            if failure is not None:
                self._on_trigger_error(failure)
            self.update_timer()
            self.retire_if_finished()

    def update_timer(self, now: datetime | None = None) -> None:
        """Enter the next due time into the timetable. While a task catches up, it takes turns with other due tasks."""
        schedule = self.schedule
        if not isinstance(schedule, TriggerSchedule) or schedule.next_due is None or self.paused or self.removed:
            self._parts.timer.unschedule(self)
        elif now is not None and schedule.next_due <= now:
            self._parts.timer.schedule(self, now.timestamp())
        else:
            self._parts.timer.schedule(self, schedule.due_at)
            if self._runtime.inbox.logs_debug:
                fields = run_fields(self.task.id, executor=self.task.executor)
                logger.debug("%s: due at %s", printable(self.task.id), schedule.next_due, extra=fields)

    def _on_trigger_error(self, error: BaseException) -> bool:
        """Announce that the schedule ends, because its trigger raised; return False if a listener removed the task."""
        task_id = self.task.id
        event = TaskModified(task_id, "its trigger raised", error, fields=("trigger",))
        self._runtime.dispatcher.emit(event)
        logger.error(
            "The trigger of the task %r raised; its schedule ends",
            task_id,
            exc_info=error,
            extra=run_fields(task_id, executor=self.task.executor),
        )
        return not self.removed

    # Runs

    def offer_result(self, at: float, call: Callable[[], ResultT | Awaitable[ResultT]]) -> None:
        """Submit a run for a result of the upstream task, as soon as there is a slot."""
        if not self.removed:
            self.offer_run(at, call, must_run=True)

    def _submit_demanded(self, at: float, origin: object) -> None:
        """Handle that the task was submitted by a call, unless it was removed: that forgets all due runs."""
        runtime = self._runtime
        self._parts.tasks.demand_handled(self)
        if self.removed:
            return
        try:
            call = self.schedule.call_on_demand()
        except NoResultError as error:
            run = self.new_run(at)
            self.complete_at_once(run, run.failed(error))
            return
        has_result = call is not None
        if origin is not None:
            call = CallWithOrigin[ResultT](self.task._spec.call if call is None else call, origin)
        if has_result:
            self.offer_run(at, call, must_run=True)
        elif runtime.status == "running":
            self.offer_run(at, call)
        elif runtime.status == "paused":
            self.enqueue(DueRun[ResultT](at, call))
            self.refill()
        else:
            # The scheduler was shut down meanwhile.
            run = self.new_run(at)
            self.complete_at_once(run, run.cancelled())

    @override
    def refill(self) -> None:
        """Submit runs that wait for a slot, unless the task or the scheduler is paused."""
        runtime = self._runtime
        if runtime.status == "draining" and not runtime.chains_continue:
            self.cancel_backlog()
        if self.paused or self.removed or runtime.defer_while_paused(self.refill):
            return
        self.submit_backlog()

    @override
    def release_run(self, run: LiveRun[ResultT], /) -> None:
        """Free the slot of a run when its work is over."""
        self.drop(run)
        if self.removed:
            if not self.live_count:
                self._forget_removed()
            # Executors count by task id: the task that has the id now may have waited for this slot.
            holder = self._parts.tasks.holder(run.task_id)
            if holder is not None:
                holder.refill()
        elif self._backlog is not None or self._retrying is not None:
            self.refill()
            self.retire_if_finished()
        elif not self.live_count and self.schedule.is_exhausted:
            self._parts.tasks.retire(self)

    # Removal

    @override
    def retire_if_finished(self) -> None:
        """Remove the task if no run of it is live or can follow."""
        if self.is_finished:
            self._parts.tasks.retire(self)

    def on_retired(self) -> None:
        """Handle that the task has finished and is not registered any more."""
        if self.task._listeners or TaskRemoved in self._runtime.dispatcher.listeners:
            self._emit_removed()
        self._detach_task()

    def on_removed(self) -> None:
        """Handle that the task was removed: forget its backlog and end its pending attempts. Results are cancelled."""
        self._parts.timer.unschedule(self)
        if self.chain_ends is not None and self.chain_ends.close_upstream is not None:
            self.chain_ends.close_upstream()
            self.cancel_backlog()
        forgotten = self.forget_backlog()
        if self._parts.store is not None:
            self._parts.store.on_removed(self, tuple((due.at, due.call) for due in forgotten))
        self.end_attempts()
        self._emit_removed()
        if self._runtime.inbox.logs_info:
            _log_info(self.task, "removed")
        self._parts.tasks.removal_handled(self)
        if not self.live_count:
            self._forget_removed()

    def _forget_removed(self) -> None:
        # Once: the work of an attempt that was abandoned may end later.
        if self._parts.tasks.forget(self):
            self._detach_task()

    def _detach_task(self) -> None:
        """Break the reference cycle between task and controller, keep the last runs, and notify downstream tasks.

        From now on the controller only answers for the task that was removed.
        """
        task = self.task
        del self.task
        last = task._last_notification
        if last is not None:
            self._runtime.history.add(task._spec.id, self, last)
        chain_ends = self.chain_ends
        if chain_ends is not None:
            self.chain_ends = None
            for on_upstream_gone in chain_ends.downstream.values():
                on_upstream_gone()

    def _emit_removed(self) -> None:
        dispatcher = self._runtime.dispatcher
        if TaskRemoved in dispatcher.listeners:
            dispatcher.emit(TaskRemoved(self.task.id))
        close_streams(self.task)

    # Changes

    def modify(self, task_id: str, options: TaskOptions, executor: OtherAlias | None, /) -> None:
        """Change limits and executor; see `Task.modify`."""
        runtime, executors = self._runtime, self._parts.executors
        check_options(options)
        task = self._registered_task(task_id)
        spec = task._spec
        limits = spec.limits.evolve(**options)
        if executor is not None:
            check_text("executor", executor)
        alias = None if executor is None else alias_text(executor)
        created = None if alias is None else executors.prepare(alias, spec.call)
        with runtime.lock:
            self._require_registered(task_id)
            on_loop = runtime.apply_pending_changes()
            target = None if alias is None else executors.resolve_alias(alias, created)
            if on_loop and task._spec is spec:
                self._apply_modification(limits, target)
            else:
                # On top of the changes that are pending now.
                runtime.defer_change(lambda: self._apply_modification(task.limits.evolve(**options), target))

    def _apply_modification(self, limits: TaskLimits, target: ExecutorTarget | None) -> None:
        if self.removed:
            return
        differences = self._change_spec(limits, target)
        if differences:
            change = ", ".join(f"{name}: {values}" for name, values in differences.items())
            self._announce_change(TaskModified(self.task.id, change, fields=tuple(differences)))

    def _change_spec(self, limits: TaskLimits, target: ExecutorTarget | None) -> dict[str, str]:
        """Change limits and executor; return a text of each option that differs, by its name."""
        spec = self.task._spec
        differences, alias = limits.diff(spec.limits), spec.executor
        if target is not None and target.registration is not self.registration:
            alias = target.registration.alias
            differences["executor"] = f"{spec.executor!r} to {alias!r}"
            self.change_executor(*target)
        if differences:
            replace_spec(self.task, TaskSpec(spec.id, spec.call, alias, limits))
        return differences

    def reschedule(self, task_id: str, trigger: Trigger | None, /) -> None:
        """Replace the trigger; see `Task.reschedule`."""
        runtime = self._runtime
        check_trigger(trigger)
        if not isinstance(self.schedule, TriggerSchedule):
            reason = f"{task_id!r} is due by results or items; add a separate task for the trigger"
            raise InvalidInputError("trigger", repr(trigger), reason)
        schedule = self.schedule.replaced(trigger, utc(runtime.now()))
        change = f"rescheduled to {trigger_text(trigger)}"
        with runtime.lock:
            self._require_registered(task_id)
            runtime.defer_change(lambda: self._apply_schedule(schedule, change))

    def _apply_schedule(self, schedule: TriggerSchedule, change: str) -> None:
        if not self.removed:
            self.schedule = schedule
            self._announce_change(TaskModified(self.task.id, change, fields=("trigger",)))

    def set_paused(self, task_id: str, paused: bool, /) -> None:
        """Pause or resume the schedule; see `Task.pause` and `Task.resume`."""
        runtime = self._runtime
        with runtime.lock:
            self._require_registered(task_id)
            runtime.defer_change(lambda: self._apply_paused(paused))

    def _apply_paused(self, paused: bool) -> None:
        if self.paused != paused and not self.removed:
            self.paused = paused
            change = "paused" if paused else "resumed"
            self._announce_change(TaskModified(self.task.id, change, fields=("paused",)))

    def _announce_change(self, event: TaskModified) -> None:
        # At once: the task must not come due by its old schedule.
        self._parts.timer.unschedule(self)
        # Through the inbox, which holds the announcement of the task itself, if that is still to come. Under the lock.
        self._runtime.inbox.put(partial(self._after_change, event))
        if self._parts.store is not None:
            self._parts.store.on_changed(self)

    def _after_change(self, event: TaskModified) -> None:
        self._runtime.dispatcher.emit(event)
        if not self.removed:
            self.update_timer()
            self.refill()
            self.retire_if_finished()

    def _registered_task(self, task_id: str) -> Task[ResultT]:
        """Return the task, if it is registered. Thread-safe."""
        with self._runtime.lock:
            self._require_registered(task_id)
            return self.task

    def _require_registered(self, task_id: str) -> None:
        """Check that the task is registered. Under the lock."""
        if self.removed:
            raise TaskLookupError(task_id)

    # The other methods of `TaskOwner`

    @property
    def chain(self) -> ChainFactory:
        """Function that adds a downstream task."""
        return self._parts.chain

    def run_now(self, task_id: str, /) -> RunHandle[ResultT]:
        """Submit a run now; see `Task.run`."""
        runtime = self._runtime
        runtime.require_running(f"running the task {task_id!r}")
        if self.removed:
            raise TaskLookupError(task_id)
        runtime.check_thread("Task.run()")
        call, context = self.schedule.call_on_demand(), context_for_later()
        run = self.new_run(runtime.now(), call, context)
        outcome = run.shared_outcome()
        # In the new context: the executor may start something that outlives the run that calls this.
        rejection = context.run(self.submit_run, run)
        if rejection is not None:
            raise rejection
        key = run._key
        return RunHandle(key, task_id, outcome, lambda: self.cancel_live(key))

    def submit(self, task_id: str, /) -> None:
        """Make the task due once, now; see `Task.submit`."""
        runtime = self._runtime
        origin = None if runtime.run_hook is None else runtime.run_hook.origin_of_caller()
        # Under the lock: the status changes and finished tasks are unregistered under it, so that neither happens
        # between the checks and the entry in the inbox.
        with runtime.lock:
            runtime.require_running(f"submitting the task {task_id!r}")
            self._require_registered(task_id)
            self._parts.tasks.demanded(self)
            runtime.inbox.put(partial(self._submit_demanded, runtime.now(), origin))

    def cancel_runs(self) -> int:
        """Cancel all runs; see `Task.cancel_runs`."""
        if not self._runtime.inbox.called_off_loop:
            return self.cancel_live_runs()
        # Without waiting for the loop, which may be waiting for this thread.
        live = self.live_count
        if live:
            self._runtime.inbox.put(self.cancel_live_runs)
        return live

    def state(self, task: Task[object], /) -> TaskState:
        """Return a snapshot of the task."""
        return task_state(
            task,
            self,
            self.schedule.text,
            self._runtime.recent_runs,
            paused=self.paused and not self.removed,
            next_run_at=None if self.removed else self.schedule.next_due,
            # With those of a removed task of the same id, which count for `max_instances` too.
            running=self.live_count + (0 if self.removed else self._parts.tasks.removed_runs(task.id)),
            retrying=self.retrying,
            backlog=self.backlog_size,
            progress=self._parts.completion.progress.latest(self.live_runs()),
        )

    def find_run(self, task: Task[object], wanted: WantedRun, /) -> RunSummary | None:
        """Return the summary of a live or recent run; None if the run is not one. Thread-safe."""
        live = [run for run in self.find_wanted(wanted) if not run.done]
        return summary_of_live(live[-1]) if live else self.find_ended(wanted, task.id, task._last_notification)

    def can_run(self) -> bool:
        """Return True if another run of the task can still end."""
        return not self.removed and self._runtime.status != "stopped"

    def check_started(self, action: str, /) -> None:
        """Raise `SchedulerNotRunningError` if the scheduler was never started."""
        self._runtime.check_started(action)

    def check_thread(self, action: str, /) -> None:
        """Raise `WrongThreadError` in any thread but the one of the scheduler's loop."""
        self._runtime.check_thread(action)


def _log_info(task: Task[object], message: str, *values: object) -> None:
    logger.info(f"%s: {message}", printable(task.id), *values, extra=run_fields(task.id, executor=task.executor))


def summary_of_live(run: LiveRun[ResultT]) -> RunSummary:
    """Return the summary of a run in progress."""
    from asyncz.states import RunSummary

    details = run.details()
    return RunSummary(
        run_id=run.run_id,
        task_id=run.task_id,
        outcome=None,
        attempt=run.attempt,
        scheduled_at=details.scheduled_at,
        started_at=details.started_at,
    )


def task_state(
    task: Task[object],
    history: TaskHistory,
    trigger: str,
    max_recent: int,
    *,
    paused: bool = False,
    next_run_at: datetime | None = None,
    running: int = 0,
    retrying: int = 0,
    backlog: int = 0,
    progress: RunProgress | None = None,
) -> TaskState:
    """Return a snapshot of a task."""
    from asyncz.states import TaskState

    spec = task._spec
    return TaskState(
        task_id=spec.id,
        function=spec.function,
        trigger=trigger,
        executor=spec.executor,
        paused=paused,
        next_run_at=next_run_at,
        running=running,
        retrying=retrying,
        backlog=backlog,
        recent_runs=history.recent_runs(spec.id, task._last_notification, max_recent),
        progress=progress,
        **history.snapshot(),
    )
