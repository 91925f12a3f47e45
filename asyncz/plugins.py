"""Aliases of executors and triggers: the built-in ones and those that other packages add.

Another package adds an executor through the entry point group `asyncz.executors`, and a trigger through
`asyncz.triggers`:

    [project.entry-points."asyncz.executors"]
    kubernetes = "their_package.executors:KubernetesExecutor"
"""

from __future__ import annotations

import concurrent.futures
import functools
import inspect
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Protocol

from typing_extensions import TypeIs

from asyncz._references import load
from asyncz._text import closest, exception_text, value_text
from asyncz.exceptions import (
    AsynczError,
    ConfigurationError,
    InvalidInputError,
    PluginError,
    UnknownAliasError,
    UnknownOptionError,
)
from asyncz.protocols import Trigger, UniversalExecutor

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

EXECUTOR_GROUP = "asyncz.executors"
TRIGGER_GROUP = "asyncz.triggers"

# Not looked up as entry points: that takes milliseconds, and does not work in a checkout that is not installed.
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
    "and": "asyncz.triggers.base:AndTrigger",
    "calendar": "asyncz.triggers.calendar:CalendarIntervalTrigger",
    "cron": "asyncz.triggers.cron:CronTrigger",
    "date": "asyncz.triggers.date:DateTrigger",
    "interval": "asyncz.triggers.interval:IntervalTrigger",
    "or": "asyncz.triggers.base:OrTrigger",
}

EXECUTOR_MEMBERS = ("state", "start", "shutdown", "submit")
TRIGGER_MEMBERS = ("next_due_time",)


_TRIGGER_CLASSES = {alias: reference.partition(":")[2] for alias, reference in BUILTIN_TRIGGERS.items()}
_TRIGGER_EXAMPLES = {
    "AndTrigger": "one & another",
    "CalendarIntervalTrigger": "CalendarIntervalTrigger(months=1)",
    "CronTrigger": 'CronTrigger("30 2 * * *")',
    "DateTrigger": "DateTrigger()",
    "IntervalTrigger": "IntervalTrigger(minutes=5)",
    "OrTrigger": "one | another",
}


class _Class(Protocol):
    """A class that is called with options of unknown names and types."""

    def __call__(self, **options: object) -> object: ...


@functools.cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {entry_point.name: entry_point for entry_point in entry_points(group=group)}


def executor_aliases() -> tuple[str, ...]:
    """Return all aliases of executors, sorted. Thread-safe."""
    return tuple(sorted({*BUILTIN_EXECUTORS, *_entry_points(EXECUTOR_GROUP)}))


def trigger_aliases() -> tuple[str, ...]:
    """Return all aliases of triggers, sorted. Thread-safe."""
    return tuple(sorted({*BUILTIN_TRIGGERS, *_entry_points(TRIGGER_GROUP)}))


def load_executor(alias: str, /, **options: object) -> UniversalExecutor:
    """Create the executor of an alias or reference; see `asyncz.create_executor`.

    Raises:
        UnknownAliasError: The alias is unknown; the error lists the known ones.
        PluginError: The class cannot be loaded, or lacks members of an executor; then it is not called.
        InvalidInputError: The class rejects an option.
    """
    created = _create("executor", EXECUTOR_GROUP, BUILTIN_EXECUTORS, alias, options)
    if not is_executor(created):
        raise PluginError(alias, type(created).__qualname__, _missing_text("executor", missing_members(created)))
    return created


def load_trigger(alias: str, /, **options: object) -> Trigger:
    """Create the trigger of an alias or reference; see `asyncz.create_trigger`.

    Raises:
        UnknownAliasError: The alias is unknown; the error lists the known ones.
        PluginError: The class cannot be loaded, or lacks members of a trigger; then it is not called.
        InvalidInputError: The class rejects an option.
    """
    created = _create("trigger", TRIGGER_GROUP, BUILTIN_TRIGGERS, alias, options)
    if not is_trigger(created):
        raise PluginError(alias, type(created).__qualname__, _missing_text("trigger", TRIGGER_MEMBERS))
    return created


def missing_members(value: object) -> tuple[str, ...]:
    """Return the names of the members that a value lacks to be an executor.

    A `state` that raises counts as present: the error is that of the state, not of the executor's type.
    """
    methods = tuple(name for name in EXECUTOR_MEMBERS if name != "state" and not _has_method(value, name))
    return methods if _has_attribute(value, "state") else ("state", *methods)


def is_executor(value: object) -> TypeIs[UniversalExecutor]:
    """Return True if a value has the members of an executor; their types are checked by type checkers only."""
    return not isinstance(value, type) and not missing_members(value)


def check_executor(value: object) -> None:
    """Reject a value that lacks members of an executor.

    Raises:
        InvalidInputError: Members are missing; the error names them.
    """
    if isinstance(value, type):
        raise InvalidInputError("executor", value_text(value), "an instance is needed, not a class")
    if not is_executor(value):
        if isinstance(value, concurrent.futures.Executor):
            raise InvalidInputError("executor", value_text(value), "wrap the pool: FuturesExecutor(pool)")
        raise InvalidInputError("executor", value_text(value), _missing_text("executor", missing_members(value)))


