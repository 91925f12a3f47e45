"""Start of a scheduler and of its executors."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys

import pytest
from typing_extensions import override

import asyncz.states
from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    NoCurrentRunError,
    Notifier,
    SchedulerAlreadyRunningError,
    SchedulerNotRunningError,
    SchedulerStarted,
    TaskCancelled,
    TaskError,
    ThreadPoolExecutor,
    current_run,
)
from tests.helpers import payloads
from tests.helpers.faulty_executors import (
    FailsFirstStart,
    FailsToRelease,
    FailsToStart,
    StartsOnRequest,
    UnstartableExecutor,
)
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_start_after_failed_start() -> None:
    scheduler = AsyncIOScheduler(executors={"under_test": FailsFirstStart()})
    started: list[object] = []
    scheduler.subscribe(SchedulerStarted, started.append)
    with pytest.raises(OSError, match="not yet"):
        await scheduler.start()
    async with scheduler:
        assert await scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None).run() == 3
    assert len(started) == 1


async def test_failed_start_releases_late_executor() -> None:
    early, fails, late = ThreadPoolExecutor(1), StartsOnRequest(fails=True), ThreadPoolExecutor(1)
    scheduler = AsyncIOScheduler(executors={"early": early, "fails": fails})
    start = asyncio.ensure_future(scheduler.start())
    await until(lambda: early.state.status == "running")
    scheduler.add_executor(late, alias="late")
    await until(lambda: late.state.status == "running")
    fails.go_on.set()
    with pytest.raises(OSError, match="not yet"):
        await start
    assert (early.state.status, late.state.status) == ("stopped", "stopped")


async def test_due_runs_wait_for_executor_start() -> None:
    slow, slower = StartsOnRequest(), StartsOnRequest()
    scheduler = AsyncIOScheduler(executors={"slow": slow, "slower": slower})
    start = asyncio.ensure_future(scheduler.start())
    await slow.asked.wait()
    handles = [scheduler.add_task(payloads.add, 1, 2, executor=alias).result() for alias in ("slow", "slower")]
    await until(lambda: scheduler.state.submitted == 2)
    slow.go_on.set()
    slower.go_on.set()
    async with asyncio.timeout(30):
        await start
        assert await asyncio.gather(*handles) == [3, 3]
    await scheduler.shutdown()


async def test_failed_start_ends_submitted_runs() -> None:
    """Do not wait for the other executors, and end the runs submitted meanwhile."""
    fails, never = StartsOnRequest(fails=True), StartsOnRequest()
    scheduler = AsyncIOScheduler(executors={"fails": fails})
    start = asyncio.ensure_future(scheduler.start())
    await fails.asked.wait()
    handles = [scheduler.add_task(payloads.add, 1, 2, executor="fails", trigger=None).run()]
    scheduler.add_executor(never, alias="never")
    await never.asked.wait()
    handles.append(scheduler.add_task(payloads.add, 1, 2, executor="never", trigger=None).run())
    fails.go_on.set()
    async with asyncio.timeout(30):
        with pytest.raises(OSError, match="not yet"):
            await start
        for handle in handles:
            assert isinstance(await handle.notification(), TaskCancelled | TaskError)
    fails.fails = False
    async with asyncio.timeout(30), scheduler:
        assert (scheduler.state.submitted, scheduler.state.executed) == (2, 0)
        assert await scheduler.add_task(payloads.add, 1, 2, executor="fails").result() == 3


async def test_failed_start_reports_first_error() -> None:
    scheduler = AsyncIOScheduler(executors={"good": FailsToRelease(), "bad": FailsToStart(OSError("no licence"))})
    with pytest.raises(OSError, match="no licence"):
        await scheduler.start()
    assert scheduler.state.status == "stopped"


async def test_start_failure_stops_other_executors() -> None:
    scheduler = AsyncIOScheduler(executors={"good": "threadpool", "bad": UnstartableExecutor()})
    with pytest.raises(OSError, match="cannot start"):
        await scheduler.start()
    assert scheduler.state.status == "stopped"
    assert scheduler.state.executors[0].status == "stopped"


def test_restart_in_another_loop() -> None:
    scheduler = AsyncIOScheduler(executors={"io": "threadpool", "loop": "asyncio"})
    task = scheduler.add_task(payloads.add, 1, 1, executor="io", trigger=None)

    async def main() -> None:
        async with scheduler:
            assert await task.run() == 2
            with pytest.raises(SchedulerAlreadyRunningError):
                await scheduler.start()

    asyncio.run(main())
    asyncio.run(main())
    with pytest.raises(SchedulerNotRunningError):
        task.run()
    with pytest.raises(SchedulerNotRunningError):
        scheduler.pause()


async def test_executor_started_by_run_does_not_belong_to_it() -> None:
    """Start the executors of a scheduler that a run starts in a context without that run."""

    class SeesRun(AsyncIOExecutor):
        @override
        async def start(self, scheduler: Notifier, alias: str, /) -> None:
            try:
                seen.append(current_run().task_id)
            except NoCurrentRunError:
                seen.append("none")
            await super().start(scheduler, alias)

    seen: list[str] = []
    inner = AsyncIOScheduler(executors={"under_test": SeesRun()})
    async with AsyncIOScheduler() as outer:
        await outer.add_task(inner.start, trigger=None).run()
        await inner.shutdown()
    assert seen == ["none"]


async def test_start_imports_states_in_own_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import the module of states at the start, although the loop's default executor accepts no calls."""
    monkeypatch.setattr(asyncz, "states", asyncz.states)
    monkeypatch.delitem(sys.modules, "asyncz.states")
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    asyncio.get_running_loop().set_default_executor(pool)
    async with AsyncIOScheduler():
        assert "asyncz.states" in sys.modules
