"""Schedulers from a configuration."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from typing_extensions import TypeVar

from asyncz._aliases import ExistingTaskPolicy
from asyncz._checks import check_callable
from asyncz._references import load
from asyncz._unsafe import as_redact
from asyncz.config._loader import ConfigLoader
from asyncz.exceptions import ConfigurationError, ConfigurationProblem
from asyncz.limits import DEFAULT_LIMITS, TaskLimits
from asyncz.plugins import BUILTIN_EXECUTORS
from asyncz.protocols import Trigger, UniversalExecutor

if TYPE_CHECKING:
    from asyncz.config import ConfigSource
    from asyncz.config.models import ExecutorConfig, ReportingConfig, StoreConfig, TaskConfig
    from asyncz.stores.options import RunReporting, StoreOptions
    from asyncz.stores.protocol import Store


class ConfiguredStore(NamedTuple):
    """Store of a configuration.

    Attributes:
        store: Store.
        options: Options for the store.
    """

    store: Store
    options: StoreOptions


class Configurable(Protocol):
    """Scheduler that takes executors."""

    def add_executor(self, executor: UniversalExecutor, /, alias: str) -> object:
        """Register an executor."""
        ...


class AddTask(Protocol):
    """Function that adds a task with limits that are complete."""

    def __call__(
        self,
        call: Callable[[], object],
        trigger: Trigger | None,
        executor: str,
        task_id: str | None,
        /,
        *,
        limits: TaskLimits,
        paused: bool,
        existing: ExistingTaskPolicy | None,
    ) -> object:
        """Add a task."""
        ...


SchedulerT = TypeVar("SchedulerT", bound=Configurable)


def configure(
    source: ConfigSource,
    make: Callable[[TaskLimits, ConfiguredStore | None], SchedulerT],
    add_task_of: Callable[[SchedulerT], AddTask],
) -> SchedulerT:
    """Make a scheduler with the defaults, store, executors and tasks of a configuration.

    Args:
        source: Configuration.
        make: Makes a scheduler with these defaults, and with a store if there is one.
        add_task_of: Returns the function that adds a task to a scheduler.

    Raises:
        ConfigurationError: A part of the configuration cannot be used.
    """
    loader = ConfigLoader(source)
    defaults = loader.attempt(("defaults",), loader.config.defaults.limits) or DEFAULT_LIMITS
    scheduler = make(defaults, None if loader.config.store is None else _store_of(loader, loader.config.store))
    for alias, executor in loader.config.executors.items():
        loader.attempt(("executors", alias), partial(_add_executor, scheduler, alias, executor))
    for task_id, task in loader.config.tasks.items():
        _add_task(add_task_of(scheduler), loader, task_id, task, defaults)
    loader.raise_problems()
    return scheduler


def _reporting_of(config: ReportingConfig) -> RunReporting | None:
    from asyncz.stores.options import RunReporting

    if not config.enabled:
        return None
    redact = None
    if config.redact is not None:
        found = load(config.redact)
        check_callable("redact", found)
        redact = as_redact(found)
    return RunReporting(interval=config.interval, max_logs=config.max_logs, max_bytes=config.max_bytes, redact=redact)


def _store_of(loader: ConfigLoader, config: StoreConfig) -> ConfiguredStore | None:
    # Imported here: without a store, nothing of it is loaded.
    from asyncz.stores._urls import store_of
    from asyncz.stores.codecs import as_codec
    from asyncz.stores.options import Retention, StoreOptions

    store = loader.attempt(("store", "url"), lambda: store_of(config.url.get_secret_value()))
    functions = loader.attempt(("store",), config.load_functions)
    codec = loader.attempt(("store", "codec"), lambda: None if config.codec is None else as_codec(load(config.codec)))
    reporting = loader.attempt(("store", "reporting", "redact"), lambda: _reporting_of(config.reporting))
    is_wrong = (config.codec is not None and codec is None) or (config.reporting.enabled and reporting is None)
    if store is None or functions is None or is_wrong:
        return None
    kept = config.retention
    retention = Retention(
        executed=_age(kept.executed),
        error=_age(kept.error),
        missed=_age(kept.missed),
        cancelled=_age(kept.cancelled),
        per_task=kept.per_task or None,
    )
    options = StoreOptions(
        existing=config.existing,
        version=config.version,
        on_lost=config.on_lost,
        lease=config.lease,
        functions=functions[0],
        formerly=functions[1],
        importable=config.importable,
        retention=retention,
        codec=codec,
        reporting=reporting,
        keep_undeclared=timedelta(days=config.keep_undeclared),
        keep_finished=_age(config.keep_finished),
    )
    return ConfiguredStore(store, options)


def _age(days: float) -> timedelta | None:
    return None if math.isinf(days) else timedelta(days=days)


def _add_executor(scheduler: Configurable, alias: str, executor: ExecutorConfig) -> None:
    scheduler.add_executor(executor.create(), alias=alias)


def _check_without_store(task: TaskConfig) -> None:
    if task.existing is not None:
        reason = "it needs a store: add a table [store], or remove it"
        raise ConfigurationError((ConfigurationProblem(("existing",), reason, repr(task.existing)),))


def _add_task(add: AddTask, loader: ConfigLoader, task_id: str, task: TaskConfig, defaults: TaskLimits) -> None:
    path = ("tasks", task_id)
    call = loader.attempt(path, task.load_call)
    limits = loader.attempt(path, partial(task.limits, defaults))
    trigger = loader.attempt((*path, "trigger"), task.trigger.create)
    aliases = {*loader.executors, *BUILTIN_EXECUTORS}
    if task.executor not in aliases:
        loader.reject((*path, "executor"), "there is no such executor", task.executor, aliases)
    if loader.config.store is None:
        loader.attempt(path, partial(_check_without_store, task))
    if call is None or limits is None or not loader.is_valid(*path):
        return
    if loader.is_valid("executors", task.executor):
        add_task = partial(
            add,
            call,
            trigger,
            task.executor,
            task_id,
            limits=limits,
            paused=task.paused,
            existing=task.existing,
        )
        loader.attempt(path, add_task)
