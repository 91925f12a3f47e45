"""Inspection of callables: names and coroutine functions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable
from types import BuiltinMethodType, FunctionType, MethodType

from typing_extensions import TypeVar

ResultT = TypeVar("ResultT")


class CallWrapper:
    """Base class of objects that call `func` with arguments of their own, as `functools.partial` does."""

    __slots__ = ("func",)

    def __init__(self, func: object) -> None:
        self.func: object = func


class CallableProxy:
    """Base class of objects that stand for the function in their `__wrapped__`."""


_WRAPPERS = (functools.partial, CallWrapper)
_METHODS = (MethodType, BuiltinMethodType)


def function_reference(function: object) -> str:
    """Return `module:qualified name` of a function, or of the function inside a partial or callable object."""
    return f"{getattr(_named(function), '__module__', '')}:{function_name(function)}"


def function_name(function: object) -> str:
    """Return the qualified name of a function, or of the function inside a partial or callable object."""
    if type(function) is FunctionType:
        return function.__qualname__
    return str(getattr(_named(function), "__qualname__", ""))


def is_same_function(one: object, other: object) -> bool:
    """Return True if both call the same function, or the same method of the same object, with any arguments."""
    return is_same_object(_unwrapped(one), _unwrapped(other))


def is_same_object(one: object, other: object) -> bool:
    """Return True for the same object, or the same method of the same object: each access makes a new method."""
    # No other class is compared by value: an `__eq__` may be wrong, or slow.
    return one is other or (isinstance(one, _METHODS) and isinstance(other, _METHODS) and one == other)


def identity_of(function: object) -> object:
    """Return a key that is equal for two functions if `is_same_object` says so, while both exist."""
    if type(function) is MethodType:
        return id(function.__self__), id(function.__func__)
    if type(function) is BuiltinMethodType:
        return id(function.__self__), function.__name__
    return id(function)


def _unwrapped(function: object) -> object:
    while True:
        if isinstance(function, _WRAPPERS):
            function = function.func
        elif isinstance(function, CallableProxy):
            function = getattr(function, "__wrapped__", None)
        else:
            return function


def _named(function: object) -> object:
    inner = _unwrapped(function)
    return inner if hasattr(inner, "__qualname__") else type(inner)


def is_coroutine_function(function: object) -> bool:
    """Return True if a call is known to return a coroutine.

    Looks through partials, and at the `__call__` of callable objects.
    """
    inner = function if type(function) is FunctionType else _unwrapped(function)
    if type(inner) is FunctionType and not inner.__dict__:
        # Fast path. A function that is only marked as a coroutine function has attributes.
        return bool(inner.__code__.co_flags & inspect.CO_COROUTINE)
    if inspect.iscoroutinefunction(inner):
        return True
    return inspect.iscoroutinefunction(getattr(inner, "__call__", None))  # noqa: B004  # inspects the method itself


async def as_coroutine(awaitable: Awaitable[ResultT]) -> ResultT:
    """Await an awaitable, for functions that accept coroutines only."""
    return await awaitable
