"""Batches: the type of the results, of the items and of the outcomes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import assert_type

from typing_extensions import TypeVar, Unpack

from asyncz import (
    AsyncIOScheduler,
    Batch,
    BatchItemError,
    BatchOptions,
    BatchOutcome,
    Executor,
    ExecutorAlias,
    Retry,
    SchedulerThread,
    TaskExecuted,
    TaskNotification,
    ThreadBatch,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from typecheck.accept.schedulers import scheduler

ItemT = TypeVar("ItemT")


async def fetch(url: str) -> bytes:
    return url.encode()


def length(path: Path) -> int:
    return len(str(path))


def scaled(factor: float, value: int) -> float:
    return factor * value


def numbers() -> Generator[int]:
    yield 1


async def lines() -> AsyncGenerator[str]:
    yield ""


class Store:
    def read(self, key: str) -> list[int]:
        return [len(key)]

    async def write(self, key: str) -> None: ...


async def results() -> None:
    async for page in scheduler.map(fetch, ["a", "b"], max_instances=20, timeout=3, retry=Retry(attempts=3)):
        assert_type(page, bytes)
    async for number in scheduler.map(length, (Path(), Path()), executor="processpool", ordered=False, id="lengths"):
        assert_type(number, int)
    async for page in scheduler.map(fetch, lines(), timeout=None, retry=None):
        assert_type(page, bytes)
    async for half in scheduler.map(partial(scaled, 0.5), numbers(), executor="threadpool"):
        assert_type(half, float)
    async for text in scheduler.map(lambda number: f"{number:>5}", [1, 2]):
        assert_type(text, str)
    async for found in scheduler.map(Store().read, {"a": 1}):
        assert_type(found, list[int])
    async for nothing in scheduler.map(Store().write, {"a"}):
        assert_type(nothing, None)
    async for text in scheduler.map(str, range(3)):
        assert_type(text, str)


async def batches(executor: Executor[int], pool: ThreadPoolExecutor, alias: ExecutorAlias) -> None:
    batch = assert_type(scheduler.map(length, [Path()], executor=executor), Batch[Path, int])
    assert_type(scheduler.map(fetch, ["a"], executor=pool), Batch[str, bytes])
    assert_type(scheduler.map(fetch, ["a"], executor=alias), Batch[str, bytes])
    async with batch as entered:
        assert_type(entered, Batch[Path, int])
        assert_type(await anext(batch), int)
        assert_type(batch.task_id, str)
        async for outcome in batch.outcomes():
            assert_type(outcome, BatchOutcome[Path, int])
            assert_type(outcome.index, int)
            assert_type(outcome.item, Path)
            assert_type(outcome.result(), int)
            notification = assert_type(outcome.notification, TaskNotification[int])
            if isinstance(notification, TaskExecuted):
                assert_type(notification.result, int)
    await batch.aclose()
    batch.close()
    iterator: AsyncIterator[object] = batch
    wider: Batch[object, object] = batch
    print(iterator, wider)


def of_any_type(items: list[ItemT], executor: UniversalExecutor) -> Batch[ItemT, str]:
    return scheduler.map(str, items, executor=executor)


def passed_on(**options: Unpack[BatchOptions]) -> Batch[str, bytes]:
    return scheduler.map(fetch, ["a"], **options)


def in_thread(thread: SchedulerThread[AsyncIOScheduler]) -> None:
    for page in thread.map(fetch, ["a", "b"], max_instances=20, timeout=3):
        assert_type(page, bytes)
    for number in thread.map(length, [Path()], executor="processpool", ordered=False):
        assert_type(number, int)
    with thread.map(partial(scaled, 0.5), numbers(), retry=None) as batch:
        assert_type(batch, ThreadBatch[int, float])
        assert_type(next(batch), float)
        for outcome in batch.outcomes():
            assert_type(outcome, BatchOutcome[int, float])
        batch.close()
    iterator: Iterator[object] = batch
    assert_type(batch.task_id, str)
    print(iterator)


def in_thread_on_one_executor(
    thread: SchedulerThread[AsyncIOScheduler], of_bytes: Executor[bytes], of_int: Executor[int]
) -> None:
    assert_type(scheduler.map(fetch, ["a"], executor=of_bytes), Batch[str, bytes])
    assert_type(thread.map(fetch, ["a"], executor=of_bytes), ThreadBatch[str, bytes])
    assert_type(thread.map(length, [Path()], executor=of_int), ThreadBatch[Path, int])


def failed(error: BatchItemError) -> None:
    assert_type(error.task_id, str)
    assert_type(error.index, int)
    assert_type(error.item, str)
    assert_type(error.reason, str)
