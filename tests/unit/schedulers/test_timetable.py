"""Timetable of due items."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given, strategies as st

from asyncz.schedulers._timetable import Timetable


class Placed:
    heap_version = 0


class PlainTimetable:
    """The same by a list that is sorted for each question."""

    def __init__(self) -> None:
        self.times: dict[Placed, tuple[float, int]] = {}
        self.puts = 0

    def put(self, entry: Placed, at: float) -> None:
        self.puts += 1
        self.times[entry] = (at, self.puts)

    def take(self, now: float) -> tuple[float, Placed] | None:
        due = sorted((time, entry) for entry, time in self.times.items() if time[0] <= now)
        if not due:
            return None
        (at, _), entry = due[0]
        del self.times[entry]
        return at, entry


# Few entries and few times, so that each is often met again, and many steps, so that outdated places pile up.
ENTRIES = st.integers(0, 5)
TIMES = st.integers(0, 9).map(float)


STEPS = st.one_of(
    st.tuples(st.just("put"), ENTRIES, TIMES),
    st.tuples(st.just("put again and again"), ENTRIES, TIMES),
    st.tuples(st.just("remove"), ENTRIES, TIMES),
    st.tuples(st.just("take"), ENTRIES, TIMES),
    st.tuples(st.just("clear"), ENTRIES, TIMES),
)


def check(steps: Sequence[tuple[str, int, float]]) -> None:
    """Compare the timetable with the sorted list after each step."""
    entries = [Placed() for _ in range(6)]
    timetable, plain = Timetable[Placed](), PlainTimetable()
    # An unfinished iteration continues with entries that were put and removed meanwhile.
    taking: dict[float, Iterator[tuple[float, Placed]]] = {}
    for step, number, at in steps:
        entry = entries[number]
        match step:
            case "put":
                timetable.put(entry, at)
                plain.put(entry, at)
            case "put again and again":
                for more in range(100):
                    timetable.put(entry, at + more % 3)
                    plain.put(entry, at + more % 3)
            case "remove":
                timetable.remove(entry)
                plain.times.pop(entry, None)
            case "take":
                taken = next(taking.setdefault(at, timetable.due(at)), None)
                assert taken == plain.take(at)
                if taken is None:
                    del taking[at]
            case _:
                timetable.clear()
                plain.times.clear()
        assert timetable.earliest == min((at for at, _ in plain.times.values()), default=None)
        assert [bool(entry.heap_version) for entry in entries] == [entry in plain.times for entry in entries]


@pytest.mark.slow
@given(st.lists(STEPS, max_size=60))
@example([("put", 0, 5.0), ("put", 1, 6.0), ("put", 2, 3.0), ("take", 0, 9.0), ("take", 0, 9.0), ("take", 0, 9.0)])
@example([("put", 0, 5.0), ("put", 1, 6.0), ("put", 2, 3.0), ("put", 3, 4.0), *[("take", 0, 9.0)] * 4])
def test_timetable_matches_sorted_list(steps: list[tuple[str, int, float]]) -> None:
    check(steps)


def test_timetable_matches_sorted_list_for_seeds() -> None:
    """The property for fixed steps: it is not slow, so mutations are compared with it."""
    names = ("put", "put", "put again and again", "remove", "take", "take", "take", "clear")
    for seed in range(100):
        chance = random.Random(seed)
        # The steps of some seeds never clear, so that outdated entries pile up.
        possible = names[: -(seed % 2) or None]
        check([(chance.choice(possible), chance.randrange(6), float(chance.randrange(10))) for _ in range(60)])


def test_timetable_drops_outdated_items() -> None:
    timetable = Timetable[Placed]()
    entries = [Placed() for _ in range(10)]
    for turn in range(10_000):
        # Later and later, and earlier and earlier.
        timetable.put(entries[turn % 10], turn if turn % 2 else -turn)
    assert len(timetable) < 200


@pytest.mark.parametrize("late_per_turn", [0, 10])
def test_timetable_counts_outdated_items_it_reaches(late_per_turn: int) -> None:
    timetable = Timetable[Placed]()
    early, late = Placed(), Placed()
    for turn in range(1000):
        timetable.put(early, turn)
        timetable.put(early, turn)
        assert list(timetable.due(turn)) == [(turn, early)]
        for _ in range(late_per_turn):
            timetable.put(late, 1e9)
    for _ in range(500):
        timetable.put(late, 1e9)
        assert len(timetable) < 200
