"""The scheduler that runs on an asyncio event loop."""

from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from functools import partial
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Never, Protocol, Self, TypeGuard, get_args, overload

import attrs
from typing_extensions import ParamSpec, TypeVar, TypeVarTuple, Unpack, override

from asyncz import events
from asyncz._aliases import ClusterAlias, LoopAlias, PoolAlias
from asyncz._callables import function_name
from asyncz._checks import (
    check_callable,
    check_count,
    check_flag,
    check_instance,
    check_optional_instance,
    check_optional_seconds,
    check_text,
)
from asyncz._unsafe import as_cancelling_all, as_checking_calls
from asyncz.clock import SystemClock, utc
from asyncz.config import DaskOptions, PoolOptions
from asyncz.events import TaskCancelled, TaskError, TaskExecuted, TaskMissed, TaskNotification, TaskRemoved
from asyncz.exceptions import (
    DuplicateExecutorError,
    DuplicateTaskError,
    ExecutorInUseError,
    InvalidInputError,
    NoEventLoopError,
    SchedulerAlreadyRunningError,
    SchedulerNotRunningError,
    TaskLookupError,
    UnknownAliasError,
)
from asyncz.limits import DEFAULT_LIMITS, OverlapPolicy, TaskLimits, TaskOptions
from asyncz.plugins import (
    BUILTIN_EXECUTORS,
    check_executor,
    check_trigger,
    create_executor,
    executor_aliases,
)
from asyncz.protocols import Clock, Executor, Timer, Trigger, UniversalExecutor, UniversalSubmit
from asyncz.retries import Retry
from asyncz.runs import TaskRun, complete_run
from asyncz.schedulers._chains import ChainedCall, ChainedEntry
from asyncz.schedulers._dispatch import Subscription as Subscription
from asyncz.schedulers._entries import (
    Core,
    Entry,
    EntryRun,
    LostPlace,
    Registration,
    TypedEntry,
    count,
    read_counts,
    start_schedule,
)
from asyncz.schedulers._inbox import TURN, Inbox
from asyncz.schedulers.asgi import AppWithScheduler, ReceiveT, ScopeT, SendT
from asyncz.schedulers.thread import SchedulerThread
from asyncz.tasks import Task, TaskFunction, close_streams
from asyncz.triggers.date import DateTrigger

if TYPE_CHECKING:
    from asyncz.config import ConfigSource
    from asyncz.states import SchedulerState
else:
    # `typing.get_type_hints` needs the names, and these imports are slow or circular.
    ConfigSource = SchedulerState = object

P = ParamSpec("P")
Ts = TypeVarTuple("Ts")
CallT = TypeVar("CallT")
ArgumentT = TypeVar("ArgumentT")
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

_ENDINGS: tuple[type[object], ...] = (TaskExecuted, TaskError, TaskMissed, events.TaskCancelled)
_EVENT_CLASSES: frozenset[type[object]] = frozenset({TaskExecuted, *get_args(events.PlainEvent)})

logger: logging.Logger = logging.getLogger("asyncz.scheduler")

NOW: DateTrigger = DateTrigger()
"""The trigger of a task that is added without one: once, at once."""

# The wall clock can be set, or run on while the machine sleeps: the timer never trusts it for longer.
_LONGEST_SLEEP = 10.0

