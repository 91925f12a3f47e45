"""Batches of programs without asyncio: `SchedulerThread.map`."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from functools import partial
from typing import Never, Self, TypeVar

import pytest

from asyncz import (
    AsyncIOScheduler,
    BatchItemError,
    InvalidInputError,
    SchedulerNotRunningError,
    TaskError,
    TaskExecuted,
    UnknownOptionError,
    WrongThreadError,
    current_run,
)
from asyncz.schedulers.batches import BatchOutcome, Pump, ThreadBatch
from tests.helpers.untyped import call_untyped

ResultT = TypeVar("ResultT")


def double(number: int) -> int:
    return 2 * number


def invert(number: int) -> float:
    return 1 / number


def wait_for_cancellation(number: int) -> int:
    while number and not current_run().is_cancelled():
        time.sleep(0.001)
    return number


def wait_until(reached: object) -> None:
    assert callable(reached)
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("executor", ["asyncio", "threadpool", pytest.param("processpool", marks=pytest.mark.slow)])
def test_map_in_thread_yields_each_result_once(executor: str, ordered: bool) -> None:
    with AsyncIOScheduler().in_thread() as thread:
        results = list(thread.map(double, range(30), executor=executor, ordered=ordered))
        assert (results if ordered else sorted(results)) == list(range(0, 60, 2))
        assert thread.scheduler.tasks == ()


def test_map_in_thread_reads_items_in_calling_thread() -> None:
    with closing(sqlite3.connect(":memory:")) as connection, AsyncIOScheduler().in_thread() as thread:
        connection.execute("create table numbers (number)")
        connection.executemany("insert into numbers values (?)", [(number,) for number in range(50)])
        rows = connection.execute("select number from numbers order by number")
        doubled = list(thread.map(double, (number for (number,) in rows), executor="threadpool"))
    assert doubled == list(range(0, 100, 2))


def test_interrupted_reader_ends_batch_with_references() -> None:
    with AsyncIOScheduler().in_thread() as thread:
        batch = thread.map(wait_for_cancellation, [1, 2, 3], executor="threadpool")
        call = batch._bridge

        def interrupted(make: Callable[[], Coroutine[object, Never, ResultT]], /) -> ResultT:
            if batch._started:
                wait_until(lambda: thread.scheduler.state.submitted == 3)
                raise KeyboardInterrupt
            return call(make)

        batch._bridge = interrupted
        with pytest.raises(KeyboardInterrupt):
            next(batch)
        wait_until(lambda: thread.scheduler.state.cancelled == 3)
        assert thread.scheduler.tasks == ()


def test_map_in_thread_is_bounded_for_endless_items() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in itertools.count(1):
            taken.append(number)
            yield number

    with AsyncIOScheduler().in_thread() as thread:
        batch = thread.map(double, items(), executor="threadpool", max_instances=3)
        for handed_out in range(1, 100):
            assert next(batch) == 2 * handed_out
            assert len(taken) <= handed_out + 6
        with batch:
            pass
        wait_until(lambda: thread.scheduler.tasks == ())
        assert list(batch) == []


def test_map_in_thread_fills_window_at_start() -> None:
    """Take twice as many items as runs at the same time before the first result."""
    taken: list[int] = []
    results: list[int] = []
    gate = threading.Event()

    def items() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    def wait_at_gate(number: int) -> int:
        assert gate.wait(30)
        return number

    with AsyncIOScheduler().in_thread() as thread:
        batch = thread.map(wait_at_gate, items(), executor="threadpool", max_instances=2)
        reader = threading.Thread(target=lambda: results.extend(batch))
        reader.start()
        try:
            wait_until(lambda: len(taken) == 4)
        finally:
            gate.set()
            reader.join(30)
    assert results == list(range(10))


class SlowSource:
    """Source of a batch with a window of four items: no outcome is ready before it is awaited."""

    task_id = "batch"
    closed = has_outcome = False
    window = 4

    def __init__(self) -> None:
        self._indices = itertools.count()

    def check_thread(self) -> None: ...

    def start(self, pump: Pump | None = None) -> None: ...

    async def next(self) -> BatchOutcome[int, int]:
        index = next(self._indices)
        return BatchOutcome(index, index, TaskExecuted("batch", 2 * index))

    def shutdown_error(self) -> None: ...

    def close(self) -> None: ...

    def close_soon(self) -> None: ...


def run_in_new_loop(make: Callable[[], Coroutine[object, Never, ResultT]], /) -> ResultT:
    return asyncio.run(make())


def test_thread_batch_refills_window_after_each_result() -> None:
    taken: list[int] = []

    def take_item() -> bool:
        taken.append(len(taken))
        return True

    batch = ThreadBatch[int, int](SlowSource(), take_item, run_in_new_loop)
    counts = [(next(batch), len(taken)) for _ in range(5)]
    assert counts == [(0, 4), (2, 5), (4, 6), (6, 7), (8, 8)]


def test_map_in_thread_ends_items_once() -> None:
    ends: list[int] = []

    class Items:
        def __init__(self) -> None:
            self._left = [3, 2, 1]

        def __iter__(self) -> Self:
            return self

        def __next__(self) -> int:
            if not self._left:
                ends.append(1)
                raise StopIteration
            return self._left.pop()

    with AsyncIOScheduler().in_thread() as thread:
        assert list(thread.map(double, Items(), executor="threadpool", max_instances=4)) == [2, 4, 6]
    assert ends == [1]


def test_map_in_thread_slow_items_do_not_delay_results() -> None:
    release = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        yield 2
        # The result of the first item is handed out before this one is taken.
        assert release.wait(60)
        yield 3

    with AsyncIOScheduler().in_thread() as thread:
        batch = thread.map(double, items(), executor="threadpool", max_instances=1)
        seen: list[int] = []
        # With one item in flight at a time, the window has room for two.
        seen.append(next(batch))
        release.set()
        assert [*seen, *batch] == [2, 4, 6]


def test_map_in_thread_failed_item_ends_batch() -> None:
    with AsyncIOScheduler().in_thread() as thread:
        batch = thread.map(invert, [1, 0, 2], executor="threadpool", id="batch")
        assert next(batch) == 1
        with pytest.raises(BatchItemError, match=r"item 0 \(index 1\)") as caught:
            next(batch)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert list(batch) == []


def test_map_in_thread_outcomes_include_failures() -> None:
    with AsyncIOScheduler().in_thread() as thread:
        outcomes = list(thread.map(invert, [1, 0, 2], executor="threadpool").outcomes())
    assert [(each.item, type(each.notification)) for each in outcomes] == [
        (1, TaskExecuted),
        (0, TaskError),
        (2, TaskExecuted),
    ]


def test_map_in_thread_error_of_items_follows_results() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("table")

    with AsyncIOScheduler().in_thread() as thread:
        batch = thread.map(double, items())
        assert next(batch) == 2
        with pytest.raises(LookupError, match="table"):
            next(batch)
        assert list(batch) == []


def test_map_in_thread_break_cancels_the_rest() -> None:
    with AsyncIOScheduler().in_thread() as thread:
        for number in thread.map(wait_for_cancellation, itertools.count(), executor="threadpool", max_instances=3):
            assert number == 0
            break
        wait_until(lambda: thread.scheduler.tasks == ())
        wait_until(lambda: all(each.running == 0 for each in thread.scheduler.state.executors))


def test_map_in_thread_shutdown_ends_batch_with_error() -> None:
    with AsyncIOScheduler().in_thread() as thread:
        batch = thread.map(double, itertools.count(), executor="threadpool")
        assert next(batch) == 0
        stopping = threading.Thread(target=thread.stop)
        stopping.start()
        with pytest.raises(SchedulerNotRunningError):
            for _ in batch:
                pass
        stopping.join()
        with pytest.raises(SchedulerNotRunningError):
            next(thread.map(double, [1]))


def test_map_in_thread_rejects_mistakes() -> None:
    with AsyncIOScheduler().in_thread() as thread:
        map_ = partial(call_untyped, thread.map)
        with pytest.raises(InvalidInputError, match="items cannot be 3: a list or another iterable is needed"):
            map_(double, 3)
        with pytest.raises(UnknownOptionError, match="did you mean 'max_instances'"):
            map_(double, [1], max_instance=3)

        async def read() -> None:
            next(thread.map(double, [1]))

        task = thread.scheduler.add_task(read, trigger=None)
        with pytest.raises(WrongThreadError):
            thread.run(task)
        assert thread.scheduler.tasks == (task,)