def is_trigger(value: object) -> TypeIs[Trigger]:
    """Return True if a value has the member of a trigger; a class is not a trigger, only its instances are."""
    return not isinstance(value, type) and _has_method(value, "next_due_time")


def check_trigger(value: object) -> None:
    """Reject a value that is neither None nor a trigger.

    Raises:
        InvalidInputError: It is not a trigger; the error lists the aliases of `create_trigger`.
    """
    if value is not None and not is_trigger(value):
        raise InvalidInputError("trigger", value_text(value), f"a trigger is needed; {_trigger_advice(value)}")


def _trigger_advice(value: object) -> str:
    if isinstance(value, type) and _has_method(value, "next_due_time"):
        return f"call the class, such as {_TRIGGER_EXAMPLES.get(value.__name__, f'{value.__name__}(...)')}"
    if isinstance(value, timedelta):
        return f"use IntervalTrigger(seconds={value.total_seconds():.15g})"
    if isinstance(value, datetime):
        return "use DateTrigger(...) with this time"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"use IntervalTrigger(seconds={value_text(value)})"
    if isinstance(value, str) and (len(value.split()) in {5, 6} or value.startswith("@")):
        return f"use CronTrigger({value_text(value)})"
    if isinstance(value, str) and value in _TRIGGER_CLASSES:
        return f"use {_TRIGGER_EXAMPLES[_TRIGGER_CLASSES[value]]}"
    if isinstance(value, time):
        return f"use CronTrigger('{value.minute} {value.hour} * * *')"
    examples = f"use {_TRIGGER_EXAMPLES['IntervalTrigger']} or {_TRIGGER_EXAMPLES['CronTrigger']}"
    return f"{examples}; create_trigger() accepts the aliases {', '.join(trigger_aliases())}"


def _has_attribute(value: object, name: str) -> bool:
    try:
        return hasattr(value, name)
    except Exception:
        # A property that raises something else than AttributeError exists.
        return True


def _has_method(value: object, name: str) -> bool:
    return _has_attribute(value, name) and callable(getattr(value, name, None))


def _missing_text(kind: str, names: tuple[str, ...]) -> str:
    return f"missing {kind} member{'s' if len(names) > 1 else ''}: {', '.join(names)}"


def _create(kind: str, group: str, builtin: Mapping[str, str], alias: str, options: Mapping[str, object]) -> object:
    if alias in builtin or ":" in alias:
        reference = builtin.get(alias, alias)
    elif alias in _entry_points(group):
        reference = _entry_points(group)[alias].value
    else:
        raise UnknownAliasError(kind, alias, tuple(sorted({*builtin, *_entry_points(group)})))
    factory = _load_class(kind, alias, reference)
    try:
        return factory(**options)
    except (TypeError, OverflowError) as error:
        raise InvalidInputError(
            f"options of the {kind} {alias!r}", value_text(dict(options)), _option_advice(factory, options, error)
        ) from error
    except AsynczError:
        raise
    except Exception as error:
        raise PluginError(alias, reference, exception_text(error)) from error


def _option_advice(factory: _Class, options: Mapping[str, object], error: Exception) -> str:
    """Name the first unknown option and the known ones; without an unknown one, the error of the class."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except Exception:
        return exception_text(error)
    known = tuple(each.name for each in parameters if each.kind in {each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY})
    unknown = [name for name in options if name not in known]
    if not unknown or any(each.kind is each.VAR_KEYWORD for each in parameters):
        return exception_text(error)
    return str(UnknownOptionError(unknown[0], closest(unknown[0], known), known))


def _load_class(kind: str, alias: str, reference: str) -> _Class:
    """Import a class, and reject everything that cannot create an executor or trigger.

    A configuration is data: it must not be able to call any function that can be imported, such as `os.system`.
    """
    try:
        loaded = load(reference.split("[")[0].replace(" ", ""))
    except ConfigurationError as error:
        raise PluginError(alias, reference, error.problems[0].explanation) from error
    if not _is_class(loaded):
        raise PluginError(alias, reference, f"a class is needed, not a {type(loaded).__name__}")
    # `state` may be an attribute that only instances have.
    methods = ("start", "shutdown", "submit") if kind == "executor" else TRIGGER_MEMBERS
    missing = tuple(name for name in methods if not _has_method(loaded, name))
    if missing:
        if kind == "executor" and not _has_attribute(loaded, "state"):
            missing = ("state", *missing)
        raise PluginError(alias, reference, _missing_text(kind, missing))
    return loaded


def _is_class(value: object) -> TypeIs[_Class]:
    # The options that a class accepts are not known: it raises TypeError for the others.
    return isinstance(value, type)
