"""Handles of tasks, as returned by `add_task`."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Generic, Never, Protocol, Self, overload

from typing_extensions import TypeVar, Unpack, override

from asyncz._aliases import ClusterAlias, LoopAlias, OtherAlias, PoolAlias
from asyncz._checks import check_callable
from asyncz._listeners import ProgressListener, StreamKey, TaskListeners, listeners_lock
from asyncz.events import TaskCancelled, TaskError, TaskExecuted, TaskMissed, TaskNotification, TaskProgress
from asyncz.exceptions import SchedulerNotRunningError, UnknownOptionError
from asyncz.limits import TaskLimits, TaskOptions
from asyncz.protocols import Executor, Trigger
from asyncz.retries import Retry
from asyncz.runs import RunHandle, result_of
from asyncz.specs import TaskSpec

if TYPE_CHECKING:
    from asyncz.states import TaskState
else:
    # The import of pydantic takes longer than that of asyncz; `typing.get_type_hints` needs the name.
    TaskState = object

CallT = TypeVar("CallT")
CallT_co = TypeVar("CallT_co", covariant=True)
ArgumentT_co = TypeVar("ArgumentT_co", covariant=True)
ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")
NextT = TypeVar("NextT")
# A function that never returns fits the overload for awaitables, without a value for the type variable. Pyrefly and ty
# then use the default; without it they would infer `Task[Unknown]`.
AwaitedT = TypeVar("AwaitedT", default=Never)
ReturnT = TypeVar("ReturnT")
ResultT_co = TypeVar("ResultT_co", covariant=True)

_CHAIN_OPTIONS = ("max_instances", "misfire_grace_time", "coalesce", "timeout", "retry")


class ChainFactory(Protocol):
    """Function of a scheduler that adds a downstream task: one that receives the results of another."""

    def __call__(  # noqa: PLR0917  # arguments of a callback have no names
        self,
        upstream: Task[ArgumentT],
        fn: Callable[[ArgumentT], NextT | Awaitable[NextT]],
        executor: Executor[NextT] | OtherAlias | None,
        task_id: str | None,
        options: TaskOptions,
        paused: bool,
        /,
    ) -> Task[NextT]:
        """Add a task that receives the results of `upstream`; see `Task.then`."""
        ...


class TaskOwner(Protocol[ResultT_co]):
    """Part of a scheduler that a task's handle calls.

    The methods take the task or its id, so that an owner need not keep it.
    """

    @property
    def chain(self) -> ChainFactory:
        """Function that adds a downstream task."""
        ...

    def run_now(self, task_id: str, /) -> RunHandle[ResultT_co]:
        """Submit a run now; see `Task.run`."""
        ...

    def submit(self, task_id: str, /) -> None:
        """Make the task due once, now; see `Task.submit`."""
        ...

    def modify(self, task_id: str, options: TaskOptions, executor: OtherAlias | None, /) -> None:
        """Change limits and executor; see `Task.modify`."""
        ...

    def reschedule(self, task_id: str, trigger: Trigger | None, /) -> None:
        """Replace the trigger; see `Task.reschedule`."""
        ...

    def set_paused(self, task_id: str, paused: bool, /) -> None:
        """Pause or resume the schedule; see `Task.pause` and `Task.resume`."""
        ...

    def cancel_runs(self) -> int:
        """Cancel all runs; see `Task.cancel_runs`."""
        ...

    def state(self, task: Task[object], /) -> TaskState:
        """Return a snapshot of the task."""
        ...

    def can_run(self) -> bool:
        """Return True if another run of the task can still end."""
        ...

    def check_started(self, action: str, /) -> None:
        """Raise `SchedulerNotRunningError` if the scheduler was never started: a waiting call would not end."""
        ...

    def check_thread(self, action: str, /) -> None:
        """Raise `WrongThreadError` in any thread but the one of the scheduler's loop."""
        ...


