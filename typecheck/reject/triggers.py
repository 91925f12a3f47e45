"""Mistakes with triggers."""

from __future__ import annotations

from datetime import date, datetime, timedelta

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
    Trigger,
    TriggerAlias,
)

scheduler = AsyncIOScheduler()
now = datetime.now().astimezone()

DateTrigger("2030-01-01")  # E
DateTrigger(1.5)  # E
DateTrigger(date(2030, 1, 1))  # E
DateTrigger(now, "Europe/Berlin")  # E
DateTrigger(timezone=3)  # E
DateTrigger(seconds=3)  # E
IntervalTrigger(5)  # E
IntervalTrigger(minutes="5")  # E
IntervalTrigger(timedelta(minutes=5))  # E
IntervalTrigger(minute=5)  # E
IntervalTrigger(hours=1, start_at="2030-01-01")  # E
IntervalTrigger(hours=1, end_at=3)  # E
IntervalTrigger(hours=1, timezone=3)  # E
IntervalTrigger(hours=1, jitter="1 s")  # E
IntervalTrigger(hours=1).interval = timedelta(hours=2)  # E
DateTrigger().run_at = now  # E
IntervalTrigger(hours=1).next_due_time(now)  # E
IntervalTrigger(hours=1).next_due_time(None, None)  # E
IntervalTrigger(hours=1).next_due_time(None, now).year  # E
DateTrigger().next_due_time("now", now)  # E
DateTrigger().run_at.year  # E
scheduler.add_task(print, trigger="interval")  # E
scheduler.add_task(print, trigger=timedelta(minutes=5))  # E
scheduler.add_task(print, trigger=IntervalTrigger)  # E
scheduler.add_task(print, trigger=now)  # E
wrong_alias: TriggerAlias = "cron-like"  # E
CronTrigger()  # E
CronTrigger(5)  # E
CronTrigger(["*", "*", "*", "*", "*"])  # E
CronTrigger("@daily", "Europe/Berlin")  # E
CronTrigger("@daily", tz="Europe/Berlin")  # E
CronTrigger("@daily", timezone=3)  # E
CronTrigger("@daily", timezone=None)  # E
CronTrigger("@daily", start_at="2030-01-01")  # E
CronTrigger("@daily", end_at=date(2030, 1, 1))  # E
CronTrigger("@daily", jitter=timedelta(seconds=5))  # E
CronTrigger("@daily", minute=5)  # E
CronTrigger("@daily").expression = "@hourly"  # E
CronTrigger("@daily").start_at.year  # E
CronTrigger("@daily").timezone.key  # E
CalendarIntervalTrigger(1)  # E
CalendarIntervalTrigger(months=1.5)  # E
CalendarIntervalTrigger(months="1")  # E
CalendarIntervalTrigger(month=1)  # E
CalendarIntervalTrigger(days=1, hours=9)  # E
CalendarIntervalTrigger(days=1, hour="9")  # E
CalendarIntervalTrigger(days=1, start_date="2030-01-01")  # E
CalendarIntervalTrigger(days=1, timezone=1)  # E
CalendarIntervalTrigger(days=1).end_date = date(2030, 1, 1)  # E
IntervalTrigger(weeks="1")  # E
IntervalTrigger(days="1")  # E
IntervalTrigger(hours="1")  # E
IntervalTrigger(seconds="1")  # E
CalendarIntervalTrigger(years="1")  # E
CalendarIntervalTrigger(weeks="1")  # E
CalendarIntervalTrigger(days=1, minute="1")  # E
CalendarIntervalTrigger(days=1, second="1")  # E
CalendarIntervalTrigger(days=1, end_date="1")  # E
CalendarIntervalTrigger(days=1, jitter="1")  # E
CalendarIntervalTrigger(days="1")  # E
AndTrigger([DateTrigger()], jitter="1 s")  # E
OrTrigger(DateTrigger())  # E
OrTrigger([DateTrigger(), "interval"])  # E
DateTrigger().next_due_time(None, "now")  # E
DateTrigger().latest_due_time("before", now)  # E
DateTrigger().latest_due_time(now, "now")  # E
"interval" & DateTrigger()  # E
CronTrigger("@daily").started("now")  # E
CronTrigger("@daily").next_due_time("before", now)  # E
CronTrigger("@daily").latest_due_time("before", now)  # E
CronTrigger("@daily").latest_due_time(now, "now")  # E
AndTrigger()  # E
AndTrigger(DateTrigger())  # E
AndTrigger(DateTrigger(), DateTrigger())  # E
AndTrigger([DateTrigger(), "interval"])  # E
AndTrigger([DateTrigger], jitter=1)  # E
OrTrigger([DateTrigger()], jitter="1 s")  # E
OrTrigger([DateTrigger()]).triggers.append(DateTrigger())  # E
OrTrigger([DateTrigger()]).options["jitter"] = 5  # E
DateTrigger() | "interval"  # E
DateTrigger() & now  # E
3 | DateTrigger()  # E
DateTrigger() + DateTrigger()  # E
OrTrigger([DateTrigger()]).started()  # E
started: AndTrigger = OrTrigger([DateTrigger()]).started(now)  # E
with_a_start: SupportsStart = DateTrigger()  # E
base: CronTrigger = BaseTrigger()  # E
scheduler.add_task(print, trigger=CronTrigger)  # E
scheduler.add_task(print, trigger="@daily")  # E
scheduler.add_task(print, trigger=[DateTrigger()])  # E


class Texts(BaseTrigger):
    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> str:  # E
        return ""


class Misspelled(BaseTrigger):  # E[basedpyright,pyrefly]: their rule implicit-abstract-class
    def next_due_tme(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return None


Misspelled()  # E


class CatchesUpWithTexts:
    def latest_due_time(self, previous: datetime, now: datetime, /) -> str:
        return ""


catches_up: SupportsCatchUp = CatchesUpWithTexts()  # E


class StartsAsAText:
    def started(self, now: datetime, /) -> str:
        return ""


starts: SupportsStart = StartsAsAText()  # E


def parts(trigger: Trigger) -> None:
    trigger & trigger  # E
    trigger.options  # E
