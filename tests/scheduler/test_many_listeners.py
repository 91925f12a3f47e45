"""Costs of many listeners, in calls and bytes: neither depends on how many others there are."""

from __future__ import annotations

import gc
import statistics
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FrameType

import pytest

from asyncz import AsyncIOScheduler, Task, TaskExecuted
from asyncz.tasks import NotificationStream
from tests.helpers import payloads

pytestmark = pytest.mark.anyio

_MANY = 2_000
_Listener = Callable[[object], object]


def calls_of(function: Callable[[], object]) -> int:
    """Return the number of Python and C functions that a call of a function calls."""
    calls, before = 0, sys.getprofile()

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


def bytes_of(function: Callable[[], object]) -> int:
    """Return the most bytes that a call of a function allocates."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    function()
    return tracemalloc.get_traced_memory()[1] - before


@pytest.fixture
def traced_memory() -> Iterator[None]:
    """Trace allocations without collections, which would call finalizers."""
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


def add_to_task(scheduler: AsyncIOScheduler, task: Task[int], listener: _Listener) -> Callable[[], object]:
    task.on_done(listener)
    return partial(task.remove_listener, listener)


def add_progress(scheduler: AsyncIOScheduler, task: Task[int], listener: _Listener) -> Callable[[], object]:
    task.on_progress(listener)
    return partial(task.remove_listener, listener)


def add_stream(scheduler: AsyncIOScheduler, task: Task[int], listener: _Listener) -> Callable[[], object]:
    stream: NotificationStream[int] = task.notifications()
    return stream.close


def add_to_scheduler(scheduler: AsyncIOScheduler, task: Task[int], listener: _Listener) -> Callable[[], object]:
    scheduler.subscribe(TaskExecuted, listener)
    return partial(scheduler.remove_listener, listener)


def subscribe(scheduler: AsyncIOScheduler, task: Task[int], listener: _Listener) -> Callable[[], object]:
    return scheduler.subscribe(TaskExecuted, listener).unsubscribe


WAYS: Sequence[Callable[[AsyncIOScheduler, Task[int], _Listener], Callable[[], object]]] = (
    add_to_task,
    add_progress,
    add_stream,
    add_to_scheduler,
    subscribe,
)


class _Receiver:
    def receive(self, _: object) -> None: ...


def _functions() -> Iterator[_Listener]:
    while True:
        yield partial(id)
        yield _Receiver().receive


@pytest.mark.parametrize("add", WAYS, ids=lambda way: getattr(way, "__name__", ""))
async def test_removal_cost_does_not_grow_with_listeners(
    add: Callable[[AsyncIOScheduler, Task[int], _Listener], Callable[[], object]],
) -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        listeners = _functions()
        removals = [add(scheduler, task, next(listeners)) for _ in range(20)]
        among_few = max(map(calls_of, removals))
        removals = [add(scheduler, task, next(listeners)) for _ in range(_MANY)]
        assert max(map(calls_of, removals)) <= among_few


@pytest.mark.usefixtures("traced_memory")
@pytest.mark.parametrize("add", WAYS, ids=lambda way: getattr(way, "__name__", ""))
async def test_addition_cost_does_not_grow_with_listeners(
    add: Callable[[AsyncIOScheduler, Task[int], _Listener], Callable[[], object]],
) -> None:
    """A copy of all others takes 16,000 bytes here. The median: tables are enlarged now and then."""
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        listeners, removals = _functions(), list[Callable[[], object]]()
        sizes: list[int] = []

        def add_and_keep(listener: _Listener) -> None:
            removals.append(add(scheduler, task, listener))

        for _ in range(_MANY):
            listener = next(listeners)
            sizes.append(bytes_of(partial(add_and_keep, listener)))
        assert statistics.median(sizes[-21:]) < statistics.median(sizes[:21]) + _MANY
        sizes = [bytes_of(removal) for removal in removals]
        assert statistics.median(sizes[:21]) < statistics.median(sizes[-21:]) + _MANY


async def test_same_listener_often_is_removed_at_once() -> None:
    heard: list[object] = []
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        for _ in range(_MANY):
            task.on_done(heard.append)
        # Each access makes a new method of the list, which is the same listener.
        assert calls_of(lambda: task.on_done(heard.append)) < 20
        await task.run()
        assert len(heard) == _MANY + 1
        assert task.remove_listener(heard.append)
        assert not task.remove_listener(heard.append)
        await task.run()
    assert len(heard) == _MANY + 1


async def test_listeners_called_in_order_of_registration() -> None:
    heard: list[str] = []

    def listener(name: str) -> _Listener:
        return lambda _: heard.append(name)

    names = {name: listener(name) for name in "abc"}
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        for name in "abacb":
            task.on_done(names[name])
        await task.run()
        assert task.remove_listener(names["a"])
        task.on_done(names["a"])
        await task.run()
    assert "".join(heard) == "abacb" + "bcba"
