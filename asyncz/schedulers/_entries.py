"""What a scheduler keeps of a task beside the user's handle, and how it gets the task's runs going."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Generic, Never, Protocol, TypeAlias

import attrs
from typing_extensions import TypeVar, override

from asyncz import events
from asyncz._checks import is_aware
from asyncz._running import context_for_later
from asyncz._statuses import RunOutcome, SchedulerStatus
from asyncz._unsafe import as_cancelling
from asyncz.clock import SystemClock, utc
from asyncz.events import RunDetails, TaskError, TaskNotification, TaskSubmitted
from asyncz.exceptions import (
    InvalidInputError,
    MaximumInstancesError,
    QueueFullError,
    SchedulerNotRunningError,
    TaskLookupError,
    WrongThreadError,
)
from asyncz.limits import TaskLimits, TaskOptions
from asyncz.plugins import check_trigger
from asyncz.protocols import Clock, Notifier, Timer, Trigger, UniversalSubmit
from asyncz.runs import RunHandle, TaskRun
from asyncz.schedulers._dispatch import Dispatcher
from asyncz.schedulers._inbox import Inbox
from asyncz.schedulers._timetable import Timetable
from asyncz.specs import TaskSpec
from asyncz.tasks import ChainFactory, Task, replace_spec
from asyncz.triggers.base import start_trigger

if TYPE_CHECKING:
    from asyncz.states import ExecutorState, RunSummary, TaskState

ResultT = TypeVar("ResultT")
OtherT = TypeVar("OtherT")

logger = logging.getLogger("asyncz.scheduler")

# So many due times are looked at before the loop gets its turn again: there may be years to catch up with.
_DUE_TIMES_AT_ONCE = 500
# An attempt that is rejected waits for a run of its task to end, and for no longer than this before it asks again.
_REFUSED_ATTEMPT_WAITS = 1.0


# Of the text of an exception so much is kept, in characters.
_LONGEST_ERROR = 1000

_Ended: TypeAlias = tuple[type[object], RunDetails, str]
_COUNTED: dict[str, tuple[type[object], ...]] = {
    "errors": (TaskError,),
    "missed": (events.TaskMissed,),
    "cancelled": (events.TaskCancelled,),
    "rejected": (events.TaskMaxInstances, events.TaskQueueFull),
}


def read_counts(counted: Core | Entry) -> dict[str, int]:
    """What became of runs, by the names that snapshots have for it. From any thread."""
    others = counted.other_ends or {}
    named = {name: sum(others.get(kind, 0) for kind in kinds) for name, kinds in _COUNTED.items()}
    named["executed"] = counted.executed
    # After the ends: who reads from another thread sees no more ends than submissions.
    named["submitted"] = counted.submitted
    return named


def count(counted: Core | Entry, kind: type[object]) -> None:
    """Count an end of a run other than by a result, or a rejection. For the loop's thread."""
    ends = counted.other_ends
    if ends is None:
        ends = counted.other_ends = dict[type[object], int]()
    ends[kind] = ends.get(kind, 0) + 1


@attrs.define(eq=False)
class Registration:
    """An executor, and its way from being registered to being started."""

    alias: str
    executor: object
    start: Callable[[Notifier, str], Coroutine[object, Never, None]]
    shutdown: Callable[[bool], Coroutine[object, Never, None]]
    state: Callable[[], ExecutorState]
    submit: UniversalSubmit | None
    ready: bool = False
    starting: asyncio.Task[None] | None = None
    failure: BaseException | None = None
    pending: dict[int, Callable[[], None]] = attrs.Factory(dict[int, Callable[[], None]])


class EntryRun(TaskRun[ResultT]):
    """A run in the scheduler: callable, because the inbox holds callables, and calling a run completes it."""

    __slots__ = ("entry", "released", "sink", "superseded")

    def __init__(
        self,
        task: TaskSpec[ResultT],
        scheduled: float | None,
        context: Context | None,
        clock_now: Callable[[], float],
        call: Callable[[], ResultT | Awaitable[ResultT]] | None,
        sink: RunSink,
        entry: TypedEntry[ResultT],
    ) -> None:
        super().__init__(task, scheduled, context, clock_now, call)
        self.sink = sink
        self.entry: TypedEntry[ResultT] = entry
        self.released = False
        self.superseded = False

    def __call__(self) -> None:
        self.sink._complete(self)

    def report(self, outcome: TaskNotification[ResultT]) -> bool:
        """Keep the reported outcome; False if there is one already. May be called from any thread."""
        # No call between the test and the assignment, so both are one step under the GIL.
        if self._outcome is not None:
            return False
        self._outcome = outcome
        return True

    def next_attempt(self) -> EntryRun[ResultT]:
        """Return the next attempt of the run, which shares its outcome."""
        following = EntryRun(
            self.entry.typed_task.spec, self.scheduled, self._context, self._clock_now, self.call, self.sink, self.entry
        )
        following.run_id, following.attempt = self.run_id, self.attempt + 1
        following._shared_outcome, self.superseded = self.shared_outcome(), True
        return following


