"""Jitter of triggers."""

from __future__ import annotations

import random
from datetime import timedelta

from asyncz import CronTrigger, IntervalTrigger, OrTrigger
from tests.helpers.times import START, due_times


def test_jitter_does_not_accumulate() -> None:
    random.seed(3)
    trigger = IntervalTrigger(minutes=10, jitter=60)
    first, second = due_times(trigger, START, 500), due_times(trigger, START, 500)
    assert first != second
    delays = [due - START - number * timedelta(minutes=10) for number, due in enumerate(first, 1)]
    assert timedelta(0) <= min(delays) < timedelta(seconds=3)
    assert timedelta(seconds=57) < max(delays) <= timedelta(seconds=60)
    assert len(set(delays)) == 500


def test_jitter_respects_end_and_last_run() -> None:
    end = START + timedelta(hours=1)
    for number in range(20):
        random.seed(number)
        found = due_times(IntervalTrigger(minutes=30, jitter=1700, end_at=end), START, 5)
        assert len(found) == 2
        assert found[-1] == end


def test_jitter_repeatable_with_seed() -> None:
    trigger = OrTrigger([CronTrigger("@hourly")], jitter=100)
    random.seed(5)
    first = due_times(trigger, START, 10)
    random.seed(5)
    assert due_times(trigger, START, 10) == first
