"""Handles of tasks and runs."""

from __future__ import annotations

import pytest

from asyncz import AsyncIOScheduler, Task, TaskLookupError, TaskSpec
from tests.helpers import payloads

pytestmark = pytest.mark.anyio


async def test_handles_identify_task_and_run() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.AsyncAdder(), 1, 2, trigger=None, id="adder")
        handle = task.run()
        assert (handle.task_id, handle.run_id.version) == ("adder", 8)
        assert "adder" in repr(task)
        assert "adder" in repr(handle)
        assert task.function == "tests.helpers.payloads:AsyncAdder"
        assert task.next_run_at is None
        assert await handle == 3
        scheduler.remove_task(task)
        with pytest.raises(TaskLookupError):
            scheduler.remove_task(task)
        assert task.cancel_runs() == 0
    alone: Task[int] = Task(TaskSpec("alone", lambda: 1))
    with pytest.raises(RuntimeError, match="running scheduler"):
        alone.run()
    with pytest.raises(RuntimeError, match="running scheduler"):
        _ = alone.state
