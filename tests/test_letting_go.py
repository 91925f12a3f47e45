"""What is over is let go of at once: what only the garbage collection finds costs memory until then, and time."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine, Generator
from typing import Never

import pytest

from asyncz import (
    AsyncIOScheduler,
    DateTrigger,
    IntervalTrigger,
    InvalidInputError,
    SchedulerNotRunningError,
    Task,
    TaskExecuted,
    TaskLookupError,
    current_run,
)
from tests import functions


@pytest.fixture(autouse=True)
def no_garbage_collection() -> Generator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def finished(scheduler: AsyncIOScheduler) -> list[Task[object]]:
    return [scheduler.add_task(functions.add, 1, 2, executor=executor) for executor in ("debug", "threadpool")]


async def removed(scheduler: AsyncIOScheduler) -> list[Task[object]]:
    task = scheduler.add_task(functions.add, 1, 2, trigger=None)
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
    first = scheduler.add_task(functions.add, 1, 2)
    second = first.then(str, executor="debug")
    return [first, second, second.then(len)]


async def chained_to_what_had_finished(scheduler: AsyncIOScheduler) -> list[Task[object]]:
    first = scheduler.add_task(functions.add, 1, 2)
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
def test_a_task_that_is_gone_goes_with_who_holds_it(
    tasks_that_go: Callable[[AsyncIOScheduler], Coroutine[object, Never, list[Task[object]]]],
) -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            references = [weakref.ref(task) for task in await tasks_that_go(scheduler)]
            async with asyncio.timeout(30):
                while scheduler.tasks:
                    await asyncio.sleep(0.001)
            # What the loop itself still holds of its last turn goes with the next.
            await asyncio.sleep(0.01)
            assert [reference() for reference in references] == [None] * len(references)

    asyncio.run(main())


def test_what_a_run_adds_does_not_keep_that_run_alive() -> None:
    """A context would hold the run: that of the task, or that in which the loop makes the scheduler's calls."""

    class Result:
        pass

    async def main() -> None:
        results: list[weakref.ref[Result]] = []
        last = asyncio.Event()

        def step() -> Result:
            result = Result()
            results.append(weakref.ref(result))
            scheduler.add_task(functions.add, 1, 2, trigger=IntervalTrigger(hours=1))
            if len(results) < 5:
                scheduler.add_task(step, executor="debug")
            else:
                last.set()
            return result

        async def step_later() -> Result:
            # By then nothing is going on: what is added next wakes the scheduler.
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

    asyncio.run(main())


def test_what_an_executor_begins_for_one_run_does_not_keep_another_alive() -> None:
    class Result:
        pass

    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            # The first plain function there is: its executor begins to watch the loop.
            inner = scheduler.add_task(functions.add, 1, 2, trigger=None)

            async def outer() -> Result:
                assert await inner.run() == 3
                return Result()

            reference = weakref.ref(await scheduler.add_task(outer).result())
            await asyncio.sleep(0.01)
            assert reference() is None

    asyncio.run(main())


def test_a_chained_task_that_is_removed_is_not_kept_by_the_first() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            first = scheduler.add_task(functions.add, 1, 2, trigger=None)
            second = first.then(str)
            reference = weakref.ref(second)
            await asyncio.sleep(0)
            scheduler.remove_task(second)
            del second
            await asyncio.sleep(0.01)
            assert reference() is None
            assert await first.run() == 3

    asyncio.run(main())


def test_what_a_run_adds_is_its_own_run_and_not_the_one_that_added_it() -> None:
    async def main() -> None:
        def inner() -> str:
            return current_run().task_id

        def outer() -> Task[str]:
            return scheduler.add_task(inner, id="inner", executor="debug")

        async with AsyncIOScheduler() as scheduler:
            task = await scheduler.add_task(outer, id="outer", executor="debug").result()
            assert await task.result() == "inner"

    asyncio.run(main())


def test_a_task_that_is_gone_still_answers_for_itself() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        async with scheduler:
            task = scheduler.add_task(functions.add, 1, 2, executor="debug")
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
                lambda: task.state,
                lambda: task.next_run_at,
            ):
                with pytest.raises(TaskLookupError, match=repr(task.id)):
                    call()
            with pytest.raises(InvalidInputError, match="trigger"):
                task.reschedule("hourly")  # type: ignore[arg-type]  # that is what is rejected
            assert task.cancel_runs() == 0
            assert isinstance(task.last_notification, TaskExecuted)
            assert await task.result() == 3
            assert await task.then(str).result() == "3"
        for call in (task.run, task.submit):
            with pytest.raises(SchedulerNotRunningError, match=repr(task.id)):
                call()

    asyncio.run(main())