class RunSink(Notifier, Protocol):
    """Receiver of outcomes that also completes runs on the loop's thread."""

    def _complete(self, run: EntryRun[ResultT], /) -> None: ...


@attrs.define(eq=False)
class Core:
    """What a scheduler and its entries share."""

    scheduler: RunSink
    clock: Clock
    find_executor: Callable[[str, Callable[[], object]], Registration]
    after_change: Callable[[Entry], None]
    forget_if_finished: Callable[[Entry], None]
    add_chained: ChainFactory
    inbox: Inbox
    recent_runs: int = 0
    submitted: int = 0
    executed: int = 0
    other_ends: dict[type[object], int] | None = None
    now: Callable[[], float] = attrs.field(init=False)
    dispatcher: Dispatcher = attrs.Factory(Dispatcher)
    timetable: Timetable[Entry] = attrs.Factory(lambda: Timetable[Entry]())
    lock: threading.RLock = attrs.Factory(threading.RLock)
    entries: dict[str, Entry] = attrs.Factory(dict[str, "Entry"])
    changes: deque[Callable[[], None]] = attrs.Factory(deque[Callable[[], None]])
    held: set[Entry] = attrs.Factory(set["Entry"])
    status: SchedulerStatus = "created"
    # While it drains: whether results are still handed on.
    chains_go_on: bool = False

    def __attrs_post_init__(self) -> None:
        # Twice a run: the machine's own clock is read without a method in between.
        self.now = time.time if type(self.clock) is SystemClock else self.clock.now

    def check_thread(self, action: str) -> None:
        """Reject what is for the thread of the scheduler only.

        Raises:
            WrongThreadError: This is another thread.
        """
        if self.inbox.is_elsewhere:
            advice = "it is for the event loop's own; SchedulerThread, which in_thread() gives, waits in other threads"
            raise WrongThreadError(action, threading.current_thread().name, advice)

    @property
    def running(self) -> bool:
        """Whether the scheduler has been started and not shut down."""
        return self.status == "running" or self.status == "paused"

    def holds(self, entry: Entry) -> bool:
        """Whether what waits has to go on waiting, as the scheduler is paused; then it has its turn once that ends."""
        if self.status != "paused":
            return False
        self.held.add(entry)
        return True

    def change(self, change: Callable[[], None]) -> None:
        """Make a change where nothing else looks at what is changed; in the order of the calls, from any thread.

        That is on the loop's thread: at once where this is it, or there is no loop; else soon.
        """
        with self.lock:
            self.changes.append(change)
            if not self.inbox.is_elsewhere:
                self.make_changes()
                return
        self.inbox.put(self.make_changes)

    def make_changes(self) -> None:
        """Make the changes that wait. For the loop's thread."""
        with self.lock:
            while self.changes:
                self.changes.popleft()()

    def tell(self, event: events.Event) -> None:
        """Tell an event soon, after those of what was done before. May be called from any thread."""
        self.inbox.put(lambda: self.dispatcher.emit(event))


class Place:
    """What a task asks of its scheduler wherever it stands there, and also when it is gone. From any thread."""

    __slots__ = ("core",)

    core: Core

    @property
    def chain(self) -> ChainFactory:
        """What adds a task that is given the results of its task; `Task.then` does."""
        return self.core.add_chained

    def check_thread(self, action: str) -> None:
        """Reject what is for the thread of the scheduler only."""
        self.core.check_thread(action)


