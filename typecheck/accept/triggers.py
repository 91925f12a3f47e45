"""Triggers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import assert_type
from zoneinfo import ZoneInfo

from asyncz import AsyncIOScheduler, DateTrigger, IntervalTrigger, Task, Trigger, TriggerAlias, create_trigger
from asyncz.triggers import DateTrigger as DateTriggerOfTheSubpackage
from typecheck.accept.functions import fetch

same_class: DateTrigger = DateTriggerOfTheSubpackage()
alias: TriggerAlias = "interval"
other_alias: TriggerAlias = "date"


def made(when: datetime) -> None:
    assert_type(DateTrigger(), DateTrigger)
    assert_type(DateTrigger(when, timezone="Europe/Berlin"), DateTrigger)
    assert_type(DateTrigger(run_at=when, timezone=UTC), DateTrigger)
    assert_type(DateTrigger(None, timezone=ZoneInfo("UTC")).run_at, datetime | None)
    assert_type(IntervalTrigger(minutes=5), IntervalTrigger)
    assert_type(IntervalTrigger(weeks=1, days=1, hours=1, minutes=0.5, seconds=1.5), IntervalTrigger)
    assert_type(IntervalTrigger(seconds=1, start_at=when, end_at=when, timezone=UTC, jitter=0.5), IntervalTrigger)
    assert_type(IntervalTrigger(seconds=1).interval, timedelta)


def used(trigger: IntervalTrigger, now: datetime) -> list[Trigger]:
    assert_type(trigger.next_fire_time(None, now), datetime | None)
    assert_type(DateTrigger().next_fire_time(now, now), datetime | None)
    scheduler = AsyncIOScheduler()
    assert_type(scheduler.add_task(fetch, "url", trigger=trigger), Task[bytes])
    return [trigger, DateTrigger(now)]


def by_alias() -> None:
    assert_type(create_trigger(alias, minutes=5), Trigger)
