"""Tasks and their runs: what is to be called, and one execution of it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import itertools
import os
import socket
import threading
import traceback
import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextvars import Context
from datetime import datetime
from enum import Enum
from types import CoroutineType, FunctionType, MethodType
from typing import TYPE_CHECKING, Final, Generic, Literal, Never, Protocol, Self, TypeAlias, get_args, overload

import attrs
from typing_extensions import ParamSpec, TypeIs, TypeVar, override

from asyncz._checks import (
    check_callable,
    check_choice,
    check_count,
    check_flag,
    check_optional_instance,
    check_optional_seconds,
)
from asyncz._running import running_run
from asyncz.clock import SystemClock, utc
from asyncz.events import (
    RunDetails,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskNotification,
    Worker,
)
from asyncz.exceptions import (
    NoResultError,
    SchedulerNotRunningError,
    TaskCancelledError,
    TaskExitError,
    TaskMissedError,
)
from asyncz.retries import Retry

if TYPE_CHECKING:
    # A task names what runs the one that it hands its results to.
    from asyncz.config import LoopAlias, PoolAlias
    from asyncz.protocols import Executor
    from asyncz.states import TaskState

P = ParamSpec("P")
CallT = TypeVar("CallT")
ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")
NextT = TypeVar("NextT")
ResultT_co = TypeVar("ResultT_co", covariant=True)

_run_ids = itertools.count(1)
# Looked up once: each look makes a method anew, which costs as much as its call.
_set_running_run = running_run.set
_system_clock = SystemClock()
# What the call of the class comes to, in half the time.
_new_details: Callable[[type[RunDetails], tuple[int, int, float, float | None, float, Worker | None]], RunDetails]
_new_details = vars(tuple)["__new__"]
# One for all tasks: it is held for a moment only, and seldom.
_listening = threading.Lock()


def function_reference(function: object) -> str:
    """A function as `module:qualified name`; partials and callable objects are named by what they call."""
    return f"{getattr(_named(function), '__module__', '')}:{function_name(function)}"


def function_name(function: object) -> str:
    """The qualified name of a function, or of what a partial or callable object calls."""
    return str(getattr(_named(function), "__qualname__", ""))


def _named(function: object) -> object:
    while isinstance(function, _WRAPPERS):
        function = function.func
    return function if hasattr(function, "__qualname__") else type(function)


def is_coroutine_function(function: object) -> bool:
    """Whether calling it gives a coroutine, as far as can be known before the call.

    Looks through partials, and at the `__call__` of callable objects.
    """
    while isinstance(function, _WRAPPERS):
        function = function.func
    if type(function) is FunctionType and not function.__dict__:
        # Most functions, told in no time; a function that is only marked as a coroutine function has attributes.
        return bool(function.__code__.co_flags & inspect.CO_COROUTINE)
    if inspect.iscoroutinefunction(function):
        return True
    return inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  # this asks what it calls


# What most functions return: to ask a class for what it does not have costs more than all the rest of the question.
_NEVER_AWAITABLE: frozenset[type[object]] = frozenset(
    {type(None), bool, int, float, str, bytes, tuple, list, dict, set}
)


def is_awaitable(outcome: ResultT | Awaitable[ResultT]) -> TypeIs[Awaitable[ResultT]]:
    """Whether a call has returned something that still has to be awaited."""
    kind = type(outcome)
    return kind is CoroutineType or (kind not in _NEVER_AWAITABLE and hasattr(kind, "__await__"))


def _formatted(exception: BaseException) -> str:
    """Its traceback as text; what cannot be formatted must not keep its run from ending."""
    try:
        return "".join(traceback.format_exception(exception))
    except Exception as error:
        return f"{type(exception).__qualname__}; its traceback cannot be formatted: {type(error).__qualname__}\n"


_SUSPENDABLE = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def _clear_frames(exception: BaseException) -> None:
    """Let go of the local variables of the frames it passed; they would live as long as its notification.

    Clearing the frame of a coroutine closes that, and one that the exception passed may go on: left alone.
    """
    entry = exception.__traceback__
    while entry is not None:
        if not entry.tb_frame.f_code.co_flags & _SUSPENDABLE:
            with contextlib.suppress(RuntimeError):
                entry.tb_frame.clear()
        entry = entry.tb_next


def raised_by(notification: TaskNotification[object]) -> BaseException | None:
    """What awaiting a run that ended so raises; None where it gives a result."""
    match notification:
        case TaskExecuted():
            return None
        case TaskError(task_id=task_id, exception=exception):
            if isinstance(exception, Exception):
                return exception
            exit_error = TaskExitError(task_id, repr(exception))
            exit_error.__cause__ = exception
            return exit_error
        case TaskMissed(task_id=task_id):
            return TaskMissedError(task_id)
        case TaskCancelled(task_id=task_id):
            return TaskCancelledError(task_id)


def result_of(notification: TaskNotification[ResultT]) -> ResultT:
    """The result of a run that ended so, or the exception that stands for its ending, raised."""
    if isinstance(notification, TaskExecuted):
        return notification.result
    raised = raised_by(notification)
    assert raised is not None
    try:
        raise raised
    finally:
        # The traceback that is being raised holds this frame; without this it would hold itself.
        del raised


class _ThisThread(threading.local):
    def __init__(self) -> None:
        self.look()

    def look(self) -> None:
        self.worker = Worker(host=_host, pid=os.getpid(), thread=threading.current_thread().name)


_host = socket.gethostname()
_this_thread = _ThisThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_this_thread.look)


def this_worker() -> Worker:
    """The present thread, process and machine. May be called from any thread."""
    return _this_thread.worker


def _is_same(one: object, other: object) -> bool:
    """Whether it is the same object, or the same method of the same object: each look at one makes it anew."""
    return one is other or (isinstance(one, MethodType) and isinstance(other, MethodType) and one == other)


class _OfOneArgument:
    """A call of a function that has no argument yet."""

    __slots__ = ("func",)

    def __init__(self, func: object) -> None:
        self.func: object = func


# Both say in `func` what they call.
_WRAPPERS = (functools.partial, _OfOneArgument)


class ChainedCall(_OfOneArgument, Generic[ArgumentT, ResultT]):
    """What a task calls that `Task.then` gave: a function, with a result of the task before it."""

    __slots__ = ("_function", "upstream")

    def __init__(
        self, function: Callable[[ArgumentT], ResultT | Awaitable[ResultT]], upstream: Task[ArgumentT]
    ) -> None:
        super().__init__(function)
        self._function = function
        self.upstream: Task[ArgumentT] = upstream

    def with_result(self, result: ArgumentT) -> Callable[[], ResultT | Awaitable[ResultT]]:
        """The call with one result."""
        return functools.partial(self._function, result)

    def with_last_result(self) -> Callable[[], ResultT | Awaitable[ResultT]]:
        """The call with the result of the last run of the task before it.

        Raises:
            NoResultError: That run gave none, or there was none yet.
        """
        last = self.upstream.last_notification
        if not isinstance(last, TaskExecuted):
            raise NoResultError(self.upstream.id)
        return self.with_result(last.result)

    @override
    def __reduce__(self) -> tuple[object, ...]:
        """Only the function is to be picklable: each run takes its result along."""
        return functools.partial, (self.func,)

    def __call__(self) -> ResultT | Awaitable[ResultT]:
        """Call it with the result of the last run of the task before it."""
        return self.with_last_result()()


class AddsChained(Protocol):
    """Adds a task that is given the results of another."""

    def __call__(
        self,
        upstream: Task[ArgumentT],
        fn: Callable[[ArgumentT], NextT | Awaitable[NextT]],
        executor: Executor[NextT] | str,
        task_id: str | None,
        limit: Callable[[TaskLimits], TaskLimits],
        paused: bool,
        /,
    ) -> Task[NextT]:
        """Add it to the scheduler of the other one, which is `upstream`."""
        ...


class TaskOwner(Protocol[ResultT_co]):
    """What a task needs of the scheduler that holds it: its place there."""

    def run_now(self) -> RunHandle[ResultT_co]:
        """Submit a run now."""
        ...

    def submit_soon(self) -> None:
        """Have it due once, now."""
        ...

    def modify(self, change: Callable[[TaskLimits], TaskLimits], executor: str | Unset, /) -> None:
        """Change its limits, and where it runs."""
        ...

    def reschedule(self, trigger: Trigger | None, /) -> None:
        """Have it due by another trigger."""
        ...

    def set_paused(self, paused: bool, /) -> None:
        """Hold its schedule, or go on with it."""
        ...

    def cancel_runs(self) -> int:
        """Ask for the cancellation of all its runs; tells how many requests took."""
        ...

    @property
    def chain(self) -> AddsChained:
        """What adds a task that is given the results of this one."""
        ...

    def current_state(self) -> TaskState:
        """What is known of the task."""
        ...

    def can_run(self) -> bool:
        """Whether another run of the task can still end."""
        ...

    def check_thread(self, action: str) -> None:
        """Reject what is for the thread of its scheduler only."""
        ...


class FormerOwner:
    """What tasks have instead of an owner once their scheduler has forgotten them, and which holds nothing of them.

    A task and its place would else hold each other, and go with the next full garbage collection only.

    Args:
        answer_for: Gives the owner of the task with some id, for as long as something is asked of it.
    """

    __slots__ = ("answer_for",)

    def __init__(self, answer_for: Callable[[str], TaskOwner[Never]]) -> None:
        self.answer_for: Callable[[str], TaskOwner[Never]] = answer_for


class Trigger(Protocol):
    """When a task is due.

    One trigger may serve many tasks, so it remembers nothing: what it answers depends on what it is asked
    only. Its `str()` is shown to people. `asyncz.testing.TriggerConformance` verifies one.
    """

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """The first due time after `previous`, or the very first one where `previous` is None.

        Called on the loop's thread, and once in the thread that adds or reschedules the task. Must not block.

        Args:
            previous: The due time before, UTC; one of another trigger where triggers are combined.
            now: The present time, UTC; it matters only where there is no `previous`.

        Returns:
            A time zone aware datetime later than `previous`, also one in the past; None if there is none any more.
        """
        ...


class Unset(Enum):
    """The class of `UNSET`, which stands for an option that is not given, as None often means something itself."""

    UNSET = "unset"

    @override
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""An option that is not given: a new task takes the scheduler's default, and a change leaves it as it is."""

