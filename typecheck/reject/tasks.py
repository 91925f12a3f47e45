"""Mistakes with tasks: awaiting, listening, reading, and with their runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable
from typing import assert_never

import psycopg
from typing_extensions import TypeVar

from asyncz import (
    CurrentRun,
    ExecutorState,
    IntervalTrigger,
    NotificationStream,
    Notifier,
    OverlapPolicy,
    RunHandle,
    Task,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskLimits,
    TaskMissed,
    TaskNotification,
    TaskOptions,
    TaskRun,
    TaskSpec,
    UniversalExecutor,
    current_run,
)
from asyncz.runs import complete_run

ResultT = TypeVar("ResultT")
OtherT = TypeVar("OtherT")


async def awaiting(task: Task[bytes]) -> tuple[str, str, str, int]:
    text: str = ""
    text = await task.run()  # E
    text = await task.result()  # E
    text = task.run()  # E
    text = await task.run().notification()  # E
    task.run(3)  # E
    task.run().result()  # E
    await task.state  # E
    await task  # E
    task.result().upper()  # E
    task.run()  # E[mypy]: its rule unused-awaitable
    task.result()  # E
    return text, await task.run(), "", await task.result()  # E


async def reading_a_stream(task: Task[bytes]) -> None:
    for _ in task.notifications():  # E
        pass
    async for ending in task.notifications():
        len(ending)  # E
        len(ending.result)  # E
        if isinstance(ending, TaskExecuted):
            ending.result.encode()  # E
        if isinstance(ending, TaskError):
            len(ending.exception)  # E
    with task.notifications():  # E
        pass


def forgets_the_missed(notification: TaskNotification[bytes]) -> int:
    match notification:
        case TaskExecuted() | TaskError() | TaskCancelled():
            return 1
        case _:
            assert_never(notification)  # E


def forgets_the_cancelled(notification: TaskNotification[bytes]) -> int:  # E
    match notification:  # E[-ty]: told at the function
        case TaskExecuted() | TaskError() | TaskMissed():
            return 1


def takes_the_wrong_field(notification: TaskNotification[bytes]) -> str | BaseException:
    match notification:
        case TaskExecuted(result=result):
            return result  # E
        case TaskError():
            return notification.result  # E
        case TaskMissed() | TaskCancelled():
            return notification.exception  # E


def of_text(event: TaskExecuted[str]) -> None: ...


def of_text_ending(notification: TaskNotification[str]) -> None: ...


async def of_text_later(event: TaskExecuted[str]) -> None: ...


def on_executed(event: TaskExecuted[bytes]) -> None: ...


def on_error(event: TaskError) -> None: ...


def on_missed(event: TaskMissed) -> None: ...


def on_cancelled(event: TaskCancelled) -> None: ...


def of_nothing() -> None: ...


class Listening:
    def executed(self, event: TaskExecuted[str]) -> None: ...

    def __call__(self, notification: TaskNotification[str]) -> None: ...


def listening(task: Task[bytes]) -> None:
    task.on_executed(of_text)  # E
    task.on_executed(of_text_later)  # E
    task.on_executed(on_error)  # E
    task.on_executed(Listening().executed)  # E
    task.on_executed(lambda event: event.result.encode())  # E
    task.on_executed(lambda event: event.exception)  # E
    task.on_executed(of_nothing)  # E
    task.on_error(on_executed)  # E
    task.on_error(on_missed)  # E
    task.on_error(lambda event: event.result)  # E
    task.on_error(of_nothing)  # E
    task.on_missed(on_cancelled)  # E
    task.on_missed(on_executed)  # E
    task.on_missed(lambda event: event.exception)  # E
    task.on_cancelled(on_missed)  # E
    task.on_progress(on_missed)  # E
    task.on_progress(lambda event: event.exception)  # E
    current_run().report()  # E
    current_run().report("1")  # E
    current_run().report(1, "2")  # E
    current_run().report(1, 2, 3)  # E
    task.on_cancelled(on_error)  # E
    task.on_cancelled(lambda event: event.exception)  # E
    task.on_done(of_text_ending)  # E
    task.on_done(on_executed)  # E
    task.on_done(on_error)  # E
    task.on_done(Listening())  # E
    task.on_done(lambda notification: notification.result)  # E
    task.on_done(None)  # E
    task.on_executed()  # E

    @task.on_executed  # E
    def decorated(event: TaskExecuted[str]) -> None: ...


def length(page: bytes) -> int:
    return len(page)


async def links(page: bytes) -> list[str]:
    return [page.decode()]


def of_a_text(text: str) -> int:
    return len(text)


async def of_a_text_later(text: str) -> int:
    return len(text)


def of_two(page: bytes, other: int) -> int:
    return len(page) + other


class BytesExecutor:
    state: ExecutorState = ExecutorState(alias="")

    async def start(self, scheduler: Notifier, alias: str, /) -> None: ...

    async def shutdown(self, wait: bool = True) -> None: ...

    def submit(self, run: TaskRun[bytes], /) -> None: ...


async def chaining(task: Task[bytes], of_bytes: BytesExecutor) -> tuple[Task[str], Task[list[int]]]:
    task.then(of_a_text)  # E
    task.then(of_a_text_later)  # E
    task.then(of_two)  # E
    task.then(length())  # E
    task.then(lambda page: page.encode())  # E[-ty]: lambda
    task.then(links).then(length)  # E
    task.then(length, "processpool")  # E
    task.then(length, executor=3)  # E
    task.then(length, executor=of_bytes)  # E
    task.then(links, executor=of_bytes)  # E
    task.then(length, trigger=None)  # E
    task.then(length, max_instances="3")  # E
    task.then(length, retry=3)  # E
    task.then()  # E
    text: str = await task.then(length).result()  # E
    if text:
        return task.then(length), task.then(bytes.hex)  # E
    return task.then(bytes.hex), task.then(links)  # E


def the_current_run(run: CurrentRun) -> str:
    run.attempt = 2  # E
    run.result  # E
    current_run(3)  # E
    current_run().cancel()  # E
    return current_run().run_id  # E


async def finish_run(database: sqlite3.Connection, later: psycopg.AsyncConnection[tuple[int]]) -> int:
    run = current_run()
    run.finish_in(database)  # E
    run.finish_in(database.cursor(), 1)  # E
    run.finish_in("sqlite:///jobs.db", 1)  # E
    run.finish_in(later, 1)  # E
    await run.finish_in(database, 1)  # E
    await run.finish_in_async(database, 1)  # E
    number: int = await run.finish_in_async(later, "1")  # E
    return run.finish_in(database, f"{number}")  # E


def reading(task: Task[bytes]) -> None:
    task.id = "id"  # E
    task.executor = "asyncio"  # E
    task.limits = task.limits  # E
    task.last_notification = None  # E
    task.call(3)  # E
    task.remove()  # E
    task.state.running = 3  # E
    task.limits.max_instances = 3  # E
    task.limits.overlap = "skip"  # E
    task.limits.overlap_policy = "skip"  # E
    len(task.last_notification)  # E


def limits() -> None:
    TaskLimits(3)  # E
    TaskLimits(max_instances="3")  # E
    TaskLimits(misfire_grace_time="1 s")  # E
    TaskLimits(timeout="1 s")  # E
    TaskLimits(coalesce=None)  # E
    TaskLimits(retry=3)  # E
    TaskLimits(overlap="queue")  # E
    TaskLimits().evolve(3)  # E
    TaskLimits().evolve(max_instances="3")  # E
    TaskLimits().evolve(overlap="queue")  # E
    TaskLimits().diff(3)  # E


def changing(task: Task[bytes], universal: UniversalExecutor) -> None:
    task.modify(max_instances="3")  # E
    task.modify(misfire_grace_time="1 s")  # E
    task.modify(coalesce=None)  # E
    task.modify(timeout="1 s")  # E
    task.modify(retry=3)  # E
    task.modify(overlap="queue")  # E
    task.modify(executor=universal)  # E
    task.modify(3)  # E
    task.modify(trigger=None)  # E
    task.reschedule()  # E
    task.reschedule("hourly")  # E
    task.reschedule(IntervalTrigger)  # E
    task.submit(3)  # E
    len(task.submit())  # E
    task.spec = task.spec  # E
    task.spec.limits = task.limits  # E
    task.spec.executor = "asyncio"  # E


policy: OverlapPolicy = "queue"  # E


def variance(
    task: Task[object], handle: RunHandle[object], run: TaskRun[bool], stream: NotificationStream[int]
) -> None:
    narrowed: Task[bytes] = task  # E
    narrowed_handle: RunHandle[bytes] = handle  # E
    narrowed_stream: NotificationStream[bool] = stream  # E
    NotificationStream("id")  # E
    widened_run: TaskRun[int] = run  # E
    print(narrowed, narrowed_handle, narrowed_stream, widened_run)


def wanted_of(task: Task[str], handle: RunHandle[str], run: TaskRun[str]) -> None: ...


def handed_over(task: Task[int], handle: RunHandle[int], run: TaskRun[int], good: Task[str]) -> None:
    wanted_of(task, good.run(), TaskRun(good.spec))  # E
    wanted_of(good, handle, TaskRun(good.spec))  # E
    wanted_of(good, good.run(), run)  # E
    wanted_of(good, task.run(), TaskRun(good.spec))  # E


def invents_a_result(run: TaskRun[ResultT]) -> TaskNotification[ResultT]:
    return TaskExecuted(run.task.id, "junk")  # E


def makes_runs_of_another_type(spec: TaskSpec[int], task: Task[int]) -> TaskRun[bytes]:
    TaskRun(task)  # E
    return TaskRun(spec)  # E


def gives_a_spec_another_type(spec: TaskSpec[object]) -> TaskSpec[int]:
    TaskSpec("id")  # E
    TaskSpec(3, of_nothing)  # E
    TaskSpec("id", length)  # E
    TaskSpec("id", of_nothing, limits=TaskOptions(timeout=3))  # E
    spec.id = "another"  # E
    spec.limits = TaskLimits(timeout=3)  # E
    return spec  # E


def invents_a_result_of_the_run(run: TaskRun[ResultT]) -> TaskNotification[ResultT]:
    return run.executed("junk")  # E


def swaps(first: TaskRun[ResultT], second: TaskRun[OtherT]) -> TaskNotification[ResultT]:
    return second.execute()  # E


async def swaps_later(first: TaskRun[ResultT], second: TaskRun[OtherT]) -> TaskNotification[ResultT]:
    return await second.execute_async()  # E


def runs(run: TaskRun[bytes]) -> None:
    run.executed(3)  # E
    run.executed()  # E
    run.failed("text")  # E
    run.failed()  # E
    run.missed(3)  # E
    run.execute(3)  # E
    complete_run(run, TaskExecuted("id", 3))  # E
    run.done = True  # E
    run.outcome = None  # E
    run.result  # E
    run.execute(lambda awaitable: awaitable)  # E


def wrong_awaiter(awaitable: Awaitable[bytes]) -> int:
    return 3


def runs_with(run: TaskRun[bytes], of_object: TaskRun[object]) -> TaskExecuted[int]:
    run.execute(wrong_awaiter)  # E
    return run.executed(b"")  # E
