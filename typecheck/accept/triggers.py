"""Triggers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import assert_type
from zoneinfo import ZoneInfo

from typing_extensions import override

from asyncz import (
    AndTrigger,
    AsyncIOScheduler,
    BaseTrigger,
    CalendarIntervalTrigger,
    CronTrigger,
    DateTrigger,
    IntervalTrigger,
    OrTrigger,
    SupportsCatchUp,
    SupportsStart,
    Task,
    Trigger,
    TriggerAlias,
    create_trigger,
)
from asyncz.triggers import BaseTrigger as BaseTriggerOfTheSubpackage, DateTrigger as DateTriggerOfTheSubpackage
from typecheck.accept.functions import fetch

same_class: DateTrigger = DateTriggerOfTheSubpackage()
alias: TriggerAlias = "interval"
other_aliases: list[TriggerAlias] = ["and", "calendar", "cron", "date", "or"]


def of_the_same_class(trigger: BaseTriggerOfTheSubpackage) -> BaseTrigger:
    return trigger


class FullHours(BaseTrigger):
    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime:
        return (previous or now).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


class WithoutABase:
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return None

    def started(self, now: datetime, /) -> FullHours:
        return FullHours()


def made(when: datetime, day: date) -> None:
    assert_type(DateTrigger(), DateTrigger)
    assert_type(DateTrigger(when, timezone="Europe/Berlin"), DateTrigger)
    assert_type(DateTrigger(run_at=when, timezone=UTC), DateTrigger)
    assert_type(DateTrigger(None, timezone=ZoneInfo("UTC")).run_at, datetime | None)
    assert_type(IntervalTrigger(minutes=5), IntervalTrigger)
    assert_type(IntervalTrigger(weeks=1, days=1, hours=1, minutes=0.5, seconds=1.5), IntervalTrigger)
    assert_type(IntervalTrigger(seconds=1, start_at=when, end_at=when, timezone=UTC, jitter=0.5), IntervalTrigger)
    assert_type(IntervalTrigger(seconds=1).interval, timedelta)
    assert_type(CronTrigger("*/5 * * * *"), CronTrigger)
    assert_type(CronTrigger("@daily", timezone="Europe/Berlin", start_at=when, end_at=when, jitter=1.5), CronTrigger)
    assert_type(CronTrigger(expression="@daily", timezone=ZoneInfo("UTC"), start_at=None, end_at=None), CronTrigger)
    assert_type(CalendarIntervalTrigger(months=1), CalendarIntervalTrigger)
    assert_type(
        CalendarIntervalTrigger(years=1, weeks=1, days=1, start_date=day, end_date=day), CalendarIntervalTrigger
    )
    assert_type(
        CalendarIntervalTrigger(days=1, hour=1, minute=2, second=3, timezone=UTC, jitter=1), CalendarIntervalTrigger
    )
    assert_type(AndTrigger([DateTrigger(), WithoutABase()], jitter=1), AndTrigger)
    assert_type(OrTrigger({DateTrigger()}), OrTrigger)


def read(cron: CronTrigger, calendar: CalendarIntervalTrigger, interval: IntervalTrigger, either: OrTrigger) -> None:
    assert_type(cron.expression, str)
    assert_type(cron.timezone, tzinfo)
    assert_type(cron.start_at, datetime | None)
    assert_type(cron.end_at, datetime | None)
    assert_type(cron.jitter, float)
    assert_type(calendar.timezone, tzinfo)
    assert_type(calendar.start_date, date | None)
    assert_type(calendar.end_date, date | None)
    assert_type(interval.start_at, datetime | None)
    assert_type(interval.end_at, datetime | None)
    assert_type(either.triggers, tuple[Trigger, ...])
    assert_type(either.options, Mapping[str, object])
    hashable: set[Trigger] = {cron, calendar, interval, either}
    assert_type(cron in hashable, bool)


def combined(cron: CronTrigger, interval: IntervalTrigger) -> None:
    assert_type(cron & interval, AndTrigger)
    assert_type(cron | interval | DateTrigger(), OrTrigger)
    assert_type((cron | interval) & FullHours(), AndTrigger)
    assert_type(cron & WithoutABase(), AndTrigger)
    assert_type(WithoutABase() | cron, OrTrigger)
    assert_type(WithoutABase() & cron, AndTrigger)


def used(trigger: IntervalTrigger, now: datetime) -> list[Trigger]:
    assert_type(trigger.next_due_time(None, now), datetime | None)
    assert_type(DateTrigger().next_due_time(now, now), datetime | None)
    assert_type(trigger.started(now), IntervalTrigger)
    assert_type((trigger | trigger).started(now), OrTrigger)
    scheduler = AsyncIOScheduler()
    assert_type(scheduler.add_task(fetch, "url", trigger=trigger), Task[bytes])
    assert_type(scheduler.add_task(fetch, "url", trigger=CronTrigger("@daily") | trigger), Task[bytes])
    return [trigger, DateTrigger(now), CronTrigger("@daily"), trigger & trigger, FullHours(), WithoutABase()]


def with_a_start(now: datetime) -> list[SupportsStart]:
    found: list[SupportsStart] = [IntervalTrigger(hours=1), CronTrigger("@daily"), WithoutABase()]
    assert_type(found[0].started(now), Trigger)
    return found


def catching_up(now: datetime) -> list[SupportsCatchUp]:
    found: list[SupportsCatchUp] = [DateTrigger(), IntervalTrigger(hours=1), CronTrigger("@daily") | DateTrigger()]
    assert_type(found[0].latest_due_time(now, now), datetime | None)
    return found


def by_alias() -> None:
    made: Trigger = create_trigger(alias)
    print(made)
    assert_type(create_trigger("cron", expression="@daily"), CronTrigger)