class Task(Generic[ResultT_co]):
    """Handle of a task: its description, its runs and their outcomes.

    Covariant in its result: a `dict[str, Task[object]]` holds every task. `AsyncIOScheduler.add_task` and
    `AsyncIOScheduler.task` make tasks.

    Example:
        >>> task = scheduler.add_task(fetch, "https://example.org", trigger=IntervalTrigger(minutes=5))
        >>> @task.on_executed
        ... def report(event: TaskExecuted[bytes]) -> None:
        ...     print(len(event.result))
        >>> page = await task.run()
    """

    __slots__ = ("__weakref__", "_last_notification", "_listeners", "_owner", "_spec")

    def __init__(self, spec: TaskSpec[ResultT_co], owner: TaskOwner[ResultT_co] | None = None) -> None:
        self._spec = spec
        self._owner = owner
        self._listeners: TaskListeners[TaskNotification[ResultT_co]] | None = None
        self._last_notification: TaskNotification[ResultT_co] | None = None

    @override
    def __repr__(self) -> str:
        return f"<Task {self.id!r} of {self.function} on {self.executor!r}>"

    @property
    def spec(self) -> TaskSpec[ResultT_co]:
        """Plain description of the task; replaced when the task is modified."""
        return self._spec

    @property
    def id(self) -> str:
        """Id, unique in the scheduler."""
        return self._spec.id

    @property
    def function(self) -> str:
        """Name of the function, as `module:qualified name`."""
        return self._spec.function

    @property
    def executor(self) -> str:
        """Alias of the executor that runs the task."""
        return self._spec.executor

    @property
    def limits(self) -> TaskLimits:
        """Limits of the runs."""
        return self._spec.limits

    @property
    def is_coroutine(self) -> bool:
        """True if the function is known to return a coroutine."""
        return self._spec.is_coroutine

    @property
    def call(self) -> Callable[[], ResultT_co | Awaitable[ResultT_co]]:
        """Function with its arguments."""
        return self._spec.call

    @property
    def last_notification(self) -> TaskNotification[ResultT_co] | None:
        """Outcome of the most recent run that ended; None before."""
        return self._last_notification

    @property
    def state(self) -> TaskState:
        """Snapshot of the task. Thread-safe."""
        return self._require_owner("reading the state of a task").state(self)

    @property
    def next_run_at(self) -> datetime | None:
        """Next due time, UTC; None if there is none. Thread-safe."""
        return self.state.next_run_at

    def run(self) -> RunHandle[ResultT_co]:
        """Run the task once now, beside its schedule; await the returned handle for the typed result.

        Awaiting raises the exception of the run. Cancelling the awaiting coroutine does not cancel the run. For the
        loop's thread only.

        Raises:
            SchedulerNotRunningError: The scheduler is not running.
            MaximumInstancesError: The task has its maximum of running instances.
            QueueFullError: The queue of the executor is full.
            TaskLookupError: The task was removed, or has finished.
            WrongThreadError: The scheduler runs in another thread; use `SchedulerThread.run` there.
            NoResultError: The last run of the upstream task had no result.

        Example:
            >>> result = await task.run()
        """
        return self._require_owner(f"running the task {self.id!r}").run_now(self.id)

    async def result(self) -> ResultT_co:
        """Wait for the next run that ends, and return its result or raise its exception.

        For a finished task, which has no runs any more, the last outcome counts. For the loop's thread only, after the
        start of the scheduler.

        Raises:
            TaskMissedError: The run was missed.
            TaskCancelledError: The run was cancelled.
            SchedulerNotRunningError: The scheduler was not started, or it shut down or the task was removed before
                any run ended.
            WrongThreadError: The scheduler runs in another thread; use `SchedulerThread.result` there.
        """
        action = f"awaiting a result of the task {self.id!r}"
        owner = self._require_owner(action)
        owner.check_started(action)
        if owner.can_run():
            async with self.notifications() as notifications:
                async for notification in notifications:
                    return result_of(notification)
        # The last run may have ended just before the stream was opened.
        if self._last_notification is None:
            raise SchedulerNotRunningError(action)
        return result_of(self._last_notification)

    @overload
    def then(
        self,
        fn: Callable[[ResultT_co], Awaitable[AwaitedT]],
        /,
        *,
        executor: PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = False,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        paused: bool = False,
    ) -> Task[AwaitedT]: ...
    @overload
    def then(
        self,
        fn: Callable[[ResultT_co], NextT],
        /,
        *,
        executor: PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = False,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        paused: bool = False,
    ) -> Task[NextT]: ...
    @overload
    def then(
        self,
        fn: Callable[[ResultT_co], Awaitable[AwaitedT]],
        /,
        *,
        executor: Executor[AwaitedT],
        id: str | None = None,
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = False,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        paused: bool = False,
    ) -> Task[AwaitedT]: ...
    @overload
    def then(
        self,
        fn: Callable[[ResultT_co], NextT],
        /,
        *,
        executor: Executor[NextT],
        id: str | None = None,
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = False,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        paused: bool = False,
    ) -> Task[NextT]: ...
    def then(
        self,
        fn: Callable[[ResultT_co], NextT | Awaitable[NextT]],
        /,
        *,
        executor: Executor[NextT] | OtherAlias | None = None,
        id: str | None = None,
        paused: bool = False,
        **options: Unpack[TaskOptions],
    ) -> Task[NextT]:
        """Add a downstream task, which receives each result of this task from now on and has its own results.

        Thread-safe; may be called before the start, and as a decorator. Each `TaskExecuted` of this task
        makes the downstream task due; other outcomes do not. If the downstream task is at `max_instances` or paused,
        results wait in its backlog, and none is lost. A shutdown with `wait=True` drains the chain; else, or after
        its timeout, waiting results end as `TaskCancelled`. The function sees the context variables of this call.

        The downstream task is removed when this task is removed or finished and the last downstream run has ended.
        If this task has already finished, the downstream task receives its last result. `run()` of the downstream
        task uses the last result of this one.

        If a store keeps this task, it keeps the downstream task too, which needs an id. Each result is stored as a run
        of it, together with the outcome, and any scheduler may start that run, also after a restart. The result is
        encoded by the annotation of the parameter. `run()` uses the last result of this scheduler; `submit()` that of
        all.

        Args:
            fn: Function of one argument, coroutine function, or another callable.
            executor: Alias of an executor, or an executor; it may differ from the executor of this task. None: the
                executor that is registered as `default`, or else `asyncio`.
            id: Id; by default derived from the name of the function.
            max_instances: Maximum number of results that are processed at the same time. This option and the others,
                except `coalesce`, default to the scheduler's `defaults`.
            misfire_grace_time: Maximum seconds that a result may wait; after that its run is `TaskMissed`. None for
                no limit.
            coalesce: If several results wait, process only the latest; the others are rejected with
                `TaskMaxInstances`.
            timeout: Maximum seconds of an attempt of a run; None for no limit.
            retry: Retry policy of failed runs, each with the same result; None for no retries.
            paused: Keep results in the backlog until `resume()`.

        Raises:
            DuplicateTaskError: The id is in use.
            UnknownAliasError: No executor has that alias; the error lists the known ones.
            InvalidInputError: `fn` or a limit is not valid.
            ArgumentMismatchError: `fn` does not accept one argument.
            SerializationError: The executor is a process pool and the function cannot be pickled.
            UnstorableTaskError: A store keeps this task, and the function or values of its parameter cannot be stored.

        Example:
            >>> page = scheduler.add_task(fetch, "https://example.org", trigger=IntervalTrigger(minutes=5))
            >>> links = page.then(find_links, executor="processpool")
            >>> links.then(store, executor="threadpool")
        """
        return self._add_downstream(fn, executor, id, options, paused)

    def then_call(self, fn: Callable[[ResultT_co], CallT], /) -> DownstreamCall[ResultT_co, CallT]:
        """Return a function that will receive the results of this task; `add` makes it a downstream task.

        `task.then_call(fn).add(...)` does the same as `task.then(fn, ...)`, with exact types in every type checker:
        mypy infers `Task[Any]` from `then` for a coroutine function with an explicit `Any` in its signature.

        Raises:
            InvalidInputError: `fn` is not callable.

        Example:
            >>> links = page.then_call(find_links).add(executor="processpool")
        """
        check_callable("fn", fn)
        return DownstreamCall(self, fn)

    def submit(self) -> None:
        """Make the task due once, now, beside its schedule, without waiting. Thread-safe.

        Events report the outcome. As for every due run, `overlap` decides at the maximum of instances, and the
        function sees the context variables of `add_task`. Use `run` to await the run. With a store, the run waits there
        for any scheduler that has a free slot, and survives a restart.

        Raises:
            SchedulerNotRunningError: The scheduler is not running.
            TaskLookupError: The task was removed, or has finished.

        Example:
            >>> threading.Thread(target=lambda: watch(folder, on_change=task.submit)).start()
        """
        self._require_owner(f"submitting the task {self.id!r}").submit(self.id)

    def modify(
        self,
        *,
        executor: PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        **options: Unpack[TaskOptions],
    ) -> None:
        """Change the given limits, and the executor if one is given; see `AsyncIOScheduler.modify_task`.

        Args:
            executor: Alias of an executor; None keeps the present one.
            options: Limits to change; `TaskLimits` describes each.

        Raises:
            TaskLookupError: The task was removed, or has finished.
            InvalidInputError: A limit is not valid; nothing was changed.
            UnknownOptionError: An option does not exist; nothing was changed.
            UnknownAliasError: No executor for every type of result has that alias; nothing was changed.

        Example:
            >>> task.modify(timeout=30, executor="processpool")
        """
        self._require_owner("modifying a task").modify(self.id, options, executor)

    def reschedule(self, trigger: Trigger | None) -> None:
        """Replace the trigger; see `AsyncIOScheduler.reschedule_task`.

        Example:
            >>> task.reschedule(IntervalTrigger(minutes=1))
        """
        self._require_owner("rescheduling a task").reschedule(self.id, trigger)

    def pause(self) -> None:
        """Pause the schedule until `resume()`; see `AsyncIOScheduler.pause_task`."""
        self._require_owner("pausing a task").set_paused(self.id, True)

    def resume(self) -> None:
        """Resume the schedule; see `AsyncIOScheduler.resume_task`."""
        self._require_owner("resuming a task").set_paused(self.id, False)

    def cancel_runs(self) -> int:
        """Cancel all queued and running runs, as far as the executor can.

        A function that runs in a thread cannot be cancelled. Thread-safe; in threads other than
        the loop's thread, the requests are made soon afterwards. Each run still ends in its one notification.

        Returns:
            The number of runs that accepted the request; in other threads, the number of live runs.
        """
        return self._require_owner("cancelling runs").cancel_runs()

    def on_done(
        self, listener: Callable[[TaskNotification[ResultT_co]], ReturnT], /
    ) -> Callable[[TaskNotification[ResultT_co]], ReturnT]:
        """Call `listener` with every outcome, on the loop's thread. Usable as a decorator.

        A coroutine function is awaited. Thread-safe.
        """
        self._add_listener(listener, listener)
        return listener

    def on_executed(
        self, listener: Callable[[TaskExecuted[ResultT_co]], ReturnT], /
    ) -> Callable[[TaskExecuted[ResultT_co]], ReturnT]:
        """Call `listener` with each run that returned a result. Usable as a decorator."""

        def only_executed(notification: TaskNotification[ResultT_co]) -> object:
            return listener(notification) if isinstance(notification, TaskExecuted) else None

        self._add_listener(listener, only_executed)
        return listener

    def on_error(self, listener: Callable[[TaskError], ReturnT], /) -> Callable[[TaskError], ReturnT]:
        """Call `listener` with each run that ended with an exception. Usable as a decorator."""

        def only_errors(notification: TaskNotification[ResultT_co]) -> object:
            return listener(notification) if isinstance(notification, TaskError) else None

        self._add_listener(listener, only_errors)
        return listener

    def on_missed(self, listener: Callable[[TaskMissed], ReturnT], /) -> Callable[[TaskMissed], ReturnT]:
        """Call `listener` with each run that was missed. Usable as a decorator."""

        def only_missed(notification: TaskNotification[ResultT_co]) -> object:
            return listener(notification) if isinstance(notification, TaskMissed) else None

        self._add_listener(listener, only_missed)
        return listener

    def on_cancelled(self, listener: Callable[[TaskCancelled], ReturnT], /) -> Callable[[TaskCancelled], ReturnT]:
        """Call `listener` with each run that was cancelled. Usable as a decorator."""

        def only_cancelled(notification: TaskNotification[ResultT_co]) -> object:
            return listener(notification) if isinstance(notification, TaskCancelled) else None

        self._add_listener(listener, only_cancelled)
        return listener

    def on_progress(self, listener: Callable[[TaskProgress], ReturnT], /) -> Callable[[TaskProgress], ReturnT]:
        """Call `listener` with the progress that the runs report; see `CurrentRun.report`. Usable as a decorator."""
        check_callable("listener", listener)
        key = ProgressListener(listener)
        self._add_listener(key, key.ignore)
        return listener

    def remove_listener(self, listener: object, /) -> bool:
        """Remove a listener. Thread-safe.

        Returns:
            True if the listener was registered.
        """
        listeners = self._listeners
        return listeners is not None and listeners.remove(listener)

    def notifications(self) -> NotificationStream[ResultT_co]:
        """Return a stream of every outcome from now on, to be read with `async for`.

        The stream ends when it is closed, the task is removed or the scheduler shuts down.

        Example:
            >>> async for notification in task.notifications():
            ...     print(notification)
        """
        return NotificationStream(self)

    def _add_listener(self, key: object, listener: Callable[[TaskNotification[ResultT_co]], object]) -> None:
        if not isinstance(key, StreamKey | ProgressListener):
            check_callable("listener", key)
        listeners = self._listeners
        if listeners is None:
            with listeners_lock():
                listeners = self._listeners = self._listeners or TaskListeners()
        listeners.add(key, listener)

    def _add_downstream(
        self,
        fn: Callable[[ResultT_co], NextT | Awaitable[NextT]],
        executor: Executor[NextT] | OtherAlias | None,
        task_id: str | None,
        options: TaskOptions,
        paused: bool,
    ) -> Task[NextT]:
        owner = self._require_owner(f"chaining a task to {self.id!r}")
        if "overlap" in options:
            raise UnknownOptionError("overlap", "coalesce", _CHAIN_OPTIONS)
        coalesce = options.setdefault("coalesce", False)
        options["overlap"] = "queue_one" if coalesce else "queue_all"
        return owner.chain(self, fn, executor, task_id, options, paused)

    def _require_owner(self, action: str) -> TaskOwner[ResultT_co]:
        if self._owner is None:
            raise SchedulerNotRunningError(action)
        return self._owner


