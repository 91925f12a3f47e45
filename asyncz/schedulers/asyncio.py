"""The scheduler that runs on an asyncio event loop."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import logging
import signal
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from types import FrameType
from typing import Generic, Never, Protocol, Self, get_args, overload

import attrs
from typing_extensions import ParamSpec, TypeIs, TypeVar, TypeVarTuple, Unpack, override

from asyncz import events
from asyncz._checks import check_count, check_optional_seconds, check_text
from asyncz.clock import SystemClock, utc
from asyncz.config import LoopAlias, PoolAlias, PoolOptions
from asyncz.events import Event, TaskError, TaskExecuted, TaskMissed, TaskNotification
from asyncz.exceptions import (
    DuplicateExecutorError,
    DuplicateTaskError,
    ExecutorInUseError,
    InvalidInputError,
    MaximumInstancesError,
    QueueFullError,
    SchedulerAlreadyRunningError,
    SchedulerNotRunningError,
    TaskLookupError,
    UnknownAliasError,
)
from asyncz.plugins import (
    BUILTIN_EXECUTORS,
    create_executor,
    executor_aliases,
    is_executor,
    is_trigger,
    trigger_aliases,
)
from asyncz.protocols import Clock, Executor, Notifier, SupportsCancel, Timer, Trigger, UniversalExecutor
from asyncz.schedulers._inbox import Inbox
from asyncz.states import ExecutorState, SchedulerState, SchedulerStatus, TaskState
from asyncz.tasks import (
    DEFAULT_LIMITS,
    RunHandle,
    Task,
    TaskFunction,
    TaskLimits,
    TaskRun,
    function_reference,
    is_awaitable,
)
from asyncz.triggers.date import DateTrigger

P = ParamSpec("P")
Ts = TypeVarTuple("Ts")
CallT = TypeVar("CallT")
ResultT = TypeVar("ResultT")
EventT = TypeVar("EventT")
PlainEventT = TypeVar(
    "PlainEventT",
    events.TaskError,
    events.TaskMissed,
    events.TaskCancelled,
    events.TaskSubmitted,
    events.TaskMaxInstances,
    events.TaskQueueFull,
    events.TaskAdded,
    events.TaskModified,
    events.TaskRemoved,
    events.SchedulerStarted,
    events.SchedulerPaused,
    events.SchedulerResumed,
    events.SchedulerShutdown,
    events.ExecutorAdded,
    events.ExecutorRemoved,
)

_EVENT_CLASSES: frozenset[type[object]] = frozenset({TaskExecuted, *get_args(events.PlainEvent)})

logger: logging.Logger = logging.getLogger("asyncz.scheduler")

NOW: DateTrigger = DateTrigger()
"""The trigger of a task that is added without one: once, at once."""

# The wall clock can be set, or run on while the machine sleeps: the timer never trusts it for longer.
_LONGEST_SLEEP = 10.0
# A clock that was set back by more than this is not followed by waiting until it has caught up.
_CLOCK_STEP = 60.0
# So many due runs are handed over before the loop gets its turn again.
_RUNS_AT_ONCE = 200


@attrs.define(eq=False)
class _Registration:
    """An executor, and its way from being registered to being started."""

    alias: str
    identity: object
    start: Callable[[Notifier, str], Coroutine[object, Never, None]]
    shutdown: Callable[[bool], Coroutine[object, Never, None]]
    state: Callable[[], ExecutorState]
    cancel_all: Callable[[], None]
    ready: bool = False
    starting: asyncio.Task[None] | None = None
    failure: BaseException | None = None
    pending: list[Callable[[], None]] = attrs.Factory(list[Callable[[], None]])


@attrs.define(eq=False)
class _Entry:
    """What the scheduler keeps of a task beside the user's handle."""

    trigger: Trigger | None
    context: contextvars.Context
    registration: _Registration
    next_fire: datetime | None = None
    version: int = 0
    paused: bool = False
    removed: bool = False
    running: dict[int, Callable[[], bool]] | None = None
    waiting: deque[float] | None = None
    submitted: int = 0
    executed: int = 0
    errors: int = 0
    missed: int = 0
    cancelled: int = 0
    refused: int = 0

    @property
    def task(self) -> Task[object]:
        """The user's handle."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        """Whether it was here for its trigger, which has no more due times."""
        return self.trigger is not None and self.next_fire is None and not self.waiting

    def new_submission(self, scheduled: float, clock_now: Callable[[], float]) -> _Submission:
        """A run for that time, together with what can be done with it."""
        raise NotImplementedError


@attrs.define(eq=False)
class _Submission:
    """A run on its way to its executor: closures, as runs of different result types share no type."""

    run_id: int
    details: Callable[[str], events.RunDetails]
    submit: Callable[[], None]
    cancel: Callable[[], bool]
    fail: Callable[[BaseException], None]
    miss: Callable[[], bool]
    end_cancelled: Callable[[], None]
    accepted: bool = True


@attrs.define(eq=False)
class _TypedEntry(_Entry, Generic[ResultT]):
    """An entry that knows its task's result type."""

    typed_task: Task[ResultT] = attrs.field(kw_only=True)
    submit_to: Callable[[TaskRun[ResultT]], None] = attrs.field(kw_only=True)
    scheduler: AsyncIOScheduler = attrs.field(kw_only=True)

    @property
    @override
    def task(self) -> Task[object]:
        return self.typed_task

    @override
    def new_submission(self, scheduled: float, clock_now: Callable[[], float]) -> _Submission:
        return self.submission_of(self.new_run(scheduled, clock_now))

    def new_run(self, scheduled: float, clock_now: Callable[[], float]) -> TaskRun[ResultT]:
        """A run for that time, in its own copy of the context."""
        return TaskRun(self.typed_task, scheduled=scheduled, context=self.context.copy(), clock_now=clock_now)

    def submission_of(self, run: TaskRun[ResultT]) -> _Submission:
        """What can be done with a run, without its type."""
        scheduler, submit_to, executor = self.scheduler, self.submit_to, self.registration.identity

        def end(notification: TaskNotification[ResultT]) -> None:
            scheduler.notify(run, notification)
            scheduler.released(run)

        def miss() -> bool:
            too_late = run.is_too_late()
            if too_late:
                end(run.missed())
            return too_late

        return _Submission(
            run_id=run.id,
            details=run.details,
            submit=lambda: submit_to(run),
            cancel=lambda: is_cancelling(executor) and executor.cancel(run),
            fail=lambda error: end(run.failed(error)),
            miss=miss,
            end_cancelled=lambda: end(run.cancelled()),
        )


