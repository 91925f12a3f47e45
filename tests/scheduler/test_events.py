"""Events, listeners and subscriptions."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import weakref
from functools import partial

import pytest
from typing_extensions import override

import asyncz
from asyncz import (
    AsyncIOScheduler,
    ExecutorAdded,
    ExecutorInUseError,
    ExecutorRemoved,
    IntervalTrigger,
    SchedulerPaused,
    SchedulerResumed,
    SchedulerShutdown,
    SchedulerStarted,
    TaskAdded,
    TaskExecuted,
    TaskModified,
    TaskNotification,
    TaskRemoved,
    UnknownAliasError,
)
from tests.helpers import payloads
from tests.helpers.payloads import do_nothing
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_task_added_event_has_task_id() -> None:
    async with AsyncIOScheduler() as scheduler:
        added: list[TaskAdded] = []
        scheduler.subscribe(TaskAdded, added.append)
        await scheduler.add_task(payloads.add, 1, 2, id="named").result()
        assert [event.task_id for event in added] == ["named"]


async def test_listener_change_applied_without_other_call() -> None:
    ran = asyncio.Event()

    async def follow() -> None:
        ran.set()

    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(do_nothing, trigger=None)
        task.on_executed(lambda _: scheduler.add_task(follow))
        task.run()
        await ran.wait()


async def test_listeners_see_context_of_start() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    def hear(_: object) -> None:
        seen.append(variable.get())
        variable.set("of a listener")

    async def hear_later(_: object) -> None:
        await asyncio.sleep(0)
        seen.append(variable.get())

    variable.set("of the start")
    async with AsyncIOScheduler() as scheduler:
        variable.set("of what comes later")
        scheduler.subscribe(TaskExecuted, hear)
        task = scheduler.add_task(payloads.add, 1, 2, executor="debug", trigger=None)
        task.on_executed(hear_later)
        await task.run()
        await asyncio.to_thread(task.submit)
        await until(lambda: len(seen) == 4)
        # By a timer, which another follows that is set in its call.
        scheduler.add_task(payloads.add, 1, 2, executor="debug", trigger=IntervalTrigger(seconds=0.001))
        await until(lambda: len(seen) >= 7)
    assert set(seen) == {"of the start"}


async def test_lifecycle_events_emitted_in_order() -> None:
    names: list[str] = []

    def note(event: object) -> None:
        names.append(type(event).__name__)

    scheduler = AsyncIOScheduler()
    scheduler.subscribe(SchedulerStarted, note)
    scheduler.subscribe(SchedulerPaused, note)
    scheduler.subscribe(SchedulerResumed, note)
    scheduler.subscribe(SchedulerShutdown, note)
    scheduler.subscribe(ExecutorAdded, note)
    scheduler.subscribe(ExecutorRemoved, note)
    scheduler.subscribe(TaskAdded, note)
    scheduler.subscribe(TaskModified, note)
    scheduler.subscribe(TaskRemoved, note)
    async with scheduler:
        scheduler.add_executor("threadpool", alias="io", max_workers=2)
        task = scheduler.add_task(payloads.add, 1, 2, executor="io", trigger=None)
        assert await task.run() == 3
        with pytest.raises(ExecutorInUseError):
            await scheduler.remove_executor("io")
        scheduler.pause_task(task)
        scheduler.remove_task(task.id)
        await scheduler.remove_executor("io")
        with pytest.raises(UnknownAliasError):
            await scheduler.remove_executor("io")
        scheduler.pause()
        scheduler.resume()
        await asyncio.sleep(0.01)
    assert set(names) == {
        "SchedulerStarted",
        "ExecutorAdded",
        "TaskAdded",
        "TaskModified",
        "ExecutorRemoved",
        "TaskRemoved",
        "SchedulerPaused",
        "SchedulerResumed",
        "SchedulerShutdown",
    }
    assert names[0] == "SchedulerStarted"
    assert names[-1] == "SchedulerShutdown"


async def test_listener_exception_affects_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[object] = []

    def broken(event: object) -> None:
        raise SystemExit(1)

    async def slow(event: object) -> None:
        await asyncio.sleep(0.05)
        seen.append(event)

    async def slow_and_broken(event: object) -> None:
        raise ValueError("in a coroutine")

    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        for listener in (broken, slow, slow_and_broken):
            task.on_done(listener)
        task.on_executed(seen.append)
        task.on_error(seen.append)
        task.on_cancelled(seen.append)
        subscription = scheduler.subscribe(TaskExecuted, seen.append)
        await task.run()
        subscription.unsubscribe()
        assert task.remove_listener(slow)
        assert not task.remove_listener(slow)
        await task.run()
    assert len(seen) == 4
    assert sum("A listener raised" in record.getMessage() for record in caplog.records) == 4


async def test_notification_stream_ends_with_scheduler() -> None:
    scheduler = AsyncIOScheduler()
    await scheduler.start()
    task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
    stream = task.notifications()
    await task.run()
    await task.run()
    await scheduler.shutdown()
    received: list[TaskNotification[int]] = [notification async for notification in stream]
    assert len(received) == 2
    await stream.aclose()


async def test_remove_listener_compares_bound_methods() -> None:
    class Counter:
        def __init__(self) -> None:
            self.count = 0

        def heard(self, _: object) -> None:
            self.count += 1

    counter, other = Counter(), Counter()
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        task.on_done(counter.heard)
        task.on_done(other.heard)
        await task.run()
        assert task.remove_listener(counter.heard)
        assert not task.remove_listener(counter.heard)
        await task.run()
    assert (counter.count, other.count) == (1, 2)


async def test_remove_listener_compares_identity() -> None:
    class Equal:
        def __init__(self) -> None:
            self.count = 0

        def __call__(self, _: object) -> None:
            self.count += 1

        @override
        def __eq__(self, other: object) -> bool:
            return True

        @override
        def __hash__(self) -> int:
            return 0

    one, other = Equal(), Equal()
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        task.on_done(one)
        task.on_done(other)
        assert task.remove_listener(one)
        await task.run()
    assert (one.count, other.count) == (0, 1)


async def test_listener_may_unsubscribe_another() -> None:
    heard: list[object] = []
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        subscription = scheduler.subscribe(TaskExecuted, heard.append)
        task.on_done(lambda _: subscription.unsubscribe())
        await task.run()
    assert heard == []


async def test_duplicate_subscription_called_twice() -> None:
    heard: list[str] = []

    def first(_: TaskExecuted[object]) -> None:
        heard.append("first")

    def second(_: TaskExecuted[object]) -> None:
        heard.append("second")

    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        subscriptions = [scheduler.subscribe(TaskExecuted, each) for each in (first, second, first)]
        await task.run()
        assert heard == ["first", "second", "first"]
        heard.clear()
        for _ in range(2):
            subscriptions[0].unsubscribe()
        await task.run()
        assert heard == ["second", "first"]


class Session:
    """Listener that cancels its subscriptions when it is garbage-collected."""

    def __init__(self, scheduler: AsyncIOScheduler, heard: list[object]) -> None:
        subscription = scheduler.subscribe(TaskExecuted, heard.append)
        weakref.finalize(self, subscription.unsubscribe)

    def hear(self, _: TaskExecuted[object]) -> None:
        """Keep this object alive through the bound method."""


async def test_unsubscribe_may_trigger_other_unsubscribe() -> None:
    heard: list[object] = []
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        subscription = scheduler.subscribe(TaskExecuted, Session(scheduler, heard).hear)
        await task.run()
        assert len(heard) == 1
        subscription.unsubscribe()
        await task.run()
        assert len(heard) == 1


async def test_unsubscribe_from_several_threads() -> None:
    heard: list[object] = []
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        subscriptions = [scheduler.subscribe(TaskExecuted, heard.append) for _ in range(400)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(asyncz.Subscription.unsubscribe, subscriptions[1:]))
        await task.run()
        assert len(heard) == 1


async def test_executed_event_has_result() -> None:
    results: list[object] = []
    async with AsyncIOScheduler() as scheduler:
        scheduler.subscribe(TaskExecuted, lambda event: results.append(event.result))
        await scheduler.add_task(payloads.add, 1, 2).result()
    assert results == [3]


async def test_many_listeners_are_removed_in_linear_time() -> None:
    """A look at all others for each of them would take minutes."""
    listeners = [partial(print, number) for number in range(20_000)]
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        for listener in listeners:
            scheduler.subscribe(TaskExecuted, listener)
        assert all(scheduler.remove_listener(listener) for listener in listeners)
        assert not scheduler.remove_listener(listeners[0])


async def test_listener_subscribed_between_events_is_called() -> None:
    first: list[object] = []
    second: list[object] = []
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, executor="debug", trigger=None)
        for listener in (first.append, second.append):
            scheduler.subscribe(TaskExecuted, listener)
            await task.run()
    assert (len(first), len(second)) == (2, 1)
