"""Configuration of tasks, their limits, and the whole scheduler."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, TypeAlias

from pydantic import Field, PositiveFloat, PositiveInt

from asyncz._aliases import ExistingTaskPolicy
from asyncz._callables import function_name
from asyncz._references import load
from asyncz._text import closest
from asyncz._unsafe import AnyFunction, as_function
from asyncz.config.models.base import Amount, Config, Limit, Reference, Values, problem
from asyncz.config.models.executors import ExecutorConfig
from asyncz.config.models.store import StoreConfig
from asyncz.config.models.triggers import DateTriggerConfig, TriggerConfig
from asyncz.exceptions import ConfigurationError, ConfigurationProblem
from asyncz.limits import DEFAULT_LIMITS, OverlapPolicy, TaskLimits, TaskOptions
from asyncz.retries import Retry


class RetryConfig(Config, frozen=True):
    """Retry policy: number of attempts and delays."""

    attempts: PositiveInt
    """Maximum number of attempts, including the first one."""
    delay: Amount = 0.0
    """Delay before the second attempt, in seconds."""
    backoff: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    """Multiplier applied to the delay after each attempt."""
    max_delay: Limit | None = None
    """Maximum delay, in seconds."""
    jitter: Amount = 0.0
    """Maximum number of seconds added to each delay at random."""
    on: Annotated[tuple[str, ...], Field(strict=False)] = ("Exception",)
    """The exceptions after which a run is tried again: names of built-in ones, or "package.module:Class"."""

    def create(self) -> Retry:
        """Create the retry policy. Thread-safe.

        Raises:
            ConfigurationError: Names in `on` are not exception classes.
        """
        return Retry(
            attempts=self.attempts,
            delay=self.delay,
            backoff=self.backoff,
            max_delay=_finite(self.max_delay),
            jitter=self.jitter,
            on=_exception_classes(self.on),
        )


class LimitsConfig(Config, frozen=True):
    """Limits of the runs of tasks that set no limits of their own."""

    max_instances: PositiveInt = 1
    """Maximum number of simultaneous runs of a task."""
    misfire_grace_time: Limit | None = None
    """Maximum delay of the start of a run, in seconds; `inf` (the default) if there is no limit."""
    coalesce: bool = True
    """Run only the latest of several due times."""
    timeout: PositiveFloat | None = None
    """Maximum duration of an attempt, in seconds; `inf` (the default) if there is no limit."""
    retry: RetryConfig | None = None
    """Retry policy of failed runs; by default they are not repeated."""
    overlap: OverlapPolicy | None = None
    """Policy for runs that are due at `max_instances`: by default "skip", or "queue_all" if `coalesce` is false."""

    def limits(self, defaults: TaskLimits = DEFAULT_LIMITS) -> TaskLimits:
        """Return these limits, with defaults for those that are not set. Thread-safe.

        Raises:
            ConfigurationError: Names in `retry.on` are not exception classes.
        """
        own = self.model_fields_set
        options: TaskOptions = {}
        if "max_instances" in own:
            options["max_instances"] = self.max_instances
        if "misfire_grace_time" in own:
            options["misfire_grace_time"] = _finite(self.misfire_grace_time)
        if "coalesce" in own:
            options["coalesce"] = self.coalesce
        if "timeout" in own:
            options["timeout"] = _finite(self.timeout)
        if "retry" in own:
            options["retry"] = None if self.retry is None else self.retry.create()
        if "overlap" in own:
            options["overlap"] = self.overlap
        return defaults.evolve(**options)


class TaskConfig(LimitsConfig, frozen=True):
    """A function with its arguments, trigger, executor and limits."""

    call: Reference
    """The function or coroutine function, as "package.module:function"."""
    args: Values = ()
    """Its positional arguments."""
    kwargs: Mapping[str, object] = {}
    """Its keyword arguments."""
    trigger: TriggerConfig = DateTriggerConfig(type="date")
    """The trigger; by default the task runs once, at the start."""
    executor: Annotated[str, Field(min_length=1)] = "asyncio"
    """The executor: one of `executors`, or the alias of a built-in one."""
    paused: bool = False
    """Start with a paused schedule."""
    existing: ExistingTaskPolicy | None = None
    """Policy if the store has the task with another declaration; by default that of `store`."""

    def load_call(self) -> Callable[[], object]:
        """Import the function and bind its arguments. Thread-safe.

        Raises:
            ConfigurationError: It cannot be imported or called, or does not accept the arguments.
        """
        loaded = load(self.call, "call")
        function = as_function(loaded)
        if function is None:
            raise problem(
                ("call",), f"it is of the type {type(loaded).__name__}, which cannot be called", repr(self.call)
            )
        _check_arguments(function, self.args, self.kwargs)
        return partial(function, *self.args, **self.kwargs)


class SchedulerConfig(Config, frozen=True, title="The configuration of asyncz", hide_input_in_errors=True):
    """A scheduler: executors by alias, tasks by id, default limits, and a store.

    Example:
        >>> config = SchedulerConfig.model_validate({"tasks": {"clean": {"call": "jobs:clean"}}})
        >>> scheduler = AsyncIOScheduler.from_config(config)
    """

    executors: Mapping[str, ExecutorConfig] = {}
    """Executors by the alias that tasks use."""
    defaults: LimitsConfig = LimitsConfig()
    """Limits of all tasks that do not set their own."""
    tasks: Mapping[str, TaskConfig] = {}
    """Tasks by their id."""
    store: StoreConfig | None = None
    """Store that keeps tasks and runs; by default they are in memory only."""


ConfigSource: TypeAlias = SchedulerConfig | Mapping[str, object] | str | os.PathLike[str]
"""A configuration, as data or as the path of a TOML file."""


def _finite(seconds: float | None) -> float | None:
    return None if seconds is None or math.isinf(seconds) else seconds


def _exception_classes(names: tuple[str, ...]) -> tuple[type[BaseException], ...]:
    classes: list[type[BaseException]] = []
    problems: list[ConfigurationProblem] = []
    for number, name in enumerate(names):
        path = ("retry", "on", number)
        try:
            loaded = load(name if ":" in name else f"builtins:{name}", *path)
        except ConfigurationError as error:
            # The name as it was written, without the module of built-in exceptions.
            problems += [
                ConfigurationProblem(each.path, each.reason, repr(name), each.allowed, each.suggestion)
                for each in error.problems
            ]
            continue
        if isinstance(loaded, type) and issubclass(loaded, BaseException):
            classes.append(loaded)
        else:
            problems.append(ConfigurationProblem(path, "it is not an exception class", repr(name)))
    if problems:
        raise ConfigurationError(tuple(problems))
    return tuple(classes)


def _check_arguments(function: AnyFunction, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
    try:
        signature = inspect.signature(function)
    except Exception:
        # Some functions written in C have no signature, and a user's `__signature__` may raise anything.
        return
    parameters = signature.parameters.values()
    named = [each.name for each in parameters if each.kind in {each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY}]
    accepts_any = any(each.kind is each.VAR_KEYWORD for each in parameters)
    unknown = [name for name in kwargs if name not in named and not accepts_any]
    if unknown:
        raise ConfigurationError(
            tuple(
                ConfigurationProblem(
                    ("kwargs", name),
                    f"{function_name(function)} has no such parameter",
                    allowed=tuple(named),
                    suggestion=closest(name, named),
                )
                for name in unknown
            )
        )
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        key = "kwargs" if kwargs and not args else "args" if args else "call"
        raise problem(
            (key,), f"{function_name(function)}{signature} does not accept these arguments: {error}"
        ) from None
