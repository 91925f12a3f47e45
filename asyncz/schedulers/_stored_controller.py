"""A task that a store keeps, in its scheduler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from datetime import datetime, timedelta
from typing import cast

from typing_extensions import TypeVar, override

from asyncz._run_ids import WantedRun
from asyncz._traced_call import ownership_of
from asyncz.exceptions import MaximumInstancesError, QueueFullError
from asyncz.limits import TaskLimits
from asyncz.schedulers._backlog import DueRun
from asyncz.schedulers._executor_registry import ExecutorTarget
from asyncz.schedulers._live_run import LiveRun
from asyncz.schedulers._parts import StorePart
from asyncz.schedulers._schedules import TriggerSchedule
from asyncz.schedulers._task_controller import TaskController

ResultT = TypeVar("ResultT")


class StoredTaskController(TaskController[ResultT]):
    """Controller of a task that a store keeps."""

    __slots__ = ()

    def apply_stored(
        self,
        schedule: TriggerSchedule,
        limits: TaskLimits,
        target: ExecutorTarget | None,
        /,
        *,
        paused: bool,
    ) -> tuple[str, ...]:
        """Take over a schedule, limits and an executor from the store; return the names of changed options.

        On the loop's thread and under the lock. The next due time is entered into the timetable by a call in the inbox.
        """
        is_same = target is None and limits is self.task.limits
        fields = () if is_same else tuple(self._change_spec(limits, target))
        if paused != self.paused:
            fields = (*fields, "paused")
        self.schedule, self.paused = schedule, paused
        self._runtime.inbox.put(self.reschedule_timer)
        return fields

    def reschedule_timer(self) -> None:
        """Enter the next due time into the timetable, and submit runs that wait for a slot."""
        if not self.removed:
            self.update_timer()
            self.refill()

    def start_stored(self, at: float, call: Callable[[], object], *, waited: bool) -> None:
        """Start a run of which this node has become the owner.

        Args:
            at: Due time, in seconds since the epoch.
            call: Function with its arguments.
            waited: True if the run has waited in the store. If so, it waits here too, and no overlap policy ends it.
        """
        own = self._own_call(call)
        if waited:
            self.enqueue(DueRun(at, own, must_run=True))
            self.refill()
        else:
            self.offer_run(at, own)

    def _own_call(self, call: Callable[[], object]) -> Callable[[], ResultT]:
        # Unverified: the function is that of the task, and its stored arguments have been checked.
        return cast("Callable[[], ResultT]", call)

    @override
    def new_run(
        self,
        at: float,
        call: Callable[[], ResultT | Awaitable[ResultT]] | None = None,
        context: Context | None = None,
    ) -> LiveRun[ResultT]:
        """Make a run that is due at a time; the run of an owner has the id that the store knows."""
        run, ownership = super().new_run(at, call, context), ownership_of(call)
        if ownership is not None:
            run._key = ownership
            run.attempt = ownership.attempt
        return run

    @override
    def find_wanted(self, wanted: WantedRun) -> Sequence[LiveRun[ResultT]]:
        """Return the live runs with an id: several if this node owns a run again that has lost its lease."""
        return [run for run in self.live_runs() if wanted.has(run._key)]

    def executions(self, wanted: WantedRun, /) -> Sequence[float]:
        """Return the due times of the live runs with an id, the last one that has begun at the end."""
        return [run.scheduled for run in self.find_wanted(wanted)]

    def reject_stored(self, at: float, call: Callable[[], object]) -> None:
        """Reject a run of which this node has become the owner: a later one replaces it."""
        self._reject_at_maximum(DueRun(at, self._own_call(call)))

    @override
    def submit_run(self, run: LiveRun[ResultT]) -> MaximumInstancesError | QueueFullError | None:
        """Submit a run, and queue it for the store if `Task.run` has made it; return the rejection, if there is one."""
        call, rejection = run.call, super().submit_run(run)
        self._store.end_call(call, run.scheduled if rejection is None else None)
        return rejection

    @override
    def submit(self, task_id: str, /) -> None:
        """Queue a run for the store, where it waits for any node; see `Task.submit`."""
        # Under the lock, under which the status changes: a run after the last exchange with the store would be lost.
        with self._runtime.lock:
            self._runtime.require_running(f"submitting the task {task_id!r}")
            self._require_registered(task_id)
            self._store.submit(self)

    @override
    def on_due(self, at: float, now: datetime, /) -> None:
        """Hand over the due times up to `now` by the clock of the store."""
        super().on_due(at, now - timedelta(seconds=self.clock_offset))

    @override
    def update_timer(self, now: datetime | None = None) -> None:
        """Enter the next due time into the timetable, by the clock of the scheduler."""
        schedule, timer = self.schedule, self._parts.timer
        if schedule.next_due is None or self.paused or self.removed:
            timer.unschedule(self)
            return
        next_due = schedule.next_due if now is None else max(schedule.next_due, now)
        timer.schedule(self, next_due.timestamp() + self._store.clock_offset)

    @property
    @override
    def clock_offset(self) -> float:
        """Seconds by which the clock of the scheduler is ahead of that of the due times."""
        return self._store.clock_offset

    @property
    def _store(self) -> StorePart:
        store = self._parts.store
        assert store is not None
        return store

    def report_missed(self, at: float, call: Callable[[], object], /) -> None:
        """Report that a run was missed."""
        run = self.new_run(at, self._own_call(call))
        self.complete_at_once(run, run.missed())

    def report_lost(self, at: float, call: Callable[[], object], error: BaseException, /) -> float | None:
        """Report that an attempt failed on a lost node; return the delay of the next one, or None if none follows."""
        run = self.new_run(at, self._own_call(call))
        failure, delay = run.failed(error), self.retry_delay(run.attempt, error)
        if delay is None:
            self.complete_at_once(run, failure)
        else:
            self.emit_retry(run, failure, delay)
        return delay
