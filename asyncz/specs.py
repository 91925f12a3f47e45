"""Plain, storable description of a task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic

import attrs
from typing_extensions import TypeVar

from asyncz._callables import function_reference, is_coroutine_function
from asyncz.limits import DEFAULT_LIMITS, TaskLimits

ResultT_co = TypeVar("ResultT_co", covariant=True)


@attrs.frozen(eq=False)
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

    id: str
    call: Callable[[], ResultT_co | Awaitable[ResultT_co]]
    executor: str = "asyncio"
    limits: TaskLimits = DEFAULT_LIMITS
    is_coroutine: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "is_coroutine", is_coroutine_function(self.call))

    @property
    def function(self) -> str:
        """Name of the function, as `module:qualified name`."""
        return function_reference(self.call)
