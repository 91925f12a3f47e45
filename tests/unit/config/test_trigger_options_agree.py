"""Constructors, TypedDicts and models of triggers have the same options, with the same types."""

from __future__ import annotations

import inspect
import typing

import pydantic
import pytest

from asyncz import (
    AndTrigger,
    CalendarIntervalTrigger,
    CronTrigger,
    DateTrigger,
    IntervalTrigger,
    OrTrigger,
    create_trigger,
)
from asyncz.config import (
    AndTriggerConfig,
    CalendarIntervalTriggerConfig,
    CronTriggerConfig,
    DateTriggerConfig,
    IntervalTriggerConfig,
    OrTriggerConfig,
)
from asyncz.plugins import BUILTIN_TRIGGERS
from asyncz.triggers import options

TRIGGERS: list[tuple[str, type[object], type[object], type[pydantic.BaseModel]]] = [
    ("interval", IntervalTrigger, options.IntervalOptions, IntervalTriggerConfig),
    ("calendar", CalendarIntervalTrigger, options.CalendarOptions, CalendarIntervalTriggerConfig),
    ("cron", CronTrigger, options.CronOptions, CronTriggerConfig),
    ("date", DateTrigger, options.DateOptions, DateTriggerConfig),
    ("and", AndTrigger, options.CombinationOptions, AndTriggerConfig),
    ("or", OrTrigger, options.CombinationOptions, OrTriggerConfig),
]


@pytest.mark.parametrize(("alias", "trigger", "typed_dict", "model"), TRIGGERS)
def test_trigger_options_agree(
    alias: str, trigger: type[object], typed_dict: type[object], model: type[pydantic.BaseModel]
) -> None:
    parameters = inspect.signature(trigger, eval_str=True).parameters
    hints = typing.get_type_hints(typed_dict)
    assert {name: each.annotation for name, each in parameters.items()} == hints
    extras = typing.get_type_hints(typed_dict, include_extras=True)
    required = {name for name, hint in extras.items() if typing.get_origin(hint) is typing.Required}
    assert {name for name, each in parameters.items() if each.default is inspect.Parameter.empty} == required
    assert set(model.model_fields) - {"type"} == set(parameters), alias


def test_every_builtin_trigger_is_compared() -> None:
    assert {alias for alias, *_ in TRIGGERS} == set(BUILTIN_TRIGGERS)
    # The last two overloads are for a missing option, and for classes of users.
    assert len(typing.get_overloads(create_trigger)) == len(TRIGGERS) + 2
