"""Reads a configuration, and says of all that is wrong where it stands and what may stand there."""

from __future__ import annotations

import os
import re
import reprlib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TypeAlias, get_args, get_origin

import attrs
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import TypeIs, TypeVar

from asyncz._references import closest
from asyncz.config._lines import lines_of
from asyncz.config.models import (
    BUILTIN_EXECUTOR_CONFIGS,
    BUILTIN_TRIGGER_CONFIGS,
    MOMENT_NEEDED,
    ConfigSource,
    CustomExecutorConfig,
    CustomTriggerConfig,
    SchedulerConfig,
)
from asyncz.exceptions import AsynczError, ConfigurationError, ConfigurationProblem, InvalidInputError
from asyncz.plugins import executor_aliases, trigger_aliases

ResultT = TypeVar("ResultT")

_Path: TypeAlias = tuple[str | int, ...]

# The models of tagged unions: pydantic tells with their names where something is wrong.
_MODELS: tuple[type[BaseModel], ...] = (
    *BUILTIN_EXECUTOR_CONFIGS.values(),
    *BUILTIN_TRIGGER_CONFIGS.values(),
    CustomExecutorConfig,
    CustomTriggerConfig,
)
_TAGGED = {model.__name__: model for model in _MODELS}

_NEEDED = {
    **dict.fromkeys(("datetime_from_date_parsing", "datetime_parsing", "datetime_type"), MOMENT_NEEDED),
    **dict.fromkeys(("date_from_datetime_inexact", "date_from_datetime_parsing", "date_parsing"), "a date is needed"),
    "bool_type": "true or false is needed",
    "dict_type": "a table is needed",
    "finite_number": "a finite number is needed",
    "float_type": "a number is needed",
    "int_type": "a whole number is needed",
    "mapping_type": "a table is needed",
    "model_attributes_type": "a table is needed",
    "model_type": "a table is needed",
    "string_pattern_mismatch": 'the form "package.module:name" is needed',
    "string_too_short": "a text that is not empty is needed",
    "string_type": "a text is needed",
    "too_short": "a list that is not empty is needed",
    "tuple_type": "a list is needed",
}


