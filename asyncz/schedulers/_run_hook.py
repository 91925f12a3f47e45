"""Hook that sees each attempt of a run before its executor does, for tracing. Without one, no run is slower."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from typing_extensions import TypeVar

from asyncz.events import RunDetails
from asyncz.exceptions import MaximumInstancesError, QueueFullError
from asyncz.protocols import UniversalSubmit
from asyncz.runs import TaskRun

ResultT = TypeVar("ResultT")


class RunHook(Protocol):
    """Observer of runs before their execution. For the loop's thread, except for the methods about the caller."""

    def origin_of_caller(self) -> object:
        """Return a description of the calling code, for a run that it submits. Thread-safe."""
        ...

    def headers_of_caller(self) -> Mapping[str, str]:
        """Return the trace context of the calling code as headers, for a run that another node may execute.

        Empty if there is none. Must not raise. Thread-safe.
        """
        ...

    def origin_of_headers(self, headers: Mapping[str, str], /) -> object:
        """Return a description of the code that submitted a run on another node. Must not raise."""
        ...

    def origin_of_result(self, details: RunDetails, /) -> object:
        """Return a description of a run, for the runs that receive its result."""
        ...

    def headers_of_result(self, details: RunDetails, /) -> Mapping[str, str]:
        """Return the trace context of a run as headers, for the runs that receive its result on any node.

        Empty if there is none. Must not raise.
        """
        ...

    def store_called(self, operation: str, seconds: float, error: BaseException | None, /) -> None:
        """Note the duration of a transaction of the store, and its error if it failed. Must not raise. Thread-safe."""
        ...

    def before_submit(self, run: TaskRun[ResultT], alias: str, /) -> None:
        """Prepare an attempt that is submitted next; may replace its call and its context. Must not raise.

        May be called once more after the hook was removed: another thread may remove it meanwhile.
        """
        ...

    def rejected(self, run: TaskRun[ResultT], /) -> None:
        """Handle that an executor has rejected an attempt. Must not raise."""
        ...


class HookHolder(Protocol):
    """Shared state of a scheduler with its hook.

    Attributes:
        run_hook: The hook; None if the scheduler has none.
    """

    run_hook: RunHook | None


class HookedSubmit:
    """`submit` of an executor, with the hook of the scheduler before it.

    Args:
        holder: Shared state of the scheduler.
        alias: Alias of the executor.
        submit: `submit` of the executor.
    """

    __slots__ = ("_alias", "_holder", "_submit")

    def __init__(self, holder: HookHolder, alias: str, submit: UniversalSubmit) -> None:
        self._holder = holder
        self._alias = alias
        self._submit = submit

    def __call__(self, run: TaskRun[ResultT], /) -> None:
        """Submit a run."""
        submit_hooked(self._holder, self._alias, self._submit, run)


def submit_hooked(
    holder: HookHolder, alias: str, submit: Callable[[TaskRun[ResultT]], None], run: TaskRun[ResultT]
) -> None:
    """Submit a run to an executor, after the hook of the scheduler."""
    # Read once: another thread may remove or replace the hook between the steps. Reading an attribute is atomic. All
    # calls for one submission go to the same hook, which ignores those that come after its end.
    hook = holder.run_hook
    if hook is None:
        submit(run)
        return
    hook.before_submit(run, alias)
    try:
        submit(run)
    except (MaximumInstancesError, QueueFullError):
        hook.rejected(run)
        raise
