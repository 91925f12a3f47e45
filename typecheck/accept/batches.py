"""Batches: the type of the results, of the items and of the outcomes."""
# mypy: disallow-any-explicit=False

from __future__ import annotations

from asyncio import Future
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from functools import partial
from pathlib import Path
from typing import Any, Literal, assert_type

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
ResultT = TypeVar("ResultT")


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


async def handle(payload: dict[str, Any], **options: Any) -> int:  # E[basedpyright,pyrefly]: every explicit Any  # noqa: ANN401
    return len(payload)


def started(payload: dict[str, Any]) -> Coroutine[Any, Any, bytes]:  # E[basedpyright,pyrefly]: every explicit Any
    raise NotImplementedError


def awaitable_of(payload: dict[str, Any]) -> Awaitable[bytes]:  # E[basedpyright,pyrefly]: every explicit Any
    raise NotImplementedError


def future_of(payload: dict[str, Any]) -> Future[str | None]:  # E[basedpyright,pyrefly]: every explicit Any
    raise NotImplementedError


def word(payload: dict[str, Any]) -> Literal["a", "b"]:  # E[basedpyright,pyrefly]: every explicit Any
    return "a"


async def with_any(
    payloads: list[dict[str, Any]],  # E[basedpyright,pyrefly]: every explicit Any
    pool: ThreadPoolExecutor,
    of_int: Executor[int],
) -> None:
    async for count in scheduler.map(handle, payloads, max_instances=3):
        assert_type(count, int)
    assert_type([count async for count in scheduler.map(handle, payloads, executor=pool)], list[int])
    assert_type([count async for count in scheduler.map(handle, payloads, executor=of_int)], list[int])
    async for page in scheduler.map(started, payloads):
        assert_type(page, bytes)
    async for page in scheduler.map(awaitable_of, payloads, executor=pool):
        assert_type(page, bytes)
    async for outcome in scheduler.map(awaitable_of, payloads).outcomes():
        assert_type(outcome.result(), bytes)
    async with scheduler.map(future_of, payloads) as texts:
        assert_type(await anext(texts), str | None)  # E[ty]: a protocol and overloads
    async for found in scheduler.map(word, payloads):
        assert_type(found, Literal["a", "b"])


def with_any_in_thread(
    thread: SchedulerThread[AsyncIOScheduler],
    payloads: list[dict[str, Any]],  # E[basedpyright,pyrefly]: every explicit Any
) -> None:
    assert_type(list(thread.map(handle, payloads)), list[int])
    assert_type(sum(thread.map(handle, payloads, executor="threadpool")), int)
    for page in thread.map(awaitable_of, payloads):
        assert_type(page, bytes)
    for outcome in thread.map(started, payloads).outcomes():
        assert_type(outcome.result(), bytes)
    for later in thread.map(future_of, payloads).outcomes():
        assert_type(later.result(), str | None)
    with thread.map(word, payloads) as words:
        assert_type(next(words), Literal["a", "b"])


def mapped(function: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Batch[ItemT, ResultT]:
    """A helper for plain and coroutine functions."""
    return scheduler.map(function, items)


async def helpers(
    payloads: list[dict[str, Any]],  # E[basedpyright,pyrefly]: every explicit Any
) -> AsyncIterable[bytes]:
    async for count in mapped(handle, payloads):
        assert_type(count, int)
    async for size in mapped(length, [Path()]):
        assert_type(size, int)
    return scheduler.map(fetch, ["a"])
