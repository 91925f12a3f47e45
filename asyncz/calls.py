"""Functions that become tasks: calls with their arguments, decorated functions, and the tasks of a function.

The classes here have one type parameter for the value that the function returns as it is, and two overloads on `self`
that unwrap an awaitable. Unlike overloads on the function, these keep exact types in every type checker, also for a
coroutine function with `Any` in its signature.
"""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from functools import partial
from types import MethodType
from typing import Concatenate, Generic, Never, Protocol, Self, TypeAlias, TypeGuard, cast, overload

from typing_extensions import ParamSpec, TypeVar, TypeVarTuple, Unpack, deprecated, override

from asyncz._aliases import ClusterAlias, ExistingTaskPolicy, LoopAlias, OtherAlias, PoolAlias
from asyncz._callables import CallableProxy as CallableProxy, function_name, function_reference, is_same_function
from asyncz._checks import shown
from asyncz._signatures import check_decorated, check_function
from asyncz.exceptions import FunctionMismatchError, InvalidInputError
from asyncz.limits import OverlapPolicy, TaskLimits, TaskOptions
from asyncz.protocols import Executor, Trigger
from asyncz.retries import Retry
from asyncz.tasks import AwaitedT, Returns, Task
from asyncz.triggers.date import DateTrigger

P = ParamSpec("P")
BoundP = ParamSpec("BoundP")
CallT = TypeVar("CallT")
OwnerT = TypeVar("OwnerT")
ResultT = TypeVar("ResultT")
CallT_co = TypeVar("CallT_co", covariant=True)
Ts = TypeVarTuple("Ts")

# For a function that returns `Any`, ty chooses the first of several overloads only if all give the same type: so the
# deprecated ones have a type variable, and those for awaitables one without the default of `AwaitedT`.
LaterT = TypeVar("LaterT")
UnreadT = TypeVar("UnreadT")

UnreadIterator: TypeAlias = AsyncIterator[UnreadT] | Generator[UnreadT, Never, object]
"""What generator functions return: no scheduler iterates over it. `check_function` rejects them at run time."""

NOW: DateTrigger = DateTrigger()
"""Trigger of a task that is added without one: due once, immediately."""


class TaskFactory(Protocol):
    """Function of a scheduler that adds a task for a call without arguments."""

    def __call__(
        self,
        call: Callable[[], ResultT | Awaitable[ResultT]],
        trigger: Trigger | None,
        executor: Executor[ResultT] | OtherAlias | None,
        task_id: str | None,
        /,
        *,
        limits: TaskLimits,
        paused: bool,
        replace_existing: bool,
        existing: ExistingTaskPolicy | None,
    ) -> Task[ResultT]:
        """Add a task; see `AsyncIOScheduler.add_task`."""
        ...


class BoundCall(Returns[CallT_co]):
    """A function with its arguments, which `add` makes a task; made by `AsyncIOScheduler.call`.

    Example:
        >>> task = scheduler.call(clean_up, "/tmp", older_than=60).add(trigger=IntervalTrigger(hours=1))
    """

    __slots__ = ("_call", "_defaults", "_factory")

    def __init__(self, call: Callable[[], CallT_co], factory: TaskFactory, defaults: TaskLimits) -> None:
        self._call = call
        self._factory = factory
        self._defaults = defaults

    @override
    def __repr__(self) -> str:
        return f"<BoundCall of {function_reference(self._call)}>"

    @overload
    def add(
        self: Returns[Awaitable[LaterT]],
        *,
        trigger: Trigger | None = NOW,
        executor: Executor[LaterT] | PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = ...,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        overlap: OverlapPolicy | None = ...,
        paused: bool = False,
        replace_existing: bool = False,
        existing: ExistingTaskPolicy | None = None,
    ) -> Task[LaterT]: ...
    @overload
    @deprecated("the scheduler does not iterate over results: return a list, or loop in a function of your own")
    def add(
        self: Returns[UnreadIterator[UnreadT]],
        *,
        trigger: Trigger | None = NOW,
        executor: str | None = None,
        id: str | None = None,
        paused: bool = False,
        replace_existing: bool = False,
        existing: ExistingTaskPolicy | None = None,
        **options: Unpack[TaskOptions],
    ) -> Task[UnreadT]: ...
    @overload
    def add(
        self: Returns[ResultT],
        *,
        trigger: Trigger | None = NOW,
        executor: Executor[ResultT] | PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        max_instances: int = ...,
        misfire_grace_time: float | None = ...,
        coalesce: bool = ...,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        overlap: OverlapPolicy | None = ...,
        paused: bool = False,
        replace_existing: bool = False,
        existing: ExistingTaskPolicy | None = None,
    ) -> Task[ResultT]: ...
    def add(  # pyright: ignore[reportInconsistentOverload]  # see `Returns`
        self: BoundCall[ResultT | Awaitable[ResultT]],
        *,
        trigger: Trigger | None = NOW,
        executor: Executor[ResultT] | OtherAlias | None = None,
        id: str | None = None,
        paused: bool = False,
        replace_existing: bool = False,
        existing: ExistingTaskPolicy | None = None,
        **options: Unpack[TaskOptions],
    ) -> Task[ResultT]:
        """Add a task for the call. Thread-safe; may be called again for another task.

        Args:
            trigger: Source of the due times; by default the task is due once, immediately. None: the task runs only
                when `task.run()` or `task.submit()` is called.
            executor: Alias of an executor, or an executor, which is registered on first use. None: the executor that
                is registered as `default`, or else `asyncio`.
            id: Id; by default derived from the name of the function.
            max_instances: Maximum number of runs at the same time. This option and the next five default to the
                scheduler's `defaults`; see `TaskLimits`.
            misfire_grace_time: Maximum seconds that a run may start late; None for no limit.
            coalesce: If several due times were missed, run only the latest. If False, run each; those that are due at
                `max_instances` wait.
            timeout: Maximum seconds of an attempt of a run; None for no limit.
            retry: Retry policy of failed runs; None for no retries.
            overlap: Policy for a run that is due at `max_instances`: `skip`, `queue_one`, `queue_all` or
                `cancel_running`.
            paused: Add the task with its schedule paused, until `resume_task`.
            replace_existing: Remove the task that has the id, if there is one; see `AsyncIOScheduler.add_task`.
            existing: Policy if a store has the task with another declaration; see `AsyncIOScheduler.add_task`.

        Raises:
            DuplicateTaskError: The id is in use, and `replace_existing` is False.
            UnknownAliasError: No executor has that alias; the error lists the known ones.
            InvalidInputError: An option or the trigger cannot be used.
            SerializationError: The executor is a process pool and the function cannot be pickled.

        Example:
            >>> task = scheduler.call(checksum, "image.iso").add(executor="processpool", timeout=60)
        """
        limits = self._defaults.evolve(**options)
        return self._factory(
            self._call,
            trigger,
            executor,
            id,
            limits=limits,
            paused=paused,
            replace_existing=replace_existing,
            existing=existing,
        )


