"""Times, time zones and due times of triggers."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from asyncz import IntervalTrigger, Trigger
from asyncz.triggers.base import start_trigger

START = datetime(2030, 1, 1, tzinfo=UTC)
EVERY_SECOND = IntervalTrigger(seconds=1)
BERLIN = ZoneInfo("Europe/Berlin")


ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/Santiago",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Pacific/Auckland",
    "Pacific/Apia",
]
"""Both hemispheres, a change of half an hour, changes at midnight and around Ramadan, none, and a day left out."""


def due_times(trigger: Trigger, now: datetime, count: int) -> list[datetime]:
    """The first due times of a trigger for a task that is added now."""
    started = start_trigger(trigger, now)
    times: list[datetime] = []
    due = started.next_due_time(None, now)
    while due is not None and len(times) < count:
        times.append(due)
        due = started.next_due_time(due, due)
    return times


def due_until(trigger: Trigger, now: datetime, until: datetime) -> list[datetime]:
    """The due times of a trigger from now on, up to and with a time."""
    times: list[datetime] = []
    started = start_trigger(trigger, now)
    due = started.next_due_time(None, now)
    while due is not None and due <= until:
        times.append(due)
        due = started.next_due_time(due, due)
    return times


def in_utc(local: str, zone: tzinfo, fold: int = 0) -> datetime:
    """A time that the clocks of a zone show, in UTC."""
    return datetime.fromisoformat(local).replace(tzinfo=zone, fold=fold).astimezone(UTC)
