"""Makes a scheduler of its configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import TypeVar

from asyncz.config._loader import ConfigLoader
from asyncz.config.models import ExecutorConfig, TaskConfig
from asyncz.limits import DEFAULT_LIMITS, TaskLimits
from asyncz.plugins import BUILTIN_EXECUTORS

if TYPE_CHECKING:
    from asyncz.config import ConfigSource
    from asyncz.schedulers.asyncio import AsyncIOScheduler

SchedulerT = TypeVar("SchedulerT", bound="AsyncIOScheduler")


def configured(make: Callable[[TaskLimits], SchedulerT], source: ConfigSource) -> SchedulerT:
    """Make a scheduler with the defaults, executors and tasks of a configuration.

    Raises:
        ConfigurationError: Anything in it cannot be used.
    """
    loader = ConfigLoader(source)
    defaults = loader.attempt(("defaults",), loader.config.defaults.limits) or DEFAULT_LIMITS
    scheduler = make(defaults)
    for alias, executor in loader.config.executors.items():
        loader.attempt(("executors", alias), partial(_add_executor, scheduler, alias, executor))
    for task_id, task in loader.config.tasks.items():
        _add_task(scheduler, loader, task_id, task, defaults)
    loader.raise_problems()
    return scheduler


def _add_executor(scheduler: AsyncIOScheduler, alias: str, executor: ExecutorConfig) -> None:
    scheduler.add_executor(executor.create(), alias=alias)


def _add_task(
    scheduler: AsyncIOScheduler, loader: ConfigLoader, task_id: str, task: TaskConfig, defaults: TaskLimits
) -> None:
    path = ("tasks", task_id)
    call = loader.attempt(path, task.load_call)
    limits = loader.attempt(path, partial(task.limits, defaults))
    trigger = loader.attempt((*path, "trigger"), task.trigger.create)
    aliases = {*loader.executors, *BUILTIN_EXECUTORS}
    if task.executor not in aliases:
        loader.reject((*path, "executor"), "there is no such executor", task.executor, aliases)
    if call is None or limits is None or not loader.is_valid(*path):
        return
    if loader.is_valid("executors", task.executor):
        loader.attempt(path, partial(scheduler._add, call, trigger, task.executor, task_id, limits, task.paused))
