"""Listeners of several event classes: `scheduler.on`."""

from __future__ import annotations

import pytest

from asyncz import (
    AsyncIOScheduler,
    Event,
    InvalidInputError,
    SchedulerShutdown,
    SchedulerStarted,
    TaskAdded,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskRemoved,
)
from tests.helpers import payloads

pytestmark = pytest.mark.anyio


async def test_on_calls_listener_with_its_classes() -> None:
    scheduler = AsyncIOScheduler()
    heard: list[str] = []

    @scheduler.on(TaskExecuted, TaskError)
    async def record(event: TaskExecuted[object] | TaskError) -> str:
        heard.append(type(event).__name__)
        return event.task_id

    async with scheduler:
        await scheduler.add_task(payloads.add, 1, 2, trigger=None).run()
        with pytest.raises(ValueError, match="no"):
            await scheduler.add_task(raise_error, trigger=None).run()
    assert heard == ["TaskExecuted", "TaskError"]
    # The function is returned as it is.
    assert await record(TaskError("a", ValueError())) == "a"


def raise_error() -> None:
    raise ValueError("no")


async def test_on_without_classes_receives_all_events() -> None:
    scheduler = AsyncIOScheduler()
    heard: list[Event] = []
    scheduler.on()(heard.append)
    async with scheduler:
        scheduler.remove_task(scheduler.add_task(payloads.add, 1, 2, trigger=None))
    kinds = [type(event) for event in heard]
    assert {SchedulerStarted, TaskAdded, TaskRemoved, SchedulerShutdown} <= set(kinds)


async def test_remove_listener_ends_all_subscriptions() -> None:
    scheduler = AsyncIOScheduler()
    heard: list[object] = []
    scheduler.on(SchedulerStarted, SchedulerShutdown)(heard.append)
    scheduler.subscribe(TaskAdded, heard.append)
    assert scheduler.remove_listener(heard.append)
    assert not scheduler.remove_listener(heard.append)
    async with scheduler:
        scheduler.add_task(payloads.add, 1, 2)
    assert heard == []


def test_on_rejects_wrong_classes_and_listeners() -> None:
    scheduler = AsyncIOScheduler()
    with pytest.raises(InvalidInputError, match="TaskMissed"):
        scheduler.on(int)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(InvalidInputError, match="listener"):
        scheduler.on(TaskMissed)(3)  # type: ignore[arg-type]  # wrong on purpose