class CallScheduler(Protocol):
    """Function that adds a task for a call with the options of a decorator."""

    def __call__(self, call: Callable[[], ResultT | Awaitable[ResultT]], /) -> Task[ResultT]:
        """Add a task."""
        ...


class TaskFunction(CallableProxy, Returns[CallT_co], Generic[P, CallT_co]):
    """Function decorated with `@scheduler.task`: callable as before, and able to schedule tasks of itself.

    A decorated method has `schedule` too: `service.refresh.schedule("name")`. Functions and methods that can be
    imported by their name run in process pools and on Dask, as undecorated ones do.

    Attributes:
        __name__: Name of the function.
        __qualname__: Qualified name of the function.
        __wrapped__: The function itself.

    Example:
        >>> @scheduler.task(trigger=IntervalTrigger(hours=1), executor="threadpool")
        ... def clean_up(folder: str, *, older_than: float = 3600) -> int: ...
        >>> task = clean_up.schedule("/tmp", older_than=60)
    """

    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, CallT_co]

    def __init__(self, function: Callable[P, CallT_co], schedule: CallScheduler) -> None:
        # Sets `__wrapped__`, the names and the docstring, and copies all attributes: of another decorated function too.
        functools.update_wrapper(self, function)
        self._scheduler = schedule

    @override
    def __repr__(self) -> str:
        return f"<TaskFunction {function_reference(self.__wrapped__)}>"

    @override
    def __reduce__(self) -> str | tuple[object, ...]:
        """Pickle by name: a worker process imports the module, and finds this object there."""
        found: object = sys.modules.get(self.__module__)
        try:
            found = operator.attrgetter(self.__qualname__)(found)
        except AttributeError:
            found = None
        # A bound method, and a function that was decorated under another name, are pickled as themselves.
        return self.__qualname__ if found is self else (partial, (self.__wrapped__,))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> CallT_co:
        """Call the function directly, as if it were not decorated."""
        return self.__wrapped__(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type[object], /) -> Self: ...
    # `Callable` for `self`, not `TaskFunction`: only so do pyrefly and ty take the first parameter off.
    @overload
    def __get__(
        self: Callable[Concatenate[OwnerT, BoundP], CallT], instance: OwnerT, owner: type[object] | None = None, /
    ) -> TaskFunction[BoundP, CallT]: ...
    def __get__(self, instance: object, owner: type[object] | None = None, /) -> object:
        """Return the decorated method of an instance."""
        if instance is None:
            return self
        return TaskFunction[..., object](MethodType(self.__wrapped__, instance), self._scheduler)

    @overload
    def schedule(self: Returns[Awaitable[LaterT]], *args: P.args, **kwargs: P.kwargs) -> Task[LaterT]: ...
    @overload
    @deprecated("the scheduler does not iterate over results: return a list, or loop in a function of your own")
    def schedule(self: Returns[UnreadIterator[UnreadT]], *args: P.args, **kwargs: P.kwargs) -> Task[UnreadT]: ...
    @overload
    def schedule(self: Returns[ResultT], *args: P.args, **kwargs: P.kwargs) -> Task[ResultT]: ...
    def schedule(  # pyright: ignore[reportInconsistentOverload]  # see `Returns`
        self: TaskFunction[P, ResultT | Awaitable[ResultT]], *args: P.args, **kwargs: P.kwargs
    ) -> Task[ResultT]:
        """Add a task that calls the function with these arguments. Thread-safe.

        Raises:
            ArgumentMismatchError: The function does not accept the arguments.
            DuplicateTaskError: The decorator sets an id, which is in use, and not `replace_existing`.
            UnknownAliasError: No executor has the alias of the decorator.
            SerializationError: The executor is a process pool and the function cannot be pickled.
        """
        check_function("fn", self.__wrapped__, args, kwargs)
        return self._scheduler(partial(self, *args, **kwargs))


