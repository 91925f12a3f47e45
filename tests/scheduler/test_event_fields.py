"""Fields of events that only listeners read."""

from __future__ import annotations

import pytest

from asyncz import AsyncIOScheduler, DebugExecutor, ExecutorAdded, Retry, TaskRetrying
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


def divide() -> float:
    return 1 / 0


async def test_added_executor_is_announced_by_alias() -> None:
    events: list[ExecutorAdded] = []
    async with AsyncIOScheduler() as scheduler:
        scheduler.subscribe(ExecutorAdded, events.append)
        scheduler.add_executor(DebugExecutor(), alias="late")
        await until(lambda: bool(events))
        assert [event.alias for event in events] == ["late"]


async def test_retrying_event_has_traceback_of_attempt() -> None:
    events: list[TaskRetrying] = []
    async with AsyncIOScheduler() as scheduler:
        scheduler.subscribe(TaskRetrying, events.append)
        task = scheduler.add_task(divide, trigger=None, executor="threadpool", retry=Retry(attempts=2, delay=0.01))
        with pytest.raises(ZeroDivisionError):
            await task.run()
        assert len(events) == 1
        assert "in divide" in events[0].traceback
