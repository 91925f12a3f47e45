"""Base classes and field types of the configuration models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, TypeAlias, get_args

from pydantic import BaseModel, BeforeValidator, Field, GetJsonSchemaHandler, NonNegativeFloat, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import TypeIs, TypeVar

from asyncz.exceptions import AsynczError, ConfigurationError, ConfigurationProblem, InvalidInputError

ResultT = TypeVar("ResultT")

REFERENCE_PATTERN = r"^[^\s:]+:[^\s:]+$"
DATETIME_EXPECTED = "a date and time is needed, such as 2030-01-31T08:00:00"


def _reject_numbers(value: object) -> object:
    # Pydantic would interpret a number as seconds since 1970.
    if not isinstance(value, str | date):
        raise ValueError(DATETIME_EXPECTED)  # noqa: TRY004  # pydantic reports ValueError only
    return value


class PluginAlias:
    """Annotation that adds the aliases of other packages, and the form of a reference, to the JSON schema."""

    def __init__(self, aliases: Callable[[], tuple[str, ...]], builtin: Callable[[], Mapping[str, object]]) -> None:
        self._aliases = aliases
        self._builtin = builtin

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler, /) -> JsonSchemaValue:
        others = sorted({*self._aliases()} - {*self._builtin()})
        return {**handler(schema), "anyOf": [{"enum": others}, {"pattern": REFERENCE_PATTERN}]}


Reference: TypeAlias = Annotated[str, StringConstraints(pattern=REFERENCE_PATTERN)]
"""An object to import, as `package.module:name`."""

Moment: TypeAlias = Annotated[datetime, BeforeValidator(_reject_numbers), Field(strict=False)]
"""A date and time of TOML, or the same as ISO 8601 text."""

Day: TypeAlias = Annotated[date, BeforeValidator(_reject_numbers), Field(strict=False)]
"""A date of TOML, or the same as ISO 8601 text."""

Values: TypeAlias = Annotated[tuple[object, ...], Field(strict=False)]
"""Any values."""

Amount: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A finite amount, such as a number of seconds."""

Limit: TypeAlias = NonNegativeFloat
"""A number of seconds; `inf` means no limit."""


class Config(BaseModel, frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True):
    """Base class of all parts of a configuration: frozen, with no unknown keys."""


class KwargsConfig(Config, frozen=True):
    """Base class of tables that hold keyword arguments."""

    def create(self) -> dict[str, object]:
        """Return the keyword arguments that are given."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class ChoiceConfig(Config, frozen=True):
    """Base class of tables with a `type`, which names the class to create."""

    type: str

    def options(self) -> dict[str, object]:
        """Return the options that are given beside the type; missing ones keep the default of the class."""
        given: dict[str, object] = {}
        for name in self.model_fields_set - {"type"}:
            value: object = getattr(self, name)
            given[name] = value.create() if isinstance(value, KwargsConfig) else value
        return given


def models_by_alias(*models: type[ChoiceConfig]) -> dict[str, type[ChoiceConfig]]:
    """Return models by the aliases that their `type` allows."""
    return {alias: model for model in models for alias in get_args(model.model_fields["type"].annotation)}


def tag_of(
    value: object, builtin: Mapping[str, type[ChoiceConfig]], custom: type[ChoiceConfig], known: tuple[str, ...]
) -> str | None:
    """Return the class name of the model that a table is for; an unknown alias is returned as it is."""
    alias: object = value.get("type") if _is_table(value) else getattr(value, "type", None)
    if not isinstance(alias, str):
        return None if alias is None else type(alias).__name__
    if alias in builtin:
        return builtin[alias].__name__
    return custom.__name__ if alias in known or ":" in alias else alias


def problem(path: tuple[str | int, ...], reason: str, value: str = "") -> ConfigurationError:
    """Return the error for one problem."""
    return ConfigurationError((ConfigurationProblem(path, reason, value),))


def create_with(create: Callable[..., ResultT], options: dict[str, object], required: Mapping[str, object]) -> ResultT:  # type: ignore[explicit-any]  # the options are those of many classes
    """Create an object from options, and report all options that its class rejects, not only the first.

    A class raises for the first invalid option. So each rejected option is left out, or replaced by a valid value
    if it is required, and the call is repeated: its errors are those of the other options.

    Args:
        create: The function to call.
        options: The keyword arguments.
        required: Valid values of required options.

    Raises:
        ConfigurationError: At least one option was rejected.
    """
    problems: list[ConfigurationProblem] = []
    remaining = dict(options)
    while True:
        try:
            created = create(**remaining)
        except InvalidInputError as error:
            if error.name not in remaining or remaining[error.name] is required.get(error.name):
                # Without a problem of its own, an object that lacks the rejected options may still be invalid as a
                # whole, such as an interval of zero length: that only follows from the other problems.
                if not problems:
                    raise
                break
            problems.append(ConfigurationProblem((error.name,), error.allowed, error.value))
            del remaining[error.name]
            if error.name in required:
                remaining[error.name] = required[error.name]
        except AsynczError:
            if not problems:
                raise
            break
        else:
            if not problems:
                return created
            break
    raise ConfigurationError(tuple(problems))


def _is_table(value: object) -> TypeIs[Mapping[object, object]]:
    return isinstance(value, Mapping)
