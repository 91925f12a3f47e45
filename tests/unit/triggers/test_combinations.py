"""Unions and intersections of triggers."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    BaseTrigger,
    CronTrigger,
    DateTrigger,
    IntervalTrigger,
    InvalidInputError,
    NeverDueError,
    OrTrigger,
    Trigger,
)
from asyncz.testing import FakeClock
from asyncz.triggers._progressions import Progression
from asyncz.triggers.base import latest_due_time
from tests.helpers import payloads
from tests.helpers.effort import examples
from tests.helpers.times import due_times
from tests.unit.triggers.strategies import plain, times

NOW = datetime(2030, 1, 1, tzinfo=UTC)
WEEK = timedelta(weeks=1)


class Hours(BaseTrigger):
    """Due each hour; raises, or breaks its contract, from a time on."""

    def __init__(self, until: datetime, failure: str) -> None:
        self._until, self._failure = until, failure

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        due = (previous or now).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        if due <= self._until:
            return due
        if self._failure == "raises":
            raise LookupError("no more hours")
        if self._failure == "naive":
            return due.replace(tzinfo=None)
        return previous


FAILURES = ["raises", "naive", "not later"]


def first_due_times(parts: list[Trigger], now: datetime, count: int) -> list[datetime]:
    """Return the merged due times of triggers that are asked alone."""
    each = [due_times(trigger, now, count) for trigger in parts]
    return [due for due, _ in itertools.groupby(heapq.merge(*each))][:count]


@pytest.mark.slow
@settings(deadline=None, max_examples=examples(40))
@given(st.lists(plain.filter(lambda trigger: not getattr(trigger, "jitter", 0)), min_size=1, max_size=4), times)
def test_union_is_merge_of_its_parts(parts: list[Trigger], now: datetime) -> None:
    """Parts with a first due time in the past included; random delays differ between two starts."""
    assert due_times(OrTrigger(parts), now, 40) == first_due_times(parts, now, 40)


def test_union_with_past_part_skips_past_due_times() -> None:
    trigger = CronTrigger("0 9 * * *") | IntervalTrigger(weeks=1, start_at=NOW - 4 * WEEK)
    assert due_times(trigger, NOW, 3) == [NOW, NOW.replace(hour=9), NOW.replace(day=2, hour=9)]
    late = CronTrigger("0 9 * * *") | DateTrigger(NOW - 4 * WEEK)
    assert due_times(late, NOW, 3) == [NOW - 4 * WEEK, NOW.replace(hour=9), NOW.replace(day=2, hour=9)]
    copy = pickle.loads(pickle.dumps(late.started(NOW)))
    assert copy.next_due_time(NOW - 4 * WEEK, NOW) == NOW.replace(hour=9)


@pytest.mark.anyio
async def test_union_with_past_date_does_not_make_up_for_it() -> None:
    """Rule 15: only a trigger whose single due time has passed is due at once."""
    clock = FakeClock(NOW)
    async with AsyncIOScheduler(clock=clock) as scheduler:
        trigger = CronTrigger("0 9 * * *") | DateTrigger(NOW - 4 * WEEK)
        task = scheduler.add_task(payloads.add, 1, 2, trigger=trigger, executor="debug", coalesce=False)
        await clock.advance(hours=24)
        assert task.state.executed == 1


@pytest.mark.parametrize("failure", FAILURES)
def test_failing_part_of_union_ends_alone(failure: str, caplog: pytest.LogCaptureFixture) -> None:
    half_hours = IntervalTrigger(minutes=45, start_at=NOW + timedelta(minutes=30))
    trigger = Hours(NOW + timedelta(hours=2), failure) | half_hours
    minutes = [(due - NOW) // timedelta(minutes=1) for due in due_times(trigger, NOW, 8)]
    assert minutes == [30, 60, 75, 120, 165, 210, 255, 300]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize("failure", FAILURES)
def test_union_raises_if_no_part_is_left(failure: str) -> None:
    trigger = (Hours(NOW + timedelta(hours=1), failure) | DateTrigger(NOW)).started(NOW)
    last = NOW + timedelta(hours=1)
    assert trigger.next_due_time(NOW, NOW) == last
    with pytest.raises(InvalidInputError if failure != "raises" else LookupError):
        trigger.next_due_time(last, last)


def test_union_of_failing_parts_raises_at_start() -> None:
    with pytest.raises(LookupError):
        (Hours(NOW - WEEK, "raises") | Hours(NOW - WEEK, "raises")).started(NOW)


def test_never_due_part_of_union_ends_alone() -> None:
    never = IntervalTrigger(seconds=2, start_at=NOW) & IntervalTrigger(seconds=2, start_at=NOW + timedelta(seconds=1))
    assert len(due_times(never | IntervalTrigger(hours=1), NOW, 5)) == 5


def test_failing_part_does_not_stop_catching_up() -> None:
    trigger = (Hours(NOW, "raises") | IntervalTrigger(minutes=7)).started(NOW)
    assert latest_due_time(trigger, NOW, NOW + timedelta(hours=1)) == NOW + timedelta(minutes=56)


def test_failing_part_is_ended_although_logging_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def reject(record: logging.LogRecord) -> bool:
        raise RuntimeError(record)

    logger = logging.getLogger("asyncz.scheduler")
    monkeypatch.setattr(logger, "filters", [reject])
    assert len(due_times(Hours(NOW, "raises") | IntervalTrigger(hours=1), NOW, 5)) == 5


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(1009, 1013, 1009 * 1013), (7, 60, 420), (86_399, 86_400, 86_399 * 86_400), (0.000_1, 0.000_7, 0.000_7)],
)
def test_intervals_meet_at_their_common_multiple(first: float, second: float, expected: float) -> None:
    trigger = IntervalTrigger(seconds=first, start_at=NOW) & IntervalTrigger(seconds=second, start_at=NOW)
    assert trigger.started(NOW).next_due_time(NOW, NOW) == NOW + timedelta(seconds=expected)


def test_three_long_intervals_meet() -> None:
    trigger = (
        IntervalTrigger(seconds=97, start_at=NOW)
        & IntervalTrigger(seconds=101, start_at=NOW + timedelta(seconds=5))
        & IntervalTrigger(seconds=103, start_at=NOW + timedelta(seconds=9))
    )
    due = trigger.started(NOW).next_due_time(None, NOW)
    assert due is not None
    seconds = (due - NOW) // timedelta(seconds=1)
    assert (seconds % 97, seconds % 101, seconds % 103) == (0, 5, 9)
    assert seconds < 97 * 101 * 103


def test_long_interval_meets_cron() -> None:
    trigger = IntervalTrigger(seconds=1009, start_at=NOW) & CronTrigger("0 0 * * *")
    assert trigger.started(NOW).next_due_time(NOW, NOW) == NOW + timedelta(days=1009)


def test_intervals_meeting_after_9999_are_rejected() -> None:
    trigger = IntervalTrigger(seconds=999_983, start_at=NOW) & IntervalTrigger(
        seconds=1_000_003, start_at=NOW + timedelta(seconds=1)
    )
    with pytest.raises(NeverDueError):
        trigger.started(NOW).next_due_time(None, NOW)


@settings(deadline=None)
@given(
    first=st.tuples(st.integers(-50, 50), st.integers(1, 30)),
    second=st.tuples(st.integers(-50, 50), st.integers(1, 30)),
)
def test_progressions_meet_where_both_are_due(first: tuple[int, int], second: tuple[int, int]) -> None:
    met = Progression(*first, last=3000).meet(Progression(*second, last=2500))
    expected = set(range(first[0], 3001, first[1])) & set(range(second[0], 2501, second[1]))
    assert (set() if met is None else set(range(met.first, met.last + 1, met.period))) == expected
    if met is not None:
        assert met.period == math.lcm(first[1], second[1])


def test_misplaced_part_of_intersection_raises() -> None:
    trigger = Hours(NOW + timedelta(hours=1), "raises") & IntervalTrigger(hours=2, start_at=NOW)
    with pytest.raises(LookupError):
        trigger.started(NOW).next_due_time(NOW, NOW)
