"""Coroutines run up to their first await during submission."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Never

import pytest

from asyncz import AsyncIOExecutor, AsyncIOScheduler, Task, TaskCancelled, TaskExecuted, TaskRun, TaskSpec
from asyncz.testing import RecordingNotifier
from tests.helpers.generics import ResultT
from tests.helpers.payloads import do_nothing

pytestmark = pytest.mark.anyio


async def with_executor(test: Callable[[AsyncIOExecutor], Coroutine[object, Never, None]]) -> None:
    """Run a test with a started executor."""
    executor = AsyncIOExecutor()
    await executor.start(RecordingNotifier(), "under_test")
    await test(executor)
    await executor.shutdown()


async def in_a_callback(call: Callable[[], object]) -> None:
    """Call a function from the loop, outside of any task."""
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
    return TaskRun(TaskSpec("under_test", function), context=contextvars.copy_context())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio starts tasks eagerly from Python 3.12 on")
async def test_coroutine_runs_to_first_await_in_submit() -> None:
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

    await with_executor(test)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio starts tasks eagerly from Python 3.12 on")
async def test_coroutine_without_await_ends_in_submit() -> None:
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

    await with_executor(test)


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


async def test_coroutine_keeps_task_and_context() -> None:
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

    await with_executor(test)


async def test_coroutine_cancelling_itself_is_cancelled() -> None:
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

    await with_executor(test)


if sys.version_info >= (3, 12):  # asyncio itself starts no tasks eagerly before

    async def test_eager_task_may_cancel_its_parent_run() -> None:
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

        await with_executor(test)


async def test_coroutine_may_await_inner_run() -> None:
    async with AsyncIOScheduler() as scheduler:

        async def inner() -> str:
            return "inner"

        async def outer() -> str:
            return await scheduler.add_task(inner).run() + " and outer"

        assert await scheduler.add_task(outer).run() == "inner and outer"


async def test_coroutine_error_before_await_reported() -> None:
    async with AsyncIOScheduler() as scheduler:

        async def fails() -> None:
            raise LookupError("early")

        with pytest.raises(LookupError, match="early"):
            await scheduler.add_task(fails).run()


async def test_first_step_sees_run_and_starts_others() -> None:
    seen: list[str] = []

    async def look(task: list[Task[None]]) -> None:
        state = task[0].state
        seen.append(f"{state.submitted} submitted, {state.running} running, {task[0].cancel_runs()} cancelled")

    async with AsyncIOScheduler() as scheduler:
        itself: list[Task[None]] = []
        itself.append(scheduler.add_task(look, itself, trigger=None))
        run = itself[0].run()
        # It asked for its cancellation before it had ended.
        assert isinstance(await run.notification(), TaskCancelled)
        assert seen == ["1 submitted, 1 running, 1 cancelled"]
        remaining, ended = 3000, asyncio.Event()

        async def start_another() -> None:
            nonlocal remaining
            remaining -= 1
            if remaining:
                scheduler.add_task(do_nothing, id=f"beside-{remaining}", trigger=None).run()
                chain.run()
            else:
                ended.set()

        chain = scheduler.add_task(start_another, trigger=None, max_instances=5000)
        chain.run()
        await asyncio.wait_for(ended.wait(), 30)
