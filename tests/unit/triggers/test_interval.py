"""Interval triggers."""

from __future__ import annotations

from datetime import datetime, timedelta

from asyncz import DateTrigger, IntervalTrigger
from tests.helpers.times import START


def test_interval_with_bounds_and_jitter() -> None:
    trigger = IntervalTrigger(
        hours=1, start_at=datetime(2030, 1, 1, 1), end_at=START + timedelta(hours=3), timezone="Europe/Berlin"
    )
    fires: list[datetime] = []
    following = trigger.next_due_time(None, START)
    while following is not None:
        fires.append(following)
        following = trigger.next_due_time(following, START)
    assert fires == [START + timedelta(hours=hours) for hours in range(4)]
    jittered = IntervalTrigger(hours=1, jitter=600).started(START)
    previous = jittered.next_due_time(None, START)
    for slot in range(1, 200):
        assert previous is not None
        assert timedelta(0) <= previous - START - timedelta(hours=slot) <= timedelta(minutes=10)
        previous = jittered.next_due_time(previous, START)
    assert "jitter" in repr(jittered)
    assert trigger.interval == timedelta(hours=1)
    assert DateTrigger(START).run_at == START