class Entry(Place):
    """A task's place with its scheduler. On the loop's thread only, where nothing else is said.

    Runs of different result types share no type: what is done with runs is in `TypedEntry`.
    """

    __slots__ = (
        "attempts",
        "context",
        "executed",
        "following",
        "next_due",
        "other_ends",
        "paused",
        "place",
        "recent",
        "registration",
        "removed",
        "submitted",
        "task",
        "trigger",
        "waiting",
    )

    task: Task[object]

    def __init__(
        self, core: Core, registration: Registration, trigger: Trigger | None, next_due: datetime | None, paused: bool
    ) -> None:
        self.core = core
        self.registration = registration
        self.trigger = trigger
        self.next_due = next_due
        self.paused = paused
        self.context = context_for_later()
        self.place = 0
        self.removed = False
        self.waiting: deque[float] | None = None
        self.attempts: dict[int, _Attempt] | None = None
        self.recent: list[_Ended] | None = None
        self.submitted = 0
        # Most ends: to count them like the others would take a dict for each task.
        self.executed = 0
        self.other_ends: dict[type[object], int] | None = None
        # What tells the tasks that are given its results that it is gone.
        self.following: dict[Entry, Callable[[], None]] | None = None

    def run_count(self) -> int:
        """How many of its runs have not ended, or still do their work."""
        raise NotImplementedError

    @property
    def is_finished(self) -> bool:
        """Whether it is here for its trigger, which has no more due times, and its last run is over."""
        raise NotImplementedError

    @property
    def has_ended(self) -> bool:
        """Whether the end of its last run has been told, as far as is known now."""
        has_due_times = self.next_due is not None or self.trigger is None or bool(self.waiting)
        return (self.removed or not has_due_times) and not self.is_working

    @property
    def is_working(self) -> bool:
        """Whether it has runs whose end has not been told."""
        raise NotImplementedError

    @property
    def feeds_a_chain(self) -> bool:
        """Whether a run that has not ended, or a result that waits, may still lead to another run."""
        return bool(self.following) and self.is_working

    @property
    def schedule_text(self) -> str:
        """When it runs, as text; empty if on demand only."""
        return "" if self.trigger is None else str(self.trigger)

    def submit_due(self, at: float) -> bool:
        """Submit a run for that time; False where its task has its maximum of instances."""
        raise NotImplementedError

    def reject_at_maximum(self, at: float) -> None:
        """Tell that the run for that time was rejected, because its task has its maximum of instances."""
        raise NotImplementedError

    def submit_attempts(self) -> None:
        """Submit the attempts that were rejected before."""
        raise NotImplementedError

    def end_attempts(self) -> None:
        """End the runs that wait for their next attempt, with the error of their last."""
        raise NotImplementedError

    def end_what_waits(self) -> None:
        """End what was due and waits for a place, as cancelled: it is not forgotten."""
        raise NotImplementedError

    def end_what_is_left(self) -> int:
        """End runs whose executor never told how they ended, as cancelled; tells how many there were."""
        raise NotImplementedError

    def over(self, run: TaskRun[ResultT]) -> bool:
        """The work of a run is over, that of its last attempt; tells whether the entry is finished by that."""
        raise NotImplementedError

    def cancel_runs_on(self, registration: Registration) -> None:
        """Ask for the cancellation of its runs on an executor."""
        raise NotImplementedError

    def cancel_oldest(self) -> None:
        """Ask for the cancellation of its oldest run that can be cancelled, and was not asked before."""
        raise NotImplementedError

    def move(self, registration: Registration) -> None:
        """Submit its runs to another executor, one for runs of any type; those that are under way stay."""
        raise NotImplementedError

    def leave(self) -> None:
        """It is removed: end what will not run any more."""
        self.waiting = None
        if self.run_count():
            self.end_attempts()

    # Its schedule

    def schedule(self) -> None:
        """Take its place in the timetable, or leave it."""
        if self.next_due is None or self.removed or self.paused:
            self.core.timetable.remove(self)
        else:
            self.core.timetable.put(self, self.next_due.timestamp())

    def fire(self, at: float, now: datetime) -> None:
        """Submit what is due: at that time, and what has come due after it by its trigger."""
        following = self.next_due
        # Most have nothing to catch up with, and need no list.
        due: list[float] | None = None
        while True:
            trigger = self.trigger
            assert trigger is not None
            try:
                previous, following = following, trigger.next_due_time(following, now)
                if following is not None:
                    following = checked_due_time(trigger, previous, following)
            except BaseException as error:
                self.next_due = None
                self.tell_trigger_raised(error)
                # Who heard of it may have given it another.
                following = self.next_due
            if following is None or following > now:
                break
            if due is None:
                due = [at]
            if len(due) == _DUE_TIMES_AT_ONCE:
                # Still due: this goes on at the next turn. Which one is the latest is not known yet, so none may run.
                if self.task.limits.coalesce:
                    due.clear()
                break
            due.append(following.timestamp())
        self.next_due = following
        if following is not None:
            self.schedule()
        elif self.removed:
            return
        if due is not None:
            for each in due[-1:] if self.task.limits.coalesce else due:
                self.come_due(each)
        # As `come_due` does, without a call more.
        elif self.waiting or self.attempts or not self.submit_due(at):
            self.come_due_at_maximum(at)

    def come_due(self, at: float) -> None:
        """Submit a run for that time, unless it has to go by the overlap policy of its task."""
        if self.waiting or self.attempts or not self.submit_due(at):
            self.come_due_at_maximum(at)

    def come_due_at_maximum(self, at: float) -> None:
        """Reject a run for that time, or let it wait."""
        overlap, max_instances = self.task.limits.overlap, self.task.limits.max_instances
        if overlap == "skip":
            # A run that waits for its next attempt has a place here, and none on its executor: that can tell.
            if self.waiting or not (self.attempts and self.submit_due(at)):
                self.reject_at_maximum(at)
            return
        self.waiting = deque[float]() if self.waiting is None else self.waiting
        self.waiting.append(at)
        if overlap == "cancel_running" and self.run_count() >= max_instances:
            self.cancel_oldest()
        if overlap != "queue_all":
            # Whose turn never comes is told like what is rejected at once: nothing is passed over in silence.
            may_wait = 1 if overlap == "queue_one" else max_instances
            while len(self.waiting) > may_wait:
                self.reject_at_maximum(self.waiting.popleft())
        self.submit_waiting()

    def start_anew(self, now: datetime) -> None:
        """Ask its trigger as if it were new, because the clock was set back."""
        if self.trigger is None or self.next_due is None:
            return
        try:
            self.trigger, self.next_due = start_schedule(self.trigger, now)
        except BaseException as error:
            self.next_due = None
            self.tell_trigger_raised(error)
        self.schedule()

    def tell_trigger_raised(self, error: BaseException) -> None:
        """Tell why its schedule ends."""
        logger.error("The trigger of the task %r raised; its schedule ends", self.task.id, exc_info=error)
        event = events.TaskModified(self.task.id, "its trigger raised", error, fields=("trigger",))
        self.core.dispatcher.emit(event)

    def submit_waiting(self) -> None:
        """Submit what was due and waits, as far as there are places, and unless it is held."""
        if self.paused or self.core.holds(self):
            return
        while self.waiting and self.run_count() < self.task.limits.max_instances:
            if not self.submit_due(self.waiting[0]):
                return
            self.waiting.popleft()

    def remember(self, notification: TaskNotification[object]) -> None:
        """Keep how the run before the last one ended, without its result; the task itself keeps the last one."""
        most = self.core.recent_runs - 1
        if most < 1:
            return
        if self.recent is None:
            self.recent = list[_Ended]()
        self.recent.append(_without_result(notification))
        if len(self.recent) > most:
            del self.recent[0]

    def recent_runs(self) -> tuple[RunSummary, ...]:
        """How the runs ended that ended last; from any thread."""
        last = self.task.last_notification
        if last is None or not self.core.recent_runs:
            return ()
        return tuple(_snapshot_of(*ended) for ended in (*list(self.recent or ()), _without_result(last)))

    def reject(self, event: events.TaskMaxInstances | events.TaskQueueFull) -> None:
        """Tell that a due run was rejected."""
        core = self.core
        count(self, type(event))
        count(core, type(event))
        logger.warning("A due run of the task %r was rejected: %s", self.task.id, type(event).__name__)
        # As submissions are: of several due times, the one that was submitted is told before those that were rejected.
        core.tell(event)
        core.inbox.put(partial(core.forget_if_finished, self))

    # Its changes

    def modify(self, _: str, options: TaskOptions, executor: str | None, /) -> None:
        """Change its limits, and its executor where one is given; from any thread."""
        core = self.core
        with core.lock:
            self.require_here()
            # Rejected here, before anything is changed; made on what the changes before it have left.
            self.task.limits.evolve(**options)
            to = None if executor is None else core.find_executor(executor, self.task.call)
            core.change(lambda: self.make_modification(options, to))

    def make_modification(self, options: TaskOptions, to: Registration | None) -> None:
        """Go on with other limits, and on another executor."""
        task = self.task
        if self.removed:
            return
        limits = task.limits.evolve(**options)
        differences = limits.diff(task.limits)
        if to is not None and to is not self.registration:
            differences["executor"] = f"{task.executor!r} to {to.alias!r}"
            self.move(to)
        if differences:
            replace_spec(task, attrs.evolve(task.spec, executor=self.registration.alias, limits=limits))
            self.changed(", ".join(f"{name}: {values}" for name, values in differences.items()), *differences)

    def reschedule(self, _: str, trigger: Trigger | None, /) -> None:
        """Have it due by another trigger; from any thread."""
        core = self.core
        check_trigger(trigger)
        started, first = start_schedule(trigger, utc(core.now()))
        with core.lock:
            self.require_here()
            core.change(lambda: self.make_schedule(started, first))

    def make_schedule(self, trigger: Trigger | None, first: datetime | None) -> None:
        """Go on with another trigger, and its first due time."""
        if not self.removed:
            self.trigger, self.next_due = trigger, first
            self.changed(f"rescheduled to {'none' if trigger is None else trigger}", "trigger")

    def set_paused(self, _: str, paused: bool, /) -> None:
        """Hold its schedule and what waits, or go on with them; from any thread."""
        with self.core.lock:
            self.require_here()
            self.core.change(lambda: self.make_paused(paused))

    def make_paused(self, paused: bool) -> None:
        """Be held, or go on."""
        if self.paused != paused and not self.removed:
            self.paused = paused
            self.changed("paused" if paused else "resumed", "paused")

    def changed(self, change: str, *fields: str) -> None:
        """Tell of a change, and do what follows from it."""
        # Due no more by what it was before.
        self.core.timetable.remove(self)
        self.core.tell(events.TaskModified(self.task.id, change, fields=fields))
        # Later, and so after its submission where that is still to come.
        self.core.inbox.put(lambda: self.core.after_change(self))

    def submit(self, _: str, /) -> None:
        """Have it due once, now; from any thread."""
        core = self.core
        if not core.running:
            raise SchedulerNotRunningError(f"submitting the task {self.task.id!r}")
        with core.lock:
            self.require_here()
        at = core.clock.now()
        core.inbox.put(lambda: self.come_due_now(at))

    def come_due_now(self, at: float) -> None:
        """Be due as it was asked, unless it is gone; a shutdown that came in between cancels it."""
        if self.removed:
            return
        if self.core.running:
            self.come_due(at)
        else:
            self.waiting = deque([*(self.waiting or ()), at])
            self.end_what_waits()

    def require_here(self) -> None:
        """Reject what is asked of a task that is gone; under the lock."""
        if self.removed:
            raise TaskLookupError(self.task.id)

    # From any thread

    def state(self, _: str, /) -> TaskState:
        """A snapshot of what is known of the task."""
        from asyncz.states import TaskState

        task = self.task
        if self.removed:
            raise TaskLookupError(task.id)
        return TaskState(
            task_id=task.id,
            function=task.function,
            trigger=self.schedule_text,
            executor=task.executor,
            paused=self.paused,
            next_run_at=self.next_due,
            running=self.run_count(),
            retrying=len(self.attempts or ()),
            backlog=len(self.waiting or ()),
            recent_runs=self.recent_runs(),
            **read_counts(self),
        )

    def can_run(self) -> bool:
        """Whether another run of the task can still end."""
        return not self.removed and self.core.status != "stopped"


