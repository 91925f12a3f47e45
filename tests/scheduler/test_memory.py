"""Finished runs and removed tasks are freed without the garbage collector."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import tracemalloc
import weakref
from collections.abc import Callable, Coroutine, Generator
from datetime import UTC, datetime, timedelta
from typing import Never

import pytest

from asyncz import AsyncIOScheduler, IntervalTrigger, Task
from tests.helpers import payloads
from tests.helpers.executors import scheduler_with
from tests.helpers.payloads import see_run, see_run_later
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Generator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("function", [see_run, see_run_later])
async def test_finished_run_is_freed_immediately(function: Callable[[], object]) -> None:
    """Keep no reference cycle through the context of a run."""

    class Marked(asyncio.Event):
        """Something that can be referred to weakly, which a run can not."""

    async with AsyncIOScheduler() as scheduler:
        held = Marked()
        gone = weakref.ref(held)
        variable: contextvars.ContextVar[Marked] = contextvars.ContextVar("marked")
        context = contextvars.copy_context()
        context.run(variable.set, held)
        task = scheduler.add_task(function, executor="threadpool" if function is see_run else "asyncio", trigger=None)
        gc.collect()
        gc.disable()
        try:
            handle = context.run(task.run)
            await handle
            await until(lambda: not task.state.running)
            del handle, held, context
            await asyncio.sleep(0.01)
            assert gone() is None
        finally:
            gc.enable()


class Large:
    """Something that a failed function held."""


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "debug"])
async def test_error_does_not_keep_function_locals(kind: str) -> None:
    held: list[weakref.ref[Large]] = []

    def fails() -> None:
        large = Large()
        held.append(weakref.ref(large))
        raise ValueError("with locals")

    async with scheduler_with(kind) as scheduler:
        task = scheduler.add_task(fails, executor="under_test", trigger=None)
        notification = await task.run().notification()
        gc.collect()
        assert held[0]() is None
        assert "with locals" in getattr(notification, "traceback", "")


async def finished(scheduler: AsyncIOScheduler) -> list[Task[object]]:
    return [scheduler.add_task(payloads.add, 1, 2, executor=executor) for executor in ("debug", "threadpool")]


async def removed(scheduler: AsyncIOScheduler) -> list[Task[object]]:
    task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
    await task.run()
    scheduler.remove_task(task)
    return [task]


async def removed_while_it_runs(scheduler: AsyncIOScheduler) -> list[Task[object]]:
    task = scheduler.add_task(asyncio.sleep, 0.01, trigger=None)
    run = task.run()
    scheduler.remove_task(task)
    await run
    return [task]


async def finished_with_those_that_are_given_its_results(scheduler: AsyncIOScheduler) -> list[Task[object]]:
    first = scheduler.add_task(payloads.add, 1, 2)
    second = first.then(str, executor="debug")
    return [first, second, second.then(len)]


async def chained_to_what_had_finished(scheduler: AsyncIOScheduler) -> list[Task[object]]:
    first = scheduler.add_task(payloads.add, 1, 2)
    await first.result()
    await asyncio.sleep(0.01)
    second = first.then(str)
    assert await second.result() == "3"
    return [first, second]


@pytest.mark.parametrize(
    "tasks_that_go",
    [
        finished,
        removed,
        removed_while_it_runs,
        finished_with_those_that_are_given_its_results,
        chained_to_what_had_finished,
    ],
    ids=lambda function: function.__name__.replace("_", " "),
)
async def test_removed_task_is_freed(
    tasks_that_go: Callable[[AsyncIOScheduler], Coroutine[object, Never, list[Task[object]]]],
) -> None:
    async with AsyncIOScheduler() as scheduler:
        references = [weakref.ref(task) for task in await tasks_that_go(scheduler)]
        async with asyncio.timeout(30):
            while scheduler.tasks:
                await asyncio.sleep(0.001)
        # The next iteration of the loop frees the objects of its last one.
        await asyncio.sleep(0.01)
        assert [reference() for reference in references] == [None] * len(references)


async def test_added_task_does_not_keep_adding_run() -> None:
    """A context must not keep the run alive in which a task was added."""

    class Result:
        pass

    results: list[weakref.ref[Result]] = []
    last = asyncio.Event()

    def step() -> Result:
        result = Result()
        results.append(weakref.ref(result))
        scheduler.add_task(payloads.add, 1, 2, trigger=IntervalTrigger(hours=1))
        if len(results) < 5:
            scheduler.add_task(step, executor="debug")
        else:
            last.set()
        return result

    async def step_later() -> Result:
        # The scheduler is idle by then: the next task wakes it.
        await asyncio.sleep(0.01)
        return step()

    async with AsyncIOScheduler() as scheduler:
        for function in (step, step_later):
            results.clear()
            last.clear()
            scheduler.add_task(function, executor="debug" if function is step else "asyncio")
            await last.wait()
            await asyncio.sleep(0.01)
            assert [reference() for reference in results] == [None] * 5


async def test_executor_does_not_keep_earlier_run() -> None:
    class Result:
        pass

    async with AsyncIOScheduler() as scheduler:
        # The first plain function there is: its executor begins to watch the loop.
        inner = scheduler.add_task(payloads.add, 1, 2, trigger=None)

        async def outer() -> Result:
            assert await inner.run() == 3
            return Result()

        reference = weakref.ref(await scheduler.add_task(outer).result())
        await asyncio.sleep(0.01)
        assert reference() is None


async def test_removed_downstream_task_is_freed() -> None:
    async with AsyncIOScheduler() as scheduler:
        first = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        second = first.then(str)
        reference = weakref.ref(second)
        await asyncio.sleep(0)
        scheduler.remove_task(second)
        del second
        await asyncio.sleep(0.01)
        assert reference() is None
        assert await first.run() == 3


async def test_idle_task_takes_at_most_800_bytes() -> None:
    """Count the trigger and the entry in the timetable too; the result does not depend on the machine."""
    later, context = datetime.now(UTC) + timedelta(days=1), contextvars.Context()
    async with AsyncIOScheduler() as scheduler:

        def add_one() -> None:
            scheduler.add_task(payloads.do_nothing, trigger=IntervalTrigger(hours=1, start_at=later))

        async def add(count: int) -> None:
            for _ in range(count):
                context.run(add_one)
            await asyncio.sleep(0.01)

        await add(100)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            await add(1000)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (after - before) / 1000 <= 800


@pytest.mark.parametrize("executor", ["debug", "asyncio", "threadpool"])
async def test_tasks_with_empty_contexts_are_independent(executor: str) -> None:
    """The tasks share one empty context; each run still gets a context of its own."""
    variable = contextvars.ContextVar("variable", default=0)

    def increment() -> int:
        variable.set(variable.get() + 1)
        return variable.get()

    async with AsyncIOScheduler() as scheduler:
        add = contextvars.Context().run
        tasks = [add(lambda: scheduler.add_task(increment, executor=executor, trigger=None)) for _ in range(2)]
        for task in tasks * 2:
            task.submit()
            assert await task.result() == 1
