"""Mistakes with batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from asyncz import (
    AsyncIOScheduler,
    Batch,
    BatchItemError,
    BatchOptions,
    BatchOutcome,
    Executor,
    IntervalTrigger,
    SchedulerThread,
    TaskExecuted,
    ThreadBatch,
)
from typecheck.accept.batches import awaitable_of, fetch, handle, length, lines, mapped, started
from typecheck.accept.schedulers import scheduler


def add(first: int, second: int) -> int:
    return first + second


async def calls(executor: Executor[str]) -> None:
    scheduler.map(length, ["a"])  # E
    scheduler.map(length, Path())  # E
    scheduler.map(length)  # E
    scheduler.map(length, [Path()], executor=executor)  # E[-ty]: generic method
    scheduler.map(add, [1, 2])  # E
    scheduler.map(fetch("a"), ["a"])  # E
    scheduler.map(fetch, lines)  # E
    scheduler.map(fetch, ["a"], trigger=IntervalTrigger(minutes=5))  # E
    scheduler.map(fetch, ["a"], max_instances="2")  # E
    scheduler.map(fetch, ["a"], ordered="yes")  # E
    scheduler.map(fetch, ["a"], timeouts=3)  # E
    scheduler.map(fetch, ["a"], overlap="skip")  # E
    BatchOptions(max_instances="2")  # E
    BatchOptions(overlap="skip")  # E


async def results(batch: Batch[str, bytes], error: BatchItemError) -> None:
    for _ in batch:  # E
        break
    text: str = await anext(batch)  # E
    number: Batch[str, str] = batch  # E
    narrowed: Batch[bool, bytes] = batch  # E
    async for outcome in batch.outcomes():
        key: int = outcome.item  # E
        outcome.notification.result  # E
        if isinstance(outcome.notification, TaskExecuted):
            text = outcome.notification.result  # E
        text = outcome.result()  # E
        outcome.index = 3  # E
        print(key, text)
    error.index.upper()  # E
    print(number, narrowed)


def in_thread(thread: SchedulerThread[AsyncIOScheduler], outcome: BatchOutcome[str, int]) -> None:
    thread.map(length, ["a"])  # E
    thread.map(fetch, lines())  # E
    thread.map(fetch, ["a"], timeouts=3)  # E
    batch: ThreadBatch[str, str] = thread.map(fetch, ["a"])  # E
    async_batch: Batch[str, bytes] = thread.map(fetch, ["a"])  # E
    outcome.result().upper()  # E
    print(batch, async_batch)


def options(of_bytes: Executor[bytes], of_int: Executor[int]) -> None:
    scheduler.map(fetch, ["a"], executor=3)  # E
    scheduler.map(fetch, ["a"], id=3)  # E
    scheduler.map(fetch, ["a"], max_instances="2")  # E
    scheduler.map(fetch, ["a"], timeout="3 s")  # E
    scheduler.map(fetch, ["a"], retry=3)  # E
    scheduler.map(fetch, ["a"], ordered="yes")  # E
    scheduler.map(length, [Path()], executor=3)  # E
    scheduler.map(length, [Path()], id=3)  # E
    scheduler.map(length, [Path()], max_instances="2")  # E
    scheduler.map(length, [Path()], timeout="3 s")  # E
    scheduler.map(length, [Path()], retry=3)  # E
    scheduler.map(length, [Path()], ordered="yes")  # E
    scheduler.map(fetch, ["a"], executor=of_int)  # E[-ty]: generic method
    scheduler.map(fetch, 3, executor=of_bytes)  # E
    scheduler.map(length, 3, executor=of_int)  # E
    scheduler.map(fetch, ["a"], executor=of_bytes, id=3)  # E
    scheduler.map(fetch, ["a"], executor=of_bytes, max_instances="2")  # E
    scheduler.map(fetch, ["a"], executor=of_bytes, timeout="3 s")  # E
    scheduler.map(fetch, ["a"], executor=of_bytes, retry=3)  # E
    scheduler.map(fetch, ["a"], executor=of_bytes, ordered="yes")  # E
    scheduler.map(length, [Path()], executor=of_bytes)  # E[-ty]: generic method
    scheduler.map(length, [Path()], executor=of_int, id=3)  # E
    scheduler.map(length, [Path()], executor=of_int, max_instances="2")  # E
    scheduler.map(length, [Path()], executor=of_int, timeout="3 s")  # E
    scheduler.map(length, [Path()], executor=of_int, retry=3)  # E
    scheduler.map(length, [Path()], executor=of_int, ordered="yes")  # E


def options_in_thread(
    thread: SchedulerThread[AsyncIOScheduler], of_bytes: Executor[bytes], of_int: Executor[int]
) -> None:
    thread.map(fetch, ["a"], executor=3)  # E
    thread.map(fetch, ["a"], id=3)  # E
    thread.map(fetch, ["a"], max_instances="2")  # E
    thread.map(fetch, ["a"], timeout="3 s")  # E
    thread.map(fetch, ["a"], retry=3)  # E
    thread.map(fetch, ["a"], ordered="yes")  # E
    thread.map(length, [Path()], executor=3)  # E
    thread.map(length, [Path()], id=3)  # E
    thread.map(length, [Path()], max_instances="2")  # E
    thread.map(length, [Path()], timeout="3 s")  # E
    thread.map(length, [Path()], retry=3)  # E
    thread.map(length, [Path()], ordered="yes")  # E
    thread.map(fetch, ["a"], executor=of_int)  # E[-ty]: generic method
    thread.map(fetch, 3, executor=of_bytes)  # E
    thread.map(length, 3, executor=of_int)  # E
    thread.map(fetch, ["a"], executor=of_bytes, id=3)  # E
    thread.map(fetch, ["a"], executor=of_bytes, max_instances="2")  # E
    thread.map(fetch, ["a"], executor=of_bytes, timeout="3 s")  # E
    thread.map(fetch, ["a"], executor=of_bytes, retry=3)  # E
    thread.map(fetch, ["a"], executor=of_bytes, ordered="yes")  # E
    thread.map(length, [Path()], executor=of_bytes)  # E[-ty]: generic method
    thread.map(length, [Path()], executor=of_int, id=3)  # E
    thread.map(length, [Path()], executor=of_int, max_instances="2")  # E
    thread.map(length, [Path()], executor=of_int, timeout="3 s")  # E
    thread.map(length, [Path()], executor=of_int, retry=3)  # E
    thread.map(length, [Path()], executor=of_int, ordered="yes")  # E


async def unwrapped(
    thread: SchedulerThread[AsyncIOScheduler], of_text: Executor[str], payloads: list[dict[str, str]]
) -> None:
    scheduler.map(handle, ["a"])  # E
    scheduler.map(handle, payloads, max_instance=3)  # E
    scheduler.map(handle, payloads, executor=of_text)  # E[-ty]: generic method
    scheduler.map(length, [Path()], executor=of_text)  # E[-ty]: generic method
    async for count in scheduler.map(handle, payloads):
        count.upper()  # E[-ty]: an Any in the function
    async for page in scheduler.map(awaitable_of, payloads):
        page.upper().encode()  # E
    async for outcome in scheduler.map(started, payloads).outcomes():
        await outcome.result()  # E
    async for size in mapped(handle, payloads):
        size.upper()  # E
    for count in thread.map(handle, payloads):
        count.upper()  # E[-ty]: an Any in the function
    for ended in thread.map(awaitable_of, payloads).outcomes():
        await ended.result()  # E
    texts: AsyncIterator[str] = scheduler.map(fetch, ["a"])  # E
    names: Iterator[str] = thread.map(length, [Path()])  # E
    print(texts, names)
