"""Executors and triggers by their aliases: the built-in ones, and those that other packages add.

Another package adds one through the entry point group `asyncz.executors`, or `asyncz.triggers`:

    [project.entry-points."asyncz.executors"]
    kubernetes = "their_package.executors:KubernetesExecutor"
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from typing_extensions import TypeIs

from asyncz.exceptions import InvalidInputError, PluginError, UnknownAliasError
from asyncz.protocols import Trigger, UniversalExecutor

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

EXECUTOR_GROUP = "asyncz.executors"
TRIGGER_GROUP = "asyncz.triggers"

# Read from here and not from the entry points, which takes milliseconds, and works from a bare checkout.
BUILTIN_EXECUTORS = {
    "asyncio": "asyncz.executors.asyncio:AsyncIOExecutor",
    "default": "asyncz.executors.asyncio:AsyncIOExecutor",
    "dask": "asyncz.executors.dask:DaskExecutor",
    "debug": "asyncz.executors.debug:DebugExecutor",
    "threadpool": "asyncz.executors.thread_pool:ThreadPoolExecutor",
    "pool": "asyncz.executors.thread_pool:ThreadPoolExecutor",
    "processpool": "asyncz.executors.process_pool:ProcessPoolExecutor",
}
BUILTIN_TRIGGERS = {
    "and": "asyncz.triggers.combination:AndTrigger",
    "calendar": "asyncz.triggers.calendar:CalendarIntervalTrigger",
    "cron": "asyncz.triggers.cron:CronTrigger",
    "date": "asyncz.triggers.date:DateTrigger",
    "interval": "asyncz.triggers.interval:IntervalTrigger",
    "or": "asyncz.triggers.combination:OrTrigger",
}


@functools.cache
def _found(group: str) -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {entry_point.name: entry_point for entry_point in entry_points(group=group)}


def executor_aliases() -> tuple[str, ...]:
    """All aliases of executors, sorted. May be called from any thread."""
    return tuple(sorted({*BUILTIN_EXECUTORS, *_found(EXECUTOR_GROUP)}))


def trigger_aliases() -> tuple[str, ...]:
    """All aliases of triggers, sorted. May be called from any thread."""
    return tuple(sorted({*BUILTIN_TRIGGERS, *_found(TRIGGER_GROUP)}))


def create_executor(alias: str, **options: object) -> UniversalExecutor:
    """Make the executor that an alias stands for, or a class of your own as `package.module:Class`.

    Raises:
        UnknownAliasError: There is none; the error lists those that exist.
        PluginError: It cannot be loaded, or does not satisfy the protocol.
        InvalidInputError: It rejects an option.
    """
    made = _create("executor", EXECUTOR_GROUP, BUILTIN_EXECUTORS, alias, options)
    if not is_executor(made):
        raise PluginError(
            alias, type(made).__qualname__, "it has not the state, start, shutdown and submit of an executor"
        )
    return made


def create_trigger(alias: str, **options: object) -> Trigger:
    """Make the trigger that an alias stands for, such as `create_trigger("interval", minutes=5)`.

    A class of your own is named as `package.module:Class`.

    Raises:
        UnknownAliasError: There is none; the error lists those that exist.
        PluginError: It cannot be loaded, or does not satisfy the protocol.
        InvalidInputError: It rejects an option.
    """
    made = _create("trigger", TRIGGER_GROUP, BUILTIN_TRIGGERS, alias, options)
    if not is_trigger(made):
        raise PluginError(alias, type(made).__qualname__, "it has not the next_due_time of a trigger")
    return made


def is_executor(value: object) -> TypeIs[UniversalExecutor]:
    """Whether a value has the members of an executor; their types are what type checkers are for."""
    return (
        not isinstance(value, type)
        and hasattr(value, "state")
        and all(callable(getattr(value, name, None)) for name in ("start", "shutdown", "submit"))
    )


def check_executor(value: object) -> None:
    """Reject what has not the members of an executor.

    Raises:
        InvalidInputError: It has not.
    """
    if not is_executor(value):
        raise InvalidInputError(
            "executor", repr(value), "it needs the state, start, shutdown and submit of an executor"
        )


def is_trigger(value: object) -> TypeIs[Trigger]:
    """Whether a value has the member of a trigger; a class has it only for its instances."""
    return not isinstance(value, type) and callable(getattr(value, "next_due_time", None))


def check_trigger(value: object) -> None:
    """Reject what is neither None nor has the member of a trigger.

    Raises:
        InvalidInputError: It has not; the error lists the aliases from which triggers are made.
    """
    if value is not None and not is_trigger(value):
        known = ", ".join(trigger_aliases())
        raise InvalidInputError("trigger", repr(value), f"a trigger is needed; create_trigger() knows: {known}")


def _create(kind: str, group: str, builtin: Mapping[str, str], alias: str, options: Mapping[str, object]) -> object:
    # Here and not above: it takes a third as long to import as all the rest, and few need it.
    from importlib.metadata import EntryPoint

    if alias in builtin or ":" in alias:
        entry_point = EntryPoint(alias, builtin.get(alias, alias), group)
    elif alias in _found(group):
        entry_point = _found(group)[alias]
    else:
        raise UnknownAliasError(kind, alias, tuple(sorted({*builtin, *_found(group)})))
    try:
        factory = entry_point.load()
    except (ImportError, AttributeError) as error:
        raise PluginError(alias, entry_point.value, f"{type(error).__name__}: {error}") from error
    try:
        made: object = factory(**options)
    except TypeError as error:
        raise InvalidInputError(f"options of the {kind} {alias!r}", repr(dict(options)), str(error)) from error
    return made
