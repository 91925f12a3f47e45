"""Rule: submission does not block; a rejected run is not counted."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    IntervalTrigger,
    MaximumInstancesError,
    ProcessPoolExecutor,
    QueueFullError,
    TaskCancelled,
    TaskError,
    TaskQueueFull,
    TaskRun,
    TaskSubmitted,
    ThreadPoolExecutor,
)
from asyncz.executors.base import BaseExecutor
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.executors import every_queueing_executor, scheduler_with, with_one_worker
from tests.helpers.generics import ResultT
from tests.helpers.waiting import Gate, until

pytestmark = pytest.mark.anyio


@pytest.mark.bites(
    "asyncz.executors._run_registry:RunRegistry.admit",
    "raise QueueFullError(alias, max_queue)",
    "pass",
)
@pytest.mark.parametrize("kind", ["threadpool", "processpool"])
async def test_full_queue_rejects(kind: str, gate: Gate) -> None:
    pool = (ThreadPoolExecutor if kind == "threadpool" else ProcessPoolExecutor)(1, max_queue=1)
    async with AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        running = scheduler.add_task(gate, executor="under_test", trigger=None).run()
        await until(gate.is_reached)
        waiting = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None).run()
        with pytest.raises(QueueFullError):
            scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None).run()
        gate.open()
        await running
        assert await waiting == 3


class RefusesBadly(AsyncIOExecutor):
    """Executor whose `submit` raises an exception that is not an `Exception`."""

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        raise payloads.OwnBaseException("in submit")


@pytest.mark.bites("asyncz.executors.base:BaseExecutor.submit", "state.withdraw(run)", "pass")
async def test_submit_base_exception_is_error_of_run() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(executors={"under_test": RefusesBadly()}, clock=clock) as scheduler:
        heard: list[object] = []
        scheduler.subscribe(TaskSubmitted, heard.append)
        scheduler.subscribe(TaskError, heard.append)
        scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=IntervalTrigger(seconds=1))
        await clock.advance(3)
        assert [type(event) for event in heard] == [TaskSubmitted, TaskError] * 3
        assert scheduler.state.submitted == scheduler.state.errors == 3


@every_queueing_executor
async def test_submit_returns_while_workers_busy(kind: str, tmp_path: Path) -> None:
    mark, go_on = tmp_path / "mark", tmp_path / "go-on"
    blocked: list[bool] = []

    def help_out() -> None:
        blocked.append(True)
        go_on.touch()

    async with asyncio.timeout(60), AsyncIOScheduler(executors={"under_test": with_one_worker(kind)}) as scheduler:
        first = scheduler.add_task(
            payloads.mark_and_wait, str(mark), str(go_on), executor="under_test", trigger=None
        ).run()
        await until(mark.exists)
        # If `submit` waits for the worker, the worker waits for this.
        guard = threading.Timer(10, help_out)
        guard.start()
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None, max_instances=20)
        handles = [task.run() for _ in range(20)]
        guard.cancel()
        go_on.touch()
        await first
        assert [await handle for handle in handles] == [3] * 20
    assert blocked == []


async def test_rejected_run_not_counted_or_reported() -> None:
    go_on = threading.Event()
    async with AsyncIOScheduler(executors={"under_test": ThreadPoolExecutor(1, max_queue=0)}) as scheduler:
        submitted: list[object] = []
        scheduler.subscribe(TaskSubmitted, submitted.append)
        task = scheduler.add_task(go_on.wait, 30, executor="under_test", trigger=None)
        other = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None)
        for _ in range(2):
            with pytest.raises(QueueFullError):
                other.run()
        executor = scheduler.state.executors[0]
        assert (executor.running, executor.queued, executor.instances) == (0, 0, ())
        assert scheduler.state.submitted == other.state.submitted == task.state.submitted == 0
        await asyncio.sleep(0.01)
        assert submitted == []


async def test_max_instances_rejection_not_counted() -> None:
    go_on = asyncio.Event()
    async with scheduler_with("asyncio") as scheduler:
        submitted: list[object] = []
        scheduler.subscribe(TaskSubmitted, submitted.append)
        task = scheduler.add_task(go_on.wait, executor="under_test", trigger=None, max_instances=2)
        handles = [task.run(), task.run()]
        for _ in range(3):
            with pytest.raises(MaximumInstancesError):
                task.run()
        assert scheduler.state.executors[0].instances[0].running == task.state.running == 2
        go_on.set()
        assert [await handle for handle in handles] == [True, True]
        assert len(submitted) == scheduler.state.submitted == task.state.submitted == 2
        # As many as before: those that were rejected have taken no place.
        assert [await handle for handle in [task.run(), task.run()]] == [True, True]


async def test_due_run_rejected_by_queue_reported() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(executors={"under_test": ThreadPoolExecutor(1, max_queue=0)}, clock=clock) as scheduler:
        rejected: list[TaskQueueFull] = []
        scheduler.subscribe(TaskQueueFull, rejected.append)
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=IntervalTrigger(seconds=1))
        await clock.advance(2)
        assert len(rejected) == task.state.rejected == 2
        assert (task.state.submitted, task.state.running) == (0, 0)


async def test_executor_decides_which_runs_queue() -> None:
    class LetsSomeWait(BaseExecutor):
        """Lets the runs of one task wait, and never ends any."""

        @override
        def waits_in_queue(self, run: TaskRun[ResultT], /) -> bool:
            return run.task_id == "waits"

        @override
        def submit_run(self, run: TaskRun[ResultT], /) -> None:
            pass

        @override
        def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
            return False

    async with AsyncIOScheduler(executors={"under_test": LetsSomeWait(max_queue=1)}) as scheduler:
        waits, runs = (
            scheduler.add_task(payloads.add, 1, 2, id=name, executor="under_test", trigger=None, max_instances=2)
            for name in ("waits", "runs")
        )
        await asyncio.sleep(0)
        waiting, running = waits.run(), runs.run()
        with pytest.raises(QueueFullError):
            waits.run()
        assert waiting.cancel()
        assert not running.cancel()
        assert isinstance(await waiting.notification(), TaskCancelled)
        await scheduler.shutdown(wait=False)
        assert isinstance(await running.notification(), TaskCancelled)