# The class of most entries, and a base of all others: that is seen faster than that one has `Entry` for a base.
_ENTRY: type[Entry] = TypedEntry
# Once its submissions have added so much to what waits it looks at that: what all of a turn's runs leave would be much.
_ADDED_AT_ONCE = 32
# A clock that was set back by more than this is not followed by waiting until it has caught up.
_CLOCK_STEP = 60.0
# So many seconds an executor has for its shutdown after it was told to wait for its runs no more.
_LAST_TIMEOUT = 5.0


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
        defaults: What limits the runs of tasks that do not say otherwise.
        clock: Where it gets the time; a test can bring its own.
        recent_runs: Of how many runs of each task that ended last `Task.state` tells, at least 0.

    Raises:
        InvalidInputError: One of these is not what it should be.

    Example:
        >>> async with AsyncIOScheduler(executors={"io": "threadpool"}) as scheduler:
        ...     task = scheduler.add_task(read, "file.txt", executor="io")
        ...     text = await task.result()
    """

    def __init__(
        self,
        *,
        executors: Mapping[str, UniversalExecutor | PoolAlias | ClusterAlias | LoopAlias | str] | None = None,
        defaults: TaskLimits = DEFAULT_LIMITS,
        clock: Clock | None = None,
        recent_runs: int = 5,
    ) -> None:
        check_optional_instance("executors", executors, Mapping)
        check_instance("defaults", defaults, TaskLimits)
        check_count("recent_runs", recent_runs, at_least=0)
        _check_clock(clock)
        self._defaults = defaults
        self._core = Core(
            self,
            clock or SystemClock(),
            self._universal_executor,
            self._after_change,
            self._forget_if_finished,
            self._add_chained,
            Inbox(),
            recent_runs,
        )
        self._former_owner = LostPlace(self._core)
        self._names = itertools.count(1)
        self._registrations: dict[str, Registration] = {}
        self._to_start: deque[Registration] = deque()
        # Removed tasks whose last runs are not over, by the identity of the task: ids may be used again.
        self._leaving: dict[int, Entry] = {}
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._last_seen = 0.0
        self._closed: asyncio.Event | None = None
        self._shutdown_lock = asyncio.Lock()
        self._before_shutdown: Mapping[str, int] = {}
        self._stopping: asyncio.Future[None] | None = None
        for alias, executor in (executors or {}).items():
            if isinstance(executor, str):
                self.add_executor(executor, alias=alias)
            else:
                self.add_executor(executor, alias=alias)

    @classmethod
    def from_config(cls, source: ConfigSource, *, clock: Clock | None = None) -> Self:
        """Make a scheduler with the executors, limits and tasks of a configuration; nothing is started.

        What the configuration names is imported. The scheduler can be given more executors and tasks, and its tasks
        are to be had by `get_task`. May be called from any thread.

        Args:
            source: The path of a TOML file, the same as a dict, or a `SchedulerConfig`.
            clock: Where it gets the time; a test can bring its own.

        Raises:
            ConfigurationError: Anything in it cannot be used; the error tells all of it, each with its line and key.
            InvalidInputError: `source` is none of these.

        Example:
            >>> scheduler = AsyncIOScheduler.from_config("asyncz.toml")
        """
        from asyncz.schedulers._configured import configured

        return configured(lambda defaults: cls(defaults=defaults, clock=clock), source)

    # Its life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        await self.shutdown(wait=exc_type is None)

    @override
    def __reduce__(self) -> Never:
        # What else is said is about a lock, deep inside of it.
        message = (
            "a scheduler cannot be pickled, and so not be an argument of a function that runs in another process;"
            " give that what it needs of the scheduler instead"
        )
        raise TypeError(message)

    @property
    def running(self) -> bool:
        """Whether it has been started and not shut down."""
        return self._core.running

    async def start(self, *, paused: bool = False) -> None:
        """Start its executors, then submit what is due, on the running loop.

        Args:
            paused: Submit no due runs before `resume()`, as after `pause()`.

        Raises:
            SchedulerAlreadyRunningError: It runs already.
            NoEventLoopError: No event loop of asyncio is running, as under trio.
            InvalidInputError: `paused` is neither True nor False.
            Exception: What an executor raised at its start; those that had started are shut down again.
        """
        core = self._core
        if core.status not in {"created", "stopped"}:
            raise SchedulerAlreadyRunningError
        check_flag("paused", paused)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise NoEventLoopError("starting the scheduler") from None
        self._closed = asyncio.Event()
        self._shutdown_lock = asyncio.Lock()
        with core.lock:
            # Who was making a change where there was no loop has made it by now.
            core.status = "paused" if paused else "running"
            core.inbox.open(loop)
            # Those that come later are started as they come.
            registrations = list(self._registrations.values())
        self._last_seen = core.clock.now()
        try:
            if "asyncz.states" not in sys.modules:
                # By now, and not by who asks for a state while runs are due: pydantic takes its time to load.
                with ThreadPoolExecutor(1) as pool:
                    await loop.run_in_executor(pool, import_module, "asyncz.states")
            for registration in registrations:
                if self._registrations.get(registration.alias) is registration:
                    await self._start_executor(registration)
        except BaseException:
            with core.lock:
                # From now on nothing is started that comes.
                core.status = "draining"
            try:
                await self._undo_start()
            finally:
                core.inbox.close()
                core.status = "stopped"
                self._closed.set()
            raise
        core.dispatcher.emit(events.SchedulerStarted())
        if paused:
            core.dispatcher.emit(events.SchedulerPaused())
        core.inbox.put(self._set_timer)

    async def shutdown(self, wait: bool = True, timeout: float | None = None) -> None:
        """Take no new runs, end those there are, release the executors. May be called again.

        A run that waits for its next attempt makes none: it ends with the error of its last one.

        Args:
            wait: Let the runs come to their end, without blocking the loop; else they are cancelled.
            timeout: Wait for so many seconds at most, then cancel what is left; None is no limit.

        Raises:
            InvalidInputError: `timeout` is negative.
            WrongThreadError: It runs in another thread; `SchedulerThread.shutdown` waits there.
        """
        check_optional_seconds("timeout", timeout, zero_allowed=True)
        core = self._core
        core.check_thread("AsyncIOScheduler.shutdown()")
        if core.status in {"created", "stopped"}:
            return
        if core.status != "draining":
            with core.lock:
                # Another thread that found it running has asked for the start of its executor by now.
                core.status = "draining"
            self._before_shutdown = read_counts(core)
            self._cancel_timer()
        # Who calls it while another call is at it waits for the same end; where that call is cancelled, goes on itself.
        async with self._shutdown_lock:
            await self._shut_down_all(wait, timeout)

    async def _shut_down_all(self, wait: bool, timeout: float | None) -> None:
        core = self._core
        if core.status == "stopped":
            # By the call that this one waited for.
            return
        core.chains_go_on = wait
        for entry in self._all_entries():
            entry.end_attempts()
        if any(entry.feeds_a_chain for entry in self._all_entries()):
            timeout = await self._drain_chains(timeout)
        core.chains_go_on = False
        for entry in self._all_entries():
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
            close_streams(entry.task)
        self._leaving.clear()
        assert self._closed is not None
        self._closed.set()

    async def _drain_chains(self, timeout: float | None) -> float | None:
        """Wait until no run can lead to another one; tells how many seconds of a time limit are left then."""
        core, started = self._core, time.monotonic()
        something_ended = asyncio.Event()
        listening = [core.dispatcher.subscribe(each, lambda _: something_ended.set()) for each in _ENDINGS]
        try:
            async with asyncio.timeout(timeout):
                while core.chains_go_on and any(entry.feeds_a_chain for entry in self._all_entries()):
                    something_ended.clear()
                    await something_ended.wait()
        except TimeoutError:
            logger.warning("What is left of the chains is cancelled")
        finally:
            for subscription in listening:
                subscription.unsubscribe()
        return None if timeout is None else max(0.0, timeout - (time.monotonic() - started))

    async def wait_closed(self, drain_timeout: float | None = None) -> None:
        """Wait until the scheduler has shut down: by `shutdown()`, or by SIGINT or SIGTERM.

        The signals are handled while this waits in the main thread, and restored after: the first one
        lets the runs come to their end, a second one cancels them.

        Args:
            drain_timeout: How many seconds the runs have for that after the first signal, before what is left
                is cancelled; None is no limit.

        Raises:
            InvalidInputError: `drain_timeout` is negative.
            WrongThreadError: It runs in another thread; `SchedulerThread.wait_closed` waits there.
        """
        check_optional_seconds("drain_timeout", drain_timeout, zero_allowed=True)
        if self._closed is None or self._core.status == "stopped":
            return
        self._core.check_thread("AsyncIOScheduler.wait_closed()")
        with self._handled_signals(asyncio.get_running_loop(), drain_timeout):
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

    def in_thread(
        self,
        *,
        drain_timeout: float | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> SchedulerThread:
        """The scheduler for a program that is not asynchronous: `with` runs it in a thread of its own.

        It starts with the block and is shut down at its end, where what runs comes to its end; where an exception
        leaves the block, KeyboardInterrupt too, what runs is cancelled. May be called from any thread.

        Args:
            drain_timeout: How many seconds what runs has for that at the end of the block, before it is cancelled;
                None is no limit.
            loop_factory: What makes the event loop, such as `uvloop.new_event_loop`; by default asyncio does.

        Raises:
            InvalidInputError: `drain_timeout` is negative.

        Example:
            >>> with scheduler.in_thread(drain_timeout=25) as thread:
            ...     task = scheduler.add_task(fetch, "https://example.org", trigger=IntervalTrigger(minutes=5))
            ...     page = thread.run(task, timeout=30)
            ...     thread.wait_closed()
        """
        return SchedulerThread(self, drain_timeout=drain_timeout, loop_factory=loop_factory)

    def lifespan(
        self,
        app: object = None,  # noqa: ARG002  # frameworks hand it over
        /,
        *,
        drain_timeout: float | None = None,
    ) -> AbstractAsyncContextManager[None]:
        """Run while an ASGI app is served: the lifespan of Starlette and FastAPI, one of the lifespans of Litestar.

        Started before the server takes requests and drained after the last one. Each process of a server with
        several of them runs a scheduler of its own. May be called from any thread.

        Args:
            app: The app, which the framework hands over.
            drain_timeout: How many seconds the runs have to end with the server before they are cancelled; None is no
                limit. `functools.partial` gives it.

        Raises:
            InvalidInputError: `drain_timeout` is negative.
            SchedulerAlreadyRunningError: When it is entered, it runs already.

        Example:
            >>> app = Starlette(lifespan=scheduler.lifespan)
            >>> app = FastAPI(lifespan=partial(scheduler.lifespan, drain_timeout=25))
            >>> app = Litestar(lifespan=[scheduler.lifespan])
        """
        check_optional_seconds("drain_timeout", drain_timeout, zero_allowed=True)
        return self._living(drain_timeout)

    @asynccontextmanager
    async def _living(self, drain_timeout: float | None) -> AsyncGenerator[None]:
        async with self:
            yield
            await self.shutdown(timeout=drain_timeout)

    def asgi(
        self, app: Callable[[ScopeT, ReceiveT, SendT], Awaitable[None]], /, *, drain_timeout: float | None = None
    ) -> AppWithScheduler[ScopeT, ReceiveT, SendT]:
        """Wrap any ASGI app so that the scheduler is started and drained with its server.

        It starts after the app's own startup and is drained before the app's own shutdown, so that runs find what the
        app has made. The app needs no lifespan of its own, while uvicorn and its like must not have theirs turned off.
        A start that fails is told to the server, which then ends. May be called from any thread.

        Args:
            app: The app; its types stay as they are.
            drain_timeout: How many seconds the runs have to end with the server before they are cancelled; None is no
                limit.

        Raises:
            InvalidInputError: `app` is not callable, or `drain_timeout` is negative.

        Example:
            >>> app = scheduler.asgi(app, drain_timeout=25)
        """
        if not callable(app):
            raise InvalidInputError("app", repr(app), "an ASGI app is needed, which takes scope, receive and send")
        check_optional_seconds("drain_timeout", drain_timeout, zero_allowed=True)
        return AppWithScheduler(app, self, drain_timeout)

    def pause(self) -> None:
        """Submit no due runs of any task until `resume()`. What runs goes on. May be called from any thread.

        It holds tasks that are added meanwhile as well, and `resume()` leaves those held that `pause_task` holds.

        Raises:
            SchedulerNotRunningError: It is not running.
        """
        self._require_running("pause()")
        self._core.change(self._pause)

    def resume(self) -> None:
        """Submit due runs again, those that were due meanwhile as well. May be called from any thread.

        Raises:
            SchedulerNotRunningError: It is not running.
        """
        self._require_running("resume()")
        self._core.change(self._resume)

    @property
    def state(self) -> SchedulerState:
        """A snapshot of the scheduler, its tasks and its executors. May be read from any thread."""
        from asyncz.states import SchedulerState

        core = self._core
        with core.lock:
            entries, registrations = list(core.entries.values()), list(self._registrations.values())
        return SchedulerState(
            status=core.status,
            tasks=tuple(entry.state(entry.task.id) for entry in entries if not entry.removed),
            executors=tuple(registration.state() for registration in registrations),
            **read_counts(core),
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
            check_executor(made)
            self._register(alias, made, made.submit)

    async def remove_executor(self, alias: str, *, wait: bool = True) -> None:
        """Shut an executor down and forget it.

        Raises:
            UnknownAliasError: No executor is registered under that alias.
            ExecutorInUseError: Tasks name it; remove them first.
        """
        core = self._core
        core.check_thread("AsyncIOScheduler.remove_executor()")
        with core.lock:
            core.make_changes()
            registration = self._registration(alias)
            using = tuple(entry.task.id for entry in core.entries.values() if entry.task.executor == alias)
            if using:
                raise ExecutorInUseError(alias, using)
            del self._registrations[alias]
        await self._shut_down(registration, wait, None)
        core.dispatcher.emit(events.ExecutorRemoved(alias))

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
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = ...,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        overlap: OverlapPolicy | None = ...,
        paused: bool = False,
        replace_existing: bool = False,
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
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = ...,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        overlap: OverlapPolicy | None = ...,
        paused: bool = False,
        replace_existing: bool = False,
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
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = ...,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        overlap: OverlapPolicy | None = ...,
        paused: bool = False,
        replace_existing: bool = False,
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
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = ...,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        overlap: OverlapPolicy | None = ...,
        paused: bool = False,
        replace_existing: bool = False,
    ) -> Task[ResultT]: ...
    def add_task(
        self,
        fn: Callable[[Unpack[Ts]], ResultT | Awaitable[ResultT]],
        /,
        *args: Unpack[Ts],
        trigger: Trigger | None = NOW,
        executor: Executor[ResultT] | str = "asyncio",
        id: str | None = None,
        paused: bool = False,
        replace_existing: bool = False,
        **options: Unpack[TaskOptions],
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
            max_instances: How many of its runs may run at the same time. This and the next five are by default
                the scheduler's `defaults`, as `TaskLimits` tells them.
            misfire_grace_time: How many seconds late a run may start; None is no limit.
            coalesce: Whether of several due times only the latest runs. If False, each runs, and those
                that are due at the maximum of instances wait.
            timeout: How many seconds an attempt of a run may take; None is no limit.
            retry: Whether a run that failed is tried again, how often and when; None is never.
            overlap: What becomes of a run that is due at the maximum of instances: `skip`, `queue_one`, `queue_all`
                or `cancel_running`.
            paused: Add it with its schedule held, until `resume_task`.
            replace_existing: Where there is a task with that id, remove it. Runs of it that are under way end as
                usual, and on the same executor count for the new task's maximum of instances until then.

        Raises:
            DuplicateTaskError: There is a task with that id, and it is not to be replaced.
            UnknownAliasError: There is no executor with that alias; the error lists those that exist.
            InvalidInputError: A limit or the trigger cannot be used.
            SerializationError: The executor is a process pool and the function cannot be pickled.

        Example:
            >>> task = scheduler.add_task(checksum, "image.iso", executor="processpool")
        """
        check_callable("fn", fn)
        limits = self._defaults.evolve(**options)
        call = fn if _is_complete(fn, args) else partial(fn, *args)
        return self._add(call, trigger, executor, id, limits, paused, replace_existing)

    def _add(
        self,
        call: Callable[[], ResultT | Awaitable[ResultT]],
        trigger: Trigger | None,
        executor: Executor[ResultT] | str,
        task_id: str | None,
        limits: TaskLimits,
        paused: bool = False,
        replace_existing: bool = False,
    ) -> Task[ResultT]:
        check_trigger(trigger)
        if task_id is not None:
            check_text("id", task_id)
        elif replace_existing:
            raise InvalidInputError("replace_existing", "True", "give the id of the task that is to be replaced")
        check_flag("paused", paused)
        check_flag("replace_existing", replace_existing)
        core = self._core
        trigger, first = start_schedule(trigger, utc(core.now()))
        with core.lock:
            task_id = self._free_id(task_id, call, replace_existing)
            registration, submit_to = self._resolve(executor, call)
            if task_id in core.entries:
                self.remove_task(task_id)
            entry = TypedEntry(core, registration, trigger, first, paused, task_id, call, limits, submit_to)
            core.entries[task_id] = entry
        core.inbox.put(partial(self._activate, entry))
        return entry.typed_task

    def _add_chained(
        self,
        upstream: Task[ArgumentT],
        fn: Callable[[ArgumentT], ResultT | Awaitable[ResultT]],
        executor: Executor[ResultT] | str,
        task_id: str | None,
        options: TaskOptions,
        paused: bool,
        /,
    ) -> Task[ResultT]:
        if not callable(fn):
            raise InvalidInputError("fn", repr(fn), "it must be a function or another callable")
        limits = self._defaults.evolve(**options)
        check_flag("paused", paused)
        if task_id is not None:
            check_text("id", task_id)
        core = self._core
        call = ChainedCall[ArgumentT, ResultT](fn, upstream)
        with core.lock:
            task_id = self._free_id(task_id, call)
            registration, submit_to = self._resolve(executor, call)
            above = self._entry_of(upstream)
            entry = ChainedEntry(core, registration, paused, task_id, above, call, limits, submit_to)
            core.entries[task_id] = entry
            if above is not None:
                above.following = {} if above.following is None else above.following
                above.following[entry] = partial(self._lose_upstream, entry)
        core.inbox.put(partial(self._activate_chained, entry))
        return entry.typed_task

    def task(
        self,
        *,
        trigger: Trigger | None = NOW,
        executor: PoolAlias | ClusterAlias | LoopAlias | str = "asyncio",
        **options: Unpack[TaskOptions],
    ) -> TaskDecorator:
        """Decorate a function so that it can schedule itself: `function.schedule(...)` adds a task.

        The function stays callable as before; `schedule` takes its arguments, keyword arguments too.
        For the other parameters see `add_task`. May be called from any thread.

        Raises:
            InvalidInputError: A limit or the trigger cannot be used.

        Example:
            >>> @scheduler.task(trigger=IntervalTrigger(hours=1), executor="threadpool")
            ... def clean_up(folder: str, *, older_than: float = 3600) -> int: ...
            >>> task = clean_up.schedule("/tmp", older_than=60)
        """
        limits = self._defaults.evolve(**options)
        check_trigger(trigger)
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
        """Forget a task: it is due no more, and what was due and waits is forgotten too. From any thread.

        Its running runs go on.

        Raises:
            TaskLookupError: It is not here.
        """
        with self._core.lock:
            entry = self._entry(task)
            del self._core.entries[entry.task.id]
            entry.removed = True
            self._leaving[id(entry.task)] = entry
        self._core.inbox.put(partial(self._removed, entry))

    def remove_all_tasks(self) -> None:
        """Forget all tasks, as `remove_task` forgets one. May be called from any thread."""
        with self._core.lock:
            for task in self.tasks:
                self.remove_task(task)

    def modify_task(
        self,
        task: Task[object] | str,
        *,
        executor: PoolAlias | ClusterAlias | LoopAlias | str | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        """Change what is given of a task, and leave the rest as it is. May be called from any thread.

        On the loop's thread it takes effect at once, from another one soon, in the order of the calls; a
        `TaskModified` tells of it. What was submitted before keeps its limits; its further attempts have the new ones.
        The next runs and attempts go to the new executor, while a run that is under way stays where it is, and has its
        place until it ends.

        Args:
            task: The task, or its id.
            executor: The alias of an executor, which takes runs of every task. An executor that takes runs of one
                type only has to be given to `add_task`, where the types are compared.
            max_instances: As `add_task` takes it, like those that follow.
            misfire_grace_time: In seconds.
            coalesce: Whether of several due times only the latest runs.
            timeout: In seconds.
            retry: Whether a run that failed is tried again.
            overlap: What becomes of a run that is due at the maximum of instances. What waits goes on waiting.

        Raises:
            TaskLookupError: It is not here.
            InvalidInputError: A limit cannot be used; nothing was changed.
            UnknownAliasError: There is no executor with that alias for runs of every task; nothing was changed.
            SerializationError: The executor is a process pool and the function cannot be pickled; nothing was changed.

        Example:
            >>> scheduler.modify_task("nightly", timeout=3600, executor="processpool")
        """
        self._change(
            task,
            lambda entry: entry.modify(entry.task.id, options, executor),
        )

    def reschedule_task(self, task: Task[object] | str, trigger: Trigger | None) -> None:
        """Have a task due by another trigger, which starts anew. May be called from any thread.

        What was due before and waits goes on waiting. On the loop's thread it takes effect at once, from another one
        soon; a `TaskModified` tells of it.

        Args:
            task: The task, or its id.
            trigger: When it is due from now on; None: only when it is run or submitted by a call.

        Raises:
            TaskLookupError: It is not here.
            InvalidInputError: That is not a trigger; nothing was changed.

        Example:
            >>> scheduler.reschedule_task(task, IntervalTrigger(minutes=5))
        """
        self._change(task, lambda entry: entry.reschedule(entry.task.id, trigger))

    def submit_task(self, task: Task[object] | str) -> None:
        """Have a task due once, now, beside its schedule; see `Task.submit`. May be called from any thread.

        Raises:
            TaskLookupError: It is not here.
            SchedulerNotRunningError: The scheduler is not running.
        """
        self._change(task, lambda entry: entry.submit(entry.task.id))

    def pause_task(self, task: Task[object] | str) -> None:
        """Hold a task's schedule, and what waits of it, until `resume_task`. May be called from any thread.

        Raises:
            TaskLookupError: It is not here.
        """
        self._change(task, lambda entry: entry.set_paused(entry.task.id, True))

    def resume_task(self, task: Task[object] | str) -> None:
        """Go on with a task's schedule; what was due meanwhile is due now. May be called from any thread.

        Raises:
            TaskLookupError: It is not here.
        """
        self._change(task, lambda entry: entry.set_paused(entry.task.id, False))

    # Who is told

    @overload
    def subscribe(
        self, event: type[TaskExecuted[object]], listener: Callable[[TaskExecuted[object]], object], /
    ) -> Subscription: ...
    @overload
    def subscribe(self, event: type[PlainEventT], listener: Callable[[PlainEventT], object], /) -> Subscription: ...
    def subscribe(self, event: type[EventT], listener: Callable[[EventT], object], /) -> Subscription:
        """Call a listener with each event of a class, of every task, on the loop's thread.

        A coroutine function is awaited. Listeners, those of one task too, see the context variables of the scheduler's
        start. May be called from any thread.

        Raises:
            InvalidInputError: `event` is not an event class, as a subscripted one is none, or the listener is not
                callable.

        Example:
            >>> scheduler.subscribe(TaskError, lambda event: print(event.exception))
        """
        if not _is_event_class(event):
            allowed = ", ".join(sorted(known.__name__ for known in _EVENT_CLASSES))
            raise InvalidInputError("event", repr(event), f"one of the event classes is needed: {allowed}")
        check_callable("listener", listener)
        return self._core.dispatcher.subscribe(event, listener)

    # What executors call

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Report the outcome of a run whose work may go on. For executors; may be called from any thread."""
        if isinstance(run, EntryRun) and run.report(notification):
            self._core.inbox.put(run)
        else:
            self._core.inbox.put(partial(_reject_second, run, notification))

    def released(self, run: TaskRun[ResultT], /) -> None:
        """Report that the work of a run has ended. For executors; may be called from any thread."""
        if isinstance(run, EntryRun):
            self._core.inbox.put(partial(self._release, run))

    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Report the outcome of a run whose work has ended. For executors; may be called from any thread."""
        if isinstance(run, EntryRun) and not run.released and run.report(notification):
            run.released = True
            self._core.inbox.put(run)
        else:
            self.notify(run, notification)
            self.released(run)

    # On the loop's thread only: due runs

    def _activate(self, entry: Entry) -> None:
        if events.TaskAdded in self._core.dispatcher.listeners:
            self._core.dispatcher.emit(events.TaskAdded(entry.task.id))
        self._schedule(entry)
        self._forget_if_finished(entry)

    def _activate_chained(self, entry: ChainedEntry[ArgumentT, ResultT]) -> None:
        self._activate(entry)
        entry.activate()
        self._forget_if_finished(entry)

    def _lose_upstream(self, entry: ChainedEntry[ArgumentT, ResultT]) -> None:
        entry.lose_upstream()
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
        self._timer = core.clock.call_later(max(0.0, self._timer_at - now), self._timer_went_off)

    def _timer_went_off(self) -> None:
        self._timer = None
        # Not in the context of who happened to set the timer.
        self._core.inbox.new_context().run(self._submit_what_is_due)

    def _submit_what_is_due(self) -> None:
        core = self._core
        now = core.clock.now()
        if now < self._last_seen - _CLOCK_STEP:
            self._follow_clock_back(now)
        self._last_seen = now
        clock, now_utc, calls = time.perf_counter, utc(now), core.inbox.calls
        deadline = clock() + TURN
        # Not at once where much waits already: it would take the turn from what is due.
        look_at = len(calls) + _ADDED_AT_ONCE
        due = core.timetable.due(now) if core.status == "running" else ()
        try:
            for at, _, entry in due:
                entry.fire(at, now_utc)
                if len(calls) >= look_at:
                    core.inbox.make_calls(deadline)
                    look_at = len(calls) + _ADDED_AT_ONCE
                if clock() > deadline or core.status != "running":
                    return
            core.inbox.make_calls(deadline)
        finally:
            self._set_timer()

    def _follow_clock_back(self, now: float) -> None:
        logger.warning("The clock was set back by %.0f seconds; all schedules start anew", self._last_seen - now)
        for entry in list(self._core.entries.values()):
            entry.start_anew(utc(now))
            self._forget_if_finished(entry)

    # On the loop's thread only: ends

    def _complete(self, run: EntryRun[ResultT], /) -> None:
        """Complete a run with its reported outcome. For the loop's thread."""
        core, entry, outcome = self._core, run.entry, run.outcome
        if outcome is None:
            return
        if run._completed or run.superseded:
            _reject_second(run, outcome)
            return
        try:
            outcome = _with_details(run, outcome)
        except BaseException:
            # Not a notification: keep the run open for a later one, at the latest from a shutdown.
            run._outcome = None
            raise
        failure = None if isinstance(outcome, TaskExecuted) else outcome
        if isinstance(failure, TaskError) and entry.try_again(run, failure):
            if run.released:
                self._pass_on_place(entry, run)
            return
        task = entry.typed_task
        before, task._last_notification = task.last_notification, outcome
        complete_run(run, outcome)
        try:
            if before is not None:
                entry.remember(before)
            if failure is None:
                core.executed += 1
                entry.executed += 1
            else:
                count(core, type(failure))
                count(entry, type(failure))
                _log_failure(failure)
            core.dispatcher.emit(outcome, [listener for _, listener in task._listeners])
        finally:
            if run.released:
                self._free(entry, run)

    def _release(self, run: EntryRun[ResultT]) -> None:
        if run.released:
            logger.error("A second release of a run was rejected: %r", run)
            return
        run.released = True
        if run._completed or run.superseded:
            self._free(run.entry, run)
        else:
            # It holds its place until its end is told, by its executor or at the latest by a shutdown.
            logger.error("A run was released before its end was told: %r", run)

    def _free(self, entry: Entry, run: EntryRun[ResultT]) -> None:
        if not run.superseded and entry.over(run):
            self._forget(entry)
        else:
            self._pass_on_place(entry, run)

    def _pass_on_place(self, entry: Entry, run: EntryRun[ResultT]) -> None:
        if entry.removed:
            if not entry.run_count():
                self._let_go(entry)
            # Executors count by the id: the task that has it now may have waited for this place.
            successor = self._core.entries.get(run.task_id)
            if successor is not None:
                self._fill_places(successor)
        elif entry.attempts or entry.waiting:
            self._fill_places(entry)
            self._forget_if_finished(entry)

    def _fill_places(self, entry: Entry) -> None:
        entry.submit_attempts()
        entry.submit_waiting()

    def _forget_if_finished(self, entry: Entry) -> None:
        if entry.is_finished:
            self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        """Forget a task that was found to be finished, unless another thread has changed or removed it meanwhile."""
        core, task = self._core, entry.task
        # By `with` it costs twice as much.
        core.lock.acquire()
        try:
            if core.changes:
                # What another thread has changed while the last run ended may let it go on.
                core.make_changes()
                if not entry.is_finished:
                    return
            # A thread that removes it makes no change that would wait here.
            if entry.removed or core.status == "draining":
                return
            del core.entries[task.id]
            entry.removed = True
            task._owner = self._former_owner
        finally:
            core.lock.release()
        if TaskRemoved in core.dispatcher.listeners or task._listeners:
            self._tell_removed(task)
        if entry.following is not None:
            self._tell_following(entry)

    def _removed(self, entry: Entry) -> None:
        self._core.timetable.remove(entry)
        entry.leave()
        self._tell_removed(entry.task)
        if not entry.run_count():
            self._let_go(entry)

    def _let_go(self, entry: Entry) -> None:
        self._leaving.pop(id(entry.task), None)
        entry.task._owner = self._former_owner
        self._tell_following(entry)

    def _tell_following(self, entry: Entry) -> None:
        following, entry.following = entry.following or {}, None
        for tell in following.values():
            tell()

    def _tell_removed(self, task: Task[object]) -> None:
        if TaskRemoved in self._core.dispatcher.listeners:
            self._core.dispatcher.emit(TaskRemoved(task.id))
        if task._listeners:
            close_streams(task)

    # On the loop's thread only: the rest

    def _all_entries(self) -> list[Entry]:
        with self._core.lock:
            return [*self._core.entries.values(), *self._leaving.values()]

    def _entry_of(self, task: Task[object]) -> Entry | None:
        owner: object = task._owner
        return owner if isinstance(owner, _ENTRY) and owner.core is self._core else None

    def _pause(self) -> None:
        if self._core.status == "running":
            self._core.status = "paused"
            self._cancel_timer()
            self._core.tell(events.SchedulerPaused())

    def _resume(self) -> None:
        if self._core.status == "paused":
            self._core.status = "running"
            self._core.tell(events.SchedulerResumed())
            self._core.inbox.put(self._catch_up)

    def _catch_up(self) -> None:
        held, self._core.held = self._core.held, set()
        for entry in held:
            self._fill_places(entry)
        self._set_timer()

    def _after_change(self, entry: Entry) -> None:
        if entry.removed:
            return
        self._schedule(entry)
        self._fill_places(entry)
        self._forget_if_finished(entry)

    async def _undo_start(self) -> None:
        self._to_start.clear()
        for registration in list(self._registrations.values()):
            if registration.starting is not None:
                registration.starting.cancel()
            await self._shut_down(registration, False, None)
            registration.pending.clear()
        for entry in self._all_entries():
            entry.end_what_waits()
            entry.end_what_is_left()

    async def _shut_down(self, registration: Registration, wait: bool, timeout: float | None) -> None:
        # One that came with a task just now may have runs already.
        self._start_late()
        if registration.starting is not None:
            if not registration.starting.done():
                await asyncio.wait([registration.starting])
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
                    await asyncio.wait([shutdown], timeout=_LAST_TIMEOUT)
                    shutdown.cancel()
            await shutdown
        except BaseException:
            if _is_being_cancelled():
                # Not its fault: the next call of a shutdown asks it again.
                shutdown.cancel()
                registration.ready = True
                raise
            logger.exception("The executor %r did not shut down", registration.alias)

    def _report_shutdown(self, before: Mapping[str, int]) -> None:
        since = {name: number - before[name] for name, number in read_counts(self._core).items()}
        finished, cancelled = since["executed"] + since["errors"] + since["missed"], since["cancelled"]
        abandoned = sum(_abandoned_by(registration) for registration in list(self._registrations.values()))
        logger.info("Shut down: %d run(s) finished, %d cancelled, %d abandoned", finished, cancelled, abandoned)
        event = events.SchedulerShutdown(finished=finished, cancelled=cancelled, abandoned=abandoned)
        self._core.dispatcher.emit(event)

    def _cut_short(self, registration: Registration) -> bool:
        """Cancel what still runs on an executor that shuts down; False where it may wait for it all the same."""
        executor = registration.executor
        logger.warning("What still runs on the executor %r is cancelled", registration.alias)
        try:
            cancelling = as_cancelling_all(executor)
            if cancelling is not None:
                cancelling.cancel_all()
                return True
            for entry in self._all_entries():
                entry.cancel_runs_on(registration)
        except Exception:
            logger.exception("The executor %r could not cancel what runs", registration.alias)
        return False

    def _start_late(self) -> None:
        while self._to_start:
            registration = self._to_start.popleft()
            registration.starting = asyncio.get_running_loop().create_task(self._start_registered(registration))

    async def _start_registered(self, registration: Registration) -> None:
        try:
            await self._start_executor(registration)
        except BaseException as error:
            logger.exception("The executor %r could not start and is not registered any more", registration.alias)
            registration.failure = error
            if self._registrations.get(registration.alias) is registration:
                del self._registrations[registration.alias]
            self._submit_pending(registration)

    async def _start_executor(self, registration: Registration) -> None:
        await registration.start(self, registration.alias)
        registration.ready = True
        self._submit_pending(registration)

    def _submit_pending(self, registration: Registration) -> None:
        pending = list(registration.pending.values())
        registration.pending.clear()
        for submit in pending:
            submit()

    @contextmanager
    def _handled_signals(self, loop: asyncio.AbstractEventLoop, drain_timeout: float | None) -> Generator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        received = itertools.count()

        def stop(number: int, _: FrameType | None) -> None:
            wait = next(received) == 0
            logger.info("Received %s; %s", signal.Signals(number).name, "draining" if wait else "cancelling what runs")
            # A loop in another thread may have just been closed.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._stop, wait, drain_timeout)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, wait: bool, drain_timeout: float | None) -> None:
        if not wait:
            self._core.chains_go_on = False
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
        if not isinstance(task, str):
            check_instance("task", task, Task)
        task_id = task if isinstance(task, str) else task.id
        entry = self._core.entries.get(task_id)
        if entry is None or not (isinstance(task, str) or entry.task is task):
            raise TaskLookupError(task_id)
        return entry

    def _change(self, task: Task[object] | str, change: Callable[[Entry], None]) -> None:
        while True:
            entry = self._entry(task)
            try:
                return change(entry)
            except TaskLookupError:
                # Replaced from another thread meanwhile: an id means the task that has it now.
                if not entry.removed:
                    raise

    def _free_id(self, wanted: str | None, function: object, replace_existing: bool = False) -> str:
        if wanted is None:
            return self._new_id(function)
        if wanted in self._core.entries and not replace_existing:
            raise DuplicateTaskError(wanted)
        return wanted

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
                    universal = {alias for alias, each in self._registrations.items() if each.submit is not None}
                    raise UnknownAliasError("executor", executor, tuple(sorted({*universal, *executor_aliases()})))
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

    def _universal_executor(self, alias: str, call: Callable[[], object]) -> Registration:
        """Find the executor that a task is to be moved to: one that takes runs of every type."""
        check_text("executor", alias)
        executor: Executor[object] | str = alias
        return self._resolve(executor, call)[0]

    def _register(self, alias: str, executor: Executor[ResultT], submit: UniversalSubmit | None) -> Registration:
        check_executor(executor)
        for registration in self._registrations.values():
            if registration.executor is executor:
                raise DuplicateExecutorError(registration.alias)
        registration = Registration(alias, executor, executor.start, executor.shutdown, lambda: executor.state, submit)
        self._registrations[alias] = registration
        self._core.inbox.put(lambda: self._core.dispatcher.emit(events.ExecutorAdded(alias)))
        if self.running:
            self._to_start.append(registration)
            self._core.inbox.put(self._start_late)
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
        check_callable("fn", fn)

        def schedule(*args: P.args, **kwargs: P.kwargs) -> Task[object]:
            return self._add(partial(fn, *args, **kwargs))

        return TaskFunction(fn, schedule)


def _check_clock(clock: object) -> None:
    if clock is not None and not all(callable(getattr(clock, name, None)) for name in ("now", "call_later")):
        raise InvalidInputError("clock", repr(clock), "it needs the now and call_later of a clock")


def _is_complete(fn: Callable[[Unpack[Ts]], CallT], args: tuple[Unpack[Ts]]) -> TypeGuard[Callable[[], CallT]]:
    """Whether a function is called without arguments: it needs no partial, which would take up 144 bytes."""
    return not args and callable(fn)


def _with_details(run: TaskRun[ResultT], outcome: TaskNotification[ResultT]) -> TaskNotification[ResultT]:
    """Return an outcome with its details, which an executor may leave out."""
    if isinstance(outcome, TaskExecuted):
        # By the field, which is a tuple: the property makes a named tuple.
        return outcome if outcome._details[0] else attrs.evolve(outcome, details=run.details())
    return outcome if outcome.details[0] else attrs.evolve(outcome, details=run.details())


def _reject_second(run: TaskRun[ResultT], notification: TaskNotification[ResultT]) -> None:
    logger.error("A second notification of a run was rejected: %r of %r", notification, run)


def _log_failure(failure: TaskError | TaskMissed | TaskCancelled) -> None:
    if isinstance(failure, TaskError):
        logger.error("A run of the task %r failed\n%s", failure.task_id, failure.traceback)
    elif isinstance(failure, TaskMissed):
        logger.warning("A run of the task %r was missed", failure.task_id)


def _is_event_class(value: object) -> bool:
    return isinstance(value, type) and value in _EVENT_CLASSES


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _abandoned_by(registration: Registration) -> int:
    try:
        return registration.state().abandoned
    except Exception:
        logger.exception("The executor %r could not tell its state", registration.alias)
        return 0


def _check_call(executor: object, call: Callable[[], object]) -> None:
    """Let an executor reject a call that it can never run, such as one that cannot be pickled."""
    checking = as_checking_calls(executor)
    if checking is not None:
        checking.check_call(call)