class Subscription:
    """A listener's place with the scheduler; `unsubscribe()` or leaving `with` ends it."""

    def __init__(self, remove: Callable[[], object]) -> None:
        self._remove = remove

    def unsubscribe(self) -> None:
        """Call the listener no more. May be called from any thread, and again."""
        self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unsubscribe()


class TaskDecorator(Protocol):
    """What `scheduler.task(...)` gives: to be put before a function."""

    @overload
    def __call__(
        self, fn: Callable[P, Coroutine[object, Never, ResultT]], /
    ) -> TaskFunction[P, Coroutine[object, Never, ResultT], ResultT]: ...
    @overload
    def __call__(self, fn: Callable[P, ResultT], /) -> TaskFunction[P, ResultT, ResultT]: ...


class AsyncIOScheduler:
    """Runs tasks when they are due, on executors, and tells how each run ended.

    Args:
        executors: Executors by their alias; an executor or the alias of a plugin.
        clock: Where it gets the time; a test can bring its own.

    Example:
        >>> async with AsyncIOScheduler(executors={"io": "threadpool"}) as scheduler:
        ...     task = scheduler.add_task(read, "file.txt", executor="io")
        ...     text = await task.result()
    """

    def __init__(
        self,
        *,
        executors: Mapping[str, UniversalExecutor | PoolAlias | LoopAlias | str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._status: SchedulerStatus = "created"
        self._inbox = Inbox()
        self._lock = threading.RLock()
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[float, int, int, _Entry]] = []
        self._sequence = itertools.count()
        self._names = itertools.count(1)
        self._registrations: dict[str, _Registration] = {}
        self._executors: dict[str, UniversalExecutor] = {}
        self._stopping: asyncio.Future[None] | None = None
        self._subscribers: dict[type[object], tuple[Callable[[object], object], ...]] = {}
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._last_seen = 0.0
        self._background: set[asyncio.Task[None]] = set()
        self._closed: asyncio.Event | None = None
        self._totals = dict.fromkeys(("submitted", "executed", "errors", "missed", "cancelled", "refused"), 0)
        for alias, executor in (executors or {}).items():
            if isinstance(executor, str):
                self.add_executor(executor, alias=alias)
            else:
                self.add_executor(executor, alias=alias)

    # Its life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        await self.shutdown(wait=exc_type is None)

    @property
    def running(self) -> bool:
        """Whether it has been started and not shut down."""
        return self._status in {"running", "paused"}

    async def start(self) -> None:
        """Start its executors, then submit what is due, on the running loop.

        Raises:
            SchedulerAlreadyRunningError: It runs already.
            Exception: What an executor raised at its start; those that had started are shut down again.
        """
        if self._status not in {"created", "stopped"}:
            raise SchedulerAlreadyRunningError
        self._status = "running"
        self._closed = asyncio.Event()
        self._inbox.open(asyncio.get_running_loop())
        self._last_seen = self._clock.now()
        started: list[_Registration] = []
        try:
            for registration in list(self._registrations.values()):
                await registration.start(self, registration.alias)
                registration.ready = True
                started.append(registration)
        except BaseException:
            for registration in started:
                registration.ready = False
                await registration.shutdown(False)
            self._inbox.close()
            self._status = "stopped"
            self._closed.set()
            raise
        self._emit(events.SchedulerStarted())
        self._inbox.put(self._set_timer)

    async def shutdown(self, wait: bool = True, timeout: float | None = None) -> None:
        """Take no new runs, end those there are, release the executors. May be called again.

        Args:
            wait: Let the runs come to their end, without blocking the loop; else they are cancelled.
            timeout: Wait for so many seconds at most, then cancel what is left; None is no limit.
        """
        if self._status in {"created", "stopped"}:
            return
        assert self._closed is not None
        if self._status == "draining":
            await self._closed.wait()
            return
        self._status = "draining"
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._cancel_waiting()
        registrations = list(self._registrations.values())
        await asyncio.gather(*(self._shut_down(registration, wait, timeout) for registration in registrations))
        self._inbox.drain_all()
        while listening := [future for future in self._background if future is not asyncio.current_task()]:
            await asyncio.wait(listening)
            self._inbox.drain_all()
        self._emit(events.SchedulerShutdown())
        self._inbox.close()
        self._status = "stopped"
        for entry in self._entries.values():
            entry.task.end_streams()
        self._closed.set()

    async def wait_closed(self) -> None:
        """Wait until the scheduler has shut down: by `shutdown()`, or by SIGINT or SIGTERM.

        The signals are handled while this waits in the main thread, and restored after: the first one
        lets the runs come to their end, a second one cancels them.
        """
        if self._closed is None or self._status == "stopped":
            return
        with self._handled_signals():
            await self._closed.wait()

    def run_forever(self) -> None:
        """Start, and block until `shutdown()`, SIGINT or SIGTERM has ended everything. Needs no running loop.

        Example:
            >>> scheduler.run_forever()
        """

        async def run() -> None:
            async with self:
                await self.wait_closed()

        asyncio.run(run())

    def pause(self) -> None:
        """Submit no due runs until `resume()`. What runs goes on. May be called from any thread.

        Raises:
            SchedulerNotRunningError: It is not running.
        """
        self._require_running("pause()")
        self._inbox.put(self._pause)

    def resume(self) -> None:
        """Submit due runs again, those that were due meanwhile as well. May be called from any thread.

        Raises:
            SchedulerNotRunningError: It is not running.
        """
        self._require_running("resume()")
        self._inbox.put(self._resume)

    @property
    def state(self) -> SchedulerState:
        """A snapshot of the scheduler, its tasks and its executors. May be read from any thread."""
        with self._lock:
            entries, registrations = list(self._entries.values()), list(self._registrations.values())
        return SchedulerState(
            status=self._status,
            tasks=tuple(self._task_state(entry) for entry in entries),
            executors=tuple(registration.state() for registration in registrations),
            **self._totals,
        )

    # Its executors

    @overload
    def add_executor(self, executor: UniversalExecutor, /, alias: str) -> None: ...
    @overload
    def add_executor(self, executor: PoolAlias, /, alias: str, **options: Unpack[PoolOptions]) -> None: ...
    @overload
    def add_executor(self, executor: LoopAlias | str, /, alias: str) -> None: ...
    def add_executor(self, executor: UniversalExecutor | str, /, alias: str, **options: object) -> None:
        """Register an executor under an alias; it is started with the scheduler, or now if that runs.

        May be called from any thread before the start, and on the loop's thread after it.

        Args:
            executor: An executor, or the alias of one to be made.
            alias: The name by which tasks choose it.
            options: The options of a pool that is made.

        Raises:
            DuplicateExecutorError: The alias is taken, or the instance is registered already.
            UnknownAliasError: There is no plugin with that alias; the error lists those that exist.
            InvalidInputError: An option is wrong, or what was given is not an executor.

        Example:
            >>> scheduler.add_executor("threadpool", alias="io", max_workers=20)
        """
        with self._lock:
            check_text("alias", alias)
            if alias in self._registrations:
                raise DuplicateExecutorError(alias)
            made = create_executor(executor, **options) if isinstance(executor, str) else executor
            self._register(alias, made, made)

    async def remove_executor(self, alias: str, *, wait: bool = True) -> None:
        """Shut an executor down and forget it.

        Raises:
            UnknownAliasError: No executor is registered under that alias.
            ExecutorInUseError: Tasks name it; remove them first.
        """
        registration = self._registration(alias)
        using = tuple(entry.task.id for entry in self._entries.values() if entry.task.executor == alias)
        if using:
            raise ExecutorInUseError(alias, using)
        del self._registrations[alias]
        self._executors.pop(alias, None)
        await self._shut_down(registration, wait, None)
        self._emit(events.ExecutorRemoved(alias))

    # Its tasks

    @overload
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], Awaitable[ResultT]],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: Executor[ResultT] | PoolAlias | LoopAlias | str = "asyncio",
        id: str | None = None,
        max_instances: int = 1,
        misfire_grace_time: float | None = None,
        coalesce: bool = True,
        timeout: float | None = None,
        paused: bool = False,
    ) -> Task[ResultT]: ...
    @overload
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], ResultT],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: Executor[ResultT] | PoolAlias | LoopAlias | str = "asyncio",
        id: str | None = None,
        max_instances: int = 1,
        misfire_grace_time: float | None = None,
        coalesce: bool = True,
        timeout: float | None = None,
        paused: bool = False,
    ) -> Task[ResultT]: ...
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], ResultT | Awaitable[ResultT]],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: Executor[ResultT] | str = "asyncio",
        id: str | None = None,
        max_instances: int = 1,
        misfire_grace_time: float | None = None,
        coalesce: bool = True,
        timeout: float | None = None,
        paused: bool = False,
    ) -> Task[ResultT]:
        """Add a task: a function, its arguments, and when and where it is to run.

        May be called from any thread, before the start too. Keyword arguments of the function are given
        with `functools.partial`.

        Args:
            fn: A function, a coroutine function, or any other callable.
            args: Its positional arguments.
            trigger: When it is due; by default once, at once. None: only when `task.run()` is called.
            executor: The alias of an executor, or an executor itself, which is registered on first use.
            id: Its id; by default one is made from the function's name.
            max_instances: How many of its runs may run at the same time.
            misfire_grace_time: How many seconds late a run may start; None is no limit.
            coalesce: Whether of several due times only the latest runs. If False, each runs, and those
                that are due at the maximum of instances wait.
            timeout: How many seconds a run may take; None is no limit.
            paused: Add it with its schedule held, until `resume_task`.

        Raises:
            DuplicateTaskError: There is a task with that id.
            UnknownAliasError: There is no executor with that alias; the error lists those that exist.
            InvalidInputError: A limit or the trigger cannot be used.
            SerializationError: The executor is a process pool and the function cannot be pickled.

        Example:
            >>> task = scheduler.add_task(checksum, "image.iso", executor="processpool")
        """
        if not callable(fn):
            raise InvalidInputError("fn", repr(fn), "it must be a function or another callable")
        limits = _checked_limits(max_instances, misfire_grace_time, coalesce, timeout)
        call: Callable[[], ResultT | Awaitable[ResultT]] = partial(fn, *args)
        return self._add(call, trigger, executor, id, limits, paused)

    def _add(
        self,
        call: Callable[[], ResultT | Awaitable[ResultT]],
        trigger: Trigger | None,
        executor: Executor[ResultT] | str,
        task_id: str | None,
        limits: TaskLimits,
        paused: bool = False,
    ) -> Task[ResultT]:
        if trigger is not None and not is_trigger(trigger):
            raise InvalidInputError(
                "trigger", repr(trigger), f"a trigger is needed; create_trigger() knows: {', '.join(trigger_aliases())}"
            )
        if task_id is not None:
            check_text("id", task_id)
        first = None if trigger is None else _next_fire(trigger, None, utc(self._clock.now()))
        with self._lock:
            if task_id is None:
                task_id = self._new_id(call)
            elif task_id in self._entries:
                raise DuplicateTaskError(task_id)
            registration, submit_to = self._resolve(executor, call)
            task: Task[ResultT] = Task(
                task_id,
                call,
                owner=self,
                run_now=lambda: self._run_now(entry),
                executor=registration.alias,
                limits=limits,
            )
            entry = _TypedEntry(
                trigger,
                contextvars.copy_context(),
                registration,
                first,
                paused=paused,
                typed_task=task,
                submit_to=submit_to,
                scheduler=self,
            )
            self._entries[task_id] = entry
        self._inbox.put(lambda: self._activate(entry))
        return task

    def task(
        self,
        *,
        trigger: Trigger | None = NOW,
        executor: PoolAlias | LoopAlias | str = "asyncio",
        max_instances: int = 1,
        misfire_grace_time: float | None = None,
        coalesce: bool = True,
        timeout: float | None = None,
    ) -> TaskDecorator:
        """Decorate a function so that it can schedule itself: `function.schedule(...)` adds a task.

        The function stays callable as before; `schedule` takes its arguments, keyword arguments too.
        For the other parameters see `add_task`. May be called from any thread.

        Raises:
            InvalidInputError: A limit cannot be used.

        Example:
            >>> @scheduler.task(trigger=IntervalTrigger(hours=1), executor="threadpool")
            ... def clean_up(folder: str, *, older_than: float = 3600) -> int: ...
            >>> task = clean_up.schedule("/tmp", older_than=60)
        """
        limits = _checked_limits(max_instances, misfire_grace_time, coalesce, timeout)
        return _Decorator(lambda call: self._add(call, trigger, executor, None, limits))

    @property
    def tasks(self) -> tuple[Task[object], ...]:
        """All its tasks. May be read from any thread."""
        with self._lock:
            return tuple(entry.task for entry in self._entries.values())

    def get_task(self, task_id: str) -> Task[object]:
        """The task with that id. May be called from any thread.

        Raises:
            TaskLookupError: There is none.
        """
        return self._entry(task_id).task

    def remove_task(self, task: Task[object] | str) -> None:
        """Forget a task: it is due no more. Its running runs go on. May be called from any thread.

        Raises:
            TaskLookupError: It is not here.
        """
        with self._lock:
            entry = self._entry(task)
            del self._entries[entry.task.id]
            entry.removed = True
        self._inbox.put(lambda: self._removed(entry))

    def pause_task(self, task: Task[object] | str) -> None:
        """Hold a task's schedule until `resume_task`. May be called from any thread.

        Raises:
            TaskLookupError: It is not here.
        """
        entry = self._entry(task)
        self._inbox.put(lambda: self._set_paused(entry, True))

    def resume_task(self, task: Task[object] | str) -> None:
        """Go on with a task's schedule; what was due meanwhile is due now. May be called from any thread.

        Raises:
            TaskLookupError: It is not here.
        """
        entry = self._entry(task)
        self._inbox.put(lambda: self._set_paused(entry, False))

    # Who is told

    @overload
    def subscribe(
        self, event: type[TaskExecuted[object]], listener: Callable[[TaskExecuted[object]], object], /
    ) -> Subscription: ...
    @overload
    def subscribe(self, event: type[PlainEventT], listener: Callable[[PlainEventT], object], /) -> Subscription: ...
    def subscribe(self, event: type[EventT], listener: Callable[[EventT], object], /) -> Subscription:
        """Call a listener with each event of a class, of every task, on the loop's thread.

        A coroutine function is awaited. May be called from any thread.

        Raises:
            InvalidInputError: `event` is not an event class; a subscripted one is none.

        Example:
            >>> scheduler.subscribe(TaskError, lambda event: print(event.exception))
        """
        if not _is_event_class(event):
            allowed = ", ".join(sorted(known.__name__ for known in _EVENT_CLASSES))
            raise InvalidInputError("event", repr(event), f"one of the event classes is needed: {allowed}")

        receive = _only(event, listener)

        def remove() -> None:
            with self._lock:
                kept = tuple(each for each in self._subscribers.get(event, ()) if each is not receive)
                self._subscribers[event] = kept

        with self._lock:
            self._subscribers[event] = (*self._subscribers.get(event, ()), receive)
        return Subscription(remove)

    # What executors call

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Tell how a run ended; executors do. May be called from any thread."""
        self._inbox.put(partial(self._conclude, run, notification))

    def released(self, run: TaskRun[ResultT], /) -> None:
        """Tell that a run's work is over; executors do. May be called from any thread."""
        self._inbox.put(partial(self._release, run))

    # What tasks call

    def cancel_runs(self, task_id: str, /) -> int:
        """Ask for the cancellation of a task's runs; `Task.cancel_runs` does. For the loop's thread."""
        entry = self._entries.get(task_id)
        return sum(cancel() for cancel in list((entry.running or {}).values())) if entry else 0

    def state_of(self, task_id: str, /) -> TaskState:
        """What is known of a task. May be called from any thread.

        Raises:
            TaskLookupError: It is not here.
        """
        return self._task_state(self._entry(task_id))

    def can_run(self, task_id: str, /) -> bool:
        """Whether another run of a task can still end. May be called from any thread."""
        return task_id in self._entries and self._status != "stopped"

    # On the loop's thread only: due runs

    def _activate(self, entry: _Entry) -> None:
        self._emit(events.TaskAdded(entry.task.id))
        self._schedule(entry)
        if entry.finished and not entry.removed:
            self._forget(entry)

    def _schedule(self, entry: _Entry) -> None:
        entry.version += 1
        if entry.next_fire is not None and not entry.removed and not entry.paused:
            at = entry.next_fire.timestamp()
            heapq.heappush(self._heap, (at, next(self._sequence), entry.version, entry))
            if self._timer is None or at < self._timer_at:
                self._set_timer()

    def _set_timer(self) -> None:
        if self._status != "running":
            return
        if self._timer is not None:
            self._timer.cancel()
        now = self._clock.now()
        self._timer_at = min(self._heap[0][0] if self._heap else now + _LONGEST_SLEEP, now + _LONGEST_SLEEP)
        self._timer = self._clock.call_later(max(0.0, self._timer_at - now), self._submit_what_is_due)

    def _submit_what_is_due(self) -> None:
        self._timer = None
        now = self._clock.now()
        if now < self._last_seen - _CLOCK_STEP:
            self._follow_clock_back(now)
        self._last_seen = now
        for _ in range(_RUNS_AT_ONCE):
            if self._status != "running" or not self._heap or self._heap[0][0] > now:
                break
            _, _, version, entry = heapq.heappop(self._heap)
            if version == entry.version and not entry.removed:
                self._fire(entry, now)
        self._set_timer()

    def _fire(self, entry: _Entry, now: float) -> None:
        due: list[float] = []
        fire_time, now_utc = entry.next_fire, utc(now)
        assert entry.trigger is not None
        try:
            while fire_time is not None and fire_time <= now_utc:
                # With coalescing only the latest counts, and nobody needs the list of the others.
                due = [fire_time.timestamp()] if entry.task.limits.coalesce else [*due, fire_time.timestamp()]
                fire_time = _next_fire(entry.trigger, fire_time, now_utc)
        except Exception as error:
            logger.exception("The trigger of the task %r raised; its schedule ends", entry.task.id)
            fire_time = None
            self._emit(events.TaskModified(entry.task.id, "its trigger raised", error))
        entry.next_fire = fire_time
        self._schedule(entry)
        if entry.task.limits.coalesce:
            for at in due:
                self._submit_due(entry, at)
        else:
            entry.waiting = entry.waiting or deque()
            entry.waiting.extend(due)
            self._submit_waiting(entry)
        if entry.finished and not entry.running and not entry.removed:
            self._inbox.put(lambda: self._forget_if_finished(entry))

    def _submit_waiting(self, entry: _Entry) -> None:
        while entry.waiting and len(entry.running or ()) < entry.task.limits.max_instances:
            if not self._submit_due(entry, entry.waiting[0]):
                return
            entry.waiting.popleft()

    def _submit_due(self, entry: _Entry, at: float) -> bool:
        submission = entry.new_submission(at, self._clock.now)
        try:
            self._hand_over(entry, submission)
        except MaximumInstancesError:
            if not entry.task.limits.coalesce:
                return False
            self._refuse(entry, events.TaskMaxInstances(entry.task.id, details=submission.details("")))
        except QueueFullError:
            self._refuse(entry, events.TaskQueueFull(entry.task.id, details=submission.details("")))
        return True

    def _hand_over(self, entry: _Entry, submission: _Submission) -> None:
        """Submit a run, or end it where that is known already; only a refusal is raised."""
        if self._subscribers.get(events.TaskSubmitted):
            # Put before the run is handed over: in a thread it may end before `submit` returns.
            submitted = events.TaskSubmitted(entry.task.id, details=submission.details(""))
            self._inbox.put(lambda: self._emit(submitted) if submission.accepted else None)
        entry.running = {} if entry.running is None else entry.running
        entry.running[submission.run_id] = submission.cancel
        entry.submitted += 1
        self._totals["submitted"] += 1
        try:
            registration = entry.registration
            if registration.failure is not None:
                submission.fail(registration.failure)
            elif submission.miss():
                pass
            elif registration.ready or self._status == "draining":
                submission.submit()
            elif len(entry.running) > entry.task.limits.max_instances:
                raise MaximumInstancesError(entry.task.id, entry.task.limits.max_instances)
            else:
                registration.pending.append(lambda: self._submit_pending(registration, submission))
        except (MaximumInstancesError, QueueFullError):
            submission.accepted = False
            del entry.running[submission.run_id]
            entry.submitted -= 1
            self._totals["submitted"] -= 1
            raise
        except Exception as error:
            submission.fail(error)

    def _run_now(self, entry: _TypedEntry[ResultT]) -> RunHandle[ResultT]:
        self._require_running(f"running the task {entry.task.id!r}")
        if entry.removed:
            raise TaskLookupError(entry.task.id)
        run = TaskRun(
            entry.typed_task,
            scheduled=self._clock.now(),
            context=contextvars.copy_context(),
            clock_now=self._clock.now,
        )
        submission = entry.submission_of(run)
        self._hand_over(entry, submission)
        return RunHandle(run, submission.cancel)

    def _refuse(self, entry: _Entry, event: events.TaskMaxInstances | events.TaskQueueFull) -> None:
        entry.refused += 1
        self._totals["refused"] += 1
        logger.warning("A due run of the task %r was refused: %s", entry.task.id, type(event).__name__)
        self._emit(event)

    def _follow_clock_back(self, now: float) -> None:
        logger.warning("The clock was set back by %.0f seconds; all schedules start anew", self._last_seen - now)
        self._heap.clear()
        for entry in list(self._entries.values()):
            if entry.trigger is not None and entry.next_fire is not None:
                entry.next_fire = _next_fire(entry.trigger, None, utc(now))
                self._schedule(entry)

    # On the loop's thread only: ends

    def _conclude(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT]) -> None:
        task = run.task
        if notification.details.run_id == 0:
            notification = attrs.evolve(notification, details=run.details(notification.details.worker))
        if not run.conclude(notification):
            logger.error("A second notification of a run was refused: %r of %r", notification, run)
            return
        entry = self._entries.get(task.id)
        if isinstance(notification, TaskExecuted):
            kind = "executed"
        elif isinstance(notification, TaskError):
            kind = "errors"
            logger.error("A run of the task %r failed\n%s", task.id, notification.traceback)
        elif isinstance(notification, TaskMissed):
            kind = "missed"
            logger.warning("A run of the task %r was missed", task.id)
        else:
            kind = "cancelled"
        self._totals[kind] += 1
        if entry is not None and entry.task is task:
            setattr(entry, kind, getattr(entry, kind) + 1)
        for listener in run.listeners:
            self._call(partial(listener, notification))
        self._emit(notification)

    def _release(self, run: TaskRun[ResultT]) -> None:
        if run.released:
            logger.error("A second release of a run was refused: %r", run)
            return
        run.released = True
        entry = self._entries.get(run.task.id)
        if entry is None or entry.task is not run.task:
            return
        if entry.running is not None:
            entry.running.pop(run.id, None)
        self._submit_waiting(entry)
        self._forget_if_finished(entry)

    def _forget_if_finished(self, entry: _Entry) -> None:
        if entry.finished and not entry.running and not entry.removed and self._status != "draining":
            self._forget(entry)

    def _forget(self, entry: _Entry) -> None:
        with self._lock:
            del self._entries[entry.task.id]
            entry.removed = True
        self._removed(entry)

    def _removed(self, entry: _Entry) -> None:
        self._emit(events.TaskRemoved(entry.task.id))
        entry.task.end_streams()

    def _cancel_waiting(self) -> None:
        """Runs that were due and waited are not forgotten: they are submitted and end as cancelled."""
        for entry in list(self._entries.values()):
            while entry.waiting:
                submission = entry.new_submission(entry.waiting.popleft(), self._clock.now)
                submission.submit = submission.end_cancelled
                self._hand_over(entry, submission)

    def _emit(self, event: Event) -> None:
        for listener in self._subscribers.get(type(event), ()):
            self._call(partial(listener, event))

    def _call(self, listener: Callable[[], object]) -> None:
        try:
            outcome = listener()
        except BaseException:
            logger.exception("A listener raised")
            return
        if is_awaitable(outcome):
            future = asyncio.get_running_loop().create_task(_logged(outcome))
            self._background.add(future)
            future.add_done_callback(self._background.discard)

    # On the loop's thread only: the rest

    def _pause(self) -> None:
        if self._status == "running":
            self._status = "paused"
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._emit(events.SchedulerPaused())

    def _resume(self) -> None:
        if self._status == "paused":
            self._status = "running"
            self._emit(events.SchedulerResumed())
            self._set_timer()

    def _set_paused(self, entry: _Entry, paused: bool) -> None:
        if entry.paused != paused and not entry.removed:
            entry.paused = paused
            self._emit(events.TaskModified(entry.task.id, "paused" if paused else "resumed"))
            self._schedule(entry)

    async def _shut_down(self, registration: _Registration, wait: bool, timeout: float | None) -> None:
        if registration.starting is not None:
            await registration.starting
            registration.starting = None
        if not registration.ready:
            return
        registration.ready = False
        shutdown = asyncio.ensure_future(registration.shutdown(wait))
        if wait and timeout is not None:
            await asyncio.wait([shutdown], timeout=timeout)
            if not shutdown.done():
                registration.cancel_all()
        try:
            await shutdown
        except Exception:
            logger.exception("The executor %r raised in its shutdown", registration.alias)

    def _start_late(self, registration: _Registration) -> None:
        async def start() -> None:
            try:
                await registration.start(self, registration.alias)
            except Exception as error:
                logger.exception("The executor %r could not start and is not registered any more", registration.alias)
                registration.failure = error
                self._registrations.pop(registration.alias, None)
                self._executors.pop(registration.alias, None)
            else:
                registration.ready = True
            pending = list(registration.pending)
            registration.pending.clear()
            for submit in pending:
                submit()

        registration.starting = asyncio.get_running_loop().create_task(start())

    def _submit_pending(self, registration: _Registration, submission: _Submission) -> None:
        try:
            if registration.failure is not None:
                submission.fail(registration.failure)
            elif not submission.miss():
                submission.submit()
        except Exception as error:
            submission.fail(error)

    @contextmanager
    def _handled_signals(self) -> Generator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        received = itertools.count()

        def stop(number: int, _: FrameType | None) -> None:
            wait = next(received) == 0
            logger.info("Received %s; %s", signal.Signals(number).name, "draining" if wait else "cancelling what runs")
            loop.call_soon_threadsafe(self._stop, wait)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, wait: bool) -> None:
        if not wait:
            for registration in self._registrations.values():
                registration.cancel_all()
        future = asyncio.ensure_future(self.shutdown(wait))
        # The loop itself holds its tasks weakly.
        self._stopping = future

    # From any thread

    def _require_running(self, action: str) -> None:
        if not self.running:
            raise SchedulerNotRunningError(action)

    def _entry(self, task: Task[object] | str) -> _Entry:
        task_id = task if isinstance(task, str) else task.id
        entry = self._entries.get(task_id)
        if entry is None or not (isinstance(task, str) or entry.task is task):
            raise TaskLookupError(task_id)
        return entry

    def _new_id(self, function: object) -> str:
        name = function_reference(function).rpartition(":")[2]
        while (task_id := f"{name}-{next(self._names)}") in self._entries:
            pass
        return task_id

    def _registration(self, alias: str) -> _Registration:
        if alias not in self._registrations:
            raise UnknownAliasError("executor", alias, tuple(sorted({*self._registrations, *BUILTIN_EXECUTORS})))
        return self._registrations[alias]

    def _resolve(
        self, executor: Executor[ResultT] | str, call: Callable[[], object]
    ) -> tuple[_Registration, Callable[[TaskRun[ResultT]], None]]:
        """Find the executor of a new task, registering it where that is its first use."""
        if isinstance(executor, str):
            universal = self._executors.get(executor)
            if universal is None:
                if executor not in BUILTIN_EXECUTORS:
                    known = tuple(sorted({*self._registrations, *executor_aliases()}))
                    raise UnknownAliasError("executor", executor, known)
                self.add_executor(executor, alias=executor)
                universal = self._executors[executor]
            _check_call(universal, call)
            return self._registrations[executor], universal.submit
        for registration in self._registrations.values():
            if registration.identity is executor:
                break
        else:
            name, number = type(executor).__name__, 1
            while (alias := f"{name}-{number}") in self._registrations:
                number += 1
            registration = self._register(alias, executor, None)
        _check_call(executor, call)
        return registration, executor.submit

    def _register(self, alias: str, executor: Executor[ResultT], universal: UniversalExecutor | None) -> _Registration:
        if not is_executor(executor):
            raise InvalidInputError(
                "executor", repr(executor), "it needs the state, start, shutdown and submit of an executor"
            )
        for registration in self._registrations.values():
            if registration.identity is executor:
                raise DuplicateExecutorError(registration.alias)
        registration = _Registration(
            alias, executor, executor.start, executor.shutdown, lambda: executor.state, lambda: _cancel_all_of(executor)
        )
        self._registrations[alias] = registration
        if universal is not None:
            self._executors[alias] = universal
        self._inbox.put(lambda: self._emit(events.ExecutorAdded(alias)))
        if self.running:
            self._inbox.put(lambda: self._start_late(registration))
        return registration

    def _task_state(self, entry: _Entry) -> TaskState:
        return TaskState(
            task_id=entry.task.id,
            function=entry.task.function,
            trigger="" if entry.trigger is None else str(entry.trigger),
            executor=entry.task.executor,
            paused=entry.paused,
            next_run_at=entry.next_fire,
            running=len(entry.running or ()),
            waiting=len(entry.waiting or ()),
            submitted=entry.submitted,
            executed=entry.executed,
            errors=entry.errors,
            missed=entry.missed,
            cancelled=entry.cancelled,
            refused=entry.refused,
        )


