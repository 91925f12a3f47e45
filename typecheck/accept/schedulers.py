"""Schedulers: each form of adding a task, the decorator, executors by alias, subscriptions."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import assert_type

from typing_extensions import Unpack

from asyncz import (
    AsyncIOScheduler,
    DateTrigger,
    ExecutorAdded,
    IntervalTrigger,
    LoopAlias,
    OverlapPolicy,
    PoolAlias,
    ProcessPoolExecutor,
    Retry,
    SchedulerShutdown,
    SchedulerState,
    SchedulerThread,
    Subscription,
    Task,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskLimits,
    TaskMissed,
    TaskModified,
    TaskOptions,
    TaskState,
    TaskSubmitted,
    ThreadPoolExecutor,
    Trigger,
    UniversalExecutor,
)
from asyncz.testing import FakeClock
from typecheck.accept.functions import (
    Pinger,
    awaitable_of,
    clean,
    fetch,
    fetch_pages,
    future_of,
    maybe,
    same,
    same_later,
    size,
    total,
    words,
)

scheduler = AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(), "io": "threadpool"}, clock=FakeClock())
pinger = Pinger("host")


class Page:
    def __init__(self, url: str, number: int = 1) -> None:
        self.url: str = url
        self.number: int = number


def adding_tasks() -> None:
    # Coroutine functions and plain ones
    assert_type(scheduler.add_task(fetch, "url"), Task[bytes])
    assert_type(scheduler.add_task(fetch_pages, "url", 2), Task[list[bytes]])
    assert_type(scheduler.add_task(size, "path", 2), Task[int])
    assert_type(scheduler.add_task(words, "a text"), Task[list[str]])
    assert_type(scheduler.add_task(maybe, "path"), Task[int | None])
    assert_type(scheduler.add_task(clean, "folder"), Task[None])
    # With defaults left out
    assert_type(scheduler.add_task(fetch_pages, "url"), Task[list[bytes]])
    assert_type(scheduler.add_task(size, "path"), Task[int])
    # With any number of arguments
    assert_type(scheduler.add_task(total), Task[float])
    assert_type(scheduler.add_task(total, 1.5), Task[float])
    assert_type(scheduler.add_task(total, 1.5, 2.5, 3.5), Task[float])
    # With keyword arguments
    assert_type(scheduler.add_task(partial(clean, "folder", older_than=3600)), Task[None])
    assert_type(scheduler.add_task(partial(clean, older_than=3600), "folder"), Task[None])
    assert_type(scheduler.add_task(partial(fetch, "url")), Task[bytes])
    assert_type(scheduler.add_task(partial(fetch_pages, "url", retries=1), 5), Task[list[bytes]])
    # Methods, callable objects, classes
    assert_type(scheduler.add_task(pinger.once, 1.5), Task[bool])
    assert_type(scheduler.add_task(pinger.later, 1.5), Task[complex])
    assert_type(scheduler.add_task(pinger, 3), Task[float])
    assert_type(scheduler.add_task(Pinger.localhost, 80), Task[Pinger])
    assert_type(scheduler.add_task(Pinger.parse, "host:80"), Task[tuple[str, int]])
    assert_type(scheduler.add_task("text".encode), Task[bytes])
    assert_type(scheduler.add_task(Page, "url", 1), Task[Page])
    assert_type(scheduler.add_task(Page, "url"), Task[Page])
    # Lambdas
    assert_type(scheduler.add_task(lambda: size("path")), Task[int])
    assert_type(scheduler.add_task(lambda: fetch("url")), Task[bytes])
    # Functions that return what has to be awaited
    assert_type(scheduler.add_task(future_of, 1), Task[str])
    assert_type(scheduler.add_task(awaitable_of, 1), Task[str])
    # Generic functions
    assert_type(scheduler.add_task(same, pinger), Task[Pinger])  # E[ty]: gives Unknown
    assert_type(scheduler.add_task(same_later, pinger), Task[Pinger])  # E[ty]: gives Unknown


def adding_tasks_with_options(trigger: Trigger, universal: UniversalExecutor) -> None:
    assert_type(scheduler.add_task(fetch, "url", executor="asyncio"), Task[bytes])
    assert_type(scheduler.add_task(size, "path", executor="processpool"), Task[int])
    assert_type(scheduler.add_task(size, "path", executor="kubernetes"), Task[int])
    assert_type(scheduler.add_task(size, "path", executor=ThreadPoolExecutor(max_workers=2)), Task[int])
    assert_type(scheduler.add_task(fetch, "url", executor=universal), Task[bytes])
    assert_type(scheduler.add_task(size, "path", trigger=trigger), Task[int])
    assert_type(scheduler.add_task(size, "path", trigger=None), Task[int])
    assert_type(scheduler.add_task(size, "path", trigger=IntervalTrigger(minutes=5), id="sizes"), Task[int])
    assert_type(scheduler.add_task(size, "path", max_instances=3, coalesce=False, paused=True), Task[int])
    assert_type(scheduler.add_task(fetch, "url", misfire_grace_time=1.5, timeout=30), Task[bytes])
    assert_type(scheduler.add_task(fetch, "url", misfire_grace_time=None, timeout=None, id=None), Task[bytes])
    assert_type(scheduler.add_task(fetch, "url", overlap="queue_one", retry=Retry(attempts=3)), Task[bytes])
    assert_type(scheduler.add_task(size, "path", overlap="cancel_running", retry=None), Task[int])
    assert_type(scheduler.add_task(size, "path", overlap=None, executor=universal), Task[int])
    assert_type(scheduler.add_task(size, "path", id="sizes", replace_existing=True), Task[int])
    assert_type(scheduler.add_task(fetch, "url", id="pages", executor=universal, replace_existing=True), Task[bytes])


def adding_tasks_with_options_that_are_passed_on(**options: Unpack[TaskOptions]) -> None:
    assert_type(scheduler.add_task(size, "path", **options), Task[int])
    assert_type(scheduler.add_task(fetch, "url", id="id", executor="threadpool", **options), Task[bytes])
    scheduler.modify_task("id", **options)
    scheduler.task(**options)


def defaults_of_all_tasks(limits: TaskLimits) -> None:
    AsyncIOScheduler(defaults=limits)
    AsyncIOScheduler(defaults=TaskLimits(timeout=60, retry=Retry(attempts=3), overlap="queue_all"))


@scheduler.task(executor="threadpool")
def count(path: str, *, limit: int = 3) -> int:
    return len(path) * limit


@scheduler.task(
    trigger=IntervalTrigger(hours=1),
    executor="asyncio",
    max_instances=2,
    misfire_grace_time=60,
    coalesce=False,
    timeout=30,
    retry=Retry(attempts=2),
    overlap="queue_all",
)
async def count_later(path: str, *, limit: int = 3) -> int:
    return len(path) * limit


@scheduler.task(trigger=DateTrigger(), executor="kubernetes")
def no_parameters() -> list[str]:
    return []


async def decorated_functions() -> None:
    assert_type(count("path"), int)
    assert_type(count("path", limit=3), int)
    assert_type(await count_later("path", limit=3), int)
    assert_type(no_parameters(), list[str])
    assert_type(count.schedule("path"), Task[int])
    assert_type(count.schedule("path", limit=3), Task[int])
    assert_type(count.schedule(path="path", limit=3), Task[int])
    assert_type(count_later.schedule("path", limit=3), Task[int])
    assert_type(no_parameters.schedule(), Task[list[str]])
    assert_type(await count_later.schedule("path").run(), int)
    assert_type(scheduler.task()(size).schedule("path", 2), Task[int])
    assert_type(scheduler.task()(fetch).schedule("url"), Task[bytes])
    assert_type(await scheduler.task()(fetch)("url"), bytes)


def adding_executors(universal: UniversalExecutor, pool_alias: PoolAlias, loop_alias: LoopAlias, alias: str) -> None:
    scheduler.add_executor(universal, alias="a")
    scheduler.add_executor(ThreadPoolExecutor(), "b")
    scheduler.add_executor("threadpool", alias="c", max_workers=3, cancel_futures=True, overwrite_wait=None)
    scheduler.add_executor("processpool", alias="d", pool_kwargs={"max_tasks_per_child": 10}, max_queue=100)
    scheduler.add_executor("debug", alias="e")
    scheduler.add_executor("dask", alias="j", address="tcp://10.0.0.5:8786", resources={"GPU": 1}, retries=3)
    scheduler.add_executor("kubernetes", alias="f")
    scheduler.add_executor(pool_alias, alias="g", max_workers=3)
    scheduler.add_executor(loop_alias, alias="h")
    scheduler.add_executor(alias, alias="i")


async def its_life() -> None:
    async with AsyncIOScheduler() as running:
        assert_type(running, AsyncIOScheduler)
        assert_type(running.running, bool)
        assert_type(running.state, SchedulerState)
        running.pause()
        running.resume()
        await running.wait_closed()
        await running.wait_closed(drain_timeout=25)
        await running.shutdown(wait=False, timeout=3.5)
    await scheduler.start()
    await scheduler.remove_executor("io", wait=False)
    await scheduler.shutdown()


def in_a_thread(task: Task[bytes]) -> None:
    assert_type(scheduler.in_thread(), SchedulerThread[AsyncIOScheduler])
    assert_type(
        scheduler.in_thread(drain_timeout=25, loop_factory=asyncio.SelectorEventLoop), SchedulerThread[AsyncIOScheduler]
    )
    with scheduler.in_thread() as thread:
        assert_type(thread, SchedulerThread[AsyncIOScheduler])
        assert_type(thread.scheduler, AsyncIOScheduler)
        assert_type(thread.run(task), bytes)
        assert_type(thread.run(task, timeout=30), bytes)
        assert_type(thread.result(task, timeout=1.5), bytes)
        assert_type(thread.run(thread.scheduler.add_task(size, "path", 2)), int)
        assert_type(thread.result(thread.scheduler.add_task(fetch_pages, "url").then(len)), int)
        thread.shutdown(wait=False)
        thread.shutdown(timeout=3.5)
        thread.wait_closed()


def known_tasks(task: Task[bytes]) -> None:
    assert_type(scheduler.tasks, tuple[Task[object], ...])
    assert_type(scheduler.get_task("id"), Task[object])
    assert_type(scheduler.get_task("id").state, TaskState)
    assert_type(scheduler.get_task("id").cancel_runs(), int)
    scheduler.pause_task(task)
    scheduler.resume_task("id")
    scheduler.remove_task(task)


def changing_tasks(
    task: Task[bytes], trigger: Trigger, pool_alias: PoolAlias, loop_alias: LoopAlias, overlap: OverlapPolicy
) -> None:
    scheduler.modify_task(task, max_instances=3, misfire_grace_time=1.5, coalesce=False, timeout=30)
    scheduler.modify_task("id", misfire_grace_time=None, timeout=None, retry=None, overlap=None)
    scheduler.modify_task(task, retry=Retry(attempts=3), overlap=overlap, executor="processpool")
    scheduler.modify_task(task, executor=pool_alias)
    scheduler.modify_task(task, executor=loop_alias)
    scheduler.modify_task(task, executor="kubernetes")
    scheduler.modify_task(task)
    scheduler.reschedule_task(task, trigger)
    scheduler.reschedule_task("id", trigger=IntervalTrigger(hours=1))
    scheduler.reschedule_task(task, None)
    scheduler.submit_task(task)
    scheduler.submit_task("id")


def on_error(event: TaskError) -> None: ...


def on_result(event: TaskExecuted[object]) -> None: ...


def on_anything(event: object) -> None: ...


async def on_missed(event: TaskMissed) -> None: ...


class Listening:
    def on_cancelled(self, event: TaskCancelled) -> str:
        return event.task_id


def subscriptions(when: datetime) -> None:
    assert_type(scheduler.subscribe(TaskError, on_error), Subscription)
    assert_type(scheduler.subscribe(TaskExecuted, on_result), Subscription)
    assert_type(scheduler.subscribe(TaskExecuted, on_anything), Subscription)
    assert_type(scheduler.subscribe(TaskMissed, on_missed), Subscription)
    assert_type(scheduler.subscribe(TaskCancelled, Listening().on_cancelled), Subscription)
    assert_type(scheduler.subscribe(SchedulerShutdown, on_anything), Subscription)
    assert_type(scheduler.subscribe(ExecutorAdded, lambda event: event.alias), Subscription)
    assert_type(scheduler.subscribe(TaskSubmitted, lambda event: event.details.scheduled), Subscription)
    assert_type(scheduler.subscribe(TaskModified, print), Subscription)
    assert_type(scheduler.subscribe(TaskExecuted, lambda event: event.result), Subscription)
    with scheduler.subscribe(TaskError, on_error) as subscription:
        assert_type(subscription, Subscription)
        subscription.unsubscribe()
