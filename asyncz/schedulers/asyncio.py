"""The scheduler for an asyncio event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Never, Self, get_args, overload
from uuid import UUID

import attrs
from typing_extensions import ParamSpec, TypeVar, TypeVarTuple, Unpack, override

from asyncz import events
from asyncz._aliases import ClusterAlias, EventScope, ExecutorAlias, LoopAlias, OtherAlias, PoolAlias
from asyncz._checks import (
    check_callable,
    check_choice,
    check_count,
    check_flag,
    check_instance,
    check_optional_instance,
    check_optional_seconds,
    check_run_id,
)
from asyncz._constructors import explain_misuse
from asyncz._run_ids import WantedRun
from asyncz._statuses import SchedulerStatus
from asyncz._unsafe import executor_object
from asyncz.clock import SystemClock
from asyncz.config import DaskOptions, PoolOptions
from asyncz.exceptions import (
    EventLoopRunningError,
    ExecutorInUseError,
    InvalidInputError,
    RunLookupError,
    SyncContextError,
)
from asyncz.limits import DEFAULT_LIMITS, TaskLimits
from asyncz.plugins import check_executor, load_executor
from asyncz.protocols import Clock, UniversalExecutor
from asyncz.schedulers._chains import Chains
from asyncz.schedulers._dispatcher import EVENT_CLASSES, check_event_class
from asyncz.schedulers._executor_registry import ExecutorRegistry
from asyncz.schedulers._hot_path import HotCompletion
from asyncz.schedulers._lifecycle import Lifecycle, warn_if_never_started
from asyncz.schedulers._parts import AnyController, SchedulerParts
from asyncz.schedulers._runtime import Runtime, check_clock
from asyncz.schedulers._task_registry import NamedTaskRegistry, TaskRegistry
from asyncz.schedulers._timer import DueTimer
from asyncz.schedulers.asgi import AppWithScheduler, ReceiveT, ScopeT, SendT, scheduler_lifespan
from asyncz.schedulers.subscriptions import ExecutedClass, ListenerDecorator, Subscription
from asyncz.schedulers.tasks import TaskScheduler
from asyncz.schedulers.thread import SchedulerThread

if TYPE_CHECKING:
    from asyncz.config import ConfigSource
    from asyncz.schedulers.stored import SchedulerStore
    from asyncz.states import ExecutorState, RunSummary, SchedulerState
    from asyncz.stores.options import StoreOptions
    from asyncz.stores.protocol import Store
else:
    # `typing.get_type_hints` needs the names, and these imports are slow or circular.
    ConfigSource = ExecutorState = RunSummary = SchedulerState = SchedulerStore = StoreOptions = Store = object

P = ParamSpec("P")
Ts = TypeVarTuple("Ts")
CallT = TypeVar("CallT")
ResultT = TypeVar("ResultT")
EventT = TypeVar("EventT")
ReturnT = TypeVar("ReturnT")
PlainEventT = TypeVar("PlainEventT", bound=events.PlainEvent)
FirstT = TypeVar("FirstT", bound=events.PlainEvent)
SecondT = TypeVar("SecondT", bound=events.PlainEvent)
ThirdT = TypeVar("ThirdT", bound=events.PlainEvent)

_NOT_PICKLABLE = (
    "a scheduler cannot be pickled, and so cannot be an argument of a function that runs in another process;"
    " pass the values that the function needs instead"
)


class AsyncIOScheduler(TaskScheduler):
    """Scheduler that submits runs of tasks to executors when they are due, and emits their outcomes as events.

    Args:
        executors: Executors by alias, each an executor or the alias of a plugin.
        defaults: Limits of tasks that set no others.
        clock: Source of the time; tests can pass their own.
        recent_runs: Number of recent runs of each task that `Task.state` contains, at least 0.
        history: Number of last runs of finished and removed tasks that `history` and `get_run` know, at least 0. Each
            takes about 0.4 KB, without arguments and results.
        store: Store that keeps the tasks and their runs, or its URL: `sqlite:///path`, `postgresql://...`. None keeps
            them in memory only.
        store_options: Options for the store; None for the default ones.

    Raises:
        InvalidInputError: An argument cannot be used.

    Example:
        >>> async with AsyncIOScheduler(executors={"io": "threadpool"}) as scheduler:
        ...     task = scheduler.add_task(read, "file.txt", executor="io")
        ...     text = await task.result()
    """

    def __init__(
        self,
        *,
        executors: Mapping[str, UniversalExecutor | PoolAlias | ClusterAlias | LoopAlias | OtherAlias] | None = None,
        defaults: TaskLimits = DEFAULT_LIMITS,
        clock: Clock | None = None,
        recent_runs: int = 5,
        history: int = 1000,
        store: Store | str | None = None,
        store_options: StoreOptions | None = None,
    ) -> None:
        check_optional_instance("executors", executors, Mapping)
        check_instance("defaults", defaults, TaskLimits)
        check_count("recent_runs", recent_runs, at_least=0)
        check_count("history", history, at_least=0)
        check_clock(clock)
        runtime = Runtime(clock or SystemClock(), recent_runs, history)
        completion, chains = HotCompletion(runtime), Chains(defaults)
        tasks = TaskRegistry[AnyController](runtime) if store is None else NamedTaskRegistry[AnyController](runtime)
        registry, timer = ExecutorRegistry(runtime, completion), DueTimer[AnyController](runtime, tasks.registered)
        parts = chains.parts = SchedulerParts(runtime, completion, registry, tasks, timer, chains)
        lifecycle = Lifecycle(parts)
        super().__init__(parts, defaults, lifecycle)
        if store is not None or store_options is not None:
            _use_store(parts, store, store_options, lifecycle.set_paused)
        for alias, executor in (executors or {}).items():
            if isinstance(executor, str):
                self.add_executor(executor, alias=alias)
            else:
                self.add_executor(executor, alias=alias)

    @classmethod
    def from_config(cls, source: ConfigSource, *, clock: Clock | None = None) -> Self:
        """Make a scheduler with the executors, limits, tasks and store of a configuration, without starting it.

        Modules that the configuration names are imported. More executors and tasks can be added; `get_task` returns
        the configured tasks. Thread-safe.

        Args:
            source: Path of a TOML file, the same content as a dict, or a `SchedulerConfig`.
            clock: Source of the time; tests can pass their own.

        Raises:
            ConfigurationError: Parts of the configuration cannot be used; the error lists each with line and key.
            InvalidInputError: `source` has another type.

        Example:
            >>> scheduler = AsyncIOScheduler.from_config("asyncz.toml")
        """
        from asyncz.schedulers._from_config import configure

        return configure(
            source,
            lambda defaults, stored: (
                cls(defaults=defaults, clock=clock)
                if stored is None
                else cls(defaults=defaults, clock=clock, store=stored.store, store_options=stored.options)
            ),
            lambda made: made._add,
        )

    @property
    def store(self) -> SchedulerStore:
        """Store of the scheduler: history, nodes, and stored tasks that cannot run here.

        Raises:
            InvalidInputError: The scheduler was made without a store.
        """
        from asyncz.schedulers._store_part import StoreConnector
        from asyncz.schedulers.stored import SchedulerStore

        connector = self._parts.store
        if not isinstance(connector, StoreConnector):
            raise InvalidInputError("store", "None", "pass a store to the scheduler, such as store='sqlite:///jobs.db'")
        return SchedulerStore(connector)

    @override
    def __repr__(self) -> str:
        # Without the lock, which cannot be taken after a fork.
        tasks = len(self._parts.tasks)
        return f"<{type(self).__name__}, {self._parts.runtime.status}, with {tasks} task(s)>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        await self.shutdown(wait=exc_type is None)

    if not TYPE_CHECKING:
        # Hidden, so that type checkers reject `with` as well.
        def __enter__(self) -> Never:
            raise SyncContextError

        def __exit__(self, *_: object) -> None:
            """Do nothing: `with` looks for this method first."""

    @override
    def __reduce__(self) -> Never:
        # Without this, the error would be about a lock inside.
        raise TypeError(_NOT_PICKLABLE)

    def __del__(self) -> None:
        # The constructor may have raised before it made the parts.
        parts: SchedulerParts | None = getattr(self, "_parts", None)
        if parts is not None:
            warn_if_never_started(parts, self)

    @property
    def running(self) -> bool:
        """True if the scheduler has been started and not shut down."""
        return self._parts.runtime.running

    @property
    def status(self) -> SchedulerStatus:
        """Status of the scheduler. Thread-safe."""
        return self._parts.runtime.status

    @property
    def executors(self) -> tuple[ExecutorState, ...]:
        """Snapshots of the registered executors, as in `state`. Thread-safe."""
        with self._parts.runtime.lock:
            registrations = self._parts.executors.all()
        return tuple(registration.state() for registration in registrations)

    async def start(self, *, paused: bool = False) -> None:
        """Start the executors, then submit due runs, on the running loop.

        Args:
            paused: Submit no due runs before `resume()`, as after `pause()`.

        Raises:
            SchedulerAlreadyRunningError: The scheduler is running.
            NoEventLoopError: No event loop of asyncio is running, for example under trio.
            InvalidInputError: `paused` is neither True nor False.
            Exception: Error of an executor that did not start; those that did are shut down again.
        """
        check_flag("paused", paused)
        await self._lifecycle.start(paused)

    async def shutdown(self, wait: bool = True, timeout: float | None = None) -> None:
        """Stop accepting runs, end the present ones, and release the executors. May be called again.

        A run that waits for its next attempt ends with the error of its last one. Concurrent calls wait for the same
        shutdown, and each can shorten it. If the caller is cancelled, the shutdown continues.

        The shutdown waits for listeners and runs, but not for the ones that call it. A listener that calls it is left
        out, and for a run this returns at once while the scheduler drains.

        Args:
            wait: Let the runs finish, without blocking the loop; if False, cancel them.
            timeout: Maximum seconds to wait for runs and listeners, which are then cancelled; None for no limit. The
                call returns at most 5 seconds later, whatever user code does, unless that blocks the event loop.

        Raises:
            InvalidInputError: `timeout` is negative.
            WrongThreadError: The scheduler runs in another thread; `SchedulerThread.shutdown` waits there.
        """
        check_optional_seconds("timeout", timeout, zero_allowed=True)
        await self._lifecycle.shutdown(wait, timeout)

    async def wait_closed(self, drain_timeout: float | None = None) -> None:
        """Wait for the end of a shutdown, by `shutdown()`, SIGINT or SIGTERM.

        The signals are handled while this waits in the main thread, and restored afterwards: the first one lets the
        runs finish, a second one cancels them.

        Args:
            drain_timeout: Maximum seconds for the runs after the first signal, before they are cancelled; None for
                no limit.

        Raises:
            InvalidInputError: `drain_timeout` is negative.
            WrongThreadError: The scheduler runs in another thread; `SchedulerThread.wait_closed` waits there.
        """
        check_optional_seconds("drain_timeout", drain_timeout, zero_allowed=True)
        await self._lifecycle.wait_closed(drain_timeout)

    def run_forever(self, drain_timeout: float | None = None) -> None:
        """Start and block until `shutdown()`, SIGINT or SIGTERM has ended everything. Requires that no loop is running.

        Args:
            drain_timeout: See `wait_closed`.

        Raises:
            EventLoopRunningError: An event loop is running in this thread.

        Example:
            >>> scheduler.run_forever(drain_timeout=25)
        """

        async def run() -> None:
            async with self:
                await self.wait_closed(drain_timeout)

        if asyncio._get_running_loop() is not None:
            raise EventLoopRunningError
        asyncio.run(run())

    def in_thread(
        self,
        *,
        drain_timeout: float | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> SchedulerThread[Self]:
        """Return the scheduler for a program without an event loop: `with` runs it in a thread of its own.

        On exit of the block the scheduler drains; on an exception, KeyboardInterrupt included, runs are cancelled. May
        be called from any thread.

        Args:
            drain_timeout: Maximum seconds to wait for runs at the end of the block, before they are cancelled; None
                for no limit.
            loop_factory: Makes the event loop, for example `uvloop.new_event_loop`; by default asyncio does.

        Raises:
            InvalidInputError: `drain_timeout` is negative.

        Example:
            >>> with scheduler.in_thread(drain_timeout=25) as thread:
            ...     task = scheduler.add_task(fetch, "https://example.org", trigger=IntervalTrigger(minutes=5))
            ...     page = thread.run(task, timeout=30)
            ...     thread.wait_closed()
        """
        return SchedulerThread(
            self, self._lifecycle.stop_soon, self._batches, drain_timeout=drain_timeout, loop_factory=loop_factory
        )

    def lifespan(
        self,
        app: object = None,  # noqa: ARG002  # frameworks pass it
        /,
        *,
        drain_timeout: float | None = None,
    ) -> AbstractAsyncContextManager[None]:
        """Return the lifespan of an ASGI app: for Starlette and FastAPI, or one of the lifespans of Litestar.

        The scheduler starts before the server accepts requests and drains after the last one. Each process of a
        server runs its own scheduler. Thread-safe.

        Args:
            app: App, which the framework passes.
            drain_timeout: Maximum seconds to wait for runs when the server stops, before they are cancelled; None for
                no limit. Pass it with `functools.partial`.

        Raises:
            InvalidInputError: `drain_timeout` is negative.
            SchedulerAlreadyRunningError: On entry: the scheduler is running.

        Example:
            >>> app = Starlette(lifespan=scheduler.lifespan)
            >>> app = FastAPI(lifespan=partial(scheduler.lifespan, drain_timeout=25))
            >>> app = Litestar(lifespan=[scheduler.lifespan])
        """
        check_optional_seconds("drain_timeout", drain_timeout, zero_allowed=True)
        return scheduler_lifespan(self, drain_timeout)

    def asgi(
        self, app: Callable[[ScopeT, ReceiveT, SendT], Awaitable[None]], /, *, drain_timeout: float | None = None
    ) -> AppWithScheduler[ScopeT, ReceiveT, SendT]:
        """Wrap any ASGI app, so that the scheduler starts and drains with the server.

        The scheduler starts after the startup of the app and drains before its shutdown, so that runs can use the
        resources of the app. The app needs no lifespan; servers must not have theirs disabled. A failed start is
        reported to the server, which then stops. Thread-safe.

        Args:
            app: App; its types are kept.
            drain_timeout: Maximum seconds to wait for runs when the server stops, before they are cancelled; None for
                no limit.

        Raises:
            InvalidInputError: `app` is not callable, or `drain_timeout` is negative.

        Example:
            >>> app = scheduler.asgi(app, drain_timeout=25)
        """
        if not callable(app):
            raise InvalidInputError("app", repr(app), "pass an ASGI app, which takes scope, receive and send")
        check_optional_seconds("drain_timeout", drain_timeout, zero_allowed=True)
        return AppWithScheduler(app, self, drain_timeout)

    def pause(self) -> None:
        """Stop submitting due runs of all tasks until `resume()`; live runs continue. Thread-safe.

        Also holds tasks that are added meanwhile. `resume()` does not resume tasks that `pause_task` has paused.

        Raises:
            SchedulerNotRunningError: The scheduler is not running.
        """
        self._lifecycle.pause()

    def resume(self) -> None:
        """Submit due runs again, those that came due meanwhile included. Thread-safe.

        Raises:
            SchedulerNotRunningError: The scheduler is not running.
        """
        self._lifecycle.resume()

    @property
    def state(self) -> SchedulerState:
        """Snapshot of the scheduler, its tasks and its executors. Thread-safe."""
        from asyncz.states import SchedulerState

        runtime = self._parts.runtime
        with runtime.lock:
            tasks, registrations = self._parts.tasks.all_tasks(), self._parts.executors.all()
        return SchedulerState(
            status=runtime.status,
            tasks=tuple(controller.state(task) for task, controller in tasks if not controller.removed),
            executors=tuple(registration.state() for registration in registrations),
            **runtime.counters.snapshot(),
        )

    @property
    def history(self) -> tuple[RunSummary, ...]:
        """Last runs of tasks that have finished or were removed, the latest last. Thread-safe."""
        return self._parts.runtime.history.summaries()

    def get_run(self, run_id: UUID) -> RunSummary:
        """Return the summary of a run: of one in progress, a recent one of a task, or one in the history.

        All tasks of this process are searched, which takes milliseconds if there are many. Thread-safe.

        Args:
            run_id: Id of the run, which its events and its handle have.

        Raises:
            RunLookupError: No such run is in progress, or kept.

        Example:
            >>> handle = task.run()
            >>> scheduler.get_run(handle.run_id).outcome is None
            True
        """
        check_run_id("run_id", run_id)
        wanted = WantedRun(run_id)
        for task, controller in self._parts.tasks.all_tasks():
            found = controller.find_run(task, wanted)
            if found is not None:
                return found
        found = self._parts.runtime.history.find(wanted)
        if found is None:
            raise RunLookupError(run_id, has_store=self._parts.store is not None)
        return found

    def cancel_run(self, run_id: UUID) -> bool:
        """Cancel a run, as far as its executor can. For the loop's thread only.

        A function that runs in a thread cannot be cancelled. The run still ends in its one notification.

        Args:
            run_id: Id of the run, which its events and its handle have.

        Returns:
            True if the request was accepted; False if the run is not in progress, or runs in a thread.

        Raises:
            WrongThreadError: The scheduler runs in another thread.

        Example:
            >>> scheduler.subscribe(TaskSubmitted, lambda event: scheduler.cancel_run(event.details.run_id))
        """
        check_run_id("run_id", run_id)
        wanted = WantedRun(run_id)
        return any(controller.cancel_run(wanted) for controller in self._parts.tasks.all())

    @overload
    def add_executor(self, executor: PoolAlias, /, alias: str, **options: Unpack[PoolOptions]) -> ExecutorAlias: ...
    @overload
    def add_executor(self, executor: ClusterAlias, /, alias: str, **options: Unpack[DaskOptions]) -> ExecutorAlias: ...
    @overload
    def add_executor(self, executor: LoopAlias | OtherAlias, /, alias: str) -> ExecutorAlias: ...
    # The last one: type checkers explain why the last overload does not match, here the missing member.
    @overload
    def add_executor(self, executor: UniversalExecutor, /, alias: str) -> ExecutorAlias: ...
    def add_executor(self, executor: UniversalExecutor | OtherAlias, /, alias: str, **options: object) -> ExecutorAlias:
        """Register an executor under an alias; it starts with the scheduler, or soon if that is running.

        Thread-safe.

        Args:
            executor: Executor, or the alias of one to create.
            alias: Name by which tasks choose the executor.
            options: Options of the pool or the connection to a cluster that is created.

        Returns:
            The alias, in a type that tasks take instead of a text: a variable cannot be misspelt.

        Raises:
            DuplicateExecutorError: The alias is in use, or the instance is registered already.
            UnknownAliasError: No plugin has that alias; the error lists the known ones.
            InvalidInputError: An option cannot be used, or the object is not an executor.

        Example:
            >>> io = scheduler.add_executor("threadpool", alias="io", max_workers=20)
            >>> scheduler.add_task(read, "file.txt", executor=io)
        """
        registry = self._parts.executors
        registry.check_free(alias)
        instance = load_executor(executor, **options) if isinstance(executor, str) else executor_object(executor)
        check_executor(instance)
        registry.add(alias, instance, instance.submit)
        return ExecutorAlias(alias)

    async def remove_executor(self, alias: str, *, wait: bool = True) -> None:
        """Shut an executor down and unregister it.

        Args:
            alias: Alias of the executor.
            wait: Let its runs finish; if False, cancel them.

        Raises:
            UnknownAliasError: No executor is registered under the alias.
            ExecutorInUseError: Tasks use the executor; remove or modify them first.
        """
        runtime, registry = self._parts.runtime, self._parts.executors
        runtime.check_thread("AsyncIOScheduler.remove_executor()")
        with runtime.lock:
            runtime.apply_pending_changes()
            registry.get(alias)
            using = tuple(task.id for task in self._parts.tasks.tasks() if task.executor == alias)
            if using:
                raise ExecutorInUseError(alias, using)
            registration = registry.remove(alias)
        await registry.shut_down(registration, wait=wait)
        runtime.dispatcher.emit(events.ExecutorRemoved(alias))

    @overload
    def subscribe(
        self,
        event: ExecutedClass,
        listener: Callable[[events.TaskExecuted[object]], object],
        /,
        *,
        scope: EventScope = "scheduler",
    ) -> Subscription: ...
    @overload
    def subscribe(
        self,
        event: type[PlainEventT],
        listener: Callable[[PlainEventT], object],
        /,
        *,
        scope: EventScope = "scheduler",
    ) -> Subscription: ...
    def subscribe(
        self,
        event: type[EventT] | ExecutedClass,
        listener: Callable[[EventT], object],
        /,
        *,
        scope: EventScope = "scheduler",
    ) -> Subscription:
        """Call a listener with each event of a class, for all tasks, on the loop's thread.

        A coroutine function is awaited. Listeners, also those of one task, see the context variables of the
        scheduler's start. Thread-safe.

        Args:
            event: Event class.
            listener: Function that receives the events.
            scope: `scheduler` for the events of this one. `cluster` for the outcomes of stored tasks on all schedulers
                that share the store: each accepted one once, with the scheduler as `details.worker.node`.

        Raises:
            InvalidInputError: `event` is not an event class (a subscripted one is not), or the listener is not
                callable. The scope `cluster` needs a store, and a class of outcomes.

        Example:
            >>> scheduler.subscribe(TaskError, lambda event: print(event.exception))
        """
        event_class = check_event_class(event)
        check_callable("listener", listener)
        check_choice("scope", scope, get_args(EventScope))
        if scope == "cluster":
            store = self._parts.store
            if store is None:
                raise InvalidInputError("scope", "'cluster'", "pass a store to the scheduler, which makes a cluster")
            return store.subscribe(event_class, listener)
        return self._parts.runtime.dispatcher.subscribe(event_class, listener)

    @overload
    def on(self) -> ListenerDecorator[events.Event]: ...
    @overload
    def on(self, executed: ExecutedClass, /) -> ListenerDecorator[events.TaskExecuted[object]]: ...
    @overload
    def on(self, first: type[FirstT], /) -> ListenerDecorator[FirstT]: ...
    @overload
    def on(
        self, executed: ExecutedClass, first: type[FirstT], /
    ) -> ListenerDecorator[events.TaskExecuted[object] | FirstT]: ...
    @overload
    def on(self, first: type[FirstT], second: type[SecondT], /) -> ListenerDecorator[FirstT | SecondT]: ...
    @overload
    def on(
        self, executed: ExecutedClass, first: type[FirstT], second: type[SecondT], /
    ) -> ListenerDecorator[events.TaskExecuted[object] | FirstT | SecondT]: ...
    @overload
    def on(
        self, first: type[FirstT], second: type[SecondT], third: type[ThirdT], /
    ) -> ListenerDecorator[FirstT | SecondT | ThirdT]: ...
    @overload
    def on(
        self,
        executed: ExecutedClass,
        first: type[FirstT],
        second: type[SecondT],
        third: type[ThirdT],
        /,
    ) -> ListenerDecorator[events.TaskExecuted[object] | FirstT | SecondT | ThirdT]: ...
    def on(self, *classes: type[object] | ExecutedClass) -> object:
        """Return a decorator that calls a function with each event of up to four classes; without any, with all events.

        The function is returned as it is; `remove_listener` ends the subscription. `TaskExecuted` comes first, if it
        is among several classes. Besides, this does the same as `subscribe`. Thread-safe.

        Args:
            classes: Event classes; the function receives their union.

        Raises:
            InvalidInputError: One of them is not an event class (a subscripted one is not), or the function is not
                callable.

        Example:
            >>> @scheduler.on(TaskError, TaskMissed)
            ... async def report(event: TaskError | TaskMissed) -> None: ...
            >>> @scheduler.on()
            ... def record(event: Event) -> None: ...
        """
        event_classes = [check_event_class(event) for event in classes]

        def subscribe(listener: Callable[[Never], ReturnT], /) -> Callable[[Never], ReturnT]:
            check_callable("listener", listener)
            for event in event_classes or EVENT_CLASSES:
                self._parts.runtime.dispatcher.subscribe(event, listener)
            return listener

        return subscribe

    def remove_listener(self, listener: object, /) -> bool:
        """Remove a listener from all event classes. Thread-safe.

        Returns:
            True if the listener was subscribed.
        """
        store = self._parts.store
        removed = store is not None and store.remove_listener(listener)
        return self._parts.runtime.dispatcher.remove(listener) or removed


explain_misuse(
    AsyncIOScheduler,
    {
        "timezone": "triggers have time zones: CronTrigger(..., timezone='Europe/Berlin')",
        "jobstores": "pass a store: store='sqlite:///jobs.db'",
        "jobstore": "pass a store: store='sqlite:///jobs.db'",
        "job_defaults": "pass the limits of tasks: defaults=TaskLimits(...)",
        **dict.fromkeys(attrs.fields_dict(TaskLimits), "pass the limits of tasks: defaults=TaskLimits(...)"),
    },
)


def _use_store(
    parts: SchedulerParts,
    store: Store | str | None,
    options: StoreOptions | None,
    set_paused: Callable[[bool], object],
) -> None:
    # Imported here: without a store, nothing of it is loaded.
    from asyncz.schedulers._store_part import StoreConnector
    from asyncz.stores._urls import store_of
    from asyncz.stores.options import StoreOptions

    check_optional_instance("store_options", options, StoreOptions)
    parts.store = StoreConnector(parts, store_of(store), options or StoreOptions(), set_paused)
