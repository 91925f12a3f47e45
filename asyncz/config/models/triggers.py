"""Configuration of triggers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal, TypeAlias

import attrs
from pydantic import Discriminator, Field, NonNegativeInt, Tag
from typing_extensions import override

from asyncz.config.models.base import (
    Amount,
    ChoiceConfig,
    Day,
    Moment,
    PluginAlias,
    create_with,
    models_by_alias,
    tag_of,
)
from asyncz.exceptions import AsynczError, ConfigurationError, ConfigurationProblem
from asyncz.plugins import load_trigger, trigger_aliases
from asyncz.protocols import Trigger

REQUIRED_OPTIONS: Mapping[str, object] = {"expression": "* * * * *", "timezone": "UTC"}
"""Valid values of options that others need, used to check those if the options themselves are invalid."""


class BaseTriggerConfig(ChoiceConfig, frozen=True):
    """Base class of the models of triggers."""

    def create(self) -> Trigger | None:
        """Create the trigger; None means that the task is never due. Thread-safe.

        Raises:
            ConfigurationError: Options are rejected; it has a problem for each of them.
            PluginError: Its class cannot be loaded, or is not a trigger.
            InvalidInputError: The options together are rejected.
        """
        return create_with(partial(load_trigger, self.type), self.options(), REQUIRED_OPTIONS)


class OnDemandConfig(BaseTriggerConfig, frozen=True):
    """Never due: the task runs when the program calls `task.run()`."""

    type: Literal["on_demand"]

    @override
    def create(self) -> Trigger | None:
        return None


class DateTriggerConfig(BaseTriggerConfig, frozen=True):
    """Due once."""

    type: Literal["date"]
    run_at: Moment | None = None
    """The due time; by default immediately. A time without a zone needs `timezone`."""
    timezone: str | None = None
    """The zone of a `run_at` without one, such as "Europe/Berlin"."""


class IntervalTriggerConfig(BaseTriggerConfig, frozen=True):
    """Due at a fixed interval."""

    type: Literal["interval"]
    weeks: Amount = 0
    """Part of the interval, which is the sum of all five units."""
    days: Amount = 0
    """Part of the interval, which is the sum of all five units."""
    hours: Amount = 0
    """Part of the interval, which is the sum of all five units."""
    minutes: Amount = 0
    """Part of the interval, which is the sum of all five units."""
    seconds: Amount = 0
    """Part of the interval, which is the sum of all five units."""
    start_at: Moment | None = None
    """The first due time; by default one interval after the start."""
    end_at: Moment | None = None
    """The latest possible due time."""
    timezone: str | None = None
    """The zone of times without one, such as "Europe/Berlin"."""
    jitter: Amount = 0
    """Maximum number of seconds by which each due time is delayed at random."""


class CronTriggerConfig(BaseTriggerConfig, frozen=True):
    """Due at the local times that a cron expression matches."""

    type: Literal["cron"]
    expression: Annotated[str, Field(min_length=1)]
    """Five fields, six with seconds, or an alias such as "@daily"."""
    timezone: str = "UTC"
    """The time zone: a name such as "Europe/Berlin", or "local" for the zone of this machine."""
    start_at: Moment | None = None
    """The earliest possible due time."""
    end_at: Moment | None = None
    """The latest possible due time."""
    jitter: Amount = 0
    """Maximum number of seconds by which each due time is delayed at random."""


class CalendarIntervalTriggerConfig(BaseTriggerConfig, frozen=True):
    """Due every few years, months, weeks and days, at the same time of the day."""

    type: Literal["calendar"]
    years: NonNegativeInt = 0
    """Part of the interval, which is the sum of all four units."""
    months: NonNegativeInt = 0
    """Part of the interval, which is the sum of all four units."""
    weeks: NonNegativeInt = 0
    """Part of the interval, which is the sum of all four units."""
    days: NonNegativeInt = 0
    """Part of the interval, which is the sum of all four units."""
    hour: Annotated[int, Field(ge=0, le=23)] = 0
    """The hour of the due times."""
    minute: Annotated[int, Field(ge=0, le=59)] = 0
    """The minute of the due times."""
    second: Annotated[int, Field(ge=0, le=59)] = 0
    """The second of the due times."""
    timezone: str = "UTC"
    """The time zone: a name such as "Europe/Berlin", or "local" for the zone of this machine."""
    start_date: Day | None = None
    """The day from which the interval counts; by default the day on which the task is added."""
    end_date: Day | None = None
    """The latest possible day."""
    jitter: Amount = 0
    """Maximum number of seconds by which each due time is delayed at random."""


class CombinationConfig(BaseTriggerConfig, frozen=True):
    """Base class of the models of triggers that combine others."""

    triggers: Annotated[tuple[TriggerConfig, ...], Field(strict=False, min_length=1)]
    """The combined triggers."""
    jitter: Amount = 0
    """Maximum number of seconds by which each due time is delayed at random."""

    @override
    def options(self) -> dict[str, object]:
        created: list[Trigger | None] = []
        problems: list[ConfigurationProblem] = []
        for number, trigger in enumerate(self.triggers):
            path = ("triggers", number)
            try:
                created.append(trigger.create())
            except ConfigurationError as error:
                problems += [attrs.evolve(each, path=(*path, *each.path)) for each in error.problems]
            except AsynczError as error:
                problems.append(ConfigurationProblem(path, str(error)))
        if problems:
            raise ConfigurationError(tuple(problems))
        return {**super().options(), "triggers": tuple(created)}


class AndTriggerConfig(CombinationConfig, frozen=True):
    """Due at the times at which all of its triggers are due."""

    type: Literal["and"]


class OrTriggerConfig(CombinationConfig, frozen=True):
    """Due when any of its triggers is due."""

    type: Literal["or"]


class CustomTriggerConfig(BaseTriggerConfig, frozen=True, extra="allow"):
    """Trigger of your own or of another package; all other keys are its options."""

    type: Annotated[str, PluginAlias(trigger_aliases, lambda: BUILTIN_TRIGGER_CONFIGS)]
    """The alias of a plugin, or a class as "package.module:Class"."""

    @override
    def options(self) -> dict[str, object]:
        return self.model_extra or {}


BUILTIN_TRIGGER_CONFIGS: Mapping[str, type[ChoiceConfig]] = models_by_alias(
    OnDemandConfig,
    DateTriggerConfig,
    IntervalTriggerConfig,
    CronTriggerConfig,
    CalendarIntervalTriggerConfig,
    AndTriggerConfig,
    OrTriggerConfig,
)


def _trigger_tag(value: object) -> str | None:
    return tag_of(value, BUILTIN_TRIGGER_CONFIGS, CustomTriggerConfig, trigger_aliases())


# Each tag is the name of the model, as in `ExecutorConfig`.
TriggerConfig: TypeAlias = Annotated[
    Annotated[OnDemandConfig, Tag("OnDemandConfig")]
    | Annotated[DateTriggerConfig, Tag("DateTriggerConfig")]
    | Annotated[IntervalTriggerConfig, Tag("IntervalTriggerConfig")]
    | Annotated[CronTriggerConfig, Tag("CronTriggerConfig")]
    | Annotated[CalendarIntervalTriggerConfig, Tag("CalendarIntervalTriggerConfig")]
    | Annotated[AndTriggerConfig, Tag("AndTriggerConfig")]
    | Annotated[OrTriggerConfig, Tag("OrTriggerConfig")]
    | Annotated[CustomTriggerConfig, Tag("CustomTriggerConfig")],
    Discriminator(_trigger_tag),
]
"""Any trigger; its `type` selects the model."""

for _combination in (CombinationConfig, AndTriggerConfig, OrTriggerConfig):
    _combination.model_rebuild()
