"""What a strict user writes: every line passes."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import assert_never, assert_type

from asyncz import (
    AsyncIOScheduler,
    BaseExecutor,
    Executor,
    ExecutorState,
    Notifier,
    ProcessPoolExecutor,
    Task,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskNotification,
    TaskRun,
    ThreadPoolExecutor,
    UniversalExecutor,
)


async def fetch(url: str) -> bytes:
    return b""


def size(path: str, depth: int = 1) -> int:
    return 1


def future_of(x: int) -> asyncio.Future[str]:
    raise NotImplementedError


class Pinger:
    async def __call__(self, host: str) -> float:
        return 0.1


def keyword_only(path: str, *, deep: bool = False) -> None: ...


class BytesOnly:
    """A restricted executor with no base class."""

    @property
    def state(self) -> ExecutorState:
        return ExecutorState(alias="", running=0)

    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        self.scheduler = scheduler

    async def shutdown(self, wait: bool = True) -> None: ...

    def submit(self, run: TaskRun[bytes], /) -> None:
        self.scheduler.notify(run, TaskExecuted(run.task.id, b"from the wire"))
        self.scheduler.released(run)


of_int: Executor[int] = ThreadPoolExecutor()
of_lists: Executor[list[str]] = ProcessPoolExecutor()
universal: list[UniversalExecutor] = [ThreadPoolExecutor(), ProcessPoolExecutor(), BaseExecutor()]
of_bytes: Executor[bytes] = BytesOnly()

scheduler = AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(), "io": "threadpool"})
scheduler.add_executor(ThreadPoolExecutor(), alias="more")
scheduler.add_executor("threadpool", alias="io2", max_workers=3)
scheduler.add_executor("third-party", alias="x")

task = scheduler.add_task(fetch, "u", executor="asyncio")
assert_type(task, Task[bytes])
assert_type(scheduler.add_task(size, "p"), Task[int])
assert_type(scheduler.add_task(size, "p", 2, executor=ThreadPoolExecutor()), Task[int])
assert_type(scheduler.add_task(partial(keyword_only, "p", deep=True)), Task[None])
assert_type(scheduler.add_task(fetch, "u", executor=BytesOnly()), Task[bytes])
assert_type(scheduler.add_task(future_of, 1), Task[str])
assert_type(scheduler.add_task(Pinger(), "h"), Task[float])
assert_type(scheduler.add_task(partial(fetch, "u")), Task[bytes])
every: dict[str, Task[object]] = {"a": task}


@task.on_executed
def got(event: TaskExecuted[bytes]) -> None: ...


@task.on_done
def ended(notification: TaskNotification[bytes]) -> None:
    match notification:
        case TaskExecuted(result=result):
            assert_type(result, bytes)
        case TaskError(exception=error):
            assert_type(error, BaseException)
        case TaskMissed() | TaskCancelled():
            pass
        case _:
            assert_never(notification)


async def main() -> None:
    assert_type(await task.run(), bytes)
    assert_type(await task.result(), bytes)
    async for notification in task.notifications():
        if isinstance(notification, TaskExecuted):
            assert_type(notification.result, bytes)


@scheduler.task(executor="threadpool")
def count(path: str, *, limit: int = 3) -> int:
    return 1


@scheduler.task()
async def count_async(path: str, *, limit: int = 3) -> int:
    return 1


async def calls() -> None:
    assert_type(count("x", limit=3), int)
    assert_type(await count_async("x"), int)
    assert_type(count.schedule("x", limit=3), Task[int])
    assert_type(count_async.schedule("x"), Task[int])


def failed(event: TaskError) -> None: ...
def anything(event: TaskExecuted[object]) -> None: ...
def of_bytes_only(event: TaskExecuted[bytes]) -> None: ...


scheduler.subscribe(TaskError, failed)
scheduler.subscribe(TaskExecuted, anything)
