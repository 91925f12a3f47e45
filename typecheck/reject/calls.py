"""Mistakes with calls, decorated functions and methods, typed retrieval, and listeners of several event classes."""
# mypy: disallow-any-explicit=False

from __future__ import annotations

from asyncz import (
    BoundCall,
    DownstreamCall,
    Executor,
    ExecutorAlias,
    OtherAlias,
    FunctionTasks,
    ListenerDecorator,
    Task,
    TaskError,
    TaskExecuted,
    TaskMissed,
    ThreadPoolExecutor,
)
from typecheck.accept.calls import Service, explicit, handle, load, payload, post, scheduler
from typecheck.accept.executors import BytesExecutor
from typecheck.accept.functions import fetch, size


class NoShutdown:
    def start(self) -> None: ...


def arguments() -> None:
    scheduler.call(size, 3)  # E
    scheduler.call(size)  # E
    scheduler.call(size, "path", 3, 4)  # E
    scheduler.call(size, "path", dept=3)  # E
    scheduler.call(size("path"))  # E
    scheduler.call(handle, 3)  # E
    scheduler.call(post, 3)  # E
    scheduler.call(load, "url", limit="3")  # E
    scheduler.call(3)  # E
    scheduler.add_executor("threadpool", alias=3)  # E
    scheduler.add_executor("dask", alias=3)  # E
    scheduler.add_executor("asyncio", alias=3)  # E
    scheduler.add_executor(ThreadPoolExecutor(), alias=3)  # E


def options(of_bytes: Executor[bytes]) -> None:
    scheduler.call(size, "path").add(trigger="interval")  # E
    scheduler.call(size, "path").add(timeout="30s")  # E
    scheduler.call(size, "path").add(retry=3)  # E
    scheduler.call(size, "path").add(max_instance=3)  # E
    scheduler.call(size, "path").add(overlap="queue")  # E
    scheduler.call(size, "path").add(executor=ThreadPoolExecutor)  # E
    scheduler.call(size, "path").add(executor=NoShutdown())  # E
    scheduler.call(size, "path").add(executor=BytesExecutor())  # E
    scheduler.call(size, "path").add(executor=of_bytes)  # E
    scheduler.call(handle, payload).add(executor=BytesExecutor())  # E
    scheduler.call(handle, payload).add(timeout="30s")  # E
    scheduler.call(fetch, "url").add("interval")  # E


async def results() -> None:
    wrong: str = await scheduler.call(handle, payload).add().result()  # E
    print(wrong)
    bare: Task[str] = scheduler.call(explicit, 3).add()  # E
    print(bare)
    scheduler.call(handle, payload).add().then_call(str.upper)  # E
    scheduler.call(handle, payload).add().then_call(size)  # E
    scheduler.call(fetch, "url").add().then_call(len).add(trigger=None)  # E
    scheduler.call(fetch, "url").add().then_call(len).add(overlap="skip")  # E
    scheduler.call(fetch, "url").add().then_call(len).add(executor=BytesExecutor())  # E


async def decorated(service: Service) -> None:
    handled = scheduler.task()(handle)
    handled.schedule(3, 4, 5)  # E
    await handled(3, 4, 5)  # E
    handled.schedule()  # E
    wrong: Task[str] = handled.schedule(payload)  # E
    print(wrong)
    service.refresh.schedule(3)  # E
    service.refresh.schedule("x", depth=3)  # E
    service.check.schedule()  # E
    Service.check.schedule({})  # E
    handled.__name__.size  # E


def aliases() -> None:
    io = scheduler.add_executor("threadpool", alias="io")
    wrong: ExecutorAlias = "io"  # E
    print(wrong)
    io.shutdown()  # E
    number: OtherAlias = 3  # E
    binary: OtherAlias = b"io"  # E
    pool: OtherAlias = ThreadPoolExecutor()  # E
    text: str = number  # E
    print(number, binary, pool, text)
    scheduler.add_executor(NoShutdown(), alias="mine")  # E


def retrieval() -> None:
    wrong: Task[str] = scheduler.tasks_of(size).get("id")  # E
    print(wrong)
    other: Task[str] = scheduler.tasks_of(handle).get("id")  # E
    print(other)
    scheduler.tasks_of(size).get(3)  # E
    scheduler.tasks_of(fetch).get(3)  # E
    scheduler.tasks_of(3).get("id")  # E
    scheduler.get_task("id", size)  # E
    scheduler.tasks_of(handle).get(3)  # E


@scheduler.on(TaskError, TaskMissed)  # E
def of_one(event: TaskError) -> None: ...


@scheduler.on(TaskExecuted)  # E
def of_result(event: TaskExecuted[bytes]) -> None: ...


scheduler.on(int)  # E
scheduler.on(TaskError, 3)  # E
scheduler.on(TaskExecuted, 3)  # E
scheduler.on(TaskMissed)(lambda event: event.exception)  # E
scheduler.on(TaskError, TaskMissed)(lambda event: event.exception)  # E


def handles(
    bound: BoundCall[int],
    downstream: DownstreamCall[str, int],
    found: FunctionTasks[int],
    on_error: ListenerDecorator[TaskError],
) -> None:
    of_text: Task[str] = bound.add()  # E
    next_text: Task[str] = downstream.add()  # E
    same: Task[str] = found.get("id")  # E
    on_error(len)  # E
    print(of_text, next_text, same)
