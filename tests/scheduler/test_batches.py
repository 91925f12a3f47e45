"""Batches: `AsyncIOScheduler.map`."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from typing_extensions import override

from asyncz import (
    ArgumentMismatchError,
    AsyncIOScheduler,
    Batch,
    BatchItemError,
    DuplicateTaskError,
    IntervalTrigger,
    InvalidInputError,
    Retry,
    SchedulerNotRunningError,
    SerializationError,
    TaskCancelled,
    TaskCancelledError,
    TaskError,
    TaskExecuted,
    TaskLimits,
    TaskLookupError,
    TaskTimeoutError,
    ThreadPoolExecutor,
    UnknownAliasError,
    UnknownOptionError,
    WrongThreadError,
    current_run,
)
from tests.helpers.faulty_executors import StartsOnRequest
from tests.helpers.untyped import call_untyped
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


def double(number: int) -> int:
    return 2 * number


async def double_async(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def invert(number: int) -> float:
    return 1 / number


def identity(item: object) -> object:
    return item


class Steps:
    """Coroutine function whose calls end when the test says so."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.cancelled: list[int] = []
        self._ends: dict[int, asyncio.Event] = {}

    async def __call__(self, number: int) -> int:
        self.started.append(number)
        try:
            await self._ends.setdefault(number, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        return number

    def end(self, *numbers: int) -> None:
        for number in numbers:
            self._ends.setdefault(number, asyncio.Event()).set()


class Counter:
    """Iterable of endless numbers that counts how many were taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[int]:
        for number in itertools.count():
            self.taken += 1
            yield number


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(
    "executor", ["asyncio", "debug", "threadpool", pytest.param("processpool", marks=pytest.mark.slow)]
)
async def test_map_yields_each_result_once(executor: str, ordered: bool) -> None:
    async with AsyncIOScheduler() as scheduler:
        results = [each async for each in scheduler.map(double, range(30), executor=executor, ordered=ordered)]
        assert (results if ordered else sorted(results)) == list(range(0, 60, 2))
        assert scheduler.tasks == ()
        assert scheduler.state.executed == 30


async def test_map_of_coroutine_function_and_async_items() -> None:
    async def items() -> AsyncIterator[int]:
        for number in range(5):
            await asyncio.sleep(0)
            yield number

    async with AsyncIOScheduler() as scheduler:
        assert [each async for each in scheduler.map(double_async, items())] == [0, 2, 4, 6, 8]
        assert [each async for each in scheduler.map(partial(pow, 2), items(), executor="threadpool")] == [
            1,
            2,
            4,
            8,
            16,
        ]
        assert [each async for each in scheduler.map(identity, [])] == []
        assert [each async for each in scheduler.map(identity, [None])] == [None]


async def test_map_order_of_completion() -> None:
    steps = Steps()
    async with AsyncIOScheduler() as scheduler, scheduler.map(steps, range(3), ordered=False) as batch:
        first = asyncio.ensure_future(anext(batch))
        await until(lambda: len(steps.started) == 3)
        steps.end(2)
        assert await first == 2
        steps.end(0, 1)
        assert sorted([await anext(batch), await anext(batch)]) == [0, 1]
        with pytest.raises(StopAsyncIteration):
            await anext(batch)
        with pytest.raises(StopAsyncIteration):
            await anext(batch)


async def test_map_ordered_waits_for_slow_item() -> None:
    steps = Steps()
    items = Counter()
    async with AsyncIOScheduler() as scheduler, scheduler.map(steps, items, max_instances=2) as batch:
        first = asyncio.ensure_future(anext(batch))
        # Item 0 is slow. The results of the others wait, up to twice as many as may run.
        steps.end(*range(1, 20))
        await until(lambda: len(steps.started) == 4)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (items.taken, steps.started, first.done()) == (4, [0, 1, 2, 3], False)
        steps.end(0)
        assert await first == 0
        assert [await anext(batch) for _ in range(5)] == [1, 2, 3, 4, 5]


async def test_map_slow_consumer_holds_items() -> None:
    items = Counter()
    async with (
        AsyncIOScheduler() as scheduler,
        scheduler.map(double_async, items, max_instances=3, ordered=False) as batch,
    ):
        for handed_out in range(1, 30):
            await anext(batch)
            for _ in range(20):
                await asyncio.sleep(0)
            assert items.taken <= handed_out + 6


async def test_map_runs_at_most_max_instances() -> None:
    steps, items = Steps(), Counter()
    async with AsyncIOScheduler() as scheduler:
        batch = scheduler.map(steps, items, max_instances=3, id="batch")
        first = asyncio.ensure_future(anext(batch))
        await until(lambda: len(steps.started) == 3)
        assert (items.taken, scheduler.get_task("batch").state.running) == (3, 3)
        # The limit can be changed, and applies to the next items.
        scheduler.modify_task("batch", max_instances=5)
        await until(lambda: len(steps.started) == 5)
        steps.end(0)
        assert await first == 0
        await until(lambda: len(steps.started) == 6)
        await batch.aclose()


async def test_map_thread_over_time_limit_keeps_slot() -> None:
    end = threading.Event()
    pool = ThreadPoolExecutor(max_workers=4)

    def wait(number: int) -> int:
        if number == 0:
            end.wait(60)
        return number

    async with AsyncIOScheduler() as scheduler:
        batch = scheduler.map(wait, range(4), executor=pool, max_instances=1, timeout=0.05)
        outcomes = batch.outcomes()
        first = await anext(outcomes)
        assert isinstance(first.notification, TaskError)
        with pytest.raises(TaskTimeoutError):
            first.result()
        following = asyncio.ensure_future(anext(outcomes))
        await asyncio.sleep(0)
        assert not following.done()
        end.set()
        assert (await following).item == 1
        assert [each.item async for each in outcomes] == [2, 3]


async def test_map_with_full_queue_loses_nothing() -> None:
    pool = ThreadPoolExecutor(max_workers=1, max_queue=1)
    async with AsyncIOScheduler() as scheduler:
        results = [each async for each in scheduler.map(double, range(6), executor=pool, max_instances=5)]
    assert results == [0, 2, 4, 6, 8, 10]


async def test_map_failed_item_ends_batch() -> None:
    steps = Steps()

    async def call(number: int) -> int:
        if number == 1:
            raise OSError("no such file")
        return await steps(number)

    async with AsyncIOScheduler() as scheduler:
        batch = scheduler.map(call, range(9), id="copy", max_instances=3)
        steps.end(0)
        assert await anext(batch) == 0
        with pytest.raises(
            BatchItemError, match=r"the item 1 \(index 1\) of the batch 'copy' has no result: OSE"
        ) as caught:
            await anext(batch)
        assert isinstance(caught.value.__cause__, OSError)
        assert (caught.value.index, caught.value.item, caught.value.task_id) == (1, "1", "copy")
        with pytest.raises(StopAsyncIteration):
            await anext(batch)
        await until(lambda: sorted(steps.cancelled) == sorted(steps.started)[1:])
        assert scheduler.tasks == ()


async def test_outcomes_include_failures() -> None:
    async with AsyncIOScheduler() as scheduler:
        outcomes = [each async for each in scheduler.map(invert, [2, 0, 4], executor="threadpool").outcomes()]
        assert [(each.index, each.item) for each in outcomes] == [(0, 2), (1, 0), (2, 4)]
        assert [type(each.notification) for each in outcomes] == [TaskExecuted, TaskError, TaskExecuted]
        assert (outcomes[0].result(), outcomes[2].result()) == (0.5, 0.25)
        with pytest.raises(ZeroDivisionError):
            outcomes[1].result()


async def test_outcomes_include_items_that_cannot_be_pickled() -> None:
    items: list[object] = [1, lambda: None, "text"]
    async with AsyncIOScheduler() as scheduler:
        outcomes = [each async for each in scheduler.map(identity, items, executor="processpool").outcomes()]
        assert [type(each.notification) for each in outcomes] == [TaskExecuted, TaskError, TaskExecuted]
        with pytest.raises(SerializationError):
            outcomes[1].result()


async def test_map_retries_each_item() -> None:
    attempts: list[int] = []

    def call(number: int) -> int:
        attempts.append(number)
        if attempts.count(number) < 3:
            raise OSError
        return number

    async with AsyncIOScheduler() as scheduler:
        retry = Retry(attempts=3, delay=0)
        assert [each async for each in scheduler.map(call, range(3), retry=retry)] == [0, 1, 2]
        assert sorted(attempts) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


async def test_map_limits_default_to_those_of_scheduler() -> None:
    defaults = TaskLimits(retry=Retry(attempts=2, delay=0), misfire_grace_time=0.001)
    async with AsyncIOScheduler(defaults=defaults) as scheduler, scheduler.map(Steps(), range(3), id="batch") as batch:
        waiting = asyncio.ensure_future(anext(batch))
        await until(lambda: len(scheduler.tasks) == 1)
        limits = scheduler.get_task("batch").limits
        assert (limits.retry, limits.misfire_grace_time, limits.max_instances) == (defaults.retry, None, 10)
        assert scheduler.get_task("batch").state.trigger == "a batch"
        waiting.cancel()


async def test_map_run_belongs_to_task_of_batch() -> None:
    def name(_: int) -> str:
        return current_run().task_id

    async with AsyncIOScheduler() as scheduler:
        assert [each async for each in scheduler.map(name, [1], executor="threadpool", id="batch")] == ["batch"]
        assert [run.task_id for run in scheduler.history] == ["batch"]


# Early ends


async def test_break_cancels_the_rest() -> None:
    steps, items = Steps(), Counter()
    async with AsyncIOScheduler() as scheduler:
        steps.end(0)
        async for number in scheduler.map(steps, items, max_instances=3):
            assert number == 0
            break
        await until(lambda: scheduler.tasks == () and sorted(steps.cancelled) == sorted(steps.started)[1:])
        taken = items.taken
        for _ in range(10):
            await asyncio.sleep(0)
        assert items.taken == taken


async def test_cancelled_consumer_cancels_the_rest() -> None:
    steps = Steps()

    async def consume(scheduler: AsyncIOScheduler) -> None:
        async for _ in scheduler.map(steps, itertools.count(), max_instances=3):
            pass

    async with AsyncIOScheduler() as scheduler:
        consumer = asyncio.ensure_future(consume(scheduler))
        await until(lambda: len(steps.started) == 3)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer
        await until(lambda: sorted(steps.cancelled) == [0, 1, 2])
        assert scheduler.tasks == ()


@pytest.mark.parametrize("outcomes", [False, True])
async def test_cancelled_reader_ends_batch_with_references(outcomes: bool) -> None:
    steps = Steps()
    async with AsyncIOScheduler() as scheduler:
        batch = scheduler.map(steps, itertools.count(), max_instances=3)
        reader = asyncio.ensure_future(anext(batch.outcomes() if outcomes else batch))
        await until(lambda: len(steps.started) == 3)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        await until(lambda: sorted(steps.cancelled) == [0, 1, 2])
        assert scheduler.tasks == ()
        assert [each async for each in batch] == []


async def test_timeout_of_next_keeps_batch() -> None:
    steps = Steps()
    async with AsyncIOScheduler() as scheduler, scheduler.map(steps, range(2)) as batch:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(batch), 0.01)
        steps.end(0, 1)
        assert [each async for each in batch] == [0, 1]


async def test_block_cancels_the_rest() -> None:
    steps = Steps()

    async def items() -> AsyncIterator[int]:
        yield 0
        yield 1
        try:
            await asyncio.Event().wait()
        finally:
            steps.cancelled.append(-1)

    async with AsyncIOScheduler() as scheduler:
        async with scheduler.map(steps, items()) as batch:
            steps.end(0)
            assert await anext(batch) == 0
        await until(lambda: sorted(steps.cancelled) == [-1, 1])
        assert scheduler.tasks == ()


async def test_unused_batch_adds_no_task() -> None:
    items = Counter()
    async with AsyncIOScheduler() as scheduler:
        batch = scheduler.map(double, items, id="batch")
        assert (scheduler.tasks, items.taken, batch.task_id) == ((), 0, "batch")
        async with scheduler.map(double, items):
            pass
        batch.close()
        assert [each async for each in batch] == []
        assert (scheduler.tasks, items.taken) == ((), 0)


async def test_finished_batch_is_released() -> None:
    class Item:
        pass

    item = Item()
    reference = weakref.ref(item)
    async with AsyncIOScheduler(recent_runs=0, history=0) as scheduler:
        async for _ in scheduler.map(double, [1, 2]):
            pass
        batch = scheduler.map(identity, [item])
        assert [each is item async for each in batch] == [True]
        del item, batch
        gc.collect()
        await until(lambda: reference() is None)


# Errors of items


async def test_error_of_items_follows_the_results() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("table")

    async def async_items() -> AsyncIterator[int]:
        for item in items():
            yield item

    async with AsyncIOScheduler() as scheduler:
        for given in (items(), async_items()):
            batch = scheduler.map(double, given)
            assert [await anext(batch), await anext(batch)] == [2, 4]
            with pytest.raises(LookupError, match="table"):
                await anext(batch)
            with pytest.raises(StopAsyncIteration):
                await anext(batch)
            assert scheduler.tasks == ()


def test_exit_in_items_ends_the_loop() -> None:
    """Also if the consumer of the batch suppresses the exception."""

    def items() -> Iterator[int]:
        yield 1
        raise SystemExit(3)

    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            with suppress(SystemExit):
                _ = [each async for each in scheduler.map(double, items())]

    with pytest.raises(SystemExit):
        asyncio.run(main())


async def test_items_that_are_cancelled_end_the_batch() -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    async with AsyncIOScheduler() as scheduler:
        batch = scheduler.map(double, items())
        assert await anext(batch) == 2
        with pytest.raises(asyncio.CancelledError):
            await anext(batch)


# Shutdown, pause, removal


async def test_shutdown_ends_batch_with_error() -> None:
    steps = Steps()
    async with AsyncIOScheduler() as scheduler:
        batch = scheduler.map(steps, itertools.count(), max_instances=2, id="batch")
        first = asyncio.ensure_future(anext(batch))
        await until(lambda: len(steps.started) == 2)
        shutdown = asyncio.ensure_future(scheduler.shutdown())
        await until(lambda: not scheduler.running)
        # The runs in progress finish.
        steps.end(0, 1)
        assert [await first, await anext(batch)] == [0, 1]
        with pytest.raises(SchedulerNotRunningError, match="the rest of the batch 'batch'"):
            await anext(batch)
        await shutdown
        assert steps.started == [0, 1]


async def test_shutdown_without_wait_ends_batch_with_error() -> None:
    steps = Steps()
    async with AsyncIOScheduler() as scheduler:
        batch = scheduler.map(steps, range(3))
        first = asyncio.ensure_future(anext(batch))
        await until(lambda: len(steps.started) == 3)
        await scheduler.shutdown(wait=False)
        with pytest.raises(SchedulerNotRunningError):
            await first
        assert scheduler.tasks == ()


async def test_shutdown_ends_batch_that_waits_for_items() -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    async def consume() -> list[int]:
        return [each async for each in scheduler.map(double, items())]

    # A run of the same scheduler, which the shutdown waits for.
    async with AsyncIOScheduler() as scheduler:
        run = scheduler.add_task(consume, trigger=None).run()
        await until(lambda: scheduler.state.executed == 1)
        await scheduler.shutdown()
        with pytest.raises(SchedulerNotRunningError):
            await run


async def test_scheduler_started_again_accepts_a_batch() -> None:
    scheduler = AsyncIOScheduler()
    for _ in range(2):
        async with scheduler:
            assert [each async for each in scheduler.map(double, [1, 2], id="batch")] == [2, 4]


async def test_batches_wait_for_start_of_executor() -> None:
    """Begin each of two batches when the executor of both has started."""
    executor = StartsOnRequest()
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        scheduler.add_executor(executor, alias="late")
        batches = [scheduler.map(double, range(number), executor="late") for number in (3, 4)]
        readers = [asyncio.ensure_future(_results(batch)) for batch in batches]
        await executor.asked.wait()
        await until(lambda: len(scheduler.tasks) == 2)
        executor.go_on.set()
        assert [await reader for reader in readers] == [[0, 2, 4], [0, 2, 4, 6]]


async def _results(batch: Batch[int, int]) -> list[int]:
    return [result async for result in batch]


async def test_pause_holds_items() -> None:
    items = Counter()
    async with AsyncIOScheduler() as scheduler, scheduler.map(double_async, items, id="batch") as batch:
        await anext(batch)
        scheduler.pause()
        taken = items.taken
        waiting = asyncio.ensure_future(_read(batch, 40))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        assert items.taken == taken
        scheduler.resume()
        assert len(await waiting) == 40
        scheduler.pause_task("batch")
        waiting = asyncio.ensure_future(_read(batch, 40))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        scheduler.resume_task("batch")
        assert len(await waiting) == 40


async def _read(batch: AsyncIterator[int], number: int) -> list[int]:
    return [await anext(batch) for _ in range(number)]


async def test_removed_task_ends_batch() -> None:
    steps = Steps()
    async with AsyncIOScheduler() as scheduler:
        batch = scheduler.map(steps, itertools.count(), max_instances=1, id="batch")
        first = asyncio.ensure_future(anext(batch))
        await until(lambda: steps.started == [0])
        scheduler.remove_task("batch")
        steps.end(0)
        assert await first == 0
        with pytest.raises(TaskLookupError):
            await anext(batch)


async def test_cancelled_run_fails_its_item() -> None:
    steps = Steps()
    async with AsyncIOScheduler() as scheduler:
        outcomes = scheduler.map(steps, range(2), id="batch").outcomes()
        first = asyncio.ensure_future(anext(outcomes))
        await until(lambda: len(steps.started) == 2)
        scheduler.get_task("batch").cancel_runs()
        assert isinstance((await first).notification, TaskCancelled)
        with pytest.raises(TaskCancelledError):
            (await anext(outcomes)).result()


# Mistakes


async def test_map_rejects_mistakes_before_any_change() -> None:
    class Unpicklable:
        def __call__(self, item: object) -> None: ...

        @override
        def __reduce__(self) -> str:
            raise TypeError("a socket")

    def numbers() -> Iterator[int]:
        yield 1

    def counted(number: int) -> Iterator[int]:
        yield number

    async with AsyncIOScheduler() as scheduler:
        scheduler.add_task(double, 1, trigger=IntervalTrigger(hours=1), id="taken")
        coroutine = double_async(1)
        map_ = partial(call_untyped, scheduler.map)
        mistakes: list[tuple[type[Exception], str, Callable[[], object]]] = [
            (InvalidInputError, "fn cannot be 3", lambda: map_(3, [1])),
            (InvalidInputError, "without calling it", lambda: map_(coroutine, [1])),
            (InvalidInputError, "generator function", lambda: map_(counted, [1])),
            (InvalidInputError, r"items cannot be 3: a list[^;]+ is needed$", lambda: map_(double, 3)),
            (InvalidInputError, "is needed; call the function that makes them$", lambda: map_(double, numbers)),
            (ArgumentMismatchError, r"pow\(item\) does not fit", lambda: map_(pow, [1])),
            (InvalidInputError, "max_instances cannot be 0", lambda: map_(double, [1], max_instances=0)),
            (InvalidInputError, "timeout cannot be -1", lambda: map_(double, [1], timeout=-1)),
            (InvalidInputError, "retry", lambda: map_(double, [1], retry=3)),
            (InvalidInputError, "ordered cannot be 1", lambda: map_(double, [1], ordered=1)),
            (InvalidInputError, "id cannot be ''", lambda: map_(double, [1], id="")),
            (DuplicateTaskError, "taken", lambda: map_(double, [1], id="taken")),
            (UnknownAliasError, "did you mean 'threadpool'", lambda: map_(double, [1], executor="threadpol")),
            (UnknownOptionError, "did you mean 'timeout'", lambda: map_(double, [1], timeot=3)),
            (UnknownOptionError, "'overlap'", lambda: map_(double, [1], overlap="skip")),
            (UnknownOptionError, "'trigger'", lambda: map_(double, [1], trigger=IntervalTrigger(minutes=1))),
            (SerializationError, "a socket", lambda: map_(Unpicklable(), [1], executor="processpool")),
        ]
        for error, text, call in mistakes:
            with pytest.raises(error, match=text):
                call()
        coroutine.close()
        assert [task.id for task in scheduler.tasks] == ["taken"]


async def test_map_before_start_is_rejected_when_read() -> None:
    scheduler = AsyncIOScheduler()
    batch = scheduler.map(double, [1])
    with pytest.raises(SchedulerNotRunningError, match="iterating over a batch"):
        await anext(batch)
    async with scheduler:
        assert [each async for each in batch] == [2]


async def test_map_read_in_other_thread_is_rejected() -> None:
    async with AsyncIOScheduler() as scheduler:
        batch = scheduler.map(double, [1])

        async def read() -> None:
            await anext(batch)

        with pytest.raises(WrongThreadError):
            await asyncio.to_thread(asyncio.run, read())


async def test_task_of_batch_rejects_other_runs() -> None:
    steps = Steps()
    async with AsyncIOScheduler() as scheduler, scheduler.map(steps, range(2), id="batch") as batch:
        first = asyncio.ensure_future(anext(batch))
        await until(lambda: len(steps.started) == 2)
        task = scheduler.get_task("batch")
        with pytest.raises(InvalidInputError, match="from its items only"):
            await task.run()
        with pytest.raises(InvalidInputError, match="separate task"):
            task.reschedule(IntervalTrigger(minutes=1))
        steps.end(0, 1)
        assert [await first, await anext(batch)] == [0, 1]


async def test_map_reads_files(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(5)]
    for path in paths:
        path.write_text(path.name)
    async with AsyncIOScheduler() as scheduler:
        assert [each async for each in scheduler.map(Path.read_text, paths, executor="threadpool")] == list("01234")
