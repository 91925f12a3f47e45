"""A day of many tasks: each due time has one run."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import attrs
import pytest

from asyncz import (
    AsyncIOScheduler,
    CalendarIntervalTrigger,
    CronTrigger,
    DateTrigger,
    IntervalTrigger,
    OrTrigger,
    TaskExecuted,
    TaskSubmitted,
    Trigger,
)
from asyncz.testing import FakeClock
from tests.helpers.cron import ReckonedCron
from tests.helpers.effort import examples

pytestmark = pytest.mark.slow

# Every kind of trigger with every pair of zone and expression; `ASYNCZ_EXAMPLES=4` makes a thousand.
TASKS = examples(240)


# Clocks are set in some of the zones in this day, and not on a full minute is anything due at its ends.
START = datetime(2026, 3, 28, 12, 0, 30, tzinfo=UTC)
DAY = timedelta(hours=24)
END = START + DAY
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Africa/Cairo"]
EXPRESSIONS = ["0 * * * *", "*/45 * * * *", "30 2 * * *", "15,30 1-3 * * SAT,SUN", "5 */4 * * *", "0 0 29 * *"]


@attrs.frozen
class Expected:
    """When a task is to run.

    Attributes:
        trigger: Its trigger.
        times: The due times, reckoned with nothing of the library.
        jitter: By how much each may be put off.
    """

    trigger: Trigger
    times: tuple[datetime, ...]
    jitter: timedelta = timedelta(0)


def multiples(distance: timedelta) -> tuple[datetime, ...]:
    return tuple(START + number * distance for number in range(1, DAY // distance + 1))


@cache
def reckoned(expression: str, zone: str) -> tuple[datetime, ...]:
    begin = START.replace(second=0) + timedelta(minutes=1)
    return tuple(ReckonedCron(expression).due_between(begin, begin + DAY, ZoneInfo(zone)))


def local_times(at: time, zone: str) -> tuple[datetime, ...]:
    """When the clocks show a time of the day, or go over it."""
    begin = START.replace(second=0)
    instants = [begin + timedelta(minutes=number) for number in range(1 - 1440, 1441)]
    clocks = [instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for instant in instants]
    found: list[datetime] = []
    for day in {clock.date() for clock in clocks[1:]}:
        wanted = datetime.combine(day, at)
        reached = next((number for number, clock in enumerate(clocks) if clock >= wanted), 0)
        if START < instants[reached] <= END:
            found.append(instants[reached])
    return tuple(sorted(found))


def expected_of(number: int) -> Expected:
    kind, variant = number % 8, number // 8
    zone, expression = ZONES[variant % len(ZONES)], EXPRESSIONS[variant % len(EXPRESSIONS)]
    minutes = 11 + variant % 50
    interval = IntervalTrigger(minutes=minutes)
    every = multiples(timedelta(minutes=minutes))
    cron = CronTrigger(expression, timezone=zone)
    match kind:
        case 0:
            return Expected(interval, every)
        case 1:
            return Expected(cron, reckoned(expression, zone))
        case 2:
            at = time(variant % 24, variant % 60)
            trigger = CalendarIntervalTrigger(days=1, hour=at.hour, minute=at.minute, timezone=zone)
            return Expected(trigger, local_times(at, zone))
        case 3:
            return Expected(interval | cron, tuple(sorted({*every, *reckoned(expression, zone)})))
        case 4:
            # Counts from a full minute, so that they meet.
            begin = START.replace(second=0)
            counted = {begin + timedelta(minutes=5 * number) for number in range(1, 289)}
            trigger_of_both = IntervalTrigger(minutes=5, start_at=begin) & cron
            return Expected(trigger_of_both, tuple(sorted(counted & set(reckoned(expression, zone)))))
        case 5:
            hours = timedelta(hours=5 + variant % 5)
            trigger_put_off = IntervalTrigger(seconds=hours.total_seconds(), jitter=100)
            return Expected(trigger_put_off, multiples(hours), timedelta(seconds=100))
        case 6:
            times = tuple(due for due in reckoned("20 1-23/8 * * *", zone) if due + timedelta(minutes=5) <= END)
            trigger_with_jitter = OrTrigger([CronTrigger("20 1-23/8 * * *", timezone=zone, end_at=END)], jitter=300)
            return Expected(trigger_with_jitter, times, timedelta(seconds=300))
        case _:
            moment = START + timedelta(seconds=61 * variant)
            return Expected(DateTrigger(moment), (moment,))


EXECUTORS = ["asyncio", "threadpool", "debug"]


def work() -> int:
    return 1


async def work_async() -> int:
    await asyncio.sleep(0)
    return 1


async def run_the_day(expected: Mapping[str, Expected]) -> dict[str, list[datetime]]:
    ran: dict[str, list[datetime]] = defaultdict(list)
    submitted = 0

    def count(event: TaskSubmitted) -> None:
        nonlocal submitted
        submitted += 1

    def note(event: TaskExecuted[object]) -> None:
        assert event.details.scheduled_at is not None
        ran[event.task_id].append(event.details.scheduled_at)

    clock = FakeClock(START, hang_timeout=60)
    async with AsyncIOScheduler(clock=clock) as scheduler:
        scheduler.subscribe(TaskSubmitted, count)
        scheduler.subscribe(TaskExecuted, note)
        for number, (name, each) in enumerate(expected.items()):
            executor = "processpool" if number % 33 == 0 else EXECUTORS[number // 8 % len(EXECUTORS)]
            function = work_async if number % 3 == 0 else work
            scheduler.add_task(function, trigger=each.trigger, executor=executor, id=name)
        await clock.advance(hours=24, wait_for_runs=True)
        state = scheduler.state
        assert (state.errors, state.missed, state.cancelled, state.rejected) == (0, 0, 0, 0)
        assert state.executed == state.submitted == submitted
    return ran


@pytest.mark.timeout(300)
def test_tasks_run_once_per_due_time() -> None:
    """Run a day of tasks with triggers and executors of every kind."""
    expected = {f"task-{number}": expected_of(number) for number in range(TASKS)}
    ran = asyncio.run(run_the_day(expected))
    for name, each in expected.items():
        found = ran[name]
        if not each.jitter:
            assert found == list(each.times), (name, each.trigger)
            continue
        # The last one may be put off to the next day.
        assert len(each.times) - 1 <= len(found) <= len(each.times) + 1, (name, each.trigger)
        for due, planned in zip(found, each.times, strict=False):
            assert planned <= due <= planned + each.jitter, (name, each.trigger)
    assert sum(map(len, ran.values())) > 10 * TASKS
    assert {type(each.trigger).__name__ for each in expected.values()} >= {"AndTrigger", "OrTrigger", "CronTrigger"}
