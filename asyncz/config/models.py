"""A whole scheduler as data: its executors, its tasks, and what limits them.

Validating imports nothing of the user's; `AsyncIOScheduler.from_config` and `asyncz check` look whether what is named
is there.
"""

from __future__ import annotations

import inspect
import math
import multiprocessing
import os
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Annotated, Literal, Protocol, TypeAlias, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    Tag,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import TypeIs, override

from asyncz._references import closest, load
from asyncz.exceptions import ConfigurationError, ConfigurationProblem
from asyncz.plugins import create_executor, create_trigger, executor_aliases, trigger_aliases
from asyncz.protocols import Trigger, UniversalExecutor
from asyncz.retries import Retry
from asyncz.tasks import DEFAULT_LIMITS, UNSET, OverlapPolicy, TaskLimits, function_name

REFERENCE_PATTERN = r"^[^\s:]+:[^\s:]+$"
MOMENT_NEEDED = "a date and time is needed, such as 2030-01-31T08:00:00"


def _reject_numbers(value: object) -> object:
    # Pydantic would take one for seconds since 1970.
    if not isinstance(value, str | date):
        raise ValueError(MOMENT_NEEDED)  # noqa: TRY004  # pydantic tells those only
    return value


class _AliasOfOthers:
    """Shows editors the aliases that other packages add, and that a class may be named."""

    def __init__(self, aliases: Callable[[], tuple[str, ...]], builtin: Callable[[], Mapping[str, object]]) -> None:
        self._aliases = aliases
        self._builtin = builtin

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        others = sorted({*self._aliases()} - {*self._builtin()})
        return {**handler(schema), "anyOf": [{"enum": others}, {"pattern": REFERENCE_PATTERN}]}


Reference: TypeAlias = Annotated[str, StringConstraints(pattern=REFERENCE_PATTERN)]
"""Something to be imported, as `package.module:name`."""

Moment: TypeAlias = Annotated[datetime, BeforeValidator(_reject_numbers), Field(strict=False)]
"""A date and time of TOML, or the same as ISO 8601 text."""

Day: TypeAlias = Annotated[date, BeforeValidator(_reject_numbers), Field(strict=False)]
"""A date of TOML, or the same as ISO 8601 text."""

Values: TypeAlias = Annotated[tuple[object, ...], Field(strict=False)]
"""Any values."""

Amount: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""How much of something, such as seconds."""

Limit: TypeAlias = NonNegativeFloat
"""A number of seconds, where `inf` is no limit."""


class _Config(BaseModel, frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True):
    """What every part of a configuration is: it cannot be changed, and has no keys but its own."""


class _Chosen(_Config, frozen=True):
    type: str

    def options(self) -> dict[str, object]:
        """What was given beside the type; what was not is left to what is made."""
        given: dict[str, object] = {}
        for name in self.model_fields_set - {"type"}:
            value: object = getattr(self, name)
            given[name] = value.create() if isinstance(value, _KwargsConfig) else value
        return given


# Executors


class _KwargsConfig(_Config, frozen=True):
    def create(self) -> dict[str, object]:
        """The keyword arguments for what is made."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class _PoolKwargsConfig(_KwargsConfig, frozen=True):
    initializer: Reference | None = None
    """A function that is called once in each worker, as "package.module:function"."""
    initargs: Values = ()
    """The arguments of the initializer."""

    @override
    def create(self) -> dict[str, object]:
        given = super().create()
        if self.initializer is not None:
            given["initializer"] = load(self.initializer, "pool_kwargs", "initializer")
        return given


class ThreadPoolKwargsConfig(_PoolKwargsConfig, frozen=True):
    """What a pool of threads takes itself."""

    thread_name_prefix: str = "asyncz"
    """How the names of the threads begin."""


class ProcessPoolKwargsConfig(_PoolKwargsConfig, frozen=True):
    """What a pool of processes takes itself."""

    mp_context: Literal["fork", "forkserver", "spawn"] | None = None
    """How processes are started."""
    max_tasks_per_child: PositiveInt | None = None
    """After so many runs a process is replaced."""

    @override
    def create(self) -> dict[str, object]:
        given = super().create()
        if self.mp_context is not None:
            given["mp_context"] = multiprocessing.get_context(self.mp_context)
        return given