OverlapPolicy: TypeAlias = Literal["skip", "queue_one", "queue_all", "cancel_running"]
"""What becomes of a run that is due while its task has its maximum of running instances."""


@attrs.frozen(kw_only=True)
class TaskLimits:
    """What limits a task's runs; also the defaults of a scheduler.

    If a run is due while its task has `max_instances` running instances, the overlap policy decides: `skip` rejects
    the run with `TaskMaxInstances`. `queue_all` puts it into the scheduler's backlog until a slot is free; `queue_one`
    keeps only the latest there and rejects the one that it replaces. `cancel_running` asks the oldest run that can be
    cancelled to end and puts the new one into the backlog, which holds at most `max_instances` runs: the latest
    replace the oldest.

    Args:
        max_instances: How many of its runs may run at the same time, at least 1.
        misfire_grace_time: How many seconds late a run may start; None is no limit.
        coalesce: Whether of several due times only the latest runs; if False, each does.
        timeout: How many seconds an attempt of a run may take; None is no limit.
        retry: Whether a run that failed is tried again; None is never.
        overlap: What becomes of a run that is due at `max_instances`; None is `skip`, or `queue_all` where `coalesce`
            is False.

    Raises:
        InvalidInputError: A limit cannot be used.

    Example:
        >>> scheduler = AsyncIOScheduler(defaults=TaskLimits(timeout=60, retry=Retry(attempts=3)))
    """

    max_instances: int = 1
    misfire_grace_time: float | None = None
    coalesce: bool = True
    timeout: float | None = None
    retry: Retry | None = None
    _overlap: OverlapPolicy | None = attrs.field(default=None, alias="overlap")

    def __attrs_post_init__(self) -> None:
        check_count("max_instances", self.max_instances)
        check_optional_seconds("misfire_grace_time", self.misfire_grace_time, zero_allowed=True)
        check_flag("coalesce", self.coalesce)
        check_optional_seconds("timeout", self.timeout, zero_allowed=False)
        check_optional_instance("retry", self.retry, Retry)
        if self._overlap is not None:
            check_choice("overlap", self._overlap, get_args(OverlapPolicy))

    @property
    def overlap(self) -> OverlapPolicy:
        """What becomes of a run that is due at `max_instances`."""
        return self._overlap or ("skip" if self.coalesce else "queue_all")

    def evolve(
        self,
        *,
        max_instances: int | Unset = UNSET,
        misfire_grace_time: float | Unset | None = UNSET,
        coalesce: bool | Unset = UNSET,
        timeout: float | Unset | None = UNSET,
        retry: Retry | Unset | None = UNSET,
        overlap: OverlapPolicy | Unset | None = UNSET,
    ) -> TaskLimits:
        """The same limits but for those that are given.

        Raises:
            InvalidInputError: A limit cannot be used.
        """
        if (max_instances, misfire_grace_time, coalesce, timeout, retry, overlap) == _NOTHING_GIVEN:
            return self
        return TaskLimits(
            max_instances=_or_else(max_instances, self.max_instances),
            misfire_grace_time=_or_else(misfire_grace_time, self.misfire_grace_time),
            coalesce=_or_else(coalesce, self.coalesce),
            timeout=_or_else(timeout, self.timeout),
            retry=_or_else(retry, self.retry),
            overlap=_or_else(overlap, self._overlap),
        )

    def diff(self, other: TaskLimits) -> dict[str, str]:
        """What differs, by name: both values as text, the other one first."""
        pairs = {name: (getattr(other, name), getattr(self, name)) for name in _LIMIT_NAMES}
        return {name: f"{before!r} to {now!r}" for name, (before, now) in pairs.items() if before != now}