def _only(event: type[EventT], listener: Callable[[EventT], object]) -> Callable[[object], object]:
    def receive(happened: object) -> object:
        return listener(happened) if isinstance(happened, event) else None

    return receive


class _Decorator:
    """Makes a `TaskFunction` of the function it is put before."""

    def __init__(self, add: Callable[[Callable[[], object]], Task[object]]) -> None:
        self._add = add

    @overload
    def __call__(
        self, fn: Callable[P, Coroutine[object, Never, ResultT]], /
    ) -> TaskFunction[P, Coroutine[object, Never, ResultT], ResultT]: ...
    @overload
    def __call__(self, fn: Callable[P, ResultT], /) -> TaskFunction[P, ResultT, ResultT]: ...
    def __call__(self, fn: Callable[P, CallT], /) -> TaskFunction[P, CallT, object]:
        def schedule(*args: P.args, **kwargs: P.kwargs) -> Task[object]:
            return self._add(partial(fn, *args, **kwargs))

        return TaskFunction(fn, schedule)


async def _logged(outcome: Awaitable[object]) -> None:
    try:
        await outcome
    except BaseException as error:
        logger.exception("A listener raised")
        if isinstance(error, asyncio.CancelledError):
            raise


def _next_fire(trigger: Trigger, previous: datetime | None, now: datetime) -> datetime | None:
    """Ask a trigger, and hold it to its contract."""
    following = trigger.next_fire_time(previous, now)
    if following is None:
        return None
    if not _is_aware(following):
        raise InvalidInputError("a fire time", repr(following), f"{trigger!r} must give time zone aware datetimes")
    if previous is not None and following <= previous:
        raise InvalidInputError("a fire time", repr(following), f"{trigger!r} must give one later than {previous!r}")
    return following.astimezone(UTC)


