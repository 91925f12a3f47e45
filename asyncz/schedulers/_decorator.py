"""Functions that become tasks: bound arguments, and the decorator `scheduler.task`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Never, Protocol, TypeGuard, overload

from typing_extensions import ParamSpec, TypeVar, TypeVarTuple, Unpack

from asyncz._checks import check_callable
from asyncz.tasks import Task, TaskFunction

P = ParamSpec("P")
Ts = TypeVarTuple("Ts")
CallT = TypeVar("CallT")
ResultT = TypeVar("ResultT")


def bind(fn: Callable[[Unpack[Ts]], CallT], args: tuple[Unpack[Ts]]) -> Callable[[], CallT]:
    """Return a function with its arguments; without any, the function itself, as a partial takes 144 bytes."""
    return fn if _needs_no_arguments(fn, args) else partial(fn, *args)


class TaskDecorator(Protocol):
    """Decorator that `scheduler.task(...)` returns."""

    @overload
    def __call__(
        self, fn: Callable[P, Coroutine[object, Never, ResultT]], /
    ) -> TaskFunction[P, Coroutine[object, Never, ResultT], ResultT]: ...
    @overload
    def __call__(self, fn: Callable[P, ResultT], /) -> TaskFunction[P, ResultT, ResultT]: ...


class Decorator:
    """Decorator that makes a `TaskFunction` of a function; a `TaskDecorator`.

    Args:
        add: Adds a task for a call.
    """

    def __init__(self, add: Callable[[Callable[[], object]], Task[object]]) -> None:
        self._add = add

    @overload
    def __call__(
        self, fn: Callable[P, Coroutine[object, Never, ResultT]], /
    ) -> TaskFunction[P, Coroutine[object, Never, ResultT], ResultT]: ...
    @overload
    def __call__(self, fn: Callable[P, ResultT], /) -> TaskFunction[P, ResultT, ResultT]: ...
    def __call__(self, fn: Callable[P, CallT], /) -> TaskFunction[P, CallT, object]:
        """Make a function schedulable."""
        check_callable("fn", fn)

        def schedule(*args: P.args, **kwargs: P.kwargs) -> Task[object]:
            return self._add(partial(fn, *args, **kwargs))

        return TaskFunction(fn, schedule)


def _needs_no_arguments(fn: Callable[[Unpack[Ts]], CallT], args: tuple[Unpack[Ts]]) -> TypeGuard[Callable[[], CallT]]:
    """Return True if there are no arguments."""
    return not args and callable(fn)