class _ExecutorConfig(_Chosen, frozen=True):
    def create(self) -> UniversalExecutor:
        """Make the executor, without starting it. May be called from any thread.

        Raises:
            ConfigurationError: What it names cannot be imported.
            PluginError: It cannot be loaded, or is no executor.
            InvalidInputError: It rejects an option.
        """
        return create_executor(self.type, **self.options())


class AsyncIOExecutorConfig(_ExecutorConfig, frozen=True):
    """Coroutines on the event loop, plain functions in the loop's default executor."""

    type: Literal["asyncio", "default"]


class DebugExecutorConfig(_ExecutorConfig, frozen=True):
    """Inline, on the event loop's thread."""

    type: Literal["debug"]


class _PoolConfig(_ExecutorConfig, frozen=True):
    max_workers: PositiveInt = 10
    """How many workers at most."""
    cancel_futures: bool = False
    """Cancel queued runs at shutdown."""
    overwrite_wait: bool | None = None
    """Where set, it is used instead of the `wait` of `shutdown`."""
    max_queue: NonNegativeInt | None = None
    """How many runs may wait for a worker at most; no limit where it is left out."""


class ThreadPoolExecutorConfig(_PoolConfig, frozen=True):
    """Threads."""

    type: Literal["threadpool", "pool"]
    pool_kwargs: ThreadPoolKwargsConfig = ThreadPoolKwargsConfig()
    """What the pool of threads takes itself."""


class ProcessPoolExecutorConfig(_PoolConfig, frozen=True):
    """Processes; one crash costs one run."""

    type: Literal["processpool"]
    pool_kwargs: ProcessPoolKwargsConfig = ProcessPoolKwargsConfig()
    """What the pool of processes takes itself."""


class DaskClusterKwargsConfig(_KwargsConfig, frozen=True):
    """What a cluster takes that is started on this machine."""

    n_workers: PositiveInt | None = None
    """How many processes."""
    threads_per_worker: PositiveInt | None = None
    """How many threads each of them has."""
    memory_limit: str | None = None
    """How much memory each of them may use, such as "2GiB"; "auto" shares out what there is."""
    host: str | None = None
    """The address on which it listens; no other machine can reach it where it is left out."""
    dashboard_address: str | None = None
    """Where its dashboard is; at a free port that no other machine can reach where it is left out."""


class DaskExecutorConfig(_ExecutorConfig, frozen=True):
    """A Dask cluster; needs the extra `dask`."""

    type: Literal["dask"]
    address: str | None = None
    """The address of the cluster's scheduler; where it is left out, a cluster is started on this machine."""
    resources: Mapping[str, Amount] | None = None
    """What a run takes of the resources that workers declare."""
    retries: NonNegativeInt = 0
    """How many times Dask executes a run again that failed or was lost."""
    cluster_kwargs: DaskClusterKwargsConfig | None = None
    """What the cluster takes that is started on this machine."""
    cancel_futures: bool = False
    """Cancel the runs that have not left for the cluster at shutdown."""
    overwrite_wait: bool | None = None
    """Where set, it is used instead of the `wait` of `shutdown`."""
    max_queue: NonNegativeInt | None = None
    """How many runs may wait to leave at most; no limit where it is left out."""


class CustomExecutorConfig(_ExecutorConfig, frozen=True, extra="allow"):
    """An executor of your own or of another package; all other keys are its options."""

    type: Annotated[str, _AliasOfOthers(executor_aliases, lambda: BUILTIN_EXECUTOR_CONFIGS)]
    """The alias of a plugin, or a class as "package.module:Class"."""

    @override
    def options(self) -> dict[str, object]:
        return self.model_extra or {}


# Triggers


class _TriggerConfig(_Chosen, frozen=True):
    def create(self) -> Trigger | None:
        """Make the trigger; None is one that is never due. May be called from any thread.

        Raises:
            PluginError: It cannot be loaded, or is no trigger.
            InvalidInputError: It rejects an option.
        """
        return create_trigger(self.type, **self.options())


class OnDemandConfig(_TriggerConfig, frozen=True):
    """Never due by itself: it runs when the program says `task.run()`."""

    type: Literal["on_demand"]

    @override
    def create(self) -> Trigger | None:
        return None


class DateTriggerConfig(_TriggerConfig, frozen=True):
    """Due once."""

    type: Literal["date"]
    run_at: Moment | None = None
    """When; at once where it is left out. A time without a zone needs `timezone`."""
    timezone: str | None = None
    """The zone of a `run_at` without one, such as "Europe/Berlin"."""


