"""Functions that become tasks: bound arguments, and the decorator `scheduler.task`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Never, Protocol, TypeGuard, overload

from typing_extensions import ParamSpec, TypeVar, TypeVarTuple, Unpack

from asyncz._callables import function_name
from asyncz._checks import shown
from asyncz._signatures import check_decorated, check_function
from asyncz.exceptions import InvalidInputError
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
        unscheduled: Names of functions without a task, by key; None if that need not be known.
    """

    def __init__(
        self, add: Callable[[Callable[[], object]], Task[object]], unscheduled: dict[object, str] | None = None
    ) -> None:
        self._add = add
        self._unscheduled: dict[object, str] = {} if unscheduled is None else unscheduled

    @overload
    def __call__(
        self, fn: Callable[P, Coroutine[object, Never, ResultT]], /
    ) -> TaskFunction[P, Coroutine[object, Never, ResultT], ResultT]: ...
    @overload
    def __call__(self, fn: Callable[P, ResultT], /) -> TaskFunction[P, ResultT, ResultT]: ...
    def __call__(self, fn: Callable[P, CallT], /) -> TaskFunction[P, CallT, object]:
        """Make a function schedulable."""
        # The arguments follow later.
        check_decorated("fn", fn)
        key = object()
        self._unscheduled[key] = function_name(fn)

        def schedule(*args: P.args, **kwargs: P.kwargs) -> Task[object]:
            check_function("fn", fn, args, kwargs)
            task = self._add(partial(fn, *args, **kwargs))
            self._unscheduled.pop(key, None)
            return task

        return TaskFunction(fn, schedule)


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
