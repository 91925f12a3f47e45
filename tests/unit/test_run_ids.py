"""Ids of runs: their layout, their order, and forks."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable
from uuid import RFC_4122, UUID, uuid4

import pytest
from hypothesis import given, strategies as st

from asyncz import AsyncIOScheduler, InvalidInputError, RunLookupError, TaskExecuted, _run_ids
from asyncz._run_ids import NO_RUN, WantedRun, new_run_id, number_of, run_id_bytes, run_id_of, run_numbers
from asyncz._run_owners import RunOwnership
from tests.scheduler.test_validation import wrongly

pytestmark = pytest.mark.anyio

NUMBERS = st.integers(1, 2**48 - 1)


def in_fork(call: Callable[[], object]) -> object:
    """Return what a call returns in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, pickle.dumps(call()))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        found: object = pickle.load(answer)
    _ = os.waitpid(child, 0)
    return found


@given(NUMBERS)
def test_id_is_uuid_of_version_8(number: int) -> None:
    run_id = run_id_of(number)
    assert (run_id.version, run_id.variant) == (8, RFC_4122)
    assert run_id_bytes(number) == run_id.bytes
    assert number_of(run_id) == number
    assert int(f"{run_id}"[-12:], 16) == number


@given(NUMBERS, NUMBERS)
def test_ids_of_process_are_in_order_of_runs(one: int, other: int) -> None:
    first, second = run_id_of(one), run_id_of(other)
    assert (first < second, first == second) == (one < other, one == other)
    assert (f"{first}" < f"{second}") == (one < other)


@given(st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10), NUMBERS, NUMBERS)
def test_ids_of_processes_differ(one: bytes, other: bytes, number: int, other_number: int) -> None:
    """The 74 random bits tell processes apart, whatever the numbers are; six of the 80 drawn bits are not used."""
    first, second = _base_from(one), _base_from(other)
    assert (first == second) == (one[:9] == other[:9] and one[9] >> 6 == other[9] >> 6)
    if first != second:
        assert first + number != second + other_number
    assert (UUID(int=first).version, UUID(int=first).variant) == (8, RFC_4122)


def _base_from(drawn: bytes) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "urandom", lambda _: drawn)
        return _run_ids._drawn_base()


@given(st.uuids())
def test_id_of_another_process_has_no_number(run_id: UUID) -> None:
    assert number_of(run_id) is None
    assert run_id_of(run_id) == run_id
    assert run_id_bytes(RunOwnership(run_id, "task", 1, "node")) == run_id.bytes


def test_number_zero_stands_for_no_run() -> None:
    assert run_id_of(0) == NO_RUN == UUID(int=0)
    assert number_of(NO_RUN) is None


@pytest.mark.parametrize("key", [(), ("id", "task", 1, "node"), -1])
def test_key_of_no_run_is_rejected(key: int | tuple[object, ...]) -> None:
    with pytest.raises((TypeError, ValueError)):
        run_id_of(key)


def test_wanted_run_has_its_keys() -> None:
    number, foreign = next(run_numbers), uuid4()
    own = run_id_of(number)
    assert [WantedRun(own).has(key) for key in (number, own, RunOwnership(own, "t", 1, "n"))] == [True] * 3
    assert [WantedRun(own).has(key) for key in (number + 1, foreign)] == [False] * 2
    keys = (foreign, RunOwnership(foreign, "t", 1, "n"), RunOwnership(foreign, "t", 2, "n"))
    assert [WantedRun(foreign).has(key) for key in keys] == [True] * 3
    assert not WantedRun(foreign).has(number)


def test_forked_children_make_other_ids() -> None:
    """Children that begin with the same counter, and a child of a child."""

    def several() -> list[UUID]:
        return [new_run_id() for _ in range(3)]

    def several_in_generations() -> list[UUID]:
        inner = in_fork(several)
        assert isinstance(inner, list)
        return [*several(), *inner]

    found = [in_fork(several), in_fork(several_in_generations), several(), in_fork(several)]
    assert all(isinstance(each, list) for each in found)
    ids = [run_id for each in found if isinstance(each, list) for run_id in each]
    assert len({*ids}) == len(ids) == 15
    # Each process draws its own part, and counts in it.
    assert len({run_id.int >> 48 for run_id in ids}) == 5


def test_forked_child_keeps_ids_of_its_parent() -> None:
    before = next(run_numbers)
    event = TaskExecuted("task", 1, (before, 1, 0.0, 0.0, 1.0, None))
    parent = run_id_of(before)

    def look() -> tuple[object, ...]:
        mine = new_run_id()
        own = number_of(mine)
        assert own is not None
        later = UUID(int=parent.int + (own - before))
        return event.details.run_id, number_of(parent), run_id_of(own) == mine, number_of(later)

    # The numbers of the child go on, but with its own part: those of the parent are of the parent.
    assert in_fork(look) == (parent, before, True, None)


def test_pickled_outcome_keeps_its_id() -> None:
    number = next(run_numbers)
    event = TaskExecuted("task", [1], (number, 1, 0.0, 0.0, 1.0, None))
    again = pickle.loads(pickle.dumps(event))
    assert again.details == event.details
    assert run_id_of(number).hex not in repr(event._details)
    assert again._details.run_id == run_id_of(number)


@pytest.mark.parametrize("given_id", [7, f"{UUID(int=7)}", None])
async def test_id_of_another_class_is_rejected(given_id: object) -> None:
    async with AsyncIOScheduler() as scheduler:
        for method in (scheduler.get_run, scheduler.cancel_run):
            with pytest.raises(InvalidInputError, match=r"uuid\.UUID.*UUID\(text\)"):
                wrongly(method, given_id)
        with pytest.raises(RunLookupError, match=f"the id {UUID(int=7)} is known"):
            scheduler.get_run(UUID(int=7))
        assert not scheduler.cancel_run(uuid4())


async def test_run_has_one_id_everywhere() -> None:
    seen: list[UUID] = []

    def collect(events: Iterable[UUID]) -> None:
        seen.extend(events)

    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(lambda: None, trigger=None)
        task.on_done(lambda outcome: collect([outcome.details.run_id]))
        handle = task.run()
        assert scheduler.get_run(handle.run_id).run_id == handle.run_id
        await handle
        summary = scheduler.get_run(handle.run_id)
    assert [summary.run_id, *seen] == [handle.run_id] * 2
    assert f"{handle.run_id}" in repr(handle)
