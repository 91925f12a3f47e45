"""Ranges of submitted due times against a model of single times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from asyncz import IntervalTrigger
from asyncz.schedulers._submitted import MAX_RANGES, SubmittedRanges

_START = datetime(2026, 1, 1, tzinfo=UTC)
_ranges = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6)), max_size=MAX_RANGES)


def _at(minute: int) -> datetime:
    return _START + timedelta(minutes=minute)


@given(_ranges)
def test_ranges_contain_exactly_their_due_times(added: list[tuple[int, int]]) -> None:
    ranges = SubmittedRanges()
    for first, length in added:
        ranges.add(_at(first), _at(first + length))
    for minute in range(70):
        around = [(first, first + length) for first, length in added if first <= minute <= first + length]
        end = ranges.end_around(_at(minute))
        assert (end is not None) == bool(around)
        if end is not None:
            assert end >= max(_at(last) for _, last in around)
            # The end is submitted, and not the time after it.
            assert ranges.end_around(end) == end
            assert ranges.end_around(end + timedelta(seconds=1)) is None
    assert list(ranges) == sorted(ranges)


def test_closest_ranges_are_joined_at_the_limit() -> None:
    ranges = SubmittedRanges()
    starts = [0, 10, 20, 30, 33, 50, 60, 70]
    for start in starts:
        ranges.add(_at(start), _at(start + 1))
    assert [first for first, _ in ranges] == [_at(start) for start in starts]
    ranges.add(_at(80), _at(81))
    assert list(ranges) == [
        (_at(start), _at(34 if start == 30 else start + 1)) for start in [*starts, 80] if start != 33
    ]


@pytest.mark.parametrize("minutes", [1, 7])
def test_trigger_coincides_at_last_due_time(minutes: int) -> None:
    hourly, ranges = IntervalTrigger(minutes=60, start_at=_START), SubmittedRanges()
    assert not ranges.coincides(hourly)
    ranges.add_counted(hourly, _START, _at(60))
    assert ranges.coincides(IntervalTrigger(minutes=60, start_at=_START))
    assert not ranges.coincides(IntervalTrigger(minutes=60, start_at=_at(minutes)))
