"""Runs by their ids, and the history of finished tasks."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from asyncz import AsyncIOScheduler, DateTrigger, InvalidInputError, RunLookupError, RunSummary, TaskRemoved
from tests.helpers.payloads import add, fail
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


class Argument:
    pass


async def test_get_run_of_finished_one_off() -> None:
    async with AsyncIOScheduler() as scheduler:
        done, failed = scheduler.add_task(add, 1, 2, id="done"), scheduler.add_task(fail, "broken", id="failed")
        await done.result()
        with pytest.raises(ValueError, match="broken"):
            await failed.result()
        assert scheduler.tasks == ()
        executed, error = scheduler.history
        assert (executed.task_id, executed.outcome, executed.error) == ("done", "executed", "")
        assert (error.task_id, error.outcome, error.error) == ("failed", "error", "ValueError: broken")
        assert scheduler.get_run(error.run_id) == error
        assert done.state.recent_runs == (executed,)
        assert executed.started_at is not None
        assert RunSummary.model_validate_json(executed.model_dump_json()) == executed
        # Also from other threads, and after the shutdown.
        assert await asyncio.to_thread(scheduler.get_run, executed.run_id) == executed
    assert scheduler.get_run(executed.run_id) == executed


async def test_get_run_in_progress_has_no_outcome() -> None:
    end = asyncio.Event()
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(end.wait, trigger=None, id="task")
        handle = task.run()
        await until(lambda: scheduler.get_run(handle.run_id).started_at is not None)
        found = scheduler.get_run(handle.run_id)
        assert (found.run_id, found.task_id, found.outcome) == (handle.run_id, "task", None)
        assert found.finished_at is None
        end.set()
        await handle
        assert scheduler.get_run(handle.run_id).outcome == "executed"
        assert scheduler.history == ()
        scheduler.remove_task(task)
        await until(lambda: [run.run_id for run in scheduler.history] == [handle.run_id])


async def test_recent_runs_found_by_id() -> None:
    async with AsyncIOScheduler(recent_runs=2) as scheduler:
        task = scheduler.add_task(add, 1, 2, trigger=None)
        run_ids = []
        for _ in range(3):
            handle = task.run()
            await handle
            run_ids.append(handle.run_id)
        with pytest.raises(RunLookupError, match=f"id {run_ids[0]} is known.*history and recent_runs.*kept$"):
            scheduler.get_run(run_ids[0])
        assert [scheduler.get_run(run_id).run_id for run_id in run_ids[1:]] == run_ids[1:]


@pytest.mark.parametrize("bound", [0, 3])
async def test_history_is_bounded(bound: int) -> None:
    async with AsyncIOScheduler(history=bound) as scheduler:
        for number in range(10):
            await scheduler.add_task(add, 1, 2, id=f"{number}").result()
        assert [run.task_id for run in scheduler.history] == ["7", "8", "9"][:bound]


async def test_history_keeps_no_arguments_and_results() -> None:
    async with AsyncIOScheduler() as scheduler:
        argument = Argument()
        reference = weakref.ref(argument)
        await scheduler.add_task(Argument.__repr__, argument).result()
        await scheduler.add_task(id, argument).result()
        del argument
        # The thread that ran the function may drop it a moment after the result.
        await until(lambda: gc.collect() >= 0 and reference() is None)
        assert len(scheduler.history) == 2


async def test_run_in_history_when_removal_is_announced() -> None:
    known: list[int] = []
    async with AsyncIOScheduler() as scheduler:
        scheduler.subscribe(TaskRemoved, lambda _: known.append(len(scheduler.state.tasks)))
        task = scheduler.add_task(add, 1, 2, trigger=DateTrigger())
        await task.result()
    assert known == [0]
    assert len(scheduler.history) == 1


@pytest.mark.parametrize("value", [-1, 1.5, None, True])
def test_invalid_history_rejected(value: int) -> None:
    with pytest.raises(InvalidInputError, match="history cannot be"):
        AsyncIOScheduler(history=value)
