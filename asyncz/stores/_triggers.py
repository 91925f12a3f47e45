"""Triggers as JSON: the form of `TriggerConfig`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date

from pydantic import TypeAdapter
from typing_extensions import TypeIs

from asyncz._safe_logging import is_interrupt
from asyncz._text import exception_text
from asyncz.config.models.triggers import TriggerConfig
from asyncz.protocols import Trigger
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


def encode_trigger(task_id: str, trigger: Trigger | None) -> str | None:
    """Return a trigger as JSON; None for a task that runs on demand only.

    Raises:
        UnstorableTaskError: The trigger is not a built-in one, or has a time zone without a name.
    """
    return None if trigger is None else json.dumps(_config_of(task_id, trigger), sort_keys=True)


def decode_trigger(task_id: str, text: str | None) -> Trigger | None:
    """Return the trigger of a stored text.

    Raises:
        UnreadableTaskError: This version does not know such a trigger.
    """
    if text is None:
        return None
    try:
        return _CONFIG.validate_json(text).create()
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise UnreadableTaskError(task_id, f"the trigger {text} is not known: {exception_text(error)}") from error


def _config_of(task_id: str, trigger: object) -> dict[str, object]:
    alias = _ALIASES.get(type(trigger))
    if alias is None or not isinstance(trigger, ValueTrigger):
        reason = f"{trigger!r} is not a built-in trigger; combine built-in ones, or add the task to another scheduler"
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
