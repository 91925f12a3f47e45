"""Rule: an executor belongs to one scheduler from start to shutdown."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    DuplicateExecutorError,
    ExecutorNotRunningError,
    ExecutorRemoved,
    MaximumInstancesError,
    Notifier,
    TaskExecuted,
    TaskRun,
    TaskSpec,
)
from asyncz.executors import AsyncIOExecutor
from asyncz.executors.base import BaseExecutor
from asyncz.testing import RecordingNotifier
from tests.helpers import payloads
from tests.helpers.executors import MAKERS, every_executor, every_queueing_executor, scheduler_with
from tests.helpers.generics import ResultT

pytestmark = pytest.mark.anyio


@every_executor
async def test_never_started_executor_can_be_removed(kind: str) -> None:
    scheduler = scheduler_with(kind)
    removed: list[ExecutorRemoved] = []
    scheduler.subscribe(ExecutorRemoved, removed.append)
    await scheduler.remove_executor("under_test")
    async with scheduler:
        pass
    assert [event.alias for event in removed] == ["under_test"]


@every_executor
def test_executor_reused_in_another_loop(kind: str) -> None:
    scheduler = scheduler_with(kind)
    task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None)

    async def main() -> int:
        async with asyncio.timeout(30), scheduler:
            return await task.run()

    assert [asyncio.run(main()) for _ in range(3)] == [3, 3, 3]
    assert scheduler.state.executed == 3


@every_queueing_executor
async def test_removed_executor_finishes_its_runs(kind: str) -> None:
    async with scheduler_with(kind) as scheduler:
        task = scheduler.add_task(payloads.sleep, 0.1, executor="under_test", trigger=None)
        handle = task.run()
        scheduler.remove_task(task)
        await scheduler.remove_executor("under_test")
        assert handle.done()
        assert await handle == "slept"


@every_executor
async def test_submit_outside_lifetime_rejected(kind: str) -> None:
    executor, notifier = MAKERS[kind](), RecordingNotifier()
    task = TaskSpec("t", partial(payloads.add, 1, 2))
    with pytest.raises(ExecutorNotRunningError):
        executor.submit(TaskRun(task))
    await executor.start(notifier, "alone")
    run = TaskRun(task)
    executor.submit(run)
    assert isinstance(await run.notification(), TaskExecuted)
    record = notifier.record_of(run)
    assert await notifier.until(lambda: record.released == 1, timeout=30)
    assert (record.notified, record.released_first) == (1, False)
    await executor.shutdown()
    await executor.shutdown()
    with pytest.raises(ExecutorNotRunningError):
        executor.submit(TaskRun(task))
    assert executor.state.status == "stopped"
    assert executor.state.instances == ()


@every_executor
@pytest.mark.parametrize("late", [False, True])
async def test_executor_belongs_to_one_scheduler(kind: str, late: bool) -> None:
    executor = MAKERS[kind]()
    async with asyncio.timeout(60), AsyncIOScheduler(executors={"mine": executor}) as owner:
        task = owner.add_task(payloads.add, 1, 2, executor="mine", trigger=None)
        assert await task.run() == 3
        other = AsyncIOScheduler()
        if late:
            await other.start()
            other.add_executor(executor, alias="yours")
            with pytest.raises(DuplicateExecutorError, match="'mine'"):
                await other.add_task(payloads.add, 1, 2, executor="yours").result()
            assert other.state.executors == ()
        else:
            other.add_executor(executor, alias="yours")
            with pytest.raises(DuplicateExecutorError, match="'mine'"):
                await other.start()
        await other.shutdown()
        # Whose it is, it goes on for.
        assert await task.run() == 3
        assert owner.state.executors[0].status == "running"
    # Once that has let go of it, another may have it.
    async with AsyncIOScheduler(executors={"yours": executor}) as heir:
        assert await heir.add_task(payloads.add, 1, 2, executor="yours").result() == 3


async def test_start_receives_scheduler_and_alias() -> None:
    given: list[tuple[Notifier, str]] = []

    class Curious(AsyncIOExecutor):
        @override
        async def start(self, scheduler: Notifier, alias: str, /) -> None:
            given.append((scheduler, alias))
            await super().start(scheduler, alias)

    async with AsyncIOScheduler(executors={"curious": Curious()}) as scheduler:
        assert given == [(scheduler._parts.completion, "curious")]
        assert scheduler.state.executors[0].alias == "curious"


async def test_custom_executor_uses_base_class() -> None:
    """Start, count, notify and shut down a custom executor through `BaseExecutor`."""
    calls: list[str] = []

    class Custom(BaseExecutor):
        held: threading.Event

        @override
        async def start(self, scheduler: Notifier, alias: str, /) -> None:
            calls.append("start")
            self.held = threading.Event()
            await super().start(scheduler, alias)

        @override
        async def shutdown(self, wait: bool = True) -> None:
            await super().shutdown(wait)
            calls.append("shutdown")

        @override
        def submit_run(self, run: TaskRun[ResultT], /) -> None:
            def work() -> None:
                self.held.wait(10)
                self.finish(run, run.execute())

            threading.Thread(target=work).start()

    executor = Custom()
    async with AsyncIOScheduler(executors={"custom": executor}) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, executor="custom", trigger=None)
        handle = task.run()
        assert executor.state.running == 1
        with pytest.raises(MaximumInstancesError):
            task.run()
        executor.held.set()
        assert await handle == 3
        assert executor.state.running == 0
    assert calls == ["start", "shutdown"]
