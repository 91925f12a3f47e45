"""Mistakes with triggers."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from asyncz import AsyncIOScheduler, DateTrigger, IntervalTrigger, TriggerAlias

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
IntervalTrigger(hours=1).next_fire_time(now)  # E
IntervalTrigger(hours=1).next_fire_time(None, None)  # E
IntervalTrigger(hours=1).next_fire_time(None, now).year  # E
DateTrigger().next_fire_time("now", now)  # E
DateTrigger().run_at.year  # E
scheduler.add_task(print, trigger="interval")  # E
scheduler.add_task(print, trigger=timedelta(minutes=5))  # E
scheduler.add_task(print, trigger=IntervalTrigger)  # E
scheduler.add_task(print, trigger=now)  # E
wrong_alias: TriggerAlias = "cron-like"  # E
