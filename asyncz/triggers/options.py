"""Types of the options of the built-in triggers; a test compares them with the classes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, tzinfo
from typing import Required

# Pydantic accepts only this one before Python 3.12.
from typing_extensions import TypedDict

from asyncz.protocols import Trigger


class IntervalOptions(TypedDict, total=False):
    """Options of `IntervalTrigger`, which describes each."""

    weeks: float
    days: float
    hours: float
    minutes: float
    seconds: float
    start_at: datetime | None
    end_at: datetime | None
    timezone: str | tzinfo | None
    jitter: float


class CalendarOptions(TypedDict, total=False):
    """Options of `CalendarIntervalTrigger`, which describes each."""

    years: int
    months: int
    weeks: int
    days: int
    hour: int
    minute: int
    second: int
    timezone: str | tzinfo
    start_date: date | None
    end_date: date | None
    jitter: float


class CronOptions(TypedDict, total=False):
    """Options of `CronTrigger`, which describes each."""

    expression: Required[str]
    timezone: str | tzinfo
    start_at: datetime | None
    end_at: datetime | None
    jitter: float


class DateOptions(TypedDict, total=False):
    """Options of `DateTrigger`, which describes each."""

    run_at: datetime | None
    timezone: str | tzinfo | None


class CombinationOptions(TypedDict, total=False):
    """Options of `AndTrigger` and `OrTrigger`, which describe each."""

    triggers: Required[Iterable[Trigger]]
    jitter: float