def _is_aware(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def _is_event_class(value: object) -> bool:
    return isinstance(value, type) and value in _EVENT_CLASSES


def _checked_limits(
    max_instances: int, misfire_grace_time: float | None, coalesce: bool, timeout: float | None
) -> TaskLimits:
    check_count("max_instances", max_instances)
    check_optional_seconds("misfire_grace_time", misfire_grace_time, zero_allowed=True)
    check_optional_seconds("timeout", timeout, zero_allowed=False)
    if (max_instances, misfire_grace_time, coalesce, timeout) == (1, None, True, None):
        return DEFAULT_LIMITS
    return TaskLimits(
        max_instances=max_instances, misfire_grace_time=misfire_grace_time, coalesce=coalesce, timeout=timeout
    )


class _ChecksCalls(Protocol):
    def check_call(self, call: Callable[[], object], /) -> None: ...


def _checks_calls(executor: object) -> TypeIs[_ChecksCalls]:
    return callable(getattr(executor, "check_call", None))


def _check_call(executor: object, call: Callable[[], object]) -> None:
    """Let an executor refuse at once what it can never run, such as what cannot be pickled."""
    if _checks_calls(executor):
        executor.check_call(call)


def is_cancelling(executor: object) -> TypeIs[SupportsCancel]:
    """Whether an executor can be asked to cancel runs."""
    return callable(getattr(executor, "cancel", None))


class _CancelsAll(Protocol):
    def cancel_all(self) -> None: ...


def _cancels_all(executor: object) -> TypeIs[_CancelsAll]:
    return callable(getattr(executor, "cancel_all", None))


def _cancel_all_of(executor: object) -> None:
    if _cancels_all(executor):
        executor.cancel_all()
