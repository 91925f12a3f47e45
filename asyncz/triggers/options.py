"""Types of the options of the built-in triggers; a test compares them with the classes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, tzinfo
from typing import Required

# Pydantic accepts only this one before Python 3.12.
from typing_extensions import TypedDict

from asyncz.protocols import Trigger


class IntervalOptions(TypedDict, total=False):
    """Options of `IntervalTrigger`."""

    weeks: float
    """Weeks of the interval."""
    days: float
    """Days of the interval."""
    hours: float
    """Hours of the interval."""
    minutes: float
    """Minutes of the interval."""
    seconds: float
    """Seconds of the interval."""
    start_at: datetime | None
    """The first due time; None means one interval after the task is added."""
    end_at: datetime | None
    """The latest due time; None means no end."""
    timezone: str | tzinfo | None
    """The zone of a `start_at` or `end_at` without one: an IANA name, `local` or a tzinfo."""
    jitter: float
    """The maximum random delay of each due time, in seconds; less than the interval."""


class CalendarOptions(TypedDict, total=False):
    """Options of `CalendarIntervalTrigger`."""

    years: int
    """Years of the interval."""
    months: int
    """Months of the interval."""
    weeks: int
    """Weeks of the interval."""
    days: int
    """Days of the interval."""
    hour: int
    """Hour of the local time."""
    minute: int
    """Minute of the local time."""
    second: int
    """Second of the local time."""
    timezone: str | tzinfo
    """The zone of the local time: an IANA name, `local` for the zone of this machine, or a tzinfo."""
    start_date: date | None
    """The first day, from which the intervals are counted; None means the day on which the task is added."""
    end_date: date | None
    """The last possible day; None means no end."""
    jitter: float
    """The maximum random delay of each due time, in seconds. A delayed time stays before the next one."""


class CronOptions(TypedDict, total=False):
    """Options of `CronTrigger`."""

    expression: Required[str]
    """The expression."""
    timezone: str | tzinfo
    """The zone of the local times: an IANA name, `local` for the zone of this machine, or a tzinfo."""
    start_at: datetime | None
    """The earliest due time; a time without a zone is a local time of `timezone`."""
    end_at: datetime | None
    """The latest due time; a time without a zone is a local time of `timezone`."""
    jitter: float
    """The maximum random delay of each due time, in seconds. A delayed time stays before the next one."""


class DateOptions(TypedDict, total=False):
    """Options of `DateTrigger`."""

    run_at: datetime | None
    """The due time; None means immediately. A time without a zone requires `timezone`."""
    timezone: str | tzinfo | None
    """The zone of a `run_at` without one: an IANA name, `local` for the zone of this machine, or a tzinfo."""


class CombinationOptions(TypedDict, total=False):
    """Options of `AndTrigger` and `OrTrigger`."""

    triggers: Required[Iterable[Trigger]]
    """The triggers, at least one."""
    jitter: float
    """The maximum random delay of each due time, in seconds."""