class Returns(Generic[CallT_co]):
    """Base class of objects that stand for a function; `CallT_co` is the type that the function returns.

    Overloads of such objects name this class for `self`, not their own: mypy rejects an overload for an `Awaitable` if
    `self` is of the same class and the function returns an object with `__await__` that is no subclass of `Awaitable`.
    """

    __slots__ = ()


class DownstreamCall(Returns[CallT_co], Generic[ArgumentT_co, CallT_co]):
    """A function that `add` makes a downstream task; made by `Task.then_call`.

    Example:
        >>> links = page.then_call(find_links).add(executor="processpool")
    """

    __slots__ = ("_fn", "_upstream")

    def __init__(self, upstream: Task[ArgumentT_co], fn: Callable[[ArgumentT_co], CallT_co]) -> None:
        self._upstream: Task[ArgumentT_co] = upstream
        self._fn = fn

    @overload
    def add(
        self: Returns[Awaitable[AwaitedT]],
        *,
        executor: Executor[AwaitedT] | PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = False,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        paused: bool = False,
    ) -> Task[AwaitedT]: ...
    @overload
    def add(
        self: Returns[NextT],
        *,
        executor: Executor[NextT] | PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = False,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        paused: bool = False,
    ) -> Task[NextT]: ...
    def add(  # pyright: ignore[reportInconsistentOverload]  # see `Returns`
        self: DownstreamCall[ArgumentT, NextT | Awaitable[NextT]],
        *,
        executor: Executor[NextT] | OtherAlias | None = None,
        id: str | None = None,
        paused: bool = False,
        **options: Unpack[TaskOptions],
    ) -> Task[NextT]:
        """Add a task that receives each result of the upstream task; see `Task.then` for the arguments and errors.

        Args:
            executor: Alias of an executor, or an executor. None: the executor that is registered as `default`, or else
                `asyncio`.
            id: Id; by default derived from the name of the function.
            max_instances: Maximum number of results that are processed at the same time.
            misfire_grace_time: Maximum seconds that a result may wait; None for no limit.
            coalesce: If several results wait, process only the latest.
            timeout: Maximum seconds of an attempt of a run; None for no limit.
            retry: Retry policy of failed runs; None for no retries.
            paused: Keep results in the backlog until `resume()`.
        """
        return self._upstream._add_downstream(self._fn, executor, id, options, paused)