class TaskDecorator:
    """Decorator that `scheduler.task(...)` returns.

    Args:
        schedule: Adds a task for a call.
        unscheduled: Names of functions without a task, by key; None if that need not be known.
    """

    def __init__(self, schedule: CallScheduler, unscheduled: dict[object, str] | None = None) -> None:
        self._schedule = schedule
        self._unscheduled: dict[object, str] = {} if unscheduled is None else unscheduled

    def __call__(self, fn: Callable[P, CallT], /) -> TaskFunction[P, CallT]:
        """Make a function schedulable."""
        # The arguments follow later.
        check_decorated("fn", fn)
        key = object()
        self._unscheduled[key] = function_name(fn)

        def schedule(call: Callable[[], ResultT | Awaitable[ResultT]], /) -> Task[ResultT]:
            task = self._schedule(call)
            self._unscheduled.pop(key, None)
            return task

        return TaskFunction(fn, schedule)


class FunctionTasks(Returns[CallT_co]):
    """Tasks of one function, with its result type; made by `AsyncIOScheduler.tasks_of`.

    Example:
        >>> task = scheduler.tasks_of(fetch).get("front page")
        >>> page = await task.run()
    """

    __slots__ = ("_find", "_function", "_registered")

    def __init__(
        self,
        function: Callable[P, CallT_co],
        find: Callable[[str], Task[object]],
        registered: Callable[[], Iterable[Task[object]]],
    ) -> None:
        self._function: object = function
        self._find = find
        self._registered = registered

    @overload
    def get(self: Returns[Awaitable[AwaitedT]], task_id: str, /) -> Task[AwaitedT]: ...
    @overload
    def get(self: Returns[ResultT], task_id: str, /) -> Task[ResultT]: ...
    def get(  # pyright: ignore[reportInconsistentOverload]  # see `Returns`
        self: FunctionTasks[ResultT | Awaitable[ResultT]], task_id: str, /
    ) -> Task[ResultT]:
        """Return the task with an id. Thread-safe.

        Raises:
            TaskLookupError: No task has the id.
            FunctionMismatchError: The task calls another function.
        """
        task = self._find(task_id)
        if not is_same_function(task.call, self._function):
            raise FunctionMismatchError(task_id, task.function, function_reference(self._function))
        return self._typed(task)

    @overload
    def all(self: Returns[Awaitable[AwaitedT]]) -> tuple[Task[AwaitedT], ...]: ...
    @overload
    def all(self: Returns[ResultT]) -> tuple[Task[ResultT], ...]: ...
    def all(  # pyright: ignore[reportInconsistentOverload]  # see `Returns`
        self: FunctionTasks[ResultT | Awaitable[ResultT]],
    ) -> tuple[Task[ResultT], ...]:
        """Return all registered tasks of the function. Thread-safe."""
        return tuple(self._typed(task) for task in self._registered() if is_same_function(task.call, self._function))

    def _typed(self: FunctionTasks[ResultT | Awaitable[ResultT]], task: Task[object]) -> Task[ResultT]:
        """Return a task as one with the result type of the function.

        Unverified: the result type. The caller has compared the function of the task with the one that has the type.
        """
        return cast("Task[ResultT]", task)


def bind(fn: Callable[[Unpack[Ts]], CallT], args: tuple[Unpack[Ts]]) -> Callable[[], CallT]:
    """Return a function with its arguments; without any, the function itself, as a partial takes 144 bytes."""
    return fn if _needs_no_arguments(fn, args) else partial(fn, *args)


def reject_misplaced(functions: tuple[object, ...]) -> None:
    """Reject the function that a decorator without parentheses receives instead of its options.

    Raises:
        InvalidInputError: There is one.
    """
    if functions:
        raise InvalidInputError(
            "the argument of task()",
            shown(functions[0]),
            "write @scheduler.task() with parentheses, and name its options",
        )


def _needs_no_arguments(fn: Callable[[Unpack[Ts]], CallT], args: tuple[Unpack[Ts]]) -> TypeGuard[Callable[[], CallT]]:
    """Return True if there are no arguments."""
    return not args and callable(fn)
