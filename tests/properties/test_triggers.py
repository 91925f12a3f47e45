"""Due times compared with independent calculations."""

from __future__ import annotations

import calendar
import random
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings, strategies as st

from asyncz import (
    AndTrigger,
    CalendarIntervalTrigger,
    CronTrigger,
    DateTrigger,
    IntervalTrigger,
    NeverDueError,
    OrTrigger,
    Trigger,
)
from tests.helpers.effort import examples
from tests.helpers.times import START, ZONES, due_times, due_until


@given(
    interval=st.timedeltas(timedelta(microseconds=1), timedelta(days=4000)),
    start=st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
    length=st.none() | st.timedeltas(timedelta(0), timedelta(days=9000)),
    after=st.timedeltas(timedelta(0), timedelta(days=9000)),
)
def test_interval_due_at_multiples(
    interval: timedelta, start: datetime | None, length: timedelta | None, after: timedelta
) -> None:
    end = None if length is None else (start or START) + length
    seconds = interval.seconds + interval.microseconds / 1e6
    trigger = IntervalTrigger(days=interval.days, seconds=seconds, start_at=start, end_at=end)
    first = START + interval if start is None else max(start, START + (start - START) % interval)
    expected = [first + number * interval for number in range(5)]
    assert due_times(trigger, START, 5) == [due for due in expected if end is None or due <= end]
    started = trigger.started(START)
    due = started.next_due_time(START + after, START + after)
    multiple = first + max(0, (START + after - first) // interval + 1) * interval
    assert due == (multiple if end is None or multiple <= end else None)


@pytest.mark.slow
@settings(deadline=None, max_examples=examples(30))
@given(
    expression=st.sampled_from(["*/7 * * * *", "30 2 * * *", "*/20 5 * * * *", "0 0 1 * *"]),
    zone=st.sampled_from(ZONES),
    start=st.none() | st.timedeltas(timedelta(days=-2), timedelta(days=2)),
    length=st.none() | st.timedeltas(timedelta(0), timedelta(days=2)),
)
def test_cron_start_and_end_bound_due_times(
    expression: str, zone: str, start: timedelta | None, length: timedelta | None
) -> None:
    begin = None if start is None else START + start
    end = None if length is None else (begin or START) + length
    trigger = CronTrigger(expression, timezone=zone, start_at=begin, end_at=end)
    until = START + timedelta(days=4)
    every = due_until(CronTrigger(expression, timezone=zone), START, until)
    inside = [due for due in every if (begin is None or due >= begin) and (end is None or due <= end)]
    assert due_until(trigger, START, until) == inside


def reckoned_day_by_day(months: int, days: int, start: date, at: time, zone: tzinfo, until: date) -> list[datetime]:
    """When a calendar interval of months or of days is due: looks at every day, and at every minute of its clocks."""
    found: list[datetime] = []
    for day in (start + timedelta(days=number) for number in range((until - start).days + 1)):
        if months:
            passed = (day.year - start.year) * 12 + day.month - start.month
            last = calendar.monthrange(day.year, day.month)[1]
            is_due = passed % months == 0 and day.day == min(start.day, last)
        else:
            is_due = (day - start).days % days == 0
        if is_due:
            wanted = datetime.combine(day, at)
            instant = datetime.combine(day, time(), tzinfo=UTC) - timedelta(hours=14)
            while instant.astimezone(zone).replace(tzinfo=None) < wanted:
                instant += timedelta(minutes=1)
            found.append(instant)
    return sorted(set(found))


@pytest.mark.slow
@settings(deadline=None, max_examples=examples(20))
@given(
    distance=st.tuples(st.integers(1, 30), st.just(0)) | st.tuples(st.just(0), st.integers(1, 60)),
    start=st.dates(date(2010, 1, 1), date(2012, 1, 31)) | st.sampled_from([date(2024, 2, 29), date(2026, 10, 31)]),
    at=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
)
@example((0, 1), date(2011, 12, 29), time(0), ZoneInfo("Pacific/Apia"))
@example((0, 1), date(2026, 3, 28), time(2, 15), ZoneInfo("Europe/Berlin"))
@example((0, 1), date(2026, 9, 26), time(2, 15), ZoneInfo("Australia/Lord_Howe"))
def test_calendar_interval_matches_day_search(distance: tuple[int, int], start: date, at: time, zone: ZoneInfo) -> None:
    months, days = distance
    until = start + timedelta(days=70 * months + 6 * days)
    trigger = CalendarIntervalTrigger(
        months=months, days=days, hour=at.hour, minute=at.minute, timezone=zone, start_date=start, end_date=until
    )
    now = datetime.combine(start, time(), tzinfo=UTC) - timedelta(days=3)
    assert due_times(trigger, now, 1000) == reckoned_day_by_day(months, days, start, at, zone, until)


@pytest.mark.slow
@settings(deadline=None, max_examples=examples(30))
@given(
    trigger=st.sampled_from(["*/7 * * * *", "0 9 * * MON-FRI", "5,6 */3 1-5 * *", "*/20 * * * * *"]),
    jitter=st.floats(0.001, 100_000),
    seed=st.integers(0, 100),
)
def test_jitter_delays_up_to_next_due_time(trigger: str, jitter: float, seed: int) -> None:
    random.seed(seed)
    planned = due_times(CronTrigger(trigger), START, 40)
    found = due_times(CronTrigger(trigger, jitter=jitter), START, 39)
    for due, before, after in zip(found, planned, planned[1:], strict=False):
        assert before <= due < after
        assert due - before <= timedelta(seconds=jitter)


PARTS = st.sampled_from(
    [
        IntervalTrigger(minutes=20),
        IntervalTrigger(minutes=7, start_at=START - timedelta(minutes=3)),
        IntervalTrigger(minutes=15, start_at=START, end_at=START + timedelta(hours=3)),
        CronTrigger("*/10 * * * *"),
        CronTrigger("5 1-3 * * *", timezone="Europe/Berlin"),
        CronTrigger("*/20 * * * *", start_at=START + timedelta(hours=2)),
        CalendarIntervalTrigger(days=1, hour=3),
        DateTrigger(START + timedelta(hours=2)),
    ]
)


@settings(deadline=None, max_examples=examples(30))
@given(st.lists(PARTS, min_size=1, max_size=4))
def test_combinations_match_union_and_intersection(parts: list[Trigger]) -> None:
    until = START + timedelta(hours=6)
    each = [set(due_until(trigger, START, until)) for trigger in parts]
    assert due_until(OrTrigger(parts), START, until) == sorted(set.union(*each))
    both = AndTrigger(parts).started(START)
    previous = None
    for due in sorted(set.intersection(*each)):
        assert both.next_due_time(previous, START) == due
        previous = due


@settings(deadline=None, max_examples=examples(30))
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 39)), min_size=2, max_size=2))
def test_and_of_intervals_meets_or_raises(parts: list[tuple[int, int]]) -> None:
    trigger = AndTrigger(
        IntervalTrigger(seconds=distance, start_at=START + timedelta(seconds=offset)) for distance, offset in parts
    )
    previous = START + timedelta(seconds=39)
    common = set.intersection(*(set(range(offset, 2000, distance)) for distance, offset in parts))
    expected = min((second for second in common if second > 39), default=None)
    if expected is None:
        with pytest.raises(NeverDueError):
            trigger.next_due_time(previous, previous)
    else:
        assert trigger.next_due_time(previous, previous) == START + timedelta(seconds=expected)