def replace_spec(task: Task[ResultT], spec: TaskSpec[ResultT]) -> None:
    """Give a task another description, after it was modified. For the scheduler only."""
    task._spec = spec


def close_streams(task: Task[object]) -> None:
    """Close the streams of a task, after its removal or the shutdown. For the scheduler only."""
    if task._listeners is not None:
        task._listeners.close_streams()


def progress_listeners(task: Task[object]) -> list[Callable[[TaskProgress], object]]:
    """Return the listeners of the progress of a task. For the scheduler only."""
    return [] if task._listeners is None else task._listeners.progress_listeners()


class NotificationStream(AsyncIterator[TaskNotification[ResultT_co]]):
    """Outcomes of a task's runs, in order, for `async for`.

    Close a stream with `aclose()` or by leaving `async with`; a stream without references closes itself.
    """

    def __init__(self, task: Task[ResultT_co]) -> None:
        self._task = task
        self._pending: deque[TaskNotification[ResultT_co]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        reference: weakref.ref[NotificationStream[ResultT_co]] = weakref.ref(self)
        self._key = StreamKey(lambda: _close_stream(reference))
        task._add_listener(self._key, _stream_listener(reference))

    @override
    def __aiter__(self) -> Self:
        return self

    @override
    async def __anext__(self) -> TaskNotification[ResultT_co]:
        while not self._pending:
            if self._closed:
                raise StopAsyncIteration
            self._task._require_owner("awaiting outcomes").check_thread("awaiting outcomes")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._pending.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def aclose(self) -> None:
        """Stop receiving outcomes; those received before can still be read."""
        self.close()

    def close(self) -> None:
        """Do the same as `aclose()`, in a plain function."""
        self._closed = True
        self._task.remove_listener(self._key)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _close_stream(stream: weakref.ref[NotificationStream[ResultT]]) -> None:
    living = stream()
    if living is not None:
        living.close()


def _stream_listener(
    stream: weakref.ref[NotificationStream[ResultT]],
) -> Callable[[TaskNotification[ResultT]], object]:
    def receive(notification: TaskNotification[ResultT]) -> None:
        living = stream()
        if living is not None:
            living._pending.append(notification)
            living._wake()

    return receive