@attrs.define(eq=False)
class _Attempt:
    """An attempt that waits for its time, or was rejected."""

    failure: TaskError
    timer: Timer
    rejected: bool = False


class TypedEntry(Entry, Generic[ResultT]):
    """An entry that knows its task's result type, and so can handle its runs."""

    __slots__ = ("first", "others", "submit_to", "typed_task")

    def __init__(
        self,
        core: Core,
        registration: Registration,
        trigger: Trigger | None,
        next_due: datetime | None,
        paused: bool,
        task_id: str,
        call: Callable[[], ResultT | Awaitable[ResultT]],
        limits: TaskLimits,
        submit_to: Callable[[TaskRun[ResultT]], None],
    ) -> None:
        super().__init__(core, registration, trigger, next_due, paused)
        spec: TaskSpec[ResultT] = TaskSpec(  # ty: ignore[invalid-assignment]  # infers the union as the result
            task_id, call, registration.alias, limits
        )
        self.typed_task: Task[ResultT] = Task(spec, self)
        self.task = self.typed_task
        self.submit_to = submit_to
        # Its runs that have not ended, or still do their work. Most have one at a time, which needs no dict. All others
        # came after it; they may go on where it is over.
        self.first: EntryRun[ResultT] | None = None
        self.others: dict[int, EntryRun[ResultT]] | None = None

    @override
    def run_count(self) -> int:
        return (self.first is not None) + (len(self.others) if self.others else 0)

    @property
    def running(self) -> dict[int, EntryRun[ResultT]]:
        """Those runs by their numbers, the oldest first; a copy."""
        first = self.first
        return {**({} if first is None else {first.run_id: first}), **(self.others or {})}

    @property
    @override
    def is_finished(self) -> bool:
        has_ended = self.next_due is None and self.trigger is not None and not self.waiting
        return has_ended and not self.removed and not self.run_count()

    @property
    @override
    def is_working(self) -> bool:
        if self.first is not None and not self.first.done:
            return True
        return any(not run.done for run in (self.others or {}).values())

    @override
    def submit_due(self, at: float) -> bool:
        core = self.core
        run = EntryRun(self.typed_task.spec, at, self.context, core.now, None, core.scheduler, self)
        announcement: _Announcement | None = None
        # What `begin` and `submit` come to for most is done here, without a call more.
        if TaskSubmitted in core.dispatcher.listeners or self.first is not None or self.others is not None:
            announcement = self.begin(run)
        else:
            self.first = run
            self.submitted += 1
            core.submitted += 1
        try:
            if self.registration.ready and run.limits.misfire_grace_time is None:
                # In two steps, as `TaskRun.execute` reads its clock.
                submit_to = self.submit_to
                submit_to(run)
            else:
                self.submit_run(run)
        except MaximumInstancesError:
            self.withdraw(run, announcement)
            return False
        except QueueFullError:
            self.withdraw(run, announcement)
            self.reject(events.TaskQueueFull(run.task_id, details=run.details()))
        except BaseException as error:
            self.end(run, run.failed(error))
        return True

    @override
    def reject_at_maximum(self, at: float) -> None:
        run = self.new_run(at, None)
        self.reject(events.TaskMaxInstances(run.task.id, details=run.details()))

    def new_run(
        self,
        at: float | None,
        context: Context | None,
        call: Callable[[], ResultT | Awaitable[ResultT]] | None = None,
    ) -> EntryRun[ResultT]:
        """Make a run of the task."""
        core = self.core
        return EntryRun(self.typed_task.spec, at, context, core.now, call, core.scheduler, self)

    def hand_over(self, run: EntryRun[ResultT], submit: Callable[[EntryRun[ResultT]], None]) -> None:
        """Submit a run, or end it where that is known already; only a rejection is raised."""
        announcement = self.begin(run)
        try:
            submit(run)
        except (MaximumInstancesError, QueueFullError):
            self.withdraw(run, announcement)
            raise
        except BaseException as error:
            # How it ended, should that be told already, waits in the inbox.
            self.end(run, run.failed(error))

    def begin(self, run: EntryRun[ResultT]) -> _Announcement | None:
        """Note a run that is about to be submitted; gives what tells of that, where anybody hears of it."""
        core = self.core
        announcement: _Announcement | None = None
        if TaskSubmitted in core.dispatcher.listeners:
            # Put before the run is handed over: in a thread it may end before its submission returns.
            announcement = _Announcement(core.dispatcher, TaskSubmitted(run.task_id, details=run.details()))
            core.inbox.put(announcement)
        # Before the function is called: that may happen inside the submission, and it may ask for its own run.
        self.hold(run)
        self.submitted += 1
        core.submitted += 1
        return announcement

    def withdraw(self, run: EntryRun[ResultT], announcement: _Announcement | None) -> None:
        """Take back what was noted of a run that was rejected."""
        if announcement is not None:
            announcement.withdrawn = True
        self.submitted -= 1
        self.core.submitted -= 1
        self.over(run)

    def submit_run(self, run: EntryRun[ResultT]) -> None:
        """Give a run to its executor, once that has started."""
        registration = self.registration
        if run.limits.misfire_grace_time is not None and run.is_too_late():
            self.end(run, run.missed())
        elif registration.ready:
            self.submit_to(run)
        elif registration.failure is not None:
            self.end(run, run.failed(registration.failure))
        elif self.core.status == "draining":
            self.submit_to(run)
        elif self.run_count() > run.limits.max_instances:
            # It is counted itself by now.
            raise MaximumInstancesError(run.task_id, run.limits.max_instances)
        else:
            registration.pending[run.id] = lambda: self.submit_pending(run)

    def submit_pending(self, run: EntryRun[ResultT]) -> None:
        """The same for a run that waited for the start of its executor: nobody is there to hear of a rejection."""
        try:
            self.submit_run(run)
        except BaseException as error:
            self.end(run, run.failed(error))

    def end_as_cancelled(self, run: TaskRun[ResultT]) -> None:
        """End a run that no executor works on, and that there is no time for or no wish."""
        self.end(run, run.cancelled())

    def end(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT]) -> None:
        """Tell how a run ended that no executor works on."""
        self.core.scheduler.finished(run, notification)

    def hold(self, run: EntryRun[ResultT]) -> None:
        """Note a run, or another attempt of one, beside those that there are."""
        first, others = self.first, self.others
        if (first is None and others is None) or (first is not None and first.run_id == run.run_id):
            self.first = run
        elif others is None:
            self.others = {run.run_id: run}
        else:
            others[run.run_id] = run

    def run_of(self, run_id: int) -> EntryRun[ResultT] | None:
        """The run of a number, while it has not ended or still does its work."""
        first = self.first
        if first is not None and first.run_id == run_id:
            return first
        return None if self.others is None else self.others.get(run_id)

    @override
    def over(self, run: TaskRun[OtherT]) -> bool:
        if self.first is run:
            self.first = None
        elif self.others is not None:
            self.others.pop(run.run_id, None)
            if not self.others:
                self.others = None
        # What `is_finished` asks, without a call more.
        if self.next_due is not None or self.others is not None or self.first is not None:
            return False
        return self.trigger is not None and not self.waiting and not self.removed

    # What its task calls

    def run_now(self, _: str, /) -> RunHandle[ResultT]:
        """Submit a run now; `Task.run` does."""
        if not self.core.running:
            raise SchedulerNotRunningError(f"running the task {self.typed_task.id!r}")
        if self.removed:
            raise TaskLookupError(self.typed_task.id)
        self.core.check_thread("Task.run()")
        call, context = self.call_on_demand(), context_for_later()
        run = self.new_run(None, context, call)
        # Its executor may begin something that goes on after the run which calls this.
        outcome, run_id = run.shared_outcome(), run.run_id
        context.run(self.hand_over, run, self.submit_run)
        return RunHandle(run_id, run.task_id, outcome, lambda: self.cancel_run(run_id))

    def call_on_demand(self) -> Callable[[], ResultT | Awaitable[ResultT]]:
        """What a run calls that is not due, but wanted now."""
        return self.typed_task.call

    def cancel_runs(self) -> int:
        """Ask for the cancellation of its runs; tells how many requests took."""
        return sum(self.cancel_run(run_id) for run_id in self.running)

    @override
    def cancel_runs_on(self, registration: Registration) -> None:
        for run_id in self.running:
            if self.place_of(run_id) is registration:
                self.cancel_run(run_id)

    @override
    def cancel_oldest(self) -> None:
        for run_id, run in self.running.items():
            try:
                # Asked a second time, a run would be torn from its clean-up.
                if not run.cancel_requested and self.cancel_run(run_id):
                    return
            except Exception:
                logger.exception("A run of the task %r could not be asked to make place", self.typed_task.id)

    def place_of(self, run_id: int) -> Registration:
        """The executor that a run is on."""
        submit_to = self.submit_to
        elsewhere = submit_to.elsewhere if isinstance(submit_to, _Moved) else {}
        return elsewhere.get(run_id, self.registration)

    @override
    def move(self, registration: Registration) -> None:
        submit = registration.submit
        assert submit is not None
        before, runs = self.registration, list(self.running.values())
        # What waits for the start of an executor is not there yet.
        pending = [run for run in runs if before.pending.pop(run.id, None) is not None]
        elsewhere = {run.run_id: self.place_of(run.run_id) for run in runs if run not in pending}
        self.registration = registration
        self.submit_to = _Moved(submit, elsewhere, self.submit_moved)
        for run in pending:
            if registration.ready:
                self.submit_pending(run)
            else:
                registration.pending[run.id] = partial(self.submit_pending, run)

    def submit_moved(self, moved: _Moved[ResultT], run: TaskRun[ResultT]) -> None:
        """Submit a run while others may be on the executor that its task was moved from: these have a place as well."""
        others = [run_id for run_id in self.running if run_id != run.run_id]
        moved.elsewhere = {run_id: place for run_id, place in moved.elsewhere.items() if run_id in others}
        max_instances = run.task.limits.max_instances
        if not moved.elsewhere:
            self.submit_to = moved.submit
        elif len(others) >= max_instances:
            raise MaximumInstancesError(run.task.id, max_instances)
        moved.submit(run)

    def cancel_run(self, run_id: int) -> bool:
        """Ask for the cancellation of a run; tells whether the request took."""
        self.core.check_thread("what cancels runs")
        run = self.run_of(run_id)
        if run is None:
            return False
        attempt = (self.attempts or {}).pop(run_id, None)
        if attempt is not None:
            attempt.timer.cancel()
        place = self.place_of(run_id)
        if attempt is not None or place.pending.pop(run.id, None) is not None:
            self.end_as_cancelled(run)
            return True
        run.cancel_requested = True
        executor = as_cancelling(place.executor)
        return executor is not None and executor.cancel(run)

    # Further attempts

    def try_again(self, run: EntryRun[ResultT], failure: TaskError) -> bool:
        """Start another attempt after a failed one, if the task has a policy for that; else that was the outcome."""
        retry, run_id, attempt = self.typed_task.limits.retry, run.run_id, run.attempt
        if retry is None or self.removed or not self.core.running or not retry.follows(attempt, failure.exception):
            return False
        if self.run_of(run_id) is not run or run.cancel_requested:
            return False
        following = run.next_attempt()
        self.hold(following)
        delay = retry.delay_after(attempt)
        logger.warning(
            "Attempt %d of a run of the task %r failed: %r; another follows in %g seconds",
            attempt,
            self.typed_task.id,
            failure.exception,
            delay,
        )
        event = events.TaskRetrying(
            failure.task_id, failure.exception, delay, traceback=failure.traceback, details=failure.details
        )
        self.core.dispatcher.emit(event)
        self.wait_for_attempt(run_id, _Attempt(failure, self.call_later(delay, run_id)))
        return True

    def call_later(self, delay: float, run_id: int) -> Timer:
        """Submit the next attempt of a run after so many seconds."""
        return self.core.clock.call_later(delay, lambda: self.submit_attempt(run_id))

    def wait_for_attempt(self, run_id: int, attempt: _Attempt) -> None:
        """Note that a run waits for its next attempt."""
        self.attempts = {} if self.attempts is None else self.attempts
        self.attempts[run_id] = attempt

    def submit_attempt(self, run_id: int) -> None:
        """Submit the attempt that a run waits for; one that is rejected waits on."""
        attempt, run = (self.attempts or {}).pop(run_id, None), self.run_of(run_id)
        if attempt is None or run is None:
            return
        attempt.timer.cancel()
        try:
            self.submit_run(run)
        except (MaximumInstancesError, QueueFullError):
            attempt.rejected = True
            attempt.timer = self.call_later(_REFUSED_ATTEMPT_WAITS, run_id)
            self.wait_for_attempt(run_id, attempt)
        except BaseException as error:
            self.end(run, run.failed(error))

    @override
    def submit_attempts(self) -> None:
        for run_id in [run_id for run_id, attempt in (self.attempts or {}).items() if attempt.rejected]:
            self.submit_attempt(run_id)

    @override
    def end_attempts(self) -> None:
        attempts, self.attempts = self.attempts or {}, None
        for run_id, attempt in attempts.items():
            attempt.timer.cancel()
            run = self.run_of(run_id)
            if run is not None:
                self.end(run, attempt.failure)

    # The end

    @override
    def end_what_waits(self) -> None:
        while self.waiting:
            run = self.new_run(self.waiting.popleft(), None)
            self.hand_over(run, self.end_as_cancelled)

    @override
    def end_what_is_left(self) -> int:
        left = [run for run in self.running.values() if not run.done]
        for run in left:
            self.end_as_cancelled(run)
        return len(left)