def _or_else(value: CallT | Unset, otherwise: CallT) -> CallT:
    return otherwise if isinstance(value, Unset) else value


_NOTHING_GIVEN = (UNSET,) * 6
_LIMIT_NAMES = ("max_instances", "misfire_grace_time", "coalesce", "timeout", "retry", "overlap")

DEFAULT_LIMITS: TaskLimits = TaskLimits()
"""What limits the runs of a task where neither it nor its scheduler says otherwise."""


class Task(Generic[ResultT_co]):
    """A callable with its arguments, and the handle to what becomes of its runs.

    Covariant in its result: a `dict[str, Task[object]]` holds every task. Made by
    `AsyncIOScheduler.add_task` or `AsyncIOScheduler.task`.

    Example:
        >>> task = scheduler.add_task(fetch, "https://example.org", trigger=IntervalTrigger(minutes=5))
        >>> @task.on_executed
        ... def report(event: TaskExecuted[bytes]) -> None:
        ...     print(len(event.result))
        >>> page = await task.run()
    """

    __slots__ = (
        "__weakref__",
        "_call",
        "_executor",
        "_id",
        "_is_coroutine",
        "_last",
        "_limits",
        "_listeners",
        "_owner",
    )

    def __init__(
        self,
        id: str,
        call: Callable[[], ResultT_co | Awaitable[ResultT_co]],
        *,
        owner: TaskOwner[ResultT_co] | None = None,
        executor: str = "asyncio",
        limits: TaskLimits = DEFAULT_LIMITS,
    ) -> None:
        self._id = id
        self._call = call
        self._owner: TaskOwner[ResultT_co] | FormerOwner | None = owner
        self._executor = executor
        self._limits = limits
        self._is_coroutine = is_coroutine_function(call)
        self._listeners: list[tuple[object, Callable[[TaskNotification[ResultT_co]], object]]] | None = None
        self._last: TaskNotification[ResultT_co] | None = None

    @override
    def __repr__(self) -> str:
        return f"<Task {self._id!r} of {self.function} on {self._executor!r}>"

    @property
    def id(self) -> str:
        """Its id, unique in its scheduler."""
        return self._id

    @property
    def function(self) -> str:
        """Its function, as `module:qualified name`."""
        return function_reference(self._call)

    @property
    def executor(self) -> str:
        """The alias of the executor that runs it."""
        return self._executor

    @property
    def limits(self) -> TaskLimits:
        """What limits its runs."""
        return self._limits

    @property
    def is_coroutine(self) -> bool:
        """Whether its function is known to give a coroutine."""
        return self._is_coroutine

    @property
    def call(self) -> Callable[[], ResultT_co | Awaitable[ResultT_co]]:
        """Its function with its arguments. Executors call it through a `TaskRun`."""
        return self._call

    @property
    def last_notification(self) -> TaskNotification[ResultT_co] | None:
        """How its most recent run ended; None while none has."""
        return self._last

    @property
    def state(self) -> TaskState:
        """A snapshot of what the scheduler knows of it. May be read from any thread."""
        return self._owned("reading the state of a task").current_state()

    @property
    def next_run_at(self) -> datetime | None:
        """When it is due next, UTC; None if never. May be read from any thread."""
        return self.state.next_run_at

    def run(self) -> RunHandle[ResultT_co]:
        """Run it once now, beside its schedule; await what this gives for the typed result.

        Awaiting raises what the run raised. Cancelling who awaits does not cancel the run. For the
        loop's thread only.

        Raises:
            SchedulerNotRunningError: The scheduler is not running.
            MaximumInstancesError: It has its maximum of running instances.
            QueueFullError: The queue of its executor is full.
            TaskLookupError: It was removed, or has finished.
            WrongThreadError: The scheduler runs in another thread; `SchedulerThread.run` waits there.
            NoResultError: It is given the results of another task, whose last run gave none.

        Example:
            >>> result = await task.run()
        """
        return self._owned(f"running the task {self._id!r}").run_now()

    async def result(self) -> ResultT_co:
        """Wait for its next run that ends, and give its result or raise what it raised.

        A finished task, none of whose runs can come any more, answers with its last one. For the
        loop's thread only.

        Raises:
            TaskMissedError: That run was missed.
            TaskCancelledError: That run was cancelled.
            SchedulerNotRunningError: The scheduler shut down, or the task was removed, before any run ended.
            WrongThreadError: The scheduler runs in another thread; `SchedulerThread.result` waits there.
        """
        if self._owned("awaiting a result").can_run():
            async with self.notifications() as endings:
                async for notification in endings:
                    return result_of(notification)
        # Its last run may have ended just before this began to listen.
        if self._last is None:
            raise SchedulerNotRunningError(f"awaiting a result of the task {self._id!r}")
        return result_of(self._last)

    @overload
    def then(
        self,
        fn: Callable[[ResultT_co], Awaitable[NextT]],
        /,
        *,
        executor: PoolAlias | LoopAlias | str = "asyncio",
        id: str | None = None,
        max_instances: int | Unset = UNSET,
        misfire_grace_time: float | Unset | None = UNSET,
        coalesce: bool = False,
        timeout: float | Unset | None = UNSET,
        retry: Retry | Unset | None = UNSET,
        paused: bool = False,
    ) -> Task[NextT]: ...
    @overload
    def then(
        self,
        fn: Callable[[ResultT_co], NextT],
        /,
        *,
        executor: PoolAlias | LoopAlias | str = "asyncio",
        id: str | None = None,
        max_instances: int | Unset = UNSET,
        misfire_grace_time: float | Unset | None = UNSET,
        coalesce: bool = False,
        timeout: float | Unset | None = UNSET,
        retry: Retry | Unset | None = UNSET,
        paused: bool = False,
    ) -> Task[NextT]: ...
    @overload
    def then(
        self,
        fn: Callable[[ResultT_co], Awaitable[NextT]],
        /,
        *,
        executor: Executor[NextT],
        id: str | None = None,
        max_instances: int | Unset = UNSET,
        misfire_grace_time: float | Unset | None = UNSET,
        coalesce: bool = False,
        timeout: float | Unset | None = UNSET,
        retry: Retry | Unset | None = UNSET,
        paused: bool = False,
    ) -> Task[NextT]: ...
    @overload
    def then(
        self,
        fn: Callable[[ResultT_co], NextT],
        /,
        *,
        executor: Executor[NextT],
        id: str | None = None,
        max_instances: int | Unset = UNSET,
        misfire_grace_time: float | Unset | None = UNSET,
        coalesce: bool = False,
        timeout: float | Unset | None = UNSET,
        retry: Retry | Unset | None = UNSET,
        paused: bool = False,
    ) -> Task[NextT]: ...
    def then(
        self,
        fn: Callable[[ResultT_co], NextT | Awaitable[NextT]],
        /,
        *,
        executor: Executor[NextT] | str = "asyncio",
        id: str | None = None,
        max_instances: int | Unset = UNSET,
        misfire_grace_time: float | Unset | None = UNSET,
        coalesce: bool = False,
        timeout: float | Unset | None = UNSET,
        retry: Retry | Unset | None = UNSET,
        paused: bool = False,
    ) -> Task[NextT]:
        """Add a task that is given each result of this one, from now on, and has results of its own.

        May be called from any thread, before the start too; can be used as a decorator. Each `TaskExecuted` of this
        task is a run of the new one, due at that moment; a run that ends otherwise is none. Results that come while
        the new task is at `max_instances`, or is paused, wait for their turn, and none is lost. A shutdown that waits
        lets the chain come to its end; where it does not wait, or its time is over, results that wait end as
        `TaskCancelled`. The context variables are those of this call.

        The new task goes when this one has, and its last run is over. One that has finished before hands over its
        last result. `run()` of the new task takes the last result of this one.

        Args:
            fn: A function of one argument, a coroutine function, or any other callable.
            executor: The alias of an executor, or an executor itself; it need not be the one of this task.
            id: Its id; by default one is made from the function's name.
            max_instances: How many results it may work on at the same time. What is not given of this and of the
                following, but for `coalesce`, is the scheduler's default.
            misfire_grace_time: How many seconds a result may wait; one that waits longer is `TaskMissed`. None is
                no limit.
            coalesce: Whether of several results that wait only the latest is worked on; the others are rejected, and
                told as `TaskMaxInstances`.
            timeout: How many seconds an attempt of a run may take; None is no limit.
            retry: Whether a run that failed is tried again, with the same result; None is never.
            paused: Have results wait, until `resume_task`.

        Raises:
            DuplicateTaskError: There is a task with that id.
            UnknownAliasError: There is no executor with that alias; the error lists those that exist.
            InvalidInputError: `fn` or a limit cannot be used.
            SerializationError: The executor is a process pool and the function cannot be pickled.

        Example:
            >>> page = scheduler.add_task(fetch, "https://example.org", trigger=IntervalTrigger(minutes=5))
            >>> links = page.then(find_links, executor="processpool")
            >>> links.then(store, executor="threadpool")
        """

        def limit(defaults: TaskLimits) -> TaskLimits:
            return defaults.evolve(
                max_instances=max_instances,
                misfire_grace_time=misfire_grace_time,
                coalesce=coalesce,
                timeout=timeout,
                retry=retry,
                overlap="queue_one" if coalesce else "queue_all",
            )

        return self._owned(f"chaining a task to {self._id!r}").chain(self, fn, executor, id, limit, paused)

    def submit(self) -> None:
        """Have it due once, now, beside its schedule, and wait for nothing. May be called from any thread.

        What becomes of it is told by events alone: at the maximum of instances its `overlap` decides, as for every
        run that is due, and it sees the context variables that those see. `run` gives the run itself.

        Raises:
            SchedulerNotRunningError: The scheduler is not running.
            TaskLookupError: It was removed, or has finished.

        Example:
            >>> threading.Thread(target=lambda: watch(folder, on_change=task.submit)).start()
        """
        self._owned(f"submitting the task {self._id!r}").submit_soon()

    def modify(
        self,
        *,
        executor: str | Unset = UNSET,
        max_instances: int | Unset = UNSET,
        misfire_grace_time: float | Unset | None = UNSET,
        coalesce: bool | Unset = UNSET,
        timeout: float | Unset | None = UNSET,
        retry: Retry | Unset | None = UNSET,
        overlap: OverlapPolicy | Unset | None = UNSET,
    ) -> None:
        """Change what is given of it, and leave the rest as it is; see `AsyncIOScheduler.modify_task`.

        Example:
            >>> task.modify(timeout=30, executor="processpool")
        """

        def change(limits: TaskLimits) -> TaskLimits:
            return limits.evolve(
                max_instances=max_instances,
                misfire_grace_time=misfire_grace_time,
                coalesce=coalesce,
                timeout=timeout,
                retry=retry,
                overlap=overlap,
            )

        self._owned("modifying a task").modify(change, executor)

    def reschedule(self, trigger: Trigger | None) -> None:
        """Have it due by another trigger from now on; see `AsyncIOScheduler.reschedule_task`.

        Example:
            >>> task.reschedule(IntervalTrigger(minutes=1))
        """
        self._owned("rescheduling a task").reschedule(trigger)

    def pause(self) -> None:
        """Hold its schedule until `resume()`; see `AsyncIOScheduler.pause_task`."""
        self._owned("pausing a task").set_paused(True)

    def resume(self) -> None:
        """Go on with its schedule; see `AsyncIOScheduler.resume_task`."""
        self._owned("resuming a task").set_paused(False)

    def cancel_runs(self) -> int:
        """Cancel its queued and running runs, as far as its executor can.

        A function that runs in a thread cannot be cancelled. For the loop's thread only.

        Returns:
            How many of its runs took the request; each still ends in its one notification.
        """
        return self._owned("cancelling runs").cancel_runs()

    def on_done(
        self, listener: Callable[[TaskNotification[ResultT_co]], object], /
    ) -> Callable[[TaskNotification[ResultT_co]], object]:  # ty: ignore[invalid-generic-class]  # gives what it was given
        """Call `listener` with every ending of its runs, on the loop's thread. Usable as a decorator.

        A coroutine function is awaited. May be called from any thread.
        """
        self._listen(listener, listener)
        return listener

    def on_executed(
        self, listener: Callable[[TaskExecuted[ResultT_co]], object], /
    ) -> Callable[[TaskExecuted[ResultT_co]], object]:  # ty: ignore[invalid-generic-class]  # gives what it was given
        """Call `listener` with each run that ends with a result. Usable as a decorator."""

        def only_executed(notification: TaskNotification[ResultT_co]) -> object:
            return listener(notification) if isinstance(notification, TaskExecuted) else None

        self._listen(listener, only_executed)
        return listener

    def on_error(self, listener: Callable[[TaskError], object], /) -> Callable[[TaskError], object]:
        """Call `listener` with each run that ends with an exception. Usable as a decorator."""

        def only_errors(notification: TaskNotification[ResultT_co]) -> object:
            return listener(notification) if isinstance(notification, TaskError) else None

        self._listen(listener, only_errors)
        return listener

    def on_missed(self, listener: Callable[[TaskMissed], object], /) -> Callable[[TaskMissed], object]:
        """Call `listener` with each run that is missed. Usable as a decorator."""

        def only_missed(notification: TaskNotification[ResultT_co]) -> object:
            return listener(notification) if isinstance(notification, TaskMissed) else None

        self._listen(listener, only_missed)
        return listener

    def on_cancelled(self, listener: Callable[[TaskCancelled], object], /) -> Callable[[TaskCancelled], object]:
        """Call `listener` with each run that is cancelled. Usable as a decorator."""

        def only_cancelled(notification: TaskNotification[ResultT_co]) -> object:
            return listener(notification) if isinstance(notification, TaskCancelled) else None

        self._listen(listener, only_cancelled)
        return listener

    def remove_listener(self, listener: object, /) -> bool:
        """Stop calling a listener. May be called from any thread.

        Returns:
            Whether it was there.
        """
        with _listening:
            listeners = self._listeners or []
            remaining = [entry for entry in listeners if not _is_same(entry[0], listener)]
            self._listeners = remaining
        return len(remaining) < len(listeners)

    def notifications(self) -> NotificationStream[ResultT_co]:
        """Every ending of its runs from now on, to be read with `async for`.

        The stream ends when it is closed or the scheduler shuts down.

        Example:
            >>> async for notification in task.notifications():
            ...     print(notification)
        """
        return NotificationStream(self)

    def end_streams(self) -> None:
        """End what `notifications()` gave; the scheduler does at its shutdown."""
        for key, _ in self._listeners or ():
            if isinstance(key, _StreamKey):
                key.end()

    def adopt(self, *, executor: str, limits: TaskLimits) -> None:
        """Go on with another executor and other limits; the scheduler calls this where it was modified."""
        self._executor = executor
        self._limits = limits

    def _listen(self, key: object, listener: Callable[[TaskNotification[ResultT_co]], object]) -> None:
        if not isinstance(key, _StreamKey):
            check_callable("listener", key)
        with _listening:
            self._listeners = [*(self._listeners or ()), (key, listener)]

    def _check_thread(self, action: str) -> None:
        if self._owner is not None:
            self._owned(action).check_thread(action)

    def _owned(self, action: str) -> TaskOwner[ResultT_co]:
        owner = self._owner
        if owner is None:
            raise SchedulerNotRunningError(action)
        return owner.answer_for(self._id) if isinstance(owner, FormerOwner) else owner