class IntervalTriggerConfig(_TriggerConfig, frozen=True):
    """Due again and again, at equal distances."""

    type: Literal["interval"]
    weeks: Amount = 0
    """The distance; all five are added up."""
    days: Amount = 0
    """The distance; all five are added up."""
    hours: Amount = 0
    """The distance; all five are added up."""
    minutes: Amount = 0
    """The distance; all five are added up."""
    seconds: Amount = 0
    """The distance; all five are added up."""
    start_at: Moment | None = None
    """The first due time; one distance after the start where it is left out."""
    end_at: Moment | None = None
    """No due time is later than this."""
    timezone: str | None = None
    """The zone of times without one, such as "Europe/Berlin"."""
    jitter: Amount = 0
    """Each due time is put off by a random time of up to so many seconds."""


class CronTriggerConfig(_TriggerConfig, frozen=True):
    """Due by the rules of cron."""

    type: Literal["cron"]
    expression: Annotated[str, Field(min_length=1)]
    """Five fields, six with seconds, or an alias such as "@daily"."""
    timezone: str = "UTC"
    """Whose clocks: a name such as "Europe/Berlin", or "local" for those of this machine."""
    start_at: Moment | None = None
    """No due time is earlier than this."""
    end_at: Moment | None = None
    """No due time is later than this."""
    jitter: Amount = 0
    """Each due time is put off by a random time of up to so many seconds."""


class CalendarIntervalTriggerConfig(_TriggerConfig, frozen=True):
    """Due every so many years, months, weeks and days, at the same time of the day."""

    type: Literal["calendar"]
    years: NonNegativeInt = 0
    """The distance; all four are added up."""
    months: NonNegativeInt = 0
    """The distance; all four are added up."""
    weeks: NonNegativeInt = 0
    """The distance; all four are added up."""
    days: NonNegativeInt = 0
    """The distance; all four are added up."""
    hour: Annotated[int, Field(ge=0, le=23)] = 0
    """The time of the day."""
    minute: Annotated[int, Field(ge=0, le=59)] = 0
    """The time of the day."""
    second: Annotated[int, Field(ge=0, le=59)] = 0
    """The time of the day."""
    timezone: str = "UTC"
    """Whose clocks: a name such as "Europe/Berlin", or "local" for those of this machine."""
    start_date: Day | None = None
    """The first day, from which the distances count; the day on which the task is added where it is left out."""
    end_date: Day | None = None
    """The last day that may be one."""
    jitter: Amount = 0
    """Each due time is put off by a random time of up to so many seconds."""


class _CombinationConfig(_TriggerConfig, frozen=True):
    triggers: Annotated[tuple[TriggerConfig, ...], Field(strict=False, min_length=1)]
    """What it is made of."""
    jitter: Amount = 0
    """Each due time is put off by a random time of up to so many seconds."""

    @override
    def options(self) -> dict[str, object]:
        return {**super().options(), "triggers": tuple(trigger.create() for trigger in self.triggers)}


class AndTriggerConfig(_CombinationConfig, frozen=True):
    """Due when all of its triggers are, at the very same time."""

    type: Literal["and"]


class OrTriggerConfig(_CombinationConfig, frozen=True):
    """Due whenever one of its triggers is."""

    type: Literal["or"]


class CustomTriggerConfig(_TriggerConfig, frozen=True, extra="allow"):
    """A trigger of your own or of another package; all other keys are its options."""

    type: Annotated[str, _AliasOfOthers(trigger_aliases, lambda: BUILTIN_TRIGGER_CONFIGS)]
    """The alias of a plugin, or a class as "package.module:Class"."""

    @override
    def options(self) -> dict[str, object]:
        return self.model_extra or {}


# Which one it is


def _by_alias(*models: type[_Chosen]) -> dict[str, type[_Chosen]]:
    return {alias: model for model in models for alias in get_args(model.model_fields["type"].annotation)}


BUILTIN_EXECUTOR_CONFIGS: Mapping[str, type[_Chosen]] = _by_alias(
    AsyncIOExecutorConfig,
    DebugExecutorConfig,
    ThreadPoolExecutorConfig,
    ProcessPoolExecutorConfig,
    DaskExecutorConfig,
)
BUILTIN_TRIGGER_CONFIGS: Mapping[str, type[_Chosen]] = _by_alias(
    OnDemandConfig,
    DateTriggerConfig,
    IntervalTriggerConfig,
    CronTriggerConfig,
    CalendarIntervalTriggerConfig,
    AndTriggerConfig,
    OrTriggerConfig,
)