class _Moved(Generic[ResultT]):
    """Submits the runs of a task that was moved to another executor, while others of it may be where it was before.

    Attributes:
        submit: Gives a run to the executor that it was moved to.
        elsewhere: Where its runs are that were under way then.
    """

    def __init__(
        self,
        submit: UniversalSubmit,
        elsewhere: dict[int, Registration],
        begin: Callable[[_Moved[ResultT], TaskRun[ResultT]], None],
    ) -> None:
        self.submit = submit
        self.elsewhere = elsewhere
        self._begin = begin

    def __call__(self, run: TaskRun[ResultT], /) -> None:
        self._begin(self, run)


class LostPlace(Place):
    """What answers for a task that is gone: another can be chained to it, and that is all."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def run_now(self, task_id: str, /) -> Never:
        """Reject to run it."""
        self._reject("running", task_id)

    def submit(self, task_id: str, /) -> Never:
        """Reject to have it due."""
        self._reject("submitting", task_id)

    def modify(self, task_id: str, _: TaskOptions, __: str | None, /) -> Never:
        """Reject to change it."""
        raise TaskLookupError(task_id)

    def reschedule(self, task_id: str, trigger: Trigger | None, /) -> Never:
        """Reject another trigger."""
        check_trigger(trigger)
        raise TaskLookupError(task_id)

    def set_paused(self, task_id: str, _: bool, /) -> Never:
        """Reject to hold it."""
        raise TaskLookupError(task_id)

    def cancel_runs(self) -> int:
        """It has none."""
        return 0

    def state(self, task_id: str, /) -> Never:
        """Reject to tell what is not known any more."""
        raise TaskLookupError(task_id)

    def can_run(self) -> bool:
        """It runs no more."""
        return False

    def _reject(self, action: str, task_id: str) -> Never:
        if not self.core.running:
            raise SchedulerNotRunningError(f"{action} the task {task_id!r}")
        raise TaskLookupError(task_id)


class _Announcement:
    """Tells that a run was submitted, unless it was rejected."""

    __slots__ = ("dispatcher", "event", "withdrawn")

    def __init__(self, dispatcher: Dispatcher, event: TaskSubmitted) -> None:
        self.dispatcher = dispatcher
        self.event = event
        self.withdrawn = False

    def __call__(self) -> None:
        if not self.withdrawn:
            self.dispatcher.emit(self.event)


_OUTCOMES: dict[type[object], RunOutcome] = {
    events.TaskExecuted: "executed",
    TaskError: "error",
    events.TaskMissed: "missed",
    events.TaskCancelled: "cancelled",
}


def _without_result(notification: TaskNotification[object]) -> _Ended:
    error = _text_of(notification.exception) if isinstance(notification, TaskError) else ""
    return type(notification), notification.details, error


def _snapshot_of(kind: type[object], details: RunDetails, error: str) -> RunSummary:
    from asyncz.states import RunSummary

    return RunSummary(
        run_id=details.run_id,
        outcome=_OUTCOMES[kind],
        attempt=details.attempt,
        scheduled_at=details.scheduled_at,
        started_at=details.started_at,
        finished_at=details.finished_at,
        error=error,
    )


def _text_of(exception: BaseException) -> str:
    name = type(exception).__qualname__
    try:
        return f"{name}: {exception}"[:_LONGEST_ERROR]
    except Exception:
        return name


def start_schedule(trigger: Trigger | None, now: datetime) -> tuple[Trigger | None, datetime | None]:
    """A trigger as it is for a task that gets it now, and its first due time."""
    if trigger is None:
        return None, None
    started = start_trigger(trigger, now)
    first = started.next_due_time(None, now)
    return started, None if first is None else checked_due_time(started, None, first)


def checked_due_time(trigger: Trigger, previous: datetime | None, following: datetime) -> datetime:
    """A due time in UTC, where its trigger keeps to its contract."""
    if not is_aware(following):
        raise InvalidInputError("a fire time", repr(following), f"{trigger!r} must give time zone aware datetimes")
    if previous is not None and following <= previous:
        raise InvalidInputError("a fire time", repr(following), f"{trigger!r} must give one later than {previous!r}")
    return following if following.tzinfo is UTC else following.astimezone(UTC)
