"""Batches: each item exactly once, in order, and within the bounds, whatever the order in which runs end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from hypothesis import given, settings, strategies as st

from asyncz import AsyncIOScheduler, BatchOutcome, TaskError, TaskExecuted


class Batch:
    """Items and a coroutine function that records how many are taken and how many run."""

    def __init__(self, items: list[tuple[int, bool]]) -> None:
        self._items = items
        self.taken = self.running = self.most_running = 0

    def __iter__(self) -> Iterator[tuple[int, bool]]:
        for item in self._items:
            self.taken += 1
            yield item

    async def call(self, item: tuple[int, bool]) -> int:
        steps, fails = item
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            for _ in range(steps):
                await asyncio.sleep(0)
            if fails:
                raise OSError(steps)
        finally:
            self.running -= 1
        return steps


@given(
    items=st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=25),
    max_instances=st.integers(1, 5),
    ordered=st.booleans(),
    pauses=st.lists(st.integers(0, 8), min_size=1, max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_batch_yields_each_item_once_within_bounds(
    items: list[tuple[int, bool]], max_instances: int, ordered: bool, pauses: list[int]
) -> None:
    batch = Batch(items)
    outcomes: list[BatchOutcome[tuple[int, bool], int]] = []

    async def consume() -> None:
        async with AsyncIOScheduler() as scheduler:
            mapped = scheduler.map(batch.call, batch, max_instances=max_instances, ordered=ordered)
            async for outcome in mapped.outcomes():
                outcomes.append(outcome)
                for _ in range(pauses[len(outcomes) % len(pauses)]):
                    await asyncio.sleep(0)
                assert batch.taken - len(outcomes) <= 2 * max_instances
            assert scheduler.tasks == ()

    asyncio.run(consume())
    indexes = [outcome.index for outcome in outcomes]
    assert (indexes if ordered else sorted(indexes)) == list(range(len(items)))
    assert [outcome.item for outcome in outcomes] == [items[index] for index in indexes]
    for outcome in outcomes:
        steps, fails = outcome.item
        assert isinstance(outcome.notification, TaskError if fails else TaskExecuted)
        assert fails or outcome.result() == steps
    assert batch.most_running <= max_instances