class ReceivesRuns(Protocol):
    """What can be given a run of any task."""

    def __call__(self, run: TaskRun[ResultT], /) -> None:
        """Take the run."""
        ...


class AnyRun:
    """A run, whatever its result is: what a collection of the runs of different tasks holds."""

    __slots__ = ("id", "task_id")

    id: int
    task_id: str

    def give_to(self, receiver: ReceivesRuns, /) -> None:
        """Call a function that takes the runs of every task with this one, whose type it knows itself."""
        raise NotImplementedError


class TaskRun(AnyRun, Generic[ResultT]):
    """One execution of a task, for one scheduled time: what an executor is given.

    Invariant in its result: a value of that type is to be had only by executing a run of that type, so a
    type checker rejects an executor that invents results or mixes up the runs of two tasks.

    An executor calls `execute()` or `execute_async()`, or makes the ending itself with `executed()`,
    `failed()`, `missed()` or `cancelled()`.

    Attributes:
        task: The task.
        task_id: The id of the task.
        limits: What limits the task's runs, as it was when this attempt was made.
        call: What it calls: the task's function with the arguments of this run.
        id: The number of this attempt, unique in its process.
        run_id: The number of the run, the same for all its attempts; events carry it.
        attempt: 1 for a run's first attempt, 2 for its first retry, and so on.
        scheduled: When it was due, in seconds since the epoch.
        started: When its function was called, in seconds since the epoch; None while it was not.
        worker: Which thread or process runs it; None while that is not known.
        cancel_requested: Whether its cancellation was asked for, whatever its executor can do about that.
        released: Whether its executor has told that its work is over.
        successor: The attempt that follows this one; None while there is none.
    """

    __slots__ = (
        "_clock_now",
        "_context",
        "_ending",
        "_reported",
        "_waiters",
        "attempt",
        "call",
        "cancel_requested",
        "limits",
        "released",
        "run_id",
        "scheduled",
        "started",
        "successor",
        "task",
        "worker",
    )

    def __init__(
        self,
        task: Task[ResultT],
        scheduled: float | None = None,
        context: Context | None = None,
        clock_now: Callable[[], float] = _system_clock.now,
        call: Callable[[], ResultT | Awaitable[ResultT]] | None = None,
    ) -> None:
        self.task: Task[ResultT] = task
        self.task_id: str = task._id
        self.limits: TaskLimits = task._limits
        self.call: Callable[[], ResultT | Awaitable[ResultT]] = task._call if call is None else call
        self.id: int = next(_run_ids)
        self.run_id: int = self.id
        self.scheduled: float = clock_now() if scheduled is None else scheduled
        self._context = context
        self.attempt: int = 1
        self.started: float | None = None
        self.worker: Worker | None = None
        self.cancel_requested: bool = False
        self.released: bool = False
        self.successor: TaskRun[ResultT] | None = None
        self._clock_now = clock_now
        # What its executor has told, from then on; the scheduler looks at it later, and makes it the ending.
        self._reported: TaskNotification[ResultT] | None = None
        self._ending: TaskNotification[ResultT] | None = None
        self._waiters: list[asyncio.Future[None]] | None = None

    @override
    def __repr__(self) -> str:
        return f"<TaskRun {self.id} of the task {self.task_id!r}>"

    @override
    def give_to(self, receiver: ReceivesRuns, /) -> None:
        """Call a function that takes the runs of every task with this one."""
        receiver(self)

    @property
    def context(self) -> Context | None:
        """The context variables that its function sees; None is those of whoever calls it.

        A copy of those that it was made with, as what an attempt does to them is not for others to see. An executor
        may prepare it, as by `run.context.run(variable.set, value)`, before it has the function called; that sees
        another copy.
        """
        if self._context is not None:
            self._context = self._context.copy()
        return self._context

    @context.setter
    def context(self, context: Context | None) -> None:
        self._context = context

    @property
    def scheduled_at(self) -> datetime:
        """When it was due, UTC."""
        return utc(self.scheduled)

    def is_cancelled(self) -> bool:
        """Whether its function is to return: it was asked to end, or its end was told already. From any thread."""
        return self.cancel_requested or self._ending is not None

    def is_too_late(self) -> bool:
        """Whether it would start after its misfire grace time now; then it is to end as `missed()`.

        A further attempt never is: the run it belongs to started in time.
        """
        grace = self.limits.misfire_grace_time
        return grace is not None and self.attempt == 1 and self._clock_now() - self.scheduled > grace

    def executed(self, result: ResultT, /) -> TaskExecuted[ResultT]:
        """It ended with this result."""
        # What `details` gives, without a call more: most runs end so.
        values = (self.run_id, self.attempt, self.scheduled, self.started, self._clock_now(), self.worker)
        return TaskExecuted(self.task_id, result, values)

    def failed(self, exception: BaseException, /, *, traceback_text: str = "") -> TaskError:
        """It ended with this exception."""
        text = traceback_text or _formatted(exception)
        _clear_frames(exception)
        return TaskError(self.task_id, exception, traceback=text, details=self.details())

    def missed(self) -> TaskMissed:
        """It did not start, because it was too late."""
        return TaskMissed(self.task_id, details=self.details())

    def cancelled(self) -> TaskCancelled:
        """It was cancelled."""
        return TaskCancelled(self.task_id, details=self.details())

    def details(self) -> RunDetails:
        """When and where it ran, as of now."""
        values = (self.run_id, self.attempt, self.scheduled, self.started, self._clock_now(), self.worker)
        return _new_details(RunDetails, values)

    @property
    def ended(self) -> bool:
        """Whether the run has ended, with all its attempts."""
        return self._ending is not None and (self.successor is None or self.successor.ended)

    @property
    def attempt_ended(self) -> bool:
        """Whether this attempt has ended; another one may follow."""
        return self._ending is not None

    def conclude(self, notification: TaskNotification[ResultT]) -> bool:
        """Keep how it ended and wake who awaits it, once; for who stands in for a scheduler.

        Returns:
            False where it had ended before; then nothing is changed.
        """
        if self._ending is not None:
            return False
        self._ending = self.task._last = notification
        if self._waiters is not None:
            self._wake(self._waiters)
        return True

    def try_again(self, failure: TaskError) -> TaskRun[ResultT] | None:
        """Keep how this attempt failed, and give the next one; the scheduler does, once.

        Returns:
            None where it had ended before; then nothing is changed.
        """
        if self._ending is not None:
            return None
        self._ending = failure
        following = TaskRun(self.task, self.scheduled, self._context, self._clock_now, call=self.call)
        following.run_id = self.run_id
        following.attempt = self.attempt + 1
        following._waiters, self._waiters = self._waiters, None
        self.successor = following
        return following

    async def notification(self) -> TaskNotification[ResultT]:
        """How the run ended, with all its attempts; waits until it has."""
        run = self
        while run._ending is None or run.successor is not None:
            if run.successor is not None:
                run = run.successor
                continue
            self.task._check_thread("awaiting a run")
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            run._waiters = [*(run._waiters or ()), waiter]
            await waiter
        return run._ending

    def _wake(self, waiters: list[asyncio.Future[None]]) -> None:
        self._waiters = None
        for waiter in waiters:
            # One of a loop that was closed in the middle of it all is nobody's any more.
            with contextlib.suppress(RuntimeError):
                if not waiter.done():
                    waiter.set_result(None)

    def begin(self, started: float | None = None, worker: Worker | None = None) -> None:
        """Note that its function is being called; `execute` and `execute_async` do so themselves.

        Args:
            started: When, in seconds since the epoch; None is now.
            worker: By what; None is the present thread.
        """
        self.started = self._clock_now() if started is None else started
        self.worker = worker or this_worker()

    def execute(
        self, await_outcome: Callable[[Awaitable[ResultT]], ResultT] | None = None
    ) -> TaskNotification[ResultT]:
        """Call its function here and now, and tell how that ended; never raises.

        Args:
            await_outcome: Runs what the function returned to its end, where that is an awaitable; by
                default in an event loop of its own.
        """
        if self.limits.misfire_grace_time is not None and self.is_too_late():
            return self.missed()
        # In two steps: what is called like a method, and is none, takes twice as long on 3.11.
        clock_now = self._clock_now
        self.started, self.worker = clock_now(), _this_thread.worker
        # A copy that goes when this returns: it need not forget the run.
        context = None if self._context is None else self._context.copy()
        try:
            if context is None:
                outcome = self._as_the_running_one(self.call)
            else:
                context.run(_set_running_run, self)
                outcome = context.run(self.call)
            # Most give nothing, which need not be asked.
            if outcome is None or not is_awaitable(outcome):
                # As `executed` does, without a call more.
                values = (self.run_id, self.attempt, self.scheduled, self.started, clock_now(), self.worker)
                return TaskExecuted(self.task_id, outcome, values)
            await_it = functools.partial(await_outcome or _run_to_its_end, outcome)
            return self.executed(self._as_the_running_one(await_it) if context is None else context.run(await_it))
        except asyncio.CancelledError:
            return self.cancelled()
        except BaseException as error:
            return self.failed(error)

    def _as_the_running_one(self, call: Callable[[], CallT]) -> CallT:
        token = running_run.set(self)
        try:
            return call()
        finally:
            running_run.reset(token)

    async def execute_async(self) -> TaskNotification[ResultT]:
        """Call its function on the running loop, await what it returns, and tell how that ended."""
        token = running_run.set(self)
        try:
            return await self._execute_in_own_context(_this_thread.worker)
        finally:
            # Its loop was closed under it, where the garbage collection ends it in a context of others.
            with contextlib.suppress(ValueError):
                running_run.reset(token)

    async def _execute_in_own_context(self, worker: Worker) -> TaskNotification[ResultT]:
        """What `execute_async` does, in a context that goes with it, and so need not forget the run."""
        _set_running_run(self)
        clock_now, call = self._clock_now, self.call
        self.started, self.worker = clock_now(), worker
        try:
            outcome = call()
            result = (await outcome) if is_awaitable(outcome) else outcome
            # As `executed` does, without a call more.
            values = (self.run_id, self.attempt, self.scheduled, self.started, clock_now(), self.worker)
            return TaskExecuted(self.task_id, result, values)
        except asyncio.CancelledError:
            return self.cancelled()
        except BaseException as error:
            return self.failed(error)


