"""Shutdown with running and abandoned threads."""

from __future__ import annotations

import asyncio
import threading

import pytest
from typing_extensions import override

from asyncz import AsyncIOScheduler, TaskCancelled, TaskNotification, TaskRun, TaskTimeoutError, ThreadPoolExecutor
from tests.helpers import payloads
from tests.helpers.generics import ResultT
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_abandoned_thread_takes_no_slot_after_restart() -> None:
    go_on = threading.Event()
    scheduler = AsyncIOScheduler(executors={"io": ThreadPoolExecutor(1)})
    await scheduler.start()
    stuck = scheduler.add_task(go_on.wait, 60, executor="io", trigger=None).run()
    while scheduler.state.executors[0].queued:
        await asyncio.sleep(0.01)
    await scheduler.shutdown(wait=False)
    assert isinstance(await stuck.notification(), TaskCancelled)
    async with scheduler:
        try:
            async with asyncio.timeout(30):
                assert await scheduler.add_task(payloads.add, 1, 2, executor="io").result() == 3
        finally:
            go_on.set()


async def test_shutdown_waits_for_running_not_abandoned() -> None:
    never, go_on = threading.Event(), threading.Event()
    executor = ThreadPoolExecutor(2)
    scheduler = AsyncIOScheduler(executors={"under_test": executor})
    await scheduler.start()
    hanging = scheduler.add_task(never.wait, 60, executor="under_test", trigger=None, timeout=0.01)
    with pytest.raises(TaskTimeoutError):
        await hanging.run()
    handle = scheduler.add_task(go_on.wait, 30, executor="under_test", trigger=None).run()
    await until(lambda: executor.state.queued == 0)
    shutdown = asyncio.ensure_future(scheduler.shutdown())
    await asyncio.sleep(0.02)
    assert not shutdown.done()
    go_on.set()
    async with asyncio.timeout(20):
        await shutdown
    assert await handle is True
    assert executor.state.abandoned == 1
    never.set()
    await until(lambda: executor.state.running == 0)


def test_executor_restarted_in_other_loop_drains() -> None:
    executor = ThreadPoolExecutor(2)

    async def main() -> None:
        go_on = threading.Event()
        scheduler = AsyncIOScheduler(executors={"under_test": executor})
        async with asyncio.timeout(30):
            await scheduler.start()
            limited = scheduler.add_task(go_on.wait, 30, executor="under_test", trigger=None, timeout=0.01)
            with pytest.raises(TaskTimeoutError):
                await limited.run()
            handle = scheduler.add_task(go_on.wait, 30, executor="under_test", trigger=None).run()
            asyncio.get_running_loop().call_later(0.05, go_on.set)
            await scheduler.shutdown()
            assert await handle is True
            # Abandoned functions return as well, and leave nothing for the next start.
            await until(lambda: executor.state.running == 0)

    asyncio.run(main())
    asyncio.run(main())


async def test_function_left_behind_may_return_later(caplog: pytest.LogCaptureFixture) -> None:
    """Wait for the cleanup of a coroutine and leave a function behind, which returns after the shutdown."""
    go_on, clean, finished, errors = threading.Event(), threading.Event(), threading.Event(), list[BaseException]()

    class Observed(ThreadPoolExecutor):
        @override
        def finish(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
            try:
                super().finish(run, notification)
            except BaseException as error:
                errors.append(error)
            if run.task_id == "function":
                finished.set()

        @override
        async def release(self, *, wait: bool) -> None:
            # Once the shutdown waits for the coroutine.
            asyncio.get_running_loop().call_soon(clean.set)
            await super().release(wait=wait)

    async def coroutine() -> None:
        loop.call_soon_threadsafe(started.set)
        try:
            await asyncio.sleep(60)
        finally:
            clean.wait(30)

    executor, started, loop = Observed(2), asyncio.Event(), asyncio.get_running_loop()
    scheduler = AsyncIOScheduler(executors={"under_test": executor})
    await scheduler.start()
    scheduler.add_task(go_on.wait, 60, id="function", executor="under_test", trigger=None).run()
    scheduler.add_task(coroutine, executor="under_test", trigger=None).run()
    await started.wait()
    await until(lambda: executor.state.queued == 0)
    await scheduler.shutdown(wait=False)
    assert executor.state.abandoned == 1
    go_on.set()
    assert await asyncio.to_thread(finished.wait, 30)
    assert errors == []
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
