"""The scheduler that runs on an asyncio event loop."""

from __future__ import annotations

import asyncio
import itertools
import logging
import operator
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Never, Protocol, Self, TypeGuard, get_args, overload

import attrs
from typing_extensions import ParamSpec, TypeIs, TypeVar, TypeVarTuple, Unpack

from asyncz import events
from asyncz._checks import check_count, check_optional_instance, check_optional_seconds, check_text
from asyncz.clock import SystemClock, utc
from asyncz.config import ClusterAlias, DaskOptions, LoopAlias, PoolAlias, PoolOptions
from asyncz.events import TaskError, TaskExecuted, TaskMissed, TaskNotification
from asyncz.exceptions import (
    DuplicateExecutorError,
    DuplicateTaskError,
    ExecutorInUseError,
    InvalidInputError,
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
from asyncz.protocols import Clock, Executor, Timer, Trigger, UniversalExecutor
from asyncz.retries import Retry
from asyncz.schedulers._dispatch import Subscription as Subscription
from asyncz.schedulers._entries import (
    FINISHED,
    Core,
    Entry,
    Registration,
    SubmitsAnything,
    TypedEntry,
    counted,
    next_fire,
    read_counts,
)
from asyncz.schedulers._inbox import TURN
from asyncz.states import SchedulerState
from asyncz.tasks import DEFAULT_LIMITS, Task, TaskFunction, TaskLimits, TaskRun, function_name
from asyncz.triggers.base import start_trigger
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
    events.TaskRetrying,
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
# So many seconds an executor has for its shutdown after it was told to wait for its runs no more.
_LAST_PATIENCE = 5.0


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
        executors: Mapping[str, UniversalExecutor | PoolAlias | ClusterAlias | LoopAlias | str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._core = Core(self, clock or SystemClock())
        self._names = itertools.count(1)
        self._registrations: dict[str, Registration] = {}
        # Removed tasks whose last runs are not over, by the identity of the task: ids may be used again.
        self._leaving: dict[int, Entry] = {}
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._last_seen = 0.0
        self._closed: asyncio.Event | None = None
        self._shutdown_lock = asyncio.Lock()
        self._before_shutdown: Mapping[type[object], int] = {}
        self._stopping: asyncio.Future[None] | None = None
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
        return self._core.running

    async def start(self) -> None:
        """Start its executors, then submit what is due, on the running loop.

        Raises:
            SchedulerAlreadyRunningError: It runs already.
            Exception: What an executor raised at its start; those that had started are shut down again.
        """
        core = self._core
        if core.status not in {"created", "stopped"}:
            raise SchedulerAlreadyRunningError
        core.status = "running"
        self._closed = asyncio.Event()
        self._shutdown_lock = asyncio.Lock()
        core.inbox.open(asyncio.get_running_loop())
        self._last_seen = core.clock.now()
        started: list[Registration] = []
        try:
            for registration in list(self._registrations.values()):
                await registration.start(self, registration.alias)
                registration.ready = True
                started.append(registration)
        except BaseException:
            for registration in started:
                await self._shut_down(registration, False, None)
            core.inbox.close()
            core.status = "stopped"
            self._closed.set()
            raise
        core.dispatcher.emit(events.SchedulerStarted())
        core.inbox.put(self._set_timer)

    async def shutdown(self, wait: bool = True, timeout: float | None = None) -> None:
        """Take no new runs, end those there are, release the executors. May be called again.

        A run that waits for its next attempt makes none: it ends with the error of its last one.

        Args:
            wait: Let the runs come to their end, without blocking the loop; else they are cancelled.
            timeout: Wait for so many seconds at most, then cancel what is left; None is no limit.

        Raises:
            InvalidInputError: `timeout` is negative.
        """
        check_optional_seconds("timeout", timeout, zero_allowed=True)
        core = self._core
        if core.status in {"created", "stopped"}:
            return
        if core.status != "draining":
            core.status = "draining"
            self._before_shutdown = core.totals.copy()
            self._cancel_timer()
        # Who calls it while another call is at it waits for the same end; where that call is cancelled, goes on itself.
        async with self._shutdown_lock:
            await self._shut_down_all(wait, timeout)

    async def _shut_down_all(self, wait: bool, timeout: float | None) -> None:
        core = self._core
        if core.status == "stopped":
            # By the call that this one waited for.
            return
        for entry in self._all_entries():
            entry.end_attempts()
            entry.end_what_waits()
        registrations = list(self._registrations.values())
        await asyncio.gather(*(self._shut_down(registration, wait, timeout) for registration in registrations))
        core.inbox.drain_all()
        for entry in self._all_entries():
            if left := entry.end_what_is_left():
                alias = entry.registration.alias
                logger.error("The executor %r never told how %d run(s) of %r ended", alias, left, entry.task.id)
        core.inbox.drain_all()
        await core.dispatcher.until_all_have_heard(core.inbox.drain_all)
        self._report_shutdown(self._before_shutdown)
        core.inbox.close()
        core.status = "stopped"
        for entry in self._all_entries():
            entry.task.end_streams()
        self._leaving.clear()
        assert self._closed is not None
        self._closed.set()

    async def wait_closed(self, drain_timeout: float | None = None) -> None:
        """Wait until the scheduler has shut down: by `shutdown()`, or by SIGINT or SIGTERM.

        The signals are handled while this waits in the main thread, and restored after: the first one
        lets the runs come to their end, a second one cancels them.

        Args:
            drain_timeout: How many seconds the runs have for that after the first signal, before what is left
                is cancelled; None is no limit.

        Raises:
            InvalidInputError: `drain_timeout` is negative.
        """
        check_optional_seconds("drain_timeout", drain_timeout, zero_allowed=True)
        if self._closed is None or self._core.status == "stopped":
            return
        with self._handled_signals(drain_timeout):
            await self._closed.wait()

    def run_forever(self, drain_timeout: float | None = None) -> None:
        """Start, and block until `shutdown()`, SIGINT or SIGTERM has ended everything. Needs no running loop.

        Args:
            drain_timeout: As `wait_closed` takes it, in seconds.

        Example:
            >>> scheduler.run_forever(drain_timeout=25)
        """

        async def run() -> None:
            async with self:
                await self.wait_closed(drain_timeout)

        asyncio.run(run())

    def pause(self) -> None:
        """Submit no due runs until `resume()`. What runs goes on. May be called from any thread.

        Raises:
            SchedulerNotRunningError: It is not running.
        """
        self._require_running("pause()")
        self._core.inbox.put(self._pause)

    def resume(self) -> None:
        """Submit due runs again, those that were due meanwhile as well. May be called from any thread.

        Raises:
            SchedulerNotRunningError: It is not running.
        """
        self._require_running("resume()")
        self._core.inbox.put(self._resume)

    @property
    def state(self) -> SchedulerState:
        """A snapshot of the scheduler, its tasks and its executors. May be read from any thread."""
        core = self._core
        with core.lock:
            entries, registrations = list(core.entries.values()), list(self._registrations.values())
        return SchedulerState(
            status=core.status,
            tasks=tuple(entry.current_state() for entry in entries if not entry.removed),
            executors=tuple(registration.state() for registration in registrations),
            **read_counts(core.totals),
        )

    # Its executors

    @overload
    def add_executor(self, executor: UniversalExecutor, /, alias: str) -> None: ...
    @overload
    def add_executor(self, executor: PoolAlias, /, alias: str, **options: Unpack[PoolOptions]) -> None: ...
    @overload
    def add_executor(self, executor: ClusterAlias, /, alias: str, **options: Unpack[DaskOptions]) -> None: ...
    @overload
    def add_executor(self, executor: LoopAlias | str, /, alias: str) -> None: ...
    def add_executor(self, executor: UniversalExecutor | str, /, alias: str, **options: object) -> None:
        """Register an executor under an alias; it is started with the scheduler, or now if that runs.

        May be called from any thread before the start, and on the loop's thread after it.

        Args:
            executor: An executor, or the alias of one to be made.
            alias: The name by which tasks choose it.
            options: The options of the pool, or of the connection to a cluster, that is made.

        Raises:
            DuplicateExecutorError: The alias is taken, or the instance is registered already.
            UnknownAliasError: There is no plugin with that alias; the error lists those that exist.
            InvalidInputError: An option is wrong, or what was given is not an executor.

        Example:
            >>> scheduler.add_executor("threadpool", alias="io", max_workers=20)
        """
        with self._core.lock:
            check_text("alias", alias)
            if alias in self._registrations:
                raise DuplicateExecutorError(alias)
            made = create_executor(executor, **options) if isinstance(executor, str) else executor
            self._register(alias, made, made.submit)

    async def remove_executor(self, alias: str, *, wait: bool = True) -> None:
        """Shut an executor down and forget it.

        Raises:
            UnknownAliasError: No executor is registered under that alias.
            ExecutorInUseError: Tasks name it; remove them first.
        """
        registration = self._registration(alias)
        using = tuple(entry.task.id for entry in list(self._core.entries.values()) if entry.task.executor == alias)
        if using:
            raise ExecutorInUseError(alias, using)
        del self._registrations[alias]
        await self._shut_down(registration, wait, None)
        self._core.dispatcher.emit(events.ExecutorRemoved(alias))

    # Its tasks

    # An alias and an executor have overloads of their own: editors offer the aliases only where the
    # parameter's type has no type variable.
    @overload
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], Awaitable[ResultT]],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: PoolAlias | ClusterAlias | LoopAlias | str = "asyncio",
        id: str | None = None,
        max_instances: int = 1,
        misfire_grace_time: float | None = None,
        coalesce: bool = True,
        timeout: float | None = None,
        retry: Retry | None = None,
        paused: bool = False,
    ) -> Task[ResultT]: ...
    @overload
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], ResultT],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: PoolAlias | ClusterAlias | LoopAlias | str = "asyncio",
        id: str | None = None,
        max_instances: int = 1,
        misfire_grace_time: float | None = None,
        coalesce: bool = True,
        timeout: float | None = None,
        retry: Retry | None = None,
        paused: bool = False,
    ) -> Task[ResultT]: ...
    @overload
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], Awaitable[ResultT]],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: Executor[ResultT],
        id: str | None = None,
        max_instances: int = 1,
        misfire_grace_time: float | None = None,
        coalesce: bool = True,
        timeout: float | None = None,
        retry: Retry | None = None,
        paused: bool = False,
    ) -> Task[ResultT]: ...
    @overload
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], ResultT],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: Executor[ResultT],
        id: str | None = None,
        max_instances: int = 1,
        misfire_grace_time: float | None = None,
        coalesce: bool = True,
        timeout: float | None = None,
        retry: Retry | None = None,
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
        retry: Retry | None = None,
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
            timeout: How many seconds an attempt of a run may take; None is no limit.
            retry: Whether a run that failed is tried again, how often and when; None is never.
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
        limits = _checked_limits(max_instances, misfire_grace_time, coalesce, timeout, retry)
        call = fn if _is_complete(fn, args) else partial(fn, *args)
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
        core = self._core
        first = None
        if trigger is not None:
            now = utc(core.clock.now())
            trigger = start_trigger(trigger, now)
            first = next_fire(trigger, None, now)
        with core.lock:
            if task_id is None:
                task_id = self._new_id(call)
            elif task_id in core.entries:
                raise DuplicateTaskError(task_id)
            registration, submit_to = self._resolve(executor, call)
            entry = TypedEntry(core, registration, trigger, first, paused, task_id, call, limits, submit_to)
            core.entries[task_id] = entry
        core.inbox.put(partial(self._activate, entry))
        return entry.typed_task

    def task(
        self,
        *,
        trigger: Trigger | None = NOW,
        executor: PoolAlias | ClusterAlias | LoopAlias | str = "asyncio",
        max_instances: int = 1,
        misfire_grace_time: float | None = None,
        coalesce: bool = True,
        timeout: float | None = None,
        retry: Retry | None = None,
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
        limits = _checked_limits(max_instances, misfire_grace_time, coalesce, timeout, retry)
        return _Decorator(lambda call: self._add(call, trigger, executor, None, limits))

    @property
    def tasks(self) -> tuple[Task[object], ...]:
        """All its tasks. May be read from any thread."""
        with self._core.lock:
            return tuple(entry.task for entry in self._core.entries.values())

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
        with self._core.lock:
            entry = self._entry(task)
            del self._core.entries[entry.task.id]
            entry.removed = True
            self._leaving[id(entry.task)] = entry
        self._core.inbox.put(partial(self._removed, entry))

    def pause_task(self, task: Task[object] | str) -> None:
        """Hold a task's schedule until `resume_task`. May be called from any thread.

        Raises:
            TaskLookupError: It is not here.
        """
        entry = self._entry(task)
        self._core.inbox.put(lambda: self._set_paused(entry, True))

    def resume_task(self, task: Task[object] | str) -> None:
        """Go on with a task's schedule; what was due meanwhile is due now. May be called from any thread.

        Raises:
            TaskLookupError: It is not here.
        """
        entry = self._entry(task)
        self._core.inbox.put(lambda: self._set_paused(entry, False))

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

        with self._core.lock:
            return self._core.dispatcher.subscribe(event, listener)

    # What executors call

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Tell how a run ended; executors do. May be called from any thread."""
        self._core.inbox.put(partial(self._conclude, self._entry_of(run.task), run, notification))

    def released(self, run: TaskRun[ResultT], /) -> None:
        """Tell that a run's work is over; executors do. May be called from any thread."""
        self._core.inbox.put(partial(self._release, self._entry_of(run.task), run))

    def ended(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Tell both at once: how a run ended, and that its work is over. May be called from any thread."""
        self._core.inbox.put(partial(self._end, run, notification))

    # On the loop's thread only: due runs

    def _activate(self, entry: Entry) -> None:
        if events.TaskAdded in self._core.dispatcher.listeners:
            self._core.dispatcher.emit(events.TaskAdded(entry.task.id))
        self._schedule(entry)
        self._forget_if_finished(entry)

    def _schedule(self, entry: Entry) -> None:
        entry.schedule()
        earliest = self._core.timetable.earliest
        if earliest is not None and (self._timer is None or earliest < self._timer_at):
            self._set_timer()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        core = self._core
        self._cancel_timer()
        if core.status != "running":
            return
        now = core.clock.now()
        earliest = core.timetable.earliest
        longest = now + _LONGEST_SLEEP
        self._timer_at = longest if earliest is None else min(earliest, longest)
        self._timer = core.clock.call_later(max(0.0, self._timer_at - now), self._submit_what_is_due)

    def _submit_what_is_due(self) -> None:
        self._timer = None
        core = self._core
        now = core.clock.now()
        if now < self._last_seen - _CLOCK_STEP:
            self._follow_clock_back(now)
        self._last_seen = now
        now_utc, deadline = utc(now), time.perf_counter() + TURN
        while core.status == "running" and time.perf_counter() < deadline:
            entry = core.timetable.pop_due(now)
            if entry is None:
                break
            entry.fire(now_utc)
            if entry.next_fire is None and not entry.run_count:
                core.inbox.put(partial(self._forget_if_finished, entry))
        self._set_timer()

    def _follow_clock_back(self, now: float) -> None:
        logger.warning("The clock was set back by %.0f seconds; all schedules start anew", self._last_seen - now)
        for entry in list(self._core.entries.values()):
            entry.start_anew(utc(now))
            self._forget_if_finished(entry)

    # On the loop's thread only: ends

    def _end(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT]) -> None:
        entry = self._entry_of(run.task)
        try:
            self._conclude(entry, run, notification)
        finally:
            self._release(entry, run)

    def _conclude(self, entry: Entry | None, run: TaskRun[ResultT], notification: TaskNotification[ResultT]) -> None:
        if not notification.details.run_id:
            notification = attrs.evolve(notification, details=run.details())
        if (
            isinstance(notification, TaskError)
            and entry is not None
            and entry.try_again(run.run_id, run.attempt, notification)
        ):
            return
        if not run.conclude(notification):
            logger.error("A second notification of a run was refused: %r of %r", notification, run)
            return
        if entry is not None:
            entry.count(type(notification))
        else:
            self._core.totals[type(notification)] += 1
        if isinstance(notification, TaskError):
            logger.error("A run of the task %r failed\n%s", run.task_id, notification.traceback)
        elif isinstance(notification, TaskMissed):
            logger.warning("A run of the task %r was missed", run.task_id)
        self._core.dispatcher.tell(run, notification)
        if run.released:
            self._free(entry, run)

    def _release(self, entry: Entry | None, run: TaskRun[ResultT]) -> None:
        if run.released:
            logger.error("A second release of a run was refused: %r", run)
            return
        run.released = True
        if run._ending is not None:
            self._free(entry, run)
        else:
            # It holds its place until its end is told, by its executor or at the latest by a shutdown.
            logger.error("A run was released before its end was told: %r", run)

    def _free(self, entry: Entry | None, run: TaskRun[ResultT]) -> None:
        if entry is None:
            return
        if run.successor is None:
            entry.over(run.run_id)
        if entry.removed:
            if not entry.run_count:
                self._leaving.pop(id(entry.task), None)
            return
        if entry.attempts:
            entry.submit_attempts()
        if entry.waiting:
            entry.submit_waiting()
        if entry.next_fire is None:
            self._forget_if_finished(entry)

    def _forget_if_finished(self, entry: Entry) -> None:
        core = self._core
        if entry.removed or not entry.finished or core.status == "draining":
            return
        with core.lock:
            del core.entries[entry.task._id]
            entry.removed = True
        self._tell_removed(entry.task)

    def _removed(self, entry: Entry) -> None:
        self._core.timetable.remove(entry)
        if entry.run_count:
            entry.end_attempts()
        else:
            self._leaving.pop(id(entry.task), None)
        self._tell_removed(entry.task)

    def _tell_removed(self, task: Task[object]) -> None:
        if events.TaskRemoved in self._core.dispatcher.listeners:
            self._core.dispatcher.emit(events.TaskRemoved(task.id))
        if task._listeners:
            task.end_streams()

    # On the loop's thread only: the rest

    def _all_entries(self) -> list[Entry]:
        with self._core.lock:
            return [*self._core.entries.values(), *self._leaving.values()]

    def _entry_of(self, task: Task[object]) -> Entry | None:
        owner: object = task._owner
        return owner if isinstance(owner, Entry) and owner.core is self._core else None

    def _pause(self) -> None:
        if self._core.status == "running":
            self._core.status = "paused"
            self._cancel_timer()
            self._core.dispatcher.emit(events.SchedulerPaused())

    def _resume(self) -> None:
        if self._core.status == "paused":
            self._core.status = "running"
            self._core.dispatcher.emit(events.SchedulerResumed())
            self._set_timer()

    def _set_paused(self, entry: Entry, paused: bool) -> None:
        if entry.paused != paused and not entry.removed:
            entry.paused = paused
            self._core.dispatcher.emit(events.TaskModified(entry.task.id, "paused" if paused else "resumed"))
            self._schedule(entry)

    async def _shut_down(self, registration: Registration, wait: bool, timeout: float | None) -> None:
        if registration.starting is not None:
            await registration.starting
            registration.starting = None
        if not registration.ready:
            return
        registration.ready = False
        shutdown = asyncio.ensure_future(registration.shutdown(wait))
        try:
            if wait and timeout is not None:
                await asyncio.wait([shutdown], timeout=timeout)
                if not shutdown.done() and not self._cut_short(registration):
                    # One that cannot be told to cancel all may wait for its runs for ever.
                    shutdown.cancel()
                    shutdown = asyncio.ensure_future(registration.shutdown(False))
                    await asyncio.wait([shutdown], timeout=_LAST_PATIENCE)
                    shutdown.cancel()
            await shutdown
        except BaseException:
            if _is_being_cancelled():
                # Not its fault: the next call of a shutdown asks it again.
                shutdown.cancel()
                registration.ready = True
                raise
            logger.exception("The executor %r did not shut down", registration.alias)

    def _report_shutdown(self, before: Mapping[type[object], int]) -> None:
        totals = self._core.totals
        finished = counted(totals, FINISHED) - counted(before, FINISHED)
        cancelled = totals[events.TaskCancelled] - before.get(events.TaskCancelled, 0)
        abandoned = sum(_abandoned_by(registration) for registration in self._registrations.values())
        logger.info("Shut down: %d run(s) finished, %d cancelled, %d abandoned", finished, cancelled, abandoned)
        event = events.SchedulerShutdown(finished=finished, cancelled=cancelled, abandoned=abandoned)
        self._core.dispatcher.emit(event)

    def _cut_short(self, registration: Registration) -> bool:
        """Cancel what still runs on an executor that shuts down; False where it may wait for it all the same."""
        executor = registration.executor
        logger.warning("What still runs on the executor %r is cancelled", registration.alias)
        try:
            if _cancels_all(executor):
                executor.cancel_all()
                return True
            for entry in self._all_entries():
                if entry.registration is registration:
                    entry.cancel_runs()
        except Exception:
            logger.exception("The executor %r could not cancel what runs", registration.alias)
        return False

    def _start_late(self, registration: Registration) -> None:
        async def start() -> None:
            try:
                await registration.start(self, registration.alias)
            except BaseException as error:
                logger.exception("The executor %r could not start and is not registered any more", registration.alias)
                registration.failure = error
                self._registrations.pop(registration.alias, None)
            else:
                registration.ready = True
            pending = list(registration.pending.values())
            registration.pending.clear()
            for submit in pending:
                submit()

        registration.starting = asyncio.get_running_loop().create_task(start())

    @contextmanager
    def _handled_signals(self, drain_timeout: float | None) -> Generator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        received = itertools.count()

        def stop(number: int, _: FrameType | None) -> None:
            wait = next(received) == 0
            logger.info("Received %s; %s", signal.Signals(number).name, "draining" if wait else "cancelling what runs")
            loop.call_soon_threadsafe(self._stop, wait, drain_timeout)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, wait: bool, drain_timeout: float | None) -> None:
        if not wait:
            for registration in list(self._registrations.values()):
                self._cut_short(registration)
        future = asyncio.ensure_future(self.shutdown(wait, drain_timeout))
        # The loop itself holds its tasks weakly.
        self._stopping = future

    # From any thread

    def _require_running(self, action: str) -> None:
        if not self.running:
            raise SchedulerNotRunningError(action)

    def _entry(self, task: Task[object] | str) -> Entry:
        task_id = task if isinstance(task, str) else task.id
        entry = self._core.entries.get(task_id)
        if entry is None or not (isinstance(task, str) or entry.task is task):
            raise TaskLookupError(task_id)
        return entry

    def _new_id(self, function: object) -> str:
        name = function_name(function)
        while (task_id := f"{name}-{next(self._names)}") in self._core.entries:
            pass
        return task_id

    def _registration(self, alias: str) -> Registration:
        if alias not in self._registrations:
            raise UnknownAliasError("executor", alias, tuple(sorted({*self._registrations, *BUILTIN_EXECUTORS})))
        return self._registrations[alias]

    def _resolve(
        self, executor: Executor[ResultT] | str, call: Callable[[], object]
    ) -> tuple[Registration, Callable[[TaskRun[ResultT]], None]]:
        """Find the executor of a new task, registering it where that is its first use."""
        if isinstance(executor, str):
            registration = self._registrations.get(executor)
            if registration is None or registration.submit is None:
                if executor not in BUILTIN_EXECUTORS:
                    known = tuple(sorted({*self._registrations, *executor_aliases()}))
                    raise UnknownAliasError("executor", executor, known)
                made = create_executor(executor)
                _check_call(made, call)
                return self._register(executor, made, made.submit), made.submit
            _check_call(registration.executor, call)
            return registration, registration.submit
        _check_call(executor, call)
        for registration in self._registrations.values():
            if registration.executor is executor:
                break
        else:
            name, number = type(executor).__name__, 1
            while (alias := f"{name}-{number}") in self._registrations:
                number += 1
            registration = self._register(alias, executor, None)
        return registration, executor.submit

    def _register(self, alias: str, executor: Executor[ResultT], submit: SubmitsAnything | None) -> Registration:
        if not is_executor(executor):
            raise InvalidInputError(
                "executor", repr(executor), "it needs the state, start, shutdown and submit of an executor"
            )
        for registration in self._registrations.values():
            if registration.executor is executor:
                raise DuplicateExecutorError(registration.alias)
        registration = Registration(alias, executor, executor.start, executor.shutdown, lambda: executor.state, submit)
        self._registrations[alias] = registration
        self._core.inbox.put(lambda: self._core.dispatcher.emit(events.ExecutorAdded(alias)))
        if self.running:
            self._core.inbox.put(lambda: self._start_late(registration))
        return registration


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


def _is_complete(fn: Callable[[Unpack[Ts]], CallT], args: tuple[Unpack[Ts]]) -> TypeGuard[Callable[[], CallT]]:
    """Whether a function is called without arguments: it needs no partial, which would take up 144 bytes."""
    return not args and callable(fn)


def _is_event_class(value: object) -> bool:
    return isinstance(value, type) and value in _EVENT_CLASSES


def _checked_limits(
    max_instances: int, misfire_grace_time: float | None, coalesce: bool, timeout: float | None, retry: Retry | None
) -> TaskLimits:
    # Which is not the same as `== (1, True, …)`: True is equal to 1.
    defaults = DEFAULT_LIMITS.max_instances, None, True, None, None
    given = max_instances, misfire_grace_time, coalesce, timeout, retry
    if all(map(operator.is_, given, defaults)):
        return DEFAULT_LIMITS
    check_count("max_instances", max_instances)
    check_optional_seconds("misfire_grace_time", misfire_grace_time, zero_allowed=True)
    check_optional_seconds("timeout", timeout, zero_allowed=False)
    check_optional_instance("retry", retry, Retry)
    return TaskLimits(
        max_instances=max_instances,
        misfire_grace_time=misfire_grace_time,
        coalesce=coalesce,
        timeout=timeout,
        retry=retry,
    )


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _abandoned_by(registration: Registration) -> int:
    try:
        return registration.state().abandoned
    except Exception:
        logger.exception("The executor %r could not tell its state", registration.alias)
        return 0


class _ChecksCalls(Protocol):
    def check_call(self, call: Callable[[], object], /) -> None: ...


def _checks_calls(executor: object) -> TypeIs[_ChecksCalls]:
    return callable(getattr(executor, "check_call", None))


def _check_call(executor: object, call: Callable[[], object]) -> None:
    """Let an executor refuse at once what it can never run, such as what cannot be pickled."""
    if _checks_calls(executor):
        executor.check_call(call)


class _CancelsAll(Protocol):
    def cancel_all(self) -> None: ...


def _cancels_all(executor: object) -> TypeIs[_CancelsAll]:
    return callable(getattr(executor, "cancel_all", None))