def takes_any_run(receiver: ReceivesRuns) -> Callable[[AnyRun], None]:
    """What takes the runs of every task, as what takes a run of unknown type: what `give_to` does, for the hot path.

    Each `AnyRun` is a `TaskRun` of some type, which type checkers cannot know; to have it say so costs a call.
    """
    return _typed(receiver)


def _typed(receiver: object) -> Callable[[AnyRun], None]:
    assert _takes_any_run(receiver)
    return receiver


def _takes_any_run(receiver: object) -> TypeIs[Callable[[AnyRun], None]]:
    return callable(receiver)


async def as_coroutine(awaitable: Awaitable[ResultT]) -> ResultT:
    """A coroutine that awaits an awaitable, for those who take coroutines only."""
    return await awaitable


def _run_to_its_end(awaitable: Awaitable[ResultT]) -> ResultT:
    return asyncio.run(as_coroutine(awaitable))


class RunHandle(Generic[ResultT_co]):
    """A run that was submitted: await it for the typed result, or ask for its cancellation.

    For the loop's thread only.
    """

    __slots__ = ("_cancel", "_run")

    def __init__(self, run: TaskRun[ResultT_co], cancel: Callable[[], bool]) -> None:
        self._run = run
        self._cancel = cancel

    @override
    def __repr__(self) -> str:
        return f"<RunHandle of {self._run!r}>"

    @property
    def run_id(self) -> int:
        """The number of the run, as its events carry it."""
        return self._run.id

    @property
    def task_id(self) -> str:
        """The id of its task."""
        return self._run.task.id

    def __await__(self) -> Generator[object, None, ResultT_co]:
        return self._result().__await__()

    async def _result(self) -> ResultT_co:
        return result_of(await self._run.notification())

    async def notification(self) -> TaskNotification[ResultT_co]:
        """How the run ended, waiting until it has. Any number of coroutines may wait."""
        return await self._run.notification()

    def done(self) -> bool:
        """Whether the run has ended."""
        return self._run.ended

    def cancel(self) -> bool:
        """Cancel the run, as far as its executor can.

        Returns:
            Whether the request took; False where the run has ended, or runs in a thread.
        """
        return not self._run.ended and self._cancel()


