"""Checks of functions and their arguments when a task is added, so that mistakes do not wait for the due time."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Mapping
from types import CoroutineType, FunctionType, MethodType
from typing import Never, TypeAlias

from asyncz._callables import CallableProxy, CallWrapper, function_name
from asyncz._checks import shown
from asyncz.exceptions import ArgumentMismatchError, InvalidInputError

_GENERATORS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_VARIADIC = inspect.CO_VARARGS
_Arguments: TypeAlias = tuple[object, ...]


def check_function(
    name: str,
    value: object,
    args: _Arguments = (),
    kwargs: Mapping[str, object] | None = None,
    *,
    used_by: str = "add_task",
) -> None:
    """Reject a value that cannot be called with these arguments, or that nothing would run of.

    Only calls that fail for sure are rejected: a function without a known signature is accepted, and a decorated one
    is compared with its wrapper, not with the function inside.

    Args:
        name: Name of the parameter.
        value: The value.
        args: Positional arguments of the call.
        kwargs: Keyword arguments of the call.
        used_by: Name of the method that the user has called, for advice.

    Raises:
        InvalidInputError: The value is not callable, or is a generator function.
        ArgumentMismatchError: The function does not accept the arguments.
    """
    function: object = value
    if type(function) is FunctionType and not kwargs:
        _check_code(name, value, function, args)
        return
    while True:
        if isinstance(function, functools.partial):
            kwargs = {**function.keywords, **(kwargs or {})}
            args = _with_bound(function.args, args)
            function = function.func
        elif isinstance(function, CallWrapper):
            # It brings arguments of its own.
            return
        elif isinstance(function, CallableProxy):
            function = getattr(function, "__wrapped__", None)
        elif isinstance(function, MethodType):
            args = (function.__self__, *args)
            function = function.__func__
        else:
            break
    # Not `isinstance`: a mock of a function has its class, but not its code.
    if type(function) is FunctionType and not kwargs:
        _check_code(name, value, function, args)
        return
    if not callable(function):
        _reject_uncallable(name, value, used_by)
    if _is_generator_function(function):
        _reject_generator(name, value)
    _check_signature(value, function, args, kwargs or {})


def check_decorated(name: str, value: object) -> None:
    """Reject a function for later arguments, if nothing would run of it.

    Raises:
        InvalidInputError: The value is not callable, or is a generator function.
    """
    if not callable(value):
        _reject_uncallable(name, value)
    if _is_generator_function(value):
        _reject_generator(name, value)


def _check_code(name: str, value: object, function: FunctionType, args: _Arguments) -> None:
    """Check a plain function with positional arguments only: this takes less than a microsecond."""
    code, given = function.__code__, len(args)
    if code.co_flags & _GENERATORS:
        _reject_generator(name, value)
    accepted = code.co_argcount
    if given == accepted and not code.co_kwonlyargcount:
        return
    too_few = given < accepted - len(function.__defaults__ or ())
    too_few = too_few or code.co_kwonlyargcount > len(function.__kwdefaults__ or ())
    if too_few or (given > accepted and not code.co_flags & _VARIADIC):
        _check_signature(value, function, args, {})


def _check_signature(value: object, function: object, args: _Arguments, kwargs: Mapping[str, object]) -> None:
    if not callable(function):
        return
    try:
        # The wrapper inside of `lru_cache` is not visible, and passes all arguments on.
        follow = isinstance(function, functools._lru_cache_wrapper)
        signature = inspect.signature(function, follow_wrapped=follow)
    except Exception:
        # Some functions written in C have no signature, and a user's `__signature__` may raise anything.
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        given = [shown(each) for each in args] + [f"{key}={shown(each)}" for key, each in kwargs.items()]
        advice = "pass the trigger by its keyword: trigger=..." if any(map(_looks_like_trigger, args)) else ""
        raise ArgumentMismatchError(
            function_name(value), ", ".join(given), str(signature), str(error), advice
        ) from None


def warn_of_trigger(fn: object, argument: object) -> None:
    """Warn if a trigger, or the alias of one, is an argument of the function instead of the trigger of the task."""
    if _looks_like_trigger(argument):
        message = (
            f"{shown(argument)} is passed to {function_name(fn)} as an argument, and the task is due once, immediately;"
            " to schedule it, pass the trigger by its keyword, such as trigger=IntervalTrigger(minutes=5)"
        )
        warnings.warn(message, stacklevel=3)


def _looks_like_trigger(value: object) -> bool:
    return (isinstance(value, str) and value in {"interval", "cron", "date", "calendar"}) or (
        not isinstance(value, type) and callable(getattr(value, "next_due_time", None))
    )


def _with_bound(bound: _Arguments, args: _Arguments) -> _Arguments:
    """Return the arguments of a partial and those of its call; placeholders of Python 3.14 take the latter first."""
    placeholder = getattr(functools, "Placeholder", None)
    if placeholder is None or placeholder not in bound:
        return (*bound, *args)
    later = list(args)
    filled = tuple(later.pop(0) if each is placeholder and later else each for each in bound)
    return (*filled, *later)


def _is_generator_function(function: object) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    if type(function) not in {FunctionType, MethodType}:
        function = getattr(type(function), "__call__", None)  # noqa: B004  # inspects the method
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _reject_generator(name: str, value: object) -> Never:
    raise InvalidInputError(
        name,
        shown(value),
        "it is a generator function, of which nothing would run: return a list, or consume the generator in a function",
    )


# The class without its type parameters, which a check cannot know.
_COROUTINE: type[object] = CoroutineType


def _reject_uncallable(name: str, value: object, used_by: str = "") -> Never:
    advice = "it must be a function or another callable"
    if isinstance(value, _COROUTINE):
        name_of_function = str(getattr(value, "__name__", "function"))
        call = f"{used_by}({name_of_function}, ...)" if used_by else name_of_function
        advice += f"; pass the function itself, without calling it: {call}"
    elif isinstance(value, str):
        advice += "; import the function and pass it itself"
    else:
        call = f"the function and its arguments: {used_by}(function, ...)" if used_by else "the function itself"
        advice += f"; if this is the result of a call, pass {call}"
    raise InvalidInputError(name, shown(value), advice)
