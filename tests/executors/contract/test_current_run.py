"""Rule: a function can access its run."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
from collections.abc import Callable, Generator
from datetime import datetime
from uuid import UUID

import pytest

from asyncz import (
    AsyncIOScheduler,
    IntervalTrigger,
    NoCurrentRunError,
    Retry,
    Task,
    TaskExecuted,
    TaskRun,
    TaskSpec,
    current_run,
)
from asyncz.testing import FakeClock
from tests.helpers.executors import MAKERS, every_executor, scheduler_with
from tests.helpers.payloads import see_run, see_run_later
from tests.helpers.times import START
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


def gives_a_coroutine() -> object:
    return see_run_later()


@every_executor
@pytest.mark.parametrize("function", [see_run, see_run_later, gives_a_coroutine])
async def test_current_run_visible_in_function_and_calls(kind: str, function: Callable[[], object]) -> None:
    async with AsyncIOScheduler(executors={"under_test": MAKERS[kind]()}, clock=FakeClock()) as scheduler:
        task = scheduler.add_task(function, executor="under_test", trigger=None, id="näme-😀", max_instances=20)
        for _ in range(2):
            handles = [task.run() for _ in range(2)]
            results = [await handle for handle in handles]
            assert results == [(handle.run_id, "näme-😀", 1, START) for handle in handles]


def fails_at_first(attempts: int) -> tuple[UUID, str, int, datetime]:
    if current_run().attempt < attempts:
        raise OSError("not yet")
    return see_run()


@every_executor
async def test_current_run_of_retry_keeps_run_id(kind: str) -> None:
    async with scheduler_with(kind) as scheduler:
        retry = Retry(attempts=3, delay=0.0)
        task = scheduler.add_task(fails_at_first, 3, executor="under_test", trigger=None, retry=retry)
        handle = task.run()
        run_id, _, attempt, scheduled_at = await handle
        notification = await handle.notification()
        assert (run_id, attempt) == (handle.run_id, 3)
        assert scheduled_at == notification.details.scheduled_at


async def test_current_run_has_due_time() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        seen_at: list[datetime] = []
        task = scheduler.add_task(see_run, trigger=IntervalTrigger(hours=1), executor="threadpool")
        task.on_executed(lambda event: seen_at.append(event.result[3]))
        await clock.advance(hours=2, wait_for_runs=True)
        assert seen_at == [START.replace(hour=1), START.replace(hour=2)]


def test_current_run_restored_after_inline_run() -> None:
    inner = TaskRun(TaskSpec("inner", see_run))

    def outer() -> list[str]:
        before, within = current_run().task_id, inner.execute()
        assert isinstance(within, TaskExecuted)
        return [before, within.result[1], current_run().task_id]

    ending = TaskRun(TaskSpec("outer", outer)).execute()
    assert isinstance(ending, TaskExecuted)
    assert ending.result == ["outer", "inner", "outer"]


async def test_current_run_outside_run_raises() -> None:
    with pytest.raises(NoCurrentRunError, match="outside of a run"):
        current_run()

    def in_a_thread_of_its_own() -> list[bool]:
        found: list[bool] = []

        def look() -> None:
            try:
                current_run()
            except NoCurrentRunError:
                found.append(False)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return found

    async with AsyncIOScheduler() as scheduler:
        heard: list[BaseException] = []

        @scheduler.add_task(in_a_thread_of_its_own, executor="threadpool").on_executed
        def listener(event: TaskExecuted[list[bool]]) -> None:
            assert event.result == [False]
            try:
                current_run()
            except NoCurrentRunError as error:
                heard.append(error)

        await until(lambda: bool(heard))
        await scheduler.add_task(see_run_later).result()
        with pytest.raises(NoCurrentRunError):
            current_run()


async def test_current_run_unset_in_listeners() -> None:
    """Listeners do not see the run that added the task of their event."""
    heard: list[str] = []

    async def add_later() -> None:
        # The scheduler is idle by then: a new task wakes it.
        await asyncio.sleep(0.01)
        scheduler.add_task(see_run, id="added", executor="debug")

    def hear(event: TaskExecuted[object]) -> None:
        try:
            heard.append(f"of {event.task_id} in {current_run().task_id}")
        except NoCurrentRunError:
            heard.append(f"of {event.task_id}")

    async with AsyncIOScheduler() as scheduler:
        scheduler.subscribe(TaskExecuted, hear)
        scheduler.add_task(add_later, id="adds")
        await until(lambda: len(heard) == 2)
    assert set(heard) == {"of added", "of adds"}


class NeverDone:
    def __await__(self) -> Generator[object, None, None]:
        yield None


def test_abandoned_coroutine_leaves_no_current_run() -> None:
    other = TaskRun(TaskSpec("other", see_run))
    task: TaskSpec[None] = TaskSpec("t", NeverDone)
    coroutine = TaskRun(task).execute_async()
    contextvars.copy_context().run(coroutine.send, None)
    # An exception during the garbage collection would fail a test.
    del coroutine
    gc.collect()
    assert isinstance(other.execute(), TaskExecuted)


async def test_current_run_in_added_task_is_its_own() -> None:
    def inner() -> str:
        return current_run().task_id

    def outer() -> Task[str]:
        return scheduler.add_task(inner, id="inner", executor="debug")

    async with AsyncIOScheduler() as scheduler:
        task = await scheduler.add_task(outer, id="outer", executor="debug").result()
        assert await task.result() == "inner"
