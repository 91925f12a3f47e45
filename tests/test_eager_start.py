"""A coroutine is driven to where it first waits at once, and notices nothing of that."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Never

import pytest
from typing_extensions import TypeVar

from asyncz import AsyncIOExecutor, AsyncIOScheduler, TaskCancelled, TaskExecuted, TaskRun, TaskSpec
from asyncz.testing import RecordingNotifier

ResultT = TypeVar("ResultT")

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


def on_the_loop(test: Callable[[AsyncIOExecutor], Coroutine[object, Never, None]]) -> None:
    """Run a test with a started executor."""

    async def main() -> None:
        executor = AsyncIOExecutor()
        await executor.start(RecordingNotifier(), "tried")
        await test(executor)
        await executor.shutdown()

    asyncio.run(main())


async def in_a_callback(call: Callable[[], object]) -> None:
    """Call a function as the loop calls what is due: no task is running there."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def make() -> None:
        try:
            call()
        except BaseException as error:
            over.set_exception(error)
        else:
            over.set_result(None)

    loop.call_soon(make)
    await over


def run_of(function: Callable[[], Awaitable[ResultT]]) -> TaskRun[ResultT]:
    return TaskRun(TaskSpec("tried", function), context=contextvars.copy_context())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio starts tasks eagerly from Python 3.12 on")
def test_a_coroutine_goes_to_where_it_first_waits_before_submit_returns() -> None:
    async def test(executor: AsyncIOExecutor) -> None:
        log: list[str] = []

        async def work() -> str:
            log.append("begins")
            await asyncio.sleep(0)
            log.append("goes on")
            return "result"

        def submit() -> None:
            executor.submit(run)
            log.append("submitted")

        run = run_of(work)
        await in_a_callback(submit)
        notification = await run.notification()
        assert isinstance(notification, TaskExecuted)
        assert notification.result == "result"
        assert log == ["begins", "submitted", "goes on"]

    on_the_loop(test)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio starts tasks eagerly from Python 3.12 on")
def test_what_never_waits_has_ended_when_submit_returns() -> None:
    async def test(executor: AsyncIOExecutor) -> None:
        async def work() -> int:
            return 1

        def submit() -> None:
            executor.submit(run)
            assert executor.state.running == 0
            log.append("submitted")

        log: list[str] = []
        run = run_of(work)
        await in_a_callback(submit)
        assert isinstance(await run.notification(), TaskExecuted)
        assert log == ["submitted"]

    on_the_loop(test)


def test_its_task_and_its_context_are_the_same_before_and_after_it_waits() -> None:
    async def test(executor: AsyncIOExecutor) -> None:
        async def work() -> bool:
            before = asyncio.current_task()
            variable.set("inside")
            async with asyncio.timeout(10), asyncio.TaskGroup() as group:
                child = group.create_task(asyncio.sleep(0, variable.get()))
            return before is asyncio.current_task() and variable.get() == "inside" == child.result()

        run = run_of(work)
        await in_a_callback(partial(executor.submit, run))
        notification = await run.notification()
        assert isinstance(notification, TaskExecuted)
        assert notification.result
        assert variable.get() == "outside"

    on_the_loop(test)


def test_one_that_cancels_itself_before_it_waits_is_cancelled() -> None:
    async def test(executor: AsyncIOExecutor) -> None:
        async def never_waits() -> bool:
            return executor.cancel(runs[0])

        async def waits() -> None:
            executor.cancel(runs[1])
            await asyncio.sleep(3600)

        runs: list[TaskRun[bool | None]] = [run_of(never_waits), run_of(waits)]
        for run in runs:
            await in_a_callback(partial(executor.submit, run))
            assert isinstance(await run.notification(), TaskCancelled)

    on_the_loop(test)


if sys.version_info >= (3, 12):  # asyncio itself starts no tasks eagerly before

    def test_a_run_is_cancelled_by_a_task_that_it_starts_before_it_waits() -> None:
        async def test(executor: AsyncIOExecutor) -> None:
            helped: list[bool] = []

            async def help_out() -> None:
                helped.append(executor.cancel(run))
                await asyncio.sleep(0)
                helped.append(True)

            async def waits() -> None:
                helper = asyncio.Task(help_out(), loop=asyncio.get_running_loop(), eager_start=True)
                try:
                    await asyncio.sleep(3600)
                finally:
                    await helper

            run = run_of(waits)
            await in_a_callback(partial(executor.submit, run))
            assert isinstance(await run.notification(), TaskCancelled)
            assert helped == [True, True]

        on_the_loop(test)


def test_a_run_that_a_coroutine_asks_for_begins_when_that_waits_or_before() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:

            async def inner() -> str:
                return "inner"

            async def outer() -> str:
                return await scheduler.add_task(inner).run() + " and outer"

            assert await scheduler.add_task(outer).run() == "inner and outer"

    asyncio.run(main())


def test_an_error_before_it_waits_is_told() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:

            async def fails() -> None:
                raise LookupError("early")

            with pytest.raises(LookupError, match="early"):
                await scheduler.add_task(fails).run()

    asyncio.run(main())
