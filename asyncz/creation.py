"""Executors and triggers that are created by their alias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from typing_extensions import Unpack, deprecated

from asyncz._aliases import ClusterAlias, LoopAlias, OtherAlias, PoolAlias, TriggerAlias
from asyncz._unsafe import alias_text
from asyncz.plugins import load_executor, load_trigger
from asyncz.protocols import Trigger, UniversalExecutor

if TYPE_CHECKING:
    from asyncz.config.options import DaskOptions, PoolOptions
    from asyncz.executors.asyncio import AsyncIOExecutor
    from asyncz.executors.dask import DaskExecutor
    from asyncz.executors.debug import DebugExecutor
    from asyncz.executors.process_pool import ProcessPoolExecutor
    from asyncz.executors.thread_pool import ThreadPoolExecutor
    from asyncz.triggers.base import AndTrigger, OrTrigger
    from asyncz.triggers.calendar import CalendarIntervalTrigger
    from asyncz.triggers.cron import CronTrigger
    from asyncz.triggers.date import DateTrigger
    from asyncz.triggers.interval import IntervalTrigger
    from asyncz.triggers.options import (
        CalendarOptions,
        CombinationOptions,
        CronOptions,
        DateOptions,
        IntervalOptions,
    )


@overload
def create_executor(alias: Literal["threadpool", "pool"], /, **options: Unpack[PoolOptions]) -> ThreadPoolExecutor: ...
@overload
def create_executor(alias: Literal["processpool"], /, **options: Unpack[PoolOptions]) -> ProcessPoolExecutor: ...
@overload
def create_executor(alias: ClusterAlias, /, **options: Unpack[DaskOptions]) -> DaskExecutor: ...
@overload
def create_executor(alias: Literal["asyncio", "default"], /) -> AsyncIOExecutor: ...
@overload
def create_executor(alias: Literal["debug"], /) -> DebugExecutor: ...
@overload
def create_executor(alias: PoolAlias | ClusterAlias | LoopAlias | OtherAlias, /) -> UniversalExecutor: ...
def create_executor(alias: OtherAlias, /, **options: object) -> UniversalExecutor:
    """Create the executor of an alias, or of a class of your own named as `package.module:Class`.

    Type checkers know the options of the built-in executors; to pass options to a class of your own, call the class.

    Raises:
        UnknownAliasError: The alias is unknown; the error lists the known ones.
        PluginError: The class cannot be loaded, or lacks members of an executor; then it is not called.
        InvalidInputError: The class rejects an option.

    Example:
        >>> executor = create_executor("threadpool", max_workers=20)
    """
    return load_executor(alias_text(alias), **options)


@overload
def create_trigger(alias: Literal["interval"], /, **options: Unpack[IntervalOptions]) -> IntervalTrigger: ...
@overload
def create_trigger(alias: Literal["calendar"], /, **options: Unpack[CalendarOptions]) -> CalendarIntervalTrigger: ...
@overload
def create_trigger(alias: Literal["cron"], /, **options: Unpack[CronOptions]) -> CronTrigger: ...
@overload
def create_trigger(alias: Literal["date"], /, **options: Unpack[DateOptions]) -> DateTrigger: ...
@overload
def create_trigger(alias: Literal["and"], /, **options: Unpack[CombinationOptions]) -> AndTrigger: ...
@overload
def create_trigger(alias: Literal["or"], /, **options: Unpack[CombinationOptions]) -> OrTrigger: ...
@overload
@deprecated("pass the required option: `expression` of cron, `triggers` of and, or")
def create_trigger(alias: Literal["and", "cron", "or"], /) -> Trigger: ...
@overload
def create_trigger(alias: TriggerAlias | OtherAlias, /) -> Trigger: ...
def create_trigger(alias: OtherAlias, /, **options: object) -> Trigger:
    """Create the trigger of an alias, or of a class of your own named as `package.module:Class`.

    Type checkers know the options of the built-in triggers; to pass options to a class of your own, call the class.

    Raises:
        UnknownAliasError: The alias is unknown; the error lists the known ones.
        PluginError: The class cannot be loaded, or lacks members of a trigger; then it is not called.
        InvalidInputError: The class rejects an option.

    Example:
        >>> create_trigger("interval", minutes=5)
        IntervalTrigger(minutes=5)
    """
    return load_trigger(alias_text(alias), **options)
