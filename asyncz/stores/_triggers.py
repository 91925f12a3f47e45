"""Triggers as JSON: the form of `TriggerConfig`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Protocol, cast

from pydantic import JsonValue, TypeAdapter
from typing_extensions import TypeIs

from asyncz._callables import function_reference
from asyncz._references import is_below, load
from asyncz._safe_logging import is_interrupt
from asyncz._text import exception_text
from asyncz.config.models.triggers import TriggerConfig
from asyncz.plugins import load_trigger
from asyncz.protocols import Trigger
from asyncz.stores._checks import ADD_IT_EARLY
from asyncz.stores.exceptions import UnreadableTaskError, UnstorableTaskError
from asyncz.triggers.base import AndTrigger, OrTrigger, ValueTrigger
from asyncz.triggers.calendar import CalendarIntervalTrigger
from asyncz.triggers.cron import CronTrigger
from asyncz.triggers.date import DateTrigger
from asyncz.triggers.interval import IntervalTrigger

_ALIASES: Mapping[type[object], str] = {
    AndTrigger: "and",
    CalendarIntervalTrigger: "calendar",
    CronTrigger: "cron",
    DateTrigger: "date",
    IntervalTrigger: "interval",
    OrTrigger: "or",
}
_CONFIG: TypeAdapter[TriggerConfig] = TypeAdapter(TriggerConfig)
_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)
_OPTIONS: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])
# Classes of the triggers that this process has stored, by reference. They need not be below `importable`. Each change
# is one operation of a dict, which is atomic under the GIL.
_declared: dict[str, object] = {}


class StorableTrigger(Trigger, Protocol):
    """Trigger of a user that a store keeps: its class makes an equal trigger from the options.

    Other processes find the class by its module and its name, if they have stored such a trigger themselves, or if it
    is below `importable`.

    Example:
        >>> class Weekdays:
        ...     def __init__(self, *, hour: int) -> None: ...
        ...     def next_due_time(self, previous: datetime | None, now: datetime) -> datetime | None: ...
        ...     def to_config(self) -> dict[str, object]:
        ...         return {"hour": self.hour}
    """

    def to_config(self) -> Mapping[str, object]:
        """Return the options of the class that make an equal trigger. They are JSON."""
        ...


def encode_trigger(task_id: str, trigger: Trigger | None) -> str | None:
    """Return a trigger as JSON; None for a task that runs on demand only.

    Raises:
        UnstorableTaskError: The trigger is neither a built-in one nor a `StorableTrigger`, or a part is not JSON.
    """
    return None if trigger is None else json.dumps(_config_of(task_id, trigger), sort_keys=True)


def decode_trigger(task_id: str, text: str | None, importable: Sequence[str] = ()) -> Trigger | None:
    """Return the trigger of a stored text.

    Args:
        task_id: Id of the task.
        text: Stored text; None for a task that runs on demand only.
        importable: Packages and modules from which the classes of triggers may be imported.

    Raises:
        UnreadableTaskError: This program does not know such a trigger.
    """
    if text is None:
        return None
    try:
        for reference in _references(_JSON.validate_json(text)):
            if reference not in _declared and not is_below(reference, importable):
                message = f"no task of this program has a trigger {reference}, which is not below `importable`"
                raise ValueError(f"{message}; {ADD_IT_EARLY}")
        return _CONFIG.validate_json(text).create()
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise UnreadableTaskError(task_id, f"the trigger {text} is not known: {exception_text(error)}") from error


def _config_of(task_id: str, trigger: object) -> dict[str, object]:
    alias = _ALIASES.get(type(trigger))
    storable = _as_storable(trigger) if alias is None else None
    if storable is not None:
        return _config_of_custom(task_id, storable)
    if alias is None or not isinstance(trigger, ValueTrigger):
        reason = f"{trigger!r} is not a built-in trigger; combine built-in ones, or give its class a method to_config()"
        raise UnstorableTaskError(task_id, "trigger", reason)
    options = {name: _plain(task_id, name, value) for name, value in trigger.options.items()}
    return {"type": alias, **options}


def _plain(task_id: str, name: str, value: object) -> object:
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if _is_sequence(value):
        return [_config_of(task_id, each) for each in value]
    reason = f"{name}={value!r} cannot be stored; use a time zone with a name, such as 'Europe/Berlin'"
    raise UnstorableTaskError(task_id, "trigger", reason)


def _is_sequence(value: object) -> TypeIs[tuple[object, ...]]:
    return isinstance(value, tuple)


def _as_storable(trigger: object) -> StorableTrigger | None:
    """Return the trigger as one with a method `to_config`, or None.

    Unverified: the signatures. `_config_of_custom` checks the returned options, and `TriggerSchedule` the due times.
    """
    methods = (getattr(trigger, "to_config", None), getattr(trigger, "next_due_time", None))
    return cast("StorableTrigger", trigger) if all(map(callable, methods)) else None


def _config_of_custom(task_id: str, trigger: StorableTrigger) -> dict[str, object]:
    """Return the options of a trigger of the user, from which its class has made an equal one.

    Raises:
        UnstorableTaskError: Other processes could not find its class, or its options are not JSON.
    """
    kind = type(trigger)
    reference = function_reference(kind)
    try:
        if load(reference) is not kind:
            message = f"another class has the name {reference}"
            raise ValueError(message)
        options = _OPTIONS.validate_json(json.dumps(dict(trigger.to_config())))
        if "type" in options:
            message = "to_config() has the option 'type', which names the class"
            raise ValueError(message)
        made = load_trigger(reference, **options)
        again = _as_storable(made)
        if again is None or dict(again.to_config()) != dict(trigger.to_config()):
            message = f"the class makes another trigger, {made}"
            raise ValueError(message)
    except BaseException as error:
        if is_interrupt(error):
            raise
        reason = f"{reference} cannot be made again from its to_config(): {exception_text(error)}"
        raise UnstorableTaskError(task_id, "trigger", reason) from error
    _declared[reference] = kind
    return {"type": reference, **options}


def _references(config: JsonValue) -> Iterator[str]:
    """Iterate over the classes that a stored trigger and its parts name by module."""
    if isinstance(config, dict):
        kind = config.get("type")
        if isinstance(kind, str) and ":" in kind:
            yield kind
        else:
            # The options of a class are values, not triggers.
            for each in config.values():
                yield from _references(each)
    elif isinstance(config, list):
        for each in config:
            yield from _references(each)