class ConfigReader:
    """A configuration that is being read: what it says, and all that is wrong with it.

    Args:
        source: Where it is.

    Raises:
        ConfigurationError: The file cannot be read, or is no TOML.
    """

    def __init__(self, source: ConfigSource) -> None:
        self._file = ""
        self._lines: dict[_Path, int] = {}
        self._problems: list[ConfigurationProblem] = []
        self._unusable: set[_Path] = set()
        self.config: SchedulerConfig = self._read(source)

    def _read(self, source: ConfigSource) -> SchedulerConfig:
        if isinstance(source, SchedulerConfig):
            return source
        data = source if isinstance(source, Mapping) else self._load(source)
        try:
            return SchedulerConfig.model_validate(data)
        except ValidationError as error:
            for details in error.errors():
                self._add(self._problem_of(details))
            return self._rest(data)

    def _load(self, path: str | os.PathLike[str]) -> Mapping[str, object]:
        if not isinstance(path, str) and not hasattr(path, "__fspath__"):
            raise InvalidInputError("source", repr(path), "a path, a dict or a SchedulerConfig is needed")
        self._file = str(path)
        try:
            text = Path(path).read_text(encoding="utf-8")
            data: dict[str, object] = tomllib.loads(text)
        except (OSError, UnicodeDecodeError) as error:
            raise self._failed(f"it cannot be read: {error}") from error
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"\(at line (\d+)", str(error))
            raise self._failed(f"it is no TOML: {error}", int(found.group(1)) if found else None) from error
        self._lines = lines_of(text)
        return data

    def _failed(self, reason: str, line: int | None = None) -> ConfigurationError:
        return ConfigurationError((ConfigurationProblem((), reason, file=self._file, line=line),))

    def _rest(self, data: Mapping[str, object]) -> SchedulerConfig:
        """What is right by itself, so that what else is wrong there is told at the same time."""
        wrong: set[_Path] = set()
        for problem in self._problems:
            path = problem.path
            self._unusable.add(path[:2])
            # Without its kind, or its function, nothing can be said of the rest of it.
            whole = path[0] == "defaults" or path[2:3] in {("call",), ("type",)}
            wrong.add(path[: 2 if whole else 3])
        try:
            return SchedulerConfig.model_validate(_without(data, wrong))
        except ValidationError:
            return SchedulerConfig()

    @property
    def executors(self) -> set[str]:
        """The aliases of its executors, of those that cannot be used as well."""
        unusable = {str(path[1]) for path in self._unusable if path[0] == "executors" and len(path) > 1}
        return {*self.config.executors, *unusable}

    def is_usable(self, *path: str | int) -> bool:
        """Whether nothing is wrong there, so that nothing follows from that."""
        return path not in self._unusable

    def tried(self, path: _Path, make: Callable[[], ResultT]) -> ResultT | None:
        """What a part of the configuration stands for; where that fails, it is noted, and None."""
        try:
            return make()
        except ConfigurationError as error:
            for problem in error.problems:
                self._add(attrs.evolve(problem, path=(*path, *problem.path)))
        except AsynczError as error:
            self._add(ConfigurationProblem(path, str(error)))
        except Exception as error:
            self._add(ConfigurationProblem(path, f"{type(error).__name__}: {error}"))
        self._unusable.add(path[:2])
        return None

    def reject(self, path: _Path, reason: str, name: str, allowed: Iterable[str]) -> None:
        """Note that there is a name which is none of those that are allowed."""
        self._add(_unknown(path, reason, name, tuple(sorted(allowed))))
        self._unusable.add(path[:2])

    def _add(self, problem: ConfigurationProblem) -> None:
        self._problems.append(attrs.evolve(problem, file=self._file, line=self._line_of(problem.path)))

    def _line_of(self, path: _Path) -> int | None:
        """The line of what is there, or of the table where it is missing."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path)

    def raise_problems(self) -> None:
        """Reject the configuration where anything is wrong.

        Raises:
            ConfigurationError: With all that is wrong, in the order of the file.
        """
        if self._problems:
            raise ConfigurationError(tuple(sorted(self._problems, key=lambda problem: problem.line or 0)))

    def _problem_of(self, error: ErrorDetails) -> ConfigurationProblem:
        location = error["loc"]
        path = tuple(part for part in location if part not in _TAGGED and part != "[key]")
        kind, value, context = error["type"], _shown(error["input"]), error.get("ctx", {})
        match kind:
            case "extra_forbidden":
                return _unknown(path, "there is no such key", str(path[-1]), tuple(_model_at(location).model_fields))
            case "missing":
                return ConfigurationProblem(path, "it is missing")
            case "union_tag_not_found":
                return ConfigurationProblem((*path, "type"), "it is missing", allowed=_aliases(path))
            case "union_tag_invalid":
                reason = f"there is no such {'executor' if path[0] == 'executors' else 'trigger'}"
                return _unknown((*path, "type"), reason, str(context["tag"]), _aliases(path))
            case "literal_error":
                allowed = tuple(re.findall(r"'([^']*)'", str(context["expected"])))
                return _unknown(path, "that is not known", str(error["input"]), allowed)
            case "greater_than":
                return ConfigurationProblem(path, f"it must be more than {context['gt']:g}", value)
            case "greater_than_equal":
                return ConfigurationProblem(path, f"it must be at least {context['ge']:g}", value)
            case "less_than_equal":
                return ConfigurationProblem(path, f"it must be at most {context['le']:g}", value)
            case "value_error":
                return ConfigurationProblem(path, str(context["error"]), value)
            case _:
                return ConfigurationProblem(path, _NEEDED.get(kind, error["msg"]), value)


def _unknown(path: _Path, reason: str, name: str, allowed: tuple[str, ...]) -> ConfigurationProblem:
    value = "" if path[-1] == name else repr(name)
    return ConfigurationProblem(path, reason, value, allowed, closest(name, allowed))


def _without(value: object, wrong: set[_Path], path: _Path = ()) -> object:
    if not _is_table(value):
        return value
    return {key: _without(each, wrong, (*path, key)) for key, each in value.items() if (*path, key) not in wrong}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else reprlib.repr(value)


def _aliases(path: _Path) -> tuple[str, ...]:
    if path[0] == "executors":
        return tuple(sorted({*BUILTIN_EXECUTOR_CONFIGS, *executor_aliases()}))
    return tuple(sorted({*BUILTIN_TRIGGER_CONFIGS, *trigger_aliases()}))


def _model_at(location: _Path) -> type[BaseModel]:
    """The model whose key the last part is."""
    model: type[BaseModel] = SchedulerConfig
    parts = iter(location[:-1])
    for part in parts:
        if part in _TAGGED:
            model = _TAGGED[part]
            continue
        if isinstance(part, int):
            continue
        field = model.model_fields[part]
        if _is_mapping(field.annotation):
            next(parts, None)
        found = list(_models_in(field.annotation))
        if len(found) == 1:
            model = found[0]
    return model


def _is_mapping(annotation: object) -> bool:
    return get_origin(annotation) is Mapping


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _is_table(value: object) -> TypeIs[Mapping[str, object]]:
    return isinstance(value, Mapping)
