"""Calls of a signal handler, which interrupts the loop's thread at any moment, whatever lock that holds."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType

import pytest

from asyncz import AsyncIOScheduler, TaskExecuted, ThreadPoolExecutor, schedulers
from asyncz._listeners import TaskListeners
from asyncz.schedulers._dispatcher import Dispatcher
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

PACKAGE = schedulers.__name__.partition(".")[0]


def interrupt(moment: int, work: Callable[[], object], handler: Callable[[], object]) -> bool:
    """Do some work and call a handler at a numbered moment of it; return False if the work has fewer moments."""
    left, reached = moment, False

    def profile(frame: FrameType, event: str, _: object) -> None:
        nonlocal left, reached
        if event not in {"call", "c_return"} or not f"{frame.f_globals.get('__name__')}".startswith(PACKAGE):
            return
        if left == 0:
            sys.setprofile(None)
            reached = True
            handler()
        left -= 1

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return reached


async def test_signal_handler_may_call_anything() -> None:
    """Each call is as if it came from another thread: nothing waits for itself, and nothing is lost."""

    def ignore(_: object) -> None: ...

    pool = ThreadPoolExecutor(2)
    async with asyncio.timeout(60), AsyncIOScheduler(executors={"pool": pool}) as scheduler:
        task = scheduler.add_task(abs, -1, trigger=None, executor="pool", max_instances=1000, overlap="queue_all")
        seen: list[object] = []
        task.on_executed(seen.append)
        submitted = 0

        def submit() -> None:
            nonlocal submitted
            submitted += 1
            task.submit()

        def work() -> None:
            scheduler.subscribe(TaskExecuted, ignore).unsubscribe()
            task.on_executed(ignore)
            assert task.remove_listener(ignore)
            scheduler.remove_task(scheduler.add_task(abs, -2, trigger=None))
            submit()

        def handle() -> None:
            scheduler.subscribe(TaskExecuted, ignore).unsubscribe()
            task.on_executed(print)
            assert task.remove_listener(print)
            task.modify(max_instances=1000 + submitted)
            assert scheduler.state.tasks
            submit()

        assert sum(interrupt(moment, work, handle) for moment in range(400)) > 50
        await until(lambda: len(seen) == submitted)


async def test_subscription_survives_an_interrupting_removal() -> None:
    """A handler removes the last other subscription of the same listener while one is added."""
    events: list[object] = []

    def listen(event: object) -> None:
        events.append(event)

    for moment in range(30):
        dispatcher = Dispatcher()
        other = dispatcher.subscribe(TaskExecuted, listen)
        _ = interrupt(moment, partial(dispatcher.subscribe, TaskExecuted, listen), other.unsubscribe)
        other.unsubscribe()
        events.clear()
        dispatcher.emit(TaskExecuted("id", None))
        assert len(events) == 1
        assert dispatcher.remove(listen)
        dispatcher.emit(TaskExecuted("id", None))
        assert len(events) == 1


async def test_snapshot_survives_an_interrupting_change() -> None:
    """A handler adds and removes listeners while the functions to call are collected."""

    def first(_: object) -> None: ...

    def second(_: object) -> None: ...

    for moment in range(30):
        listeners, dispatcher = TaskListeners[object](), Dispatcher()
        listeners.add(first, first)
        subscription = dispatcher.subscribe(TaskExecuted, first)

        def change(listeners: TaskListeners[object] = listeners, dispatcher: Dispatcher = dispatcher) -> None:
            listeners.add(second, second)
            assert listeners.remove(first)
            dispatcher.subscribe(TaskExecuted, second)
            assert dispatcher.remove(first)

        reached = interrupt(moment, listeners.functions, change)
        assert listeners.functions() == ((second,) if reached else (first,))
        reached = reached or interrupt(moment, partial(dispatcher.emit, TaskExecuted("id", None)), change)
        assert dispatcher.remove(first) != reached
        dispatcher.emit(TaskExecuted("id", None))
        assert dispatcher.snapshot_of(TaskExecuted) == ((second,) if reached else ())
        subscription.unsubscribe()