def _tag(
    value: object, builtin: Mapping[str, type[_Chosen]], custom: type[_Chosen], known: tuple[str, ...]
) -> str | None:
    alias: object = value.get("type") if _is_table(value) else getattr(value, "type", None)
    if not isinstance(alias, str):
        return None if alias is None else str(alias)
    if alias in builtin:
        return builtin[alias].__name__
    return custom.__name__ if alias in known or ":" in alias else alias


def _executor_tag(value: object) -> str | None:
    return _tag(value, BUILTIN_EXECUTOR_CONFIGS, CustomExecutorConfig, executor_aliases())


def _trigger_tag(value: object) -> str | None:
    return _tag(value, BUILTIN_TRIGGER_CONFIGS, CustomTriggerConfig, trigger_aliases())


def _is_table(value: object) -> TypeIs[Mapping[object, object]]:
    return isinstance(value, Mapping)


# The tag of each is the name of its class: where an error lies is told with it, and no key is called so.
ExecutorConfig: TypeAlias = Annotated[
    Annotated[AsyncIOExecutorConfig, Tag("AsyncIOExecutorConfig")]
    | Annotated[DebugExecutorConfig, Tag("DebugExecutorConfig")]
    | Annotated[ThreadPoolExecutorConfig, Tag("ThreadPoolExecutorConfig")]
    | Annotated[ProcessPoolExecutorConfig, Tag("ProcessPoolExecutorConfig")]
    | Annotated[DaskExecutorConfig, Tag("DaskExecutorConfig")]
    | Annotated[CustomExecutorConfig, Tag("CustomExecutorConfig")],
    Discriminator(_executor_tag),
]
"""Any executor; `type` tells which."""

TriggerConfig: TypeAlias = Annotated[
    Annotated[OnDemandConfig, Tag("OnDemandConfig")]
    | Annotated[DateTriggerConfig, Tag("DateTriggerConfig")]
    | Annotated[IntervalTriggerConfig, Tag("IntervalTriggerConfig")]
    | Annotated[CronTriggerConfig, Tag("CronTriggerConfig")]
    | Annotated[CalendarIntervalTriggerConfig, Tag("CalendarIntervalTriggerConfig")]
    | Annotated[AndTriggerConfig, Tag("AndTriggerConfig")]
    | Annotated[OrTriggerConfig, Tag("OrTriggerConfig")]
    | Annotated[CustomTriggerConfig, Tag("CustomTriggerConfig")],
    Discriminator(_trigger_tag),
]
"""Any trigger; `type` tells which."""

for _combination in (_CombinationConfig, AndTriggerConfig, OrTriggerConfig):
    _combination.model_rebuild()


# Tasks


class RetryConfig(_Config, frozen=True):
    """Whether a run that failed is tried again."""

    attempts: PositiveInt
    """How many attempts there are at most, the first one included."""
    delay: Amount = 0.0
    """How many seconds the second attempt waits."""
    backoff: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    """Each further attempt waits so many times as long as the one before."""
    max_delay: Limit | None = None
    """No attempt waits longer, in seconds."""
    jitter: Amount = 0.0
    """Up to so many seconds are added to each wait, at random."""
    on: Annotated[tuple[str, ...], Field(strict=False)] = ("Exception",)
    """Which exceptions are tried again: names of built-in ones, or "package.module:Class"."""

    def create(self) -> Retry:
        """What it says, for a task. May be called from any thread.

        Raises:
            ConfigurationError: `on` names what is no exception class.
        """
        return Retry(
            attempts=self.attempts,
            delay=self.delay,
            backoff=self.backoff,
            max_delay=_finite(self.max_delay),
            jitter=self.jitter,
            on=tuple(_exception_class(name, number) for number, name in enumerate(self.on)),
        )


