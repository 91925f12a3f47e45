"""Removed and finished tasks."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from asyncz import (
    AsyncIOScheduler,
    DateTrigger,
    InvalidInputError,
    Retry,
    SchedulerNotRunningError,
    TaskCancelled,
    TaskExecuted,
    TaskLookupError,
    TaskRemoved,
)
from tests.helpers import payloads
from tests.helpers.manual_executors import FinishesOnRequest
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_removed_task_runs_end_and_can_be_cancelled() -> None:
    go_on = asyncio.Event()
    async with AsyncIOScheduler() as scheduler:
        first = scheduler.add_task(go_on.wait, trigger=None, id="same")
        handle = first.run()
        scheduler.remove_task(first)
        second = scheduler.add_task(go_on.wait, trigger=None, id="same")
        cancelled = second.run()
        scheduler.remove_task("same")
        assert second.cancel_runs() == 1
        assert isinstance(await cancelled.notification(), TaskCancelled)
        go_on.set()
        assert isinstance(await handle.notification(), TaskExecuted)
    assert scheduler._parts.tasks._leaving == {}


async def test_finished_task_handle_still_answers() -> None:
    scheduler = AsyncIOScheduler()
    async with scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, executor="debug")
        assert await task.result() == 3
        await asyncio.sleep(0)
        assert scheduler.tasks == ()
        for call in (
            task.run,
            task.submit,
            task.pause,
            task.resume,
            lambda: task.modify(timeout=3),
            lambda: task.reschedule(DateTrigger()),
        ):
            with pytest.raises(TaskLookupError, match=repr(task.id)):
                call()
        with pytest.raises(InvalidInputError, match="trigger"):
            task.reschedule("hourly")  # type: ignore[arg-type]  # that is what is rejected
        assert task.cancel_runs() == 0
        assert (task.state.executed, task.state.running, task.next_run_at) == (1, 0, None)
        assert isinstance(task.last_notification, TaskExecuted)
        assert await task.result() == 3
        assert await task.then(str).result() == "3"
    for call in (task.run, task.submit):
        with pytest.raises(SchedulerNotRunningError, match=repr(task.id)):
            call()


async def test_task_removed_with_its_last_run() -> None:
    executor = FinishesOnRequest()
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", max_instances=2)
        await until(lambda: len(executor.taken) == 1)
        handle = task.run()
        executor.taken.popleft()()
        await task.result()
        await asyncio.sleep(0)
        assert scheduler.tasks == (task,)
        executor.finish_all()
        assert await handle == 3
        await until(lambda: not scheduler.tasks)


async def test_new_task_gets_slot_of_removed_task() -> None:
    go_on = threading.Event()
    calls = itertools.count(1)

    def work() -> int:
        call = next(calls)
        if call == 1:
            go_on.wait(30)
        return call

    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        first = scheduler.add_task(
            work, id="x", executor="threadpool", max_instances=2, timeout=0.01, retry=Retry(attempts=2)
        )
        assert await first.result() == 2
        await until(lambda: scheduler.tasks == ())
        # The thread of its first attempt has not returned: that has the one place there is for the id.
        second = scheduler.add_task(work, id="x", executor="threadpool", overlap="queue_all")
        await until(lambda: second.state.backlog == 1)
        go_on.set()
        assert await second.result() == 3


async def test_remove_all_tasks_emits_events() -> None:
    async with AsyncIOScheduler() as scheduler:
        removed: list[str] = []
        scheduler.subscribe(TaskRemoved, lambda event: removed.append(event.task_id))
        for number in range(3):
            scheduler.add_task(payloads.add, 1, 2, id=f"task-{number}", trigger=None)
        scheduler.remove_all_tasks()
        assert scheduler.tasks == ()
        scheduler.add_task(payloads.add, 1, 2, id="task-1", trigger=None)
    assert removed == ["task-0", "task-1", "task-2"]


async def test_task_removed_by_its_own_listener(caplog: pytest.LogCaptureFixture) -> None:
    """The removal is announced after the last run was released, and all the same once."""
    removed: list[TaskRemoved] = []
    async with AsyncIOScheduler() as scheduler:
        scheduler.subscribe(TaskRemoved, removed.append)
        upstream = scheduler.add_task(payloads.process_id, trigger=None, id="upstream")
        task = upstream.then(type, id="task")
        task.on_executed(lambda _: scheduler.remove_task(task))
        stream = task.notifications()
        upstream.submit()
        assert [type(outcome) async for outcome in stream] == [TaskExecuted]
        assert [event.task_id for event in removed] == ["task"]
        assert not upstream._listeners
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_runs_of_removed_tasks_count_by_id() -> None:
    """Count the runs of two removed tasks in the states of the tasks that have their ids now."""
    go_on = asyncio.Event()
    async with AsyncIOScheduler() as scheduler:
        for task_id in ("one", "two"):
            scheduler.add_task(go_on.wait, trigger=None, id=task_id).run()
        for task_id in ("one", "two"):
            scheduler.remove_task(task_id)
        tasks = [scheduler.add_task(payloads.add, 1, 2, trigger=None, id=task_id) for task_id in ("one", "two")]
        assert [task.state.running for task in tasks] == [1, 1]
        go_on.set()
        await until(lambda: [task.state.running for task in tasks] == [0, 0])
