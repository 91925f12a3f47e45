"""Makes a scheduler of its configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import TypeVar

from asyncz.config._reading import ConfigReader
from asyncz.config.models import ExecutorConfig, TaskConfig
from asyncz.plugins import BUILTIN_EXECUTORS
from asyncz.tasks import DEFAULT_LIMITS, TaskLimits

if TYPE_CHECKING:
    from asyncz.config import ConfigSource
    from asyncz.schedulers.asyncio import AsyncIOScheduler

SchedulerT = TypeVar("SchedulerT", bound="AsyncIOScheduler")


def configured(make: Callable[[TaskLimits], SchedulerT], source: ConfigSource) -> SchedulerT:
    """Make a scheduler with the defaults, executors and tasks of a configuration.

    Raises:
        ConfigurationError: Anything in it cannot be used.
    """
    reader = ConfigReader(source)
    defaults = reader.tried(("defaults",), reader.config.defaults.limits) or DEFAULT_LIMITS
    scheduler = make(defaults)
    for alias, executor in reader.config.executors.items():
        reader.tried(("executors", alias), partial(_add_executor, scheduler, alias, executor))
    for task_id, task in reader.config.tasks.items():
        _add_task(scheduler, reader, task_id, task, defaults)
    reader.raise_problems()
    return scheduler


def _add_executor(scheduler: AsyncIOScheduler, alias: str, executor: ExecutorConfig) -> None:
    scheduler.add_executor(executor.create(), alias=alias)


def _add_task(
    scheduler: AsyncIOScheduler, reader: ConfigReader, task_id: str, task: TaskConfig, defaults: TaskLimits
) -> None:
    path = ("tasks", task_id)
    call = reader.tried(path, task.load_call)
    limits = reader.tried(path, partial(task.limits, defaults))
    trigger = reader.tried((*path, "trigger"), task.trigger.create)
    aliases = {*reader.executors, *BUILTIN_EXECUTORS}
    if task.executor not in aliases:
        reader.reject((*path, "executor"), "there is no such executor", task.executor, aliases)
    if call is None or limits is None or not reader.is_usable(*path):
        return
    if reader.is_usable("executors", task.executor):
        reader.tried(path, partial(scheduler._add, call, trigger, task.executor, task_id, limits, task.paused))