class LimitsConfig(_Config, frozen=True):
    """What limits the runs of tasks that do not say otherwise."""

    max_instances: PositiveInt = 1
    """How many runs of a task may run at the same time."""
    misfire_grace_time: Limit | None = None
    """How many seconds late a run may start; `inf`, or left out, is no limit."""
    coalesce: bool = True
    """Whether of several due times only the latest runs."""
    timeout: PositiveFloat | None = None
    """How many seconds an attempt of a run may take; `inf`, or left out, is no limit."""
    retry: RetryConfig | None = None
    """Whether a run that failed is tried again; never where it is left out."""
    overlap: OverlapPolicy | None = None
    """What becomes of a run that is due at `max_instances`: "skip", or "queue_all" where `coalesce` is false."""

    def limits(self, defaults: TaskLimits = DEFAULT_LIMITS) -> TaskLimits:
        """What it says, and where it says nothing what the defaults say. May be called from any thread.

        Raises:
            ConfigurationError: `retry.on` names what is no exception class.
        """
        own = self.model_fields_set
        retry = None if self.retry is None else self.retry.create()
        return defaults.evolve(
            max_instances=self.max_instances if "max_instances" in own else UNSET,
            misfire_grace_time=_finite(self.misfire_grace_time) if "misfire_grace_time" in own else UNSET,
            coalesce=self.coalesce if "coalesce" in own else UNSET,
            timeout=_finite(self.timeout) if "timeout" in own else UNSET,
            retry=retry if "retry" in own else UNSET,
            overlap=self.overlap if "overlap" in own else UNSET,
        )


class TaskConfig(LimitsConfig, frozen=True):
    """A function, its arguments, and when and where it runs."""

    call: Reference
    """The function or coroutine function, as "package.module:function"."""
    args: Values = ()
    """Its positional arguments."""
    kwargs: Mapping[str, object] = {}
    """Its keyword arguments."""
    trigger: TriggerConfig = DateTriggerConfig(type="date")
    """When it is due; once at the start where it is left out."""
    executor: Annotated[str, Field(min_length=1)] = "asyncio"
    """Where it runs: one of `executors`, or the alias of a built-in executor."""
    paused: bool = False
    """Begin with its schedule held."""

    def load_call(self) -> Callable[[], object]:
        """Import the function and give it its arguments. May be called from any thread.

        Raises:
            ConfigurationError: It cannot be imported or called, or does not take the arguments.
        """
        function = load(self.call, "call")
        if not _is_function(function):
            raise _problem(
                ("call",), f"it is of the type {type(function).__name__}, which cannot be called", repr(self.call)
            )
        _check_arguments(function, self.args, self.kwargs)
        return partial(function, *self.args, **self.kwargs)


class SchedulerConfig(_Config, frozen=True, title="The configuration of asyncz"):
    """A scheduler: executors by their alias, tasks by their id, and the limits of tasks that do not say otherwise.

    Example:
        >>> config = SchedulerConfig.model_validate({"tasks": {"clean": {"call": "jobs:clean"}}})
        >>> scheduler = AsyncIOScheduler.from_config(config)
    """

    executors: Mapping[str, ExecutorConfig] = {}
    """Executors by the alias by which tasks choose them."""
    defaults: LimitsConfig = LimitsConfig()
    """The limits of all tasks that do not say otherwise."""
    tasks: Mapping[str, TaskConfig] = {}
    """Tasks by their id."""


ConfigSource: TypeAlias = SchedulerConfig | Mapping[str, object] | str | os.PathLike[str]
"""A configuration, as data or in a TOML file."""


def _problem(path: tuple[str | int, ...], reason: str, value: str = "") -> ConfigurationError:
    return ConfigurationError((ConfigurationProblem(path, reason, value),))


def _finite(seconds: float | None) -> float | None:
    return None if seconds is None or math.isinf(seconds) else seconds


def _exception_class(name: str, number: int) -> type[BaseException]:
    loaded = load(name if ":" in name else f"builtins:{name}", "retry", "on", number)
    if not (isinstance(loaded, type) and issubclass(loaded, BaseException)):
        raise _problem(("retry", "on", number), "it is no exception class", repr(name))
    return loaded


class _Function(Protocol):
    def __call__(self, *args: object, **kwargs: object) -> object: ...


def _is_function(value: object) -> TypeIs[_Function]:
    return callable(value)


def _check_arguments(function: _Function, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Some functions that are written in C do not tell what they take.
        return
    parameters = signature.parameters.values()
    named = [each.name for each in parameters if each.kind in {each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY}]
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters)
    unknown = [name for name in kwargs if name not in named and not takes_any]
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
        where = "kwargs" if kwargs and not args else "args" if args else "call"
        raise _problem(
            (where,), f"{function_name(function)}{signature} does not take these arguments: {error}"
        ) from None
