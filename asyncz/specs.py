"""Plain, storable description of a task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Generic

from typing_extensions import TypeVar, override

from asyncz._callables import function_reference, is_coroutine_function
from asyncz.limits import DEFAULT_LIMITS, TaskLimits

ResultT_co = TypeVar("ResultT_co", covariant=True)


class TaskSpec(Generic[ResultT_co]):
    """Description of a task: its id, call, executor and limits. Immutable and independent of a scheduler.

    A `Task` is the handle of a task in its scheduler; `Task.spec` and `TaskRun.task` are its description. It can be
    pickled if the call can be.

    Attributes:
        id: Id, unique in a scheduler.
        call: Function with its arguments. Executors call it through a `TaskRun`.
        executor: Alias of the executor.
        limits: Limits of the runs.
        is_coroutine: True if the function is known to return a coroutine.

    Example:
        >>> run = TaskRun(TaskSpec("power", partial(pow, 2, 10)))
        >>> run.execute()
    """

    # Type checkers reject assignments. A class that rejects them at run time too, as `attrs.frozen` makes it, takes
    # four times as long for an instance, and each task has one.
    __slots__ = ("call", "executor", "id", "is_coroutine", "limits")

    def __init__(
        self,
        id: str,
        call: Callable[[], ResultT_co | Awaitable[ResultT_co]],
        executor: str = "asyncio",
        limits: TaskLimits = DEFAULT_LIMITS,
    ) -> None:
        self.id: Final[str] = id
        self.call: Final[Callable[[], ResultT_co | Awaitable[ResultT_co]]] = call
        self.executor: Final[str] = executor
        self.limits: Final[TaskLimits] = limits
        self.is_coroutine: Final[bool] = is_coroutine_function(call)

    @override
    def __repr__(self) -> str:
        return f"TaskSpec(id={self.id!r}, call={self.call!r}, executor={self.executor!r}, limits={self.limits!r})"

    @property
    def function(self) -> str:
        """Name of the function, as `module:qualified name`."""
        return function_reference(self.call)
