"""Problems of a configuration, from the errors that pydantic reports."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import TypeAlias, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from asyncz._text import closest, value_text, without_secrets
from asyncz.config.models import (
    BUILTIN_EXECUTOR_CONFIGS,
    BUILTIN_TRIGGER_CONFIGS,
    CustomExecutorConfig,
    CustomTriggerConfig,
    SchedulerConfig,
)
from asyncz.config.models.base import DATETIME_EXPECTED
from asyncz.exceptions import ConfigurationProblem
from asyncz.plugins import executor_aliases, trigger_aliases

Path: TypeAlias = tuple[str | int, ...]
"""The keys and item numbers that lead to a value."""

_MODELS: tuple[type[BaseModel], ...] = (
    *BUILTIN_EXECUTOR_CONFIGS.values(),
    *BUILTIN_TRIGGER_CONFIGS.values(),
    CustomExecutorConfig,
    CustomTriggerConfig,
)
# The models of tagged unions; their names are part of the locations that pydantic reports.
_TAGGED = {model.__name__: model for model in _MODELS}

_REASONS = {
    **dict.fromkeys(("datetime_from_date_parsing", "datetime_parsing", "datetime_type"), DATETIME_EXPECTED),
    **dict.fromkeys(("date_from_datetime_inexact", "date_from_datetime_parsing", "date_parsing"), "a date is needed"),
    "bool_type": "true or false is needed",
    "dict_type": "a table is needed",
    "finite_number": "a finite number is needed",
    "float_type": "a number is needed",
    "int_type": "a whole number is needed",
    "mapping_type": "a table is needed",
    "model_attributes_type": "a table is needed",
    "model_type": "a table is needed",
    "recursion_loop": "it contains itself, or is nested too deeply",
    "string_pattern_mismatch": 'the form "package.module:name" is needed',
    "string_sub_type": "a text is needed",
    "string_too_short": "a text that is not empty is needed",
    "string_type": "a text is needed",
    "string_unicode": "a text without lone surrogates is needed",
    "too_short": "a list that is not empty is needed",
    "tuple_type": "a list is needed",
}

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than_equal": ("le", "at most"),
}


def problem_of(error: ErrorDetails) -> ConfigurationProblem:
    """Return the problem that an error of pydantic stands for."""
    location = error["loc"]
    path = tuple(part for part in location if part not in _TAGGED and part != "[key]")
    kind, context = error["type"], error.get("ctx", {})
    value = _value_text(error["input"])
    match kind:
        case "extra_forbidden":
            return unknown_name(path, "there is no such key", str(path[-1]), tuple(_model_at(location).model_fields))
        case "missing":
            return ConfigurationProblem(path, "it is missing")
        case "union_tag_not_found" if isinstance(error["input"], Mapping):
            return ConfigurationProblem((*path, "type"), "it is missing", allowed=_aliases(path))
        case "union_tag_not_found":
            form = '{ type = "threadpool" }' if path[0] == "executors" else '{ type = "interval", minutes = 5 }'
            return ConfigurationProblem(path, f"a table is needed, such as {form}", value)
        case "union_tag_invalid":
            reason = f"there is no such {'executor' if path[0] == 'executors' else 'trigger'}"
            return unknown_name((*path, "type"), reason, str(context["tag"]), _aliases(path))
        case "literal_error":
            allowed = tuple(re.findall(r"'([^']*)'", str(context["expected"])))
            return unknown_name(path, "it is unknown", error["input"], allowed)
        case "greater_than" | "greater_than_equal" | "less_than_equal":
            bound, words = _BOUNDS[kind]
            return ConfigurationProblem(path, f"it must be {words} {context[bound]:.15g}", value)
        case "too_short" if isinstance(error["input"], str):
            return ConfigurationProblem(path, _REASONS["string_too_short"], value)
        case "value_error":
            return ConfigurationProblem(path, str(context["error"]), value)
        case _:
            return ConfigurationProblem(path, _REASONS.get(kind, error["msg"]), value)


def unknown_name(path: Path, reason: str, name: object, allowed: tuple[str, ...]) -> ConfigurationProblem:
    """Return the problem of a name that is not one of the allowed ones, with the most similar of these."""
    value = "" if path[-1] == name else _value_text(name)
    suggestion = closest(name, allowed) if isinstance(name, str) else ""
    return ConfigurationProblem(path, reason, value, allowed, suggestion)


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date):
        return value.isoformat()
    # First the whole text: a shortened one may lack the scheme by which a URL with a password is found.
    return without_secrets(value_text(without_secrets(value) if isinstance(value, str) else value, 60))


def _aliases(path: Path) -> tuple[str, ...]:
    if path[0] == "executors":
        return tuple(sorted({*BUILTIN_EXECUTOR_CONFIGS, *executor_aliases()}))
    return tuple(sorted({*BUILTIN_TRIGGER_CONFIGS, *trigger_aliases()}))


def _model_at(location: Path) -> type[BaseModel]:
    """Return the model that would have the last part of a location as its field."""
    model: type[BaseModel] = SchedulerConfig
    parts = iter(location[:-1])
    for part in parts:
        if part in _TAGGED:
            model = _TAGGED[str(part)]
            continue
        if isinstance(part, int):
            continue
        field = model.model_fields[part]
        if get_origin(field.annotation) is Mapping:
            next(parts, None)
        found = list(_models_in(field.annotation))
        if len(found) == 1:
            model = found[0]
    return model


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
