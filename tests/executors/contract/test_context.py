"""Rule: each run has its own copy of the context."""

from __future__ import annotations

import contextvars

import pytest

from asyncz import AsyncIOScheduler, IntervalTrigger, Retry, TaskExecuted, TaskRun, TaskSpec
from asyncz.testing import FakeClock
from tests.helpers.executors import MAKERS, scheduler_with

pytestmark = pytest.mark.anyio


def test_run_context_can_be_prepared_by_executor() -> None:
    prepared: contextvars.ContextVar[str] = contextvars.ContextVar("prepared")
    task = TaskSpec("t", prepared.get)
    run = TaskRun(task, context=contextvars.copy_context())
    context = run.context
    assert context is not None
    context.run(prepared.set, "by its executor")
    ending = run.execute()
    assert isinstance(ending, TaskExecuted)
    assert ending.result == "by its executor"


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "debug"])
async def test_context_of_add_task_visible(kind: str) -> None:
    variable = contextvars.ContextVar("variable", default="unset")

    async def read_async() -> str:
        return variable.get()

    async with scheduler_with(kind) as scheduler:
        variable.set("set")
        plain = scheduler.add_task(variable.get, executor="under_test")
        coroutine = scheduler.add_task(read_async, executor="under_test")
        variable.set("later")
        assert [await plain.result(), await coroutine.result()] == ["set", "set"]
        assert await scheduler.add_task(read_async, executor="under_test", trigger=None).run() == "later"


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "debug"])
async def test_context_changes_stay_in_run(kind: str) -> None:
    variable = contextvars.ContextVar("variable", default=0)

    def count() -> int:
        variable.set(variable.get() + 1)
        return variable.get()

    async def count_async() -> int:
        return count()

    clock = FakeClock()
    async with AsyncIOScheduler(executors={"under_test": MAKERS[kind]()}, clock=clock) as scheduler:
        variable.set(10)
        results: list[object] = []
        for function in (count, count_async):
            task = scheduler.add_task(function, executor="under_test", trigger=IntervalTrigger(seconds=1))
            task.on_executed(lambda event: results.append(event.result))
        variable.set(20)
        await clock.advance(3.5, wait_for_runs=True)
        assert results == [11] * 6
        assert variable.get() == 20


async def test_retry_has_context_of_first_attempt() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    async def work() -> None:
        seen.append(variable.get())
        variable.set("in an attempt")
        if len(seen) < 3:
            raise OSError("no answer")

    async with AsyncIOScheduler() as scheduler:
        variable.set("at the call")
        handle = scheduler.add_task(work, retry=Retry(attempts=3), trigger=None).run()
        variable.set("later")
        await handle
    assert seen == ["at the call"] * 3
