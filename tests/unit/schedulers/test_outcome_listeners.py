"""The outcome of a run reaches listeners as `Dispatcher.emit` calls them, and is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from hypothesis import given, strategies as st

from asyncz import AsyncIOScheduler, TaskError, TaskExecuted, TaskNotification
from asyncz.schedulers._dispatcher import Dispatcher
from asyncz.schedulers.subscriptions import Subscription

_ACTIONS = ("record", "raise", "subscribe", "unsubscribe", "return coroutine")
_Listener = Callable[[TaskNotification[None]], object]


class _Listeners:
    """Listeners that record their calls in order, and change the subscriptions.

    Args:
        subscribe: Subscribes a listener to the class of the outcome.
    """

    def __init__(self, subscribe: Callable[[_Listener], Subscription]) -> None:
        self.calls: list[str] = []
        self._subscribe = subscribe
        self._subscriptions: list[Subscription] = []

    def subscribe(self, name: str, action: str) -> None:
        self._subscriptions.append(self._subscribe(self.make(name, action)))

    def make(self, name: str, action: str) -> _Listener:
        """Return a listener that does something at its first call."""

        async def called_later() -> None:
            self.calls.append(f"{name} later")

        def listener(outcome: TaskNotification[None]) -> object:
            is_first = name not in self.calls
            self.calls.append(name)
            if not is_first:
                return None
            match action:
                case "raise":
                    raise KeyError
                case "subscribe":
                    self.subscribe(f"added by {name}", "record")
                case "unsubscribe" if self._subscriptions:
                    self._subscriptions.pop().unsubscribe()
                case "return coroutine":
                    return called_later()
                case _:
                    pass
            return None

        return listener


async def _let_coroutines_run() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def _work(fails: bool) -> None:
    if fails:
        raise ValueError


async def _calls_of_runs(of_task: list[str], of_class: list[str], *, fails: bool) -> tuple[list[str], list[object]]:
    """Return the calls of listeners for two runs of a scheduler."""
    async with AsyncIOScheduler() as scheduler:

        def subscribe(listener: _Listener) -> Subscription:
            if fails:
                return scheduler.subscribe(TaskError, listener)
            # The scheduler has one task, whose result is None.
            return scheduler.subscribe(TaskExecuted, cast("Callable[[TaskExecuted[object]], object]", listener))

        listeners = _Listeners(subscribe)
        task = scheduler.add_task(_work, fails, trigger=None, executor="debug")
        for number, action in enumerate(of_task):
            task.on_done(listeners.make(f"task {number}", action))
        for number, action in enumerate(of_class):
            listeners.subscribe(f"class {number}", action)
        outcomes: list[object] = []
        for _ in range(2):
            handle = task.run()
            outcomes.append(type(await handle.notification()))
            await _let_coroutines_run()
        counts: list[object] = [
            scheduler.state.executed,
            scheduler.state.errors,
            task.state.executed,
            task.state.errors,
        ]
        return listeners.calls, [*outcomes, *counts]


async def _calls_of_emit(of_task: list[str], of_class: list[str], *, fails: bool) -> list[str]:
    """Return the calls of listeners for two outcomes that `emit` emits."""
    dispatcher, kind = Dispatcher(), TaskError if fails else TaskExecuted
    listeners = _Listeners(lambda listener: dispatcher.subscribe(kind, listener))
    first = [listeners.make(f"task {number}", action) for number, action in enumerate(of_task)]
    for number, action in enumerate(of_class):
        listeners.subscribe(f"class {number}", action)
    for _ in range(2):
        dispatcher.emit(TaskError("task", ValueError()) if fails else TaskExecuted("task", None), first)
        await _let_coroutines_run()
    return listeners.calls


_actions = st.lists(st.sampled_from(_ACTIONS), max_size=3)


@given(_actions, _actions, st.booleans())
def test_outcome_reaches_listeners_like_emit(of_task: list[str], of_class: list[str], fails: bool) -> None:
    async def compare() -> None:
        calls, seen = await _calls_of_runs(of_task, of_class, fails=fails)
        assert calls == await _calls_of_emit(of_task, of_class, fails=fails)
        kind, counts = TaskError if fails else TaskExecuted, [0, 2] if fails else [2, 0]
        assert seen == [kind, kind, *counts, *counts]

    asyncio.run(compare())
