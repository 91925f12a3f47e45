"""Calls, decorated functions and methods, typed retrieval: exact types for every kind of function."""
# mypy: disallow-any-explicit=False

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Generic, Literal, assert_type

from typing_extensions import ParamSpec, TypeVar, Unpack

from asyncz import (
    AsyncIOScheduler,
    BoundCall,
    DebugExecutor,
    ExecutorAlias,
    IntervalTrigger,
    ListenerDecorator,
    OtherAlias,
    PlainEvent,
    Subscription,
    Task,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskOptions,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from typecheck.accept.executors import BytesExecutor
from typecheck.accept.functions import awaitable_of, clean, fetch, fetch_pages, future_of, maybe, same, same_later, size

P = ParamSpec("P")
ResultT = TypeVar("ResultT")
EventT = TypeVar("EventT", bound=PlainEvent)

scheduler: AsyncIOScheduler = AsyncIOScheduler()
payload: dict[str, Any] = {}  # E[basedpyright,pyrefly]: every explicit Any


async def handle(payload: dict[str, Any]) -> int:  # E[basedpyright,pyrefly]: every explicit Any
    return len(payload)


async def post(url: str, **options: Any) -> str:  # E[basedpyright,pyrefly]: every explicit Any  # noqa: ANN401
    return url


def explicit(number: int) -> Coroutine[Any, Any, bytes]:  # E[basedpyright,pyrefly]: every explicit Any
    raise NotImplementedError


def traced(function: Callable[P, Awaitable[ResultT]]) -> Callable[P, Awaitable[ResultT]]:
    return function


@traced
async def load(url: str, *, limit: int = 10) -> bytes:
    return url.encode()[:limit]


def loaded(text: str) -> Any:  # E[basedpyright,pyrefly]: every explicit Any  # noqa: ANN401
    return text


def union(number: int) -> int | str:
    return number


def word() -> Literal["a", "b"]:
    return "a"


async def word_later() -> Literal["a", "b"]:
    return "a"


def calls() -> None:
    assert_type(scheduler.call(handle, payload).add(), Task[int])
    assert_type(scheduler.call(post, "url", retries=3, name="x").add(), Task[str])
    assert_type(scheduler.call(explicit, 3).add(), Task[bytes])
    scheduler.call(loaded, "3").add(timeout=3)
    scheduler.task()(loaded).schedule("3")
    assert_type(scheduler.call(load, "url", limit=3).add(), Task[bytes])
    assert_type(scheduler.call(union, number=3).add(), Task[int | str])
    assert_type(scheduler.call(word).add(), Task[Literal["a", "b"]])
    assert_type(scheduler.call(word_later).add(), Task[Literal["a", "b"]])
    assert_type(scheduler.call(maybe, "path").add(), Task[int | None])
    assert_type(scheduler.call(future_of, 3).add(), Task[str])
    assert_type(scheduler.call(awaitable_of, 3).add(), Task[str])
    assert_type(scheduler.call(clean, "/tmp", older_than=60).add(), Task[None])
    assert_type(scheduler.call(same, 1.5 + 1).add(), Task[float])  # E[ty]: generic functions
    assert_type(scheduler.call(same_later, str(3)).add(), Task[str])  # E[ty]: generic functions
    assert_type(scheduler.call(size, "path"), BoundCall[int])
    assert_type(
        scheduler.call(size, "path").add(trigger=IntervalTrigger(hours=1), timeout=3, overlap="skip"), Task[int]
    )


def executors(settings: UniversalExecutor | str, heavy: bool, of_bytes: BytesExecutor) -> None:
    assert_type(scheduler.add_executor("dask", alias="cluster"), ExecutorAlias)
    assert_type(scheduler.add_executor("asyncio", alias="loop"), ExecutorAlias)
    assert_type(scheduler.add_executor(DebugExecutor(), alias="inline"), ExecutorAlias)
    alias = scheduler.add_executor("threadpool", alias="io")
    assert_type(alias, ExecutorAlias)
    assert_type(scheduler.add_task(size, "path", executor=alias), Task[int])
    assert_type(scheduler.add_task(size, "path", executor=settings), Task[int])
    assert_type(scheduler.add_task(fetch, "url", executor=settings), Task[bytes])
    assert_type(scheduler.add_task(fetch, "url", executor=ThreadPoolExecutor() if heavy else "asyncio"), Task[bytes])
    assert_type(scheduler.call(handle, payload).add(executor=settings), Task[int])
    assert_type(scheduler.call(load, "url").add(executor=of_bytes), Task[bytes])
    assert_type(scheduler.call(fetch, "url").add(executor=alias), Task[bytes])
    name: OtherAlias = "own"
    assert_type(scheduler.call(fetch, "url").add(executor=name), Task[bytes])
    assert_type(scheduler.call(fetch, "url").add().then_call(len).add(executor=name), Task[int])
    assert_type(scheduler.task(executor=settings)(size).schedule("path"), Task[int])
    assert_type(scheduler.add_task(fetch, "url").then_call(len).add(executor=settings), Task[int])
    scheduler.add_task(size, "path").modify(executor=alias)


def chains(numbers: Task[dict[str, Any]], text: Task[str]) -> None:  # E[basedpyright,pyrefly]: every explicit Any
    assert_type(numbers.then_call(handle).add(), Task[int])
    assert_type(text.then_call(load).add(timeout=3), Task[bytes])
    assert_type(text.then_call(size).add(executor=DebugExecutor()).then_call(explicit).add(), Task[bytes])
    assert_type(text.then_call(str.upper).add(coalesce=True), Task[str])


class Service:
    @scheduler.task(trigger=None, id="refresh", replace_existing=True)
    async def refresh(self, name: str, *, deep: bool = False) -> int:
        return len(name) + deep

    @scheduler.task(paused=True, executor=DebugExecutor())
    def check(self, payload: Mapping[str, Any]) -> str:  # E[mypy,basedpyright,pyrefly]: every explicit Any
        return str(payload)


async def decorated(service: Service) -> None:
    task = scheduler.task()
    assert_type(task(handle).schedule(payload), Task[int])
    assert_type(await task(handle)(payload), int)
    assert_type(task(load).schedule("url", limit=3), Task[bytes])
    assert_type(task(explicit).schedule(3), Task[bytes])
    assert_type(task(future_of).schedule(3), Task[str])
    future = task(future_of)(3)
    print(assert_type(future, asyncio.Future[str]))
    assert_type(task(same)(str(3)), str)
    assert_type(task(same_later).schedule(str(3)), Task[str])  # E[pyrefly]: generic functions
    assert_type(task(size).__name__, str)
    assert_type(task(size).__wrapped__("path"), int)
    assert_type(await service.refresh("x"), int)
    assert_type(service.refresh.schedule("x", deep=True), Task[int])
    assert_type(service.check({}), str)
    assert_type(service.check.schedule({}), Task[str])
    assert_type(Service.check.schedule(service, {}), Task[str])
    assert_type(await Service.refresh(service, "x", deep=True), int)


async def retrieval(service: Service) -> None:
    assert_type(scheduler.tasks_of(fetch).get("id"), Task[bytes])
    assert_type(scheduler.tasks_of(size).get("id"), Task[int])
    assert_type(scheduler.tasks_of(load).get("id"), Task[bytes])
    assert_type(await scheduler.tasks_of(fetch_pages).get("id").run(), list[bytes])
    assert_type(scheduler.tasks_of(handle).get("id"), Task[int])
    assert_type(scheduler.tasks_of(post).all(), tuple[Task[str], ...])
    assert_type(scheduler.tasks_of(explicit).get("id"), Task[bytes])
    assert_type(scheduler.tasks_of(future_of).get("id"), Task[str])


def when(made: AsyncIOScheduler, event: type[EventT], listener: Callable[[EventT], object]) -> Subscription:
    return made.subscribe(event, listener)


@scheduler.on(TaskError, TaskMissed)
def report(event: TaskError | TaskMissed) -> int:
    return len(event.task_id)


@scheduler.on(TaskExecuted, TaskError)
async def report_later(event: TaskExecuted[object] | TaskError) -> str:
    return event.task_id


@scheduler.on(TaskMissed)
def report_anything(event: object) -> str:
    return str(event)


async def listeners() -> None:
    assert_type(report(TaskMissed("id")), int)
    assert_type(await report_later(TaskExecuted("id", 3)), str)
    when(scheduler, TaskError, lambda event: event.exception)
    scheduler.on()(lambda event: type(event))
    assert_type(scheduler.on(TaskError), ListenerDecorator[TaskError])
    assert_type(scheduler.on(TaskMissed, TaskError), ListenerDecorator[TaskMissed | TaskError])
    assert_type(scheduler.remove_listener(report), bool)


class Job(Generic[ResultT]):
    """A wrapper that keeps a call, whatever its function is, for later."""

    def __init__(self, call: BoundCall[ResultT]) -> None:
        self.call: BoundCall[ResultT] = call


def every(function: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> BoundCall[ResultT]:
    """A helper for plain and coroutine functions, with keyword arguments."""
    return scheduler.call(function, *args, **kwargs)


def add_report(name: str, **options: Unpack[TaskOptions]) -> Task[bytes]:
    return scheduler.add_task(fetch, name, executor="threadpool", **options)


def helpers() -> None:
    assert_type(Job(scheduler.call(fetch, "url")).call.add(), Task[bytes])
    assert_type(every(handle, payload).add(), Task[int])
    assert_type(every(size, "path", depth=3).add(executor="processpool"), Task[int])
    assert_type(add_report("name", timeout=3), Task[bytes])
