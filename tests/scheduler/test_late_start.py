"""Executors that are added to a running scheduler."""

from __future__ import annotations

import asyncio

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    MaximumInstancesError,
    Notifier,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    ThreadPoolExecutor,
)
from tests.helpers import payloads
from tests.helpers.faulty_executors import FailsFirstStart, FailsToStart, StartsOnRequest, UnstartableExecutor
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_late_start_failure_frees_alias() -> None:
    async with AsyncIOScheduler() as scheduler:
        scheduler.add_executor(FailsFirstStart(), alias="under_test")
        with pytest.raises(OSError, match="not yet"):
            await scheduler.add_task(payloads.add, 1, 2, executor="under_test").result()
        scheduler.add_executor("threadpool", alias="under_test")
        assert await scheduler.add_task(payloads.add, 1, 2, executor="under_test").result() == 3


async def test_late_start_failure_keeps_new_executor() -> None:
    first, second = StartsOnRequest(fails=True), ThreadPoolExecutor(1)
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        scheduler.add_executor(first, alias="under_test")
        await first.asked.wait()
        removal = asyncio.ensure_future(scheduler.remove_executor("under_test"))
        await asyncio.sleep(0)
        scheduler.add_executor(second, alias="under_test")
        first.go_on.set()
        await removal
        assert await scheduler.add_task(payloads.add, 1, 2, executor="under_test").result() == 3
    assert second.state.status == "stopped"


async def test_late_start_survives_cancelled_shutdown() -> None:
    late = StartsOnRequest()
    scheduler = AsyncIOScheduler()
    await scheduler.start()
    scheduler.add_executor(late, alias="late")
    handle = scheduler.add_task(payloads.add, 1, 2, executor="late", trigger=None).run()
    await late.asked.wait()
    shutdown = asyncio.ensure_future(scheduler.shutdown())
    await until(lambda: scheduler.state.status == "draining")
    shutdown.cancel()
    await asyncio.wait([shutdown])
    late.go_on.set()
    async with asyncio.timeout(30):
        await scheduler.shutdown()
        assert await handle == 3
    assert late.state.status == "stopped"


@pytest.mark.usefixtures("cut_slices")
async def test_pending_run_of_late_start_can_be_cancelled() -> None:
    class Slow(ThreadPoolExecutor):
        @override
        async def start(self, scheduler: Notifier, alias: str, /) -> None:
            await go_on.wait()
            await super().start(scheduler, alias)

    go_on = asyncio.Event()
    called: list[bool] = []

    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(called.append, True, executor=Slow(1), trigger=None)
        handle = task.run()
        with pytest.raises(MaximumInstancesError):
            task.run()
        assert handle.cancel()
        assert isinstance(await handle.notification(), TaskCancelled)
        go_on.set()
        await task.run()
    assert called == [True]
    assert (scheduler.state.submitted, scheduler.state.executed, scheduler.state.cancelled) == (2, 1, 1)


@pytest.mark.parametrize(
    "error", [OSError("no licence"), payloads.OwnBaseException("no licence"), asyncio.CancelledError()], ids=repr
)
async def test_late_start_exception_ends_waiting_runs(error: BaseException) -> None:
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        scheduler.add_executor(FailsToStart(error), alias="under_test")
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None, max_instances=2)
        handles = [task.run(), task.run()]
        for handle in handles:
            ending = await handle.notification()
            assert isinstance(ending, TaskError)
            assert ending.exception is error
        assert scheduler.state.executors == ()
        # So does one that comes later.
        assert isinstance(await task.run().notification(), TaskError)
    assert scheduler.state.submitted == scheduler.state.errors == 3


async def test_late_start_failure_ends_runs() -> None:
    async with AsyncIOScheduler() as scheduler:
        with pytest.raises(OSError, match="cannot start"):
            await scheduler.add_task(payloads.add, 1, 2, executor=UnstartableExecutor()).result()


async def test_chain_of_shutdown_waits_for_late_start() -> None:
    """Run a downstream task during a shutdown although its executor is still starting when its result arrives."""
    late, go_on, scheduler = StartsOnRequest(), asyncio.Event(), AsyncIOScheduler()
    await scheduler.start()
    scheduler.add_executor(late, alias="late")
    first = scheduler.add_task(go_on.wait, trigger=None)
    second = first.then(str, executor="late")
    first.run()
    await late.asked.wait()
    shutdown = asyncio.ensure_future(scheduler.shutdown())
    await until(lambda: scheduler.state.status == "draining")
    go_on.set()
    await until(lambda: second.state.submitted == 1)
    late.go_on.set()
    async with asyncio.timeout(30):
        await shutdown
    assert isinstance(ending := second.last_notification, TaskExecuted)
    assert ending.result == "True"