class NotificationStream(AsyncIterator[TaskNotification[ResultT_co]]):
    """The endings of a task's runs, one after another, for `async for`.

    Close it with `aclose()` or by leaving `async with`; a stream that nobody holds ends by itself.
    """

    def __init__(self, task: Task[ResultT_co]) -> None:
        self._task = task
        self._pending: deque[TaskNotification[ResultT_co]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        reference: weakref.ref[NotificationStream[ResultT_co]] = weakref.ref(self)
        self._key = _StreamKey(lambda: _end(reference))
        task._listen(self._key, _received_by(reference))

    @override
    def __aiter__(self) -> Self:
        return self

    @override
    async def __anext__(self) -> TaskNotification[ResultT_co]:
        while not self._pending:
            if self._closed:
                raise StopAsyncIteration
            self._task._check_thread("awaiting the ends of runs")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._pending.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def aclose(self) -> None:
        """Receive nothing more; what was received can still be read."""
        self.close()

    def close(self) -> None:
        """The same as `aclose()`, without waiting."""
        self._closed = True
        self._task.remove_listener(self._key)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@attrs.frozen(eq=False)
class _StreamKey:
    """What a stream is known under among the listeners of its task; it does not keep the stream alive."""

    end: Callable[[], None]


def _end(stream: weakref.ref[NotificationStream[ResultT]]) -> None:
    living = stream()
    if living is not None:
        living.close()


def _received_by(
    stream: weakref.ref[NotificationStream[ResultT]],
) -> Callable[[TaskNotification[ResultT]], object]:
    def receive(notification: TaskNotification[ResultT]) -> None:
        living = stream()
        if living is not None:
            living._pending.append(notification)
            living._wake()

    return receive


class TaskFunction(Generic[P, CallT, ResultT_co]):
    """What `@scheduler.task` gives: still callable as before, and it schedules tasks of itself."""

    def __init__(self, function: Callable[P, CallT], schedule: Callable[P, Task[ResultT_co]]) -> None:
        self._function = function
        self._schedule = schedule
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> CallT:
        """Call the function directly, as if it were not decorated."""
        return self._function(*args, **kwargs)

    def schedule(self, *args: P.args, **kwargs: P.kwargs) -> Task[ResultT_co]:
        """Add a task that calls the function with these arguments. May be called from any thread."""
        return self._schedule(*args, **kwargs)
