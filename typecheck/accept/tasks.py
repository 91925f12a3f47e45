"""Tasks: awaiting them, listening to them, reading them, and their runs."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import assert_never, assert_type
from uuid import UUID

import psycopg
from typing_extensions import TypeVar, Unpack

from asyncz import (
    AsyncIOScheduler,
    CurrentRun,
    IntervalTrigger,
    NotificationStream,
    OverlapPolicy,
    Retry,
    RunDetails,
    RunHandle,
    Task,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskLimits,
    TaskMissed,
    TaskNotification,
    TaskOptions,
    TaskProgress,
    TaskRun,
    TaskSpec,
    TaskState,
    ThreadPoolExecutor,
    UniversalExecutor,
    current_run,
)
from typecheck.accept.schedulers import scheduler

ResultT = TypeVar("ResultT")


async def awaiting(task: Task[bytes]) -> None:
    assert_type(await task.run(), bytes)
    assert_type(await task.result(), bytes)
    handle = assert_type(task.run(), RunHandle[bytes])
    assert_type(await handle, bytes)
    assert_type(await handle.notification(), TaskNotification[bytes])
    assert_type(handle.run_id, UUID)
    assert_type(handle.task_id, str)
    assert_type(handle.done(), bool)
    assert_type(handle.cancel(), bool)
    awaitable: Awaitable[bytes] = task.run()
    assert_type(await awaitable, bytes)


async def reading_a_stream(task: Task[bytes]) -> None:
    assert_type(task.notifications(), NotificationStream[bytes])
    assert_type(NotificationStream(task), NotificationStream[bytes])
    assert_type(task.call(), bytes | Awaitable[bytes])
    iterator: AsyncIterator[TaskNotification[bytes]] = task.notifications()
    assert_type(await anext(iterator), TaskNotification[bytes])
    async for notification in task.notifications():
        assert_type(notification, TaskNotification[bytes])
        if isinstance(notification, TaskExecuted):
            assert_type(notification.result, bytes)
        elif isinstance(notification, TaskError):
            assert_type(notification.exception, BaseException)
    async with task.notifications() as stream:
        assert_type(stream, NotificationStream[bytes])
        await stream.aclose()
        stream.close()


def ended(notification: TaskNotification[bytes]) -> None:
    match notification:
        case TaskExecuted(result=result):
            assert_type(result, bytes)
        case TaskError(exception=error):
            assert_type(error, BaseException)
        case TaskMissed(details=details) | TaskCancelled(details=details):
            assert_type(details, RunDetails)
        case _:
            assert_never(notification)


def ended_of_any(notification: TaskNotification[ResultT]) -> ResultT | None:
    match notification:
        case TaskExecuted():
            return notification.result
        case TaskError() | TaskMissed() | TaskCancelled():
            return None


async def ended_later(notification: TaskNotification[bytes]) -> None: ...


async def executed_later(event: TaskExecuted[bytes]) -> int:
    return len(event.result)


def any_result(event: TaskExecuted[object]) -> None: ...


def anything(event: object) -> None: ...


class Listening:
    def executed(self, event: TaskExecuted[bytes]) -> int:
        return len(event.result)

    def error(self, event: TaskError) -> str:
        return event.traceback

    def __call__(self, notification: TaskNotification[bytes]) -> None: ...


def listening(task: Task[bytes]) -> None:
    @task.on_executed
    def executed(event: TaskExecuted[bytes]) -> int:
        return len(event.result)

    @task.on_error
    def failed(event: TaskError) -> None: ...

    @task.on_missed
    def missed(event: TaskMissed) -> None: ...

    @task.on_cancelled
    async def cancelled(event: TaskCancelled) -> None: ...

    @task.on_done
    async def done(notification: TaskNotification[bytes]) -> None: ...

    listener = Listening()
    later: Callable[[TaskExecuted[bytes]], Awaitable[int]] = task.on_executed(executed_later)
    done_later: Callable[[TaskNotification[bytes]], Awaitable[None]] = task.on_done(ended_later)
    decorated: Callable[[TaskExecuted[bytes]], int] = executed
    print(later, done_later, decorated)
    assert_type(task.on_executed(listener.executed), Callable[[TaskExecuted[bytes]], int])
    assert_type(task.on_executed(any_result), Callable[[TaskExecuted[bytes]], None])
    assert_type(task.on_executed(lambda event: event.result.decode()), Callable[[TaskExecuted[bytes]], str])
    assert_type(task.on_error(listener.error), Callable[[TaskError], str])
    assert_type(task.on_error(lambda event: event.exception), Callable[[TaskError], BaseException])
    assert_type(task.on_missed(anything), Callable[[TaskMissed], None])
    assert_type(task.on_missed(lambda event: event.details.scheduled), Callable[[TaskMissed], float | None])
    assert_type(task.on_cancelled(anything), Callable[[TaskCancelled], None])
    assert_type(task.on_cancelled(lambda event: event.task_id), Callable[[TaskCancelled], str])
    assert_type(task.on_done(ended), Callable[[TaskNotification[bytes]], None])
    assert_type(task.on_done(listener), Callable[[TaskNotification[bytes]], None])
    assert_type(task.on_done(lambda notification: notification.task_id), Callable[[TaskNotification[bytes]], str])
    assert_type(task.remove_listener(executed), bool)
    assert_type(task.remove_listener(listener.executed), bool)


def length(page: bytes) -> int:
    return len(page)


async def links(page: bytes, base: str = "") -> list[str]:
    return [base, page.decode()]


def anything_of(value: object) -> str:
    return str(value)


class Stores:
    async def __call__(self, page: bytes) -> bool:
        return bool(page)


async def chaining(task: Task[bytes], universal: UniversalExecutor) -> None:
    assert_type(task.then(length), Task[int])
    assert_type(task.then(links), Task[list[str]])
    assert_type(task.then(anything_of), Task[str])
    assert_type(task.then(Stores()), Task[bool])
    assert_type(task.then(bytes.decode), Task[str])
    assert_type(task.then(partial(links, base="base")), Task[list[str]])
    assert_type(task.then(lambda page: page.hex()), Task[str])  # E[ty]: gives Unknown
    assert_type(task.then(length, executor="processpool"), Task[int])
    assert_type(task.then(length, executor="kubernetes", max_instances=3, coalesce=True, paused=True), Task[int])
    assert_type(task.then(links, executor=ThreadPoolExecutor(), id="links", timeout=30), Task[list[str]])
    assert_type(task.then(length, executor=universal, misfire_grace_time=1.5, retry=Retry(attempts=3)), Task[int])
    assert_type(task.then(length, timeout=None), Task[int])
    assert_type(task.then(links).then(len).then(anything_of), Task[str])
    assert_type(await task.then(links).result(), list[str])

    @task.then
    def decorated(page: bytes) -> float:
        return len(page) / 2

    assert_type(decorated, Task[float])


def reading(task: Task[bytes]) -> None:
    assert_type(task.id, str)
    assert_type(task.spec, TaskSpec[bytes])
    assert_type(task.function, str)
    assert_type(task.executor, str)
    assert_type(task.limits, TaskLimits)
    assert_type(task.limits.max_instances, int)
    assert_type(task.limits.misfire_grace_time, float | None)
    assert_type(task.limits.coalesce, bool)
    assert_type(task.limits.timeout, float | None)
    assert_type(task.limits.retry, Retry | None)
    assert_type(task.limits.overlap, OverlapPolicy | None)
    assert_type(task.limits.overlap_policy, OverlapPolicy)
    assert_type(task.is_coroutine, bool)
    assert_type(task.last_notification, TaskNotification[bytes] | None)
    assert_type(task.state, TaskState)
    assert_type(task.next_run_at, datetime | None)
    assert_type(task.cancel_runs(), int)


def passing_options_on(task: Task[bytes], limits: TaskLimits, **options: Unpack[TaskOptions]) -> None:
    assert_type(scheduler.add_task(length, b"page", **options), Task[int])
    task.modify(**options)
    task.modify(executor="processpool", **options)
    assert_type(limits.evolve(**options), TaskLimits)
    some: TaskOptions = {"timeout": 30, "overlap": "skip"}
    task.modify(**some)


def specs(of_bool: TaskSpec[bool]) -> tuple[TaskSpec[int], TaskRun[bool]]:
    assert_type(TaskSpec("id", partial(length, b"page"), executor="threadpool", limits=TaskLimits()), TaskSpec[int])
    return of_bool, TaskRun(of_bool, scheduled=0.0)


def changing(task: Task[bytes], limits: TaskLimits) -> None:
    task.modify(executor="processpool", max_instances=3, misfire_grace_time=None, coalesce=False)
    task.modify(timeout=1.5, retry=Retry(attempts=2), overlap="cancel_running")
    task.modify(executor=None, retry=None, overlap=None)
    task.reschedule(IntervalTrigger(hours=1))
    task.reschedule(trigger=None)
    task.pause()
    task.resume()
    task.submit()
    assert_type(limits.evolve(timeout=30, overlap="queue_one"), TaskLimits)
    assert_type(limits.evolve(retry=None), TaskLimits)
    assert_type(limits.diff(TaskLimits(overlap="queue_all")), dict[str, str])


def covariance(
    bytes_task: Task[bytes], bool_task: Task[bool], handle: RunHandle[bool]
) -> tuple[Task[int], RunHandle[int], NotificationStream[int], TaskNotification[int] | None]:
    every: dict[str, Task[object]] = {"bytes": bytes_task, "bool": bool_task}
    scheduler.remove_task(every["bytes"])
    return bool_task, handle, bool_task.notifications(), bool_task.last_notification


async def runs(run: TaskRun[bytes], await_it: Callable[[Awaitable[bytes]], bytes]) -> None:
    assert_type(run.task, TaskSpec[bytes])
    assert_type(run.id, int)
    assert_type(run.attempt, int)
    assert_type(run.scheduled, float)
    assert_type(run.scheduled_at, datetime)
    assert_type(run.started, float | None)
    assert_type(run.done, bool)
    assert_type(run.outcome, TaskNotification[bytes] | None)
    assert_type(run.task.id, str)
    assert_type(run.task.function, str)
    assert_type(run.task.executor, str)
    assert_type(run.task.limits, TaskLimits)
    assert_type(run.task.is_coroutine, bool)
    assert_type(run.is_too_late(), bool)
    assert_type(run.execute(), TaskNotification[bytes])
    assert_type(run.execute(await_it), TaskNotification[bytes])
    assert_type(await run.execute_async(), TaskNotification[bytes])
    assert_type(await run.notification(), TaskNotification[bytes])
    assert_type(run.executed(b"result"), TaskExecuted[bytes])
    assert_type(run.failed(ValueError("text"), traceback_text="text"), TaskError)
    assert_type(run.missed(), TaskMissed)
    assert_type(run.cancelled(), TaskCancelled)
    assert_type(run.call(), bytes | Awaitable[bytes])
    assert_type(run.task.call(), bytes | Awaitable[bytes])
    assert_type(run.task_id, str)
    assert_type(run.is_cancelled(), bool)
    assert_type(run.cancel_requested, bool)


def the_current_run() -> None:
    run = assert_type(current_run(), CurrentRun)
    assert_type(run.run_id, UUID)
    assert_type(run.task_id, str)
    assert_type(run.attempt, int)
    assert_type(run.scheduled, float)
    assert_type(run.scheduled_at, datetime)
    assert_type(run.fence, int | None)
    assert_type(run.node, str | None)
    assert_type(run.is_cancelled(), bool)
    run.report(1)
    run.report(0.5, 1, "half")
    run.report(1, total=None, message=None)


async def finish_run(
    database: sqlite3.Connection,
    server: psycopg.Connection[tuple[int]],
    rows: psycopg.Connection[dict[str, object]],
    later: psycopg.AsyncConnection[tuple[int]],
    part: float,
) -> int:
    run = current_run()
    assert_type(run.finish_in(database, f"{part}"), str)
    assert_type(run.finish_in(server, part), float)
    assert_type(run.finish_in(rows, None), None)
    assert_type(await run.finish_in_async(later, [1]), list[int])
    return run.finish_in(database, 3)


def on_progress(event: TaskProgress) -> float | None:
    return event.fraction


def listens_to_progress(task: Task[bytes], scheduler: AsyncIOScheduler) -> None:
    assert_type(task.on_progress(on_progress), Callable[[TaskProgress], float | None])
    scheduler.subscribe(TaskProgress, on_progress)
    scheduler.on(TaskProgress)(on_progress)


async def of_any_result(task: Task[ResultT]) -> ResultT:
    return await task.run()


async def through_a_generic_function(task: Task[bytes]) -> None:
    assert_type(await of_any_result(task), bytes)
