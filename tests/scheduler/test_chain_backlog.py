"""Results that arrive faster than the downstream task processes them."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path

import pytest

from asyncz import (
    AsyncIOScheduler,
    ProcessPoolExecutor,
    Retry,
    SerializationError,
    TaskExecuted,
    TaskMaxInstances,
    TaskMissed,
    ThreadPoolExecutor,
    current_run,
)
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.executors import scheduler_with
from tests.helpers.payloads import double, wait_for_file
from tests.helpers.recorder import EventRecorder
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])
async def test_chain_backlog_keeps_order(kind: str, tmp_path: Path) -> None:
    """Keep every result that arrives while the downstream task is busy, in order."""
    async with asyncio.timeout(60), scheduler_with(kind) as scheduler:
        numbers = iter(range(20))
        first = scheduler.add_task(lambda: next(numbers), trigger=None)
        go_on = tmp_path / "go-on"
        second = first.then(partial(wait_for_file, str(go_on)), executor="under_test")
        log = EventRecorder.of_tasks(second)
        for _ in range(20):
            await first.run()
        await until(lambda: second.state.backlog == 19)
        assert (second.state.running, second.state.rejected) == (1, 0)
        go_on.touch()
        await until(lambda: len(log.events) == 20)
        assert log.results(second) == list(range(20))


async def test_chain_max_instances_runs_in_parallel() -> None:
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        first = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        go_on = asyncio.Event()

        async def wait(_: int) -> None:
            await go_on.wait()

        second = first.then(wait, max_instances=3)
        for _ in range(5):
            await first.run()
        await until(lambda: second.state.running == 3 and second.state.backlog == 2)
        go_on.set()
        await until(lambda: second.state.executed == 5)


async def test_chain_coalesce_keeps_latest_result() -> None:
    """Report the results that coalescing drops as rejected."""
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        numbers = iter(range(5))
        first = scheduler.add_task(lambda: next(numbers), trigger=None)
        go_on = asyncio.Event()

        async def wait(number: int) -> int:
            await go_on.wait()
            return number

        second = first.then(wait, coalesce=True)
        log = EventRecorder.of_tasks(second)
        rejected: list[TaskMaxInstances] = []
        scheduler.subscribe(TaskMaxInstances, rejected.append)
        for _ in range(5):
            await first.run()
        await until(lambda: second.state.running == 1 and first.state.executed == 5)
        assert second.state.backlog == 1
        go_on.set()
        await until(lambda: len(log.events) == 2)
        assert log.results(second) == [0, 4]
        # The runs that it did not start are reported.
        assert second.state.rejected == len(rejected) == 3


async def test_chain_result_after_grace_time_missed() -> None:
    clock = FakeClock()
    async with asyncio.timeout(30), AsyncIOScheduler(clock=clock) as scheduler:
        first = scheduler.add_task(payloads.add, 1, 2, trigger=None, executor="debug")
        go_on = asyncio.Event()

        async def wait(_: int) -> None:
            await go_on.wait()

        second = first.then(wait, misfire_grace_time=5)
        log = EventRecorder.of_tasks(second)
        for _ in range(2):
            await first.run()
        await until(lambda: second.state.backlog == 1)
        await clock.advance(6)
        go_on.set()
        await until(lambda: len(log.events) == 2)
        assert log.kinds(second) == [TaskExecuted, TaskMissed]


async def test_chain_result_waits_for_full_queue() -> None:
    clock = FakeClock()
    executors = {"narrow": ThreadPoolExecutor(1, max_queue=0)}
    async with asyncio.timeout(30), AsyncIOScheduler(executors=executors, clock=clock) as scheduler:
        # Runs of a pool wait for a moment, so that one without a queue takes none.
        first = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        second = first.then(double, executor="narrow")
        log = EventRecorder.of_tasks(second)
        await first.run()
        await until(lambda: second.state.backlog == 1)
        executors["narrow"]._base_executor_state.max_queue = 1
        await clock.advance(1)
        await until(lambda: len(log.events) == 1)
        assert log.results(second) == [6]
        assert second.state.rejected == 0


async def test_chain_submitted_run_waits_for_full_queue() -> None:
    clock = FakeClock()
    executors = {"narrow": ThreadPoolExecutor(1, max_queue=1)}
    async with asyncio.timeout(30), AsyncIOScheduler(executors=executors, clock=clock) as scheduler:
        first = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        second = first.then(double, executor="narrow")
        log = EventRecorder.of_tasks(second)
        await first.run()
        await until(lambda: second.state.executed == 1)
        executors["narrow"]._base_executor_state.max_queue = 0
        second.submit()
        await until(lambda: second.state.backlog == 1)
        executors["narrow"]._base_executor_state.max_queue = 1
        await clock.advance(1)
        await until(lambda: len(log.events) == 2)
        assert log.results(second) == [6, 6]
        assert second.state.rejected == 0


async def test_chain_results_wait_while_downstream_paused() -> None:
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        numbers = iter(range(4))
        first = scheduler.add_task(lambda: next(numbers), trigger=None)
        second = first.then(double, paused=True)
        log = EventRecorder.of_tasks(second)
        for _ in range(2):
            await first.run()
        await until(lambda: second.state.backlog == 2)
        scheduler.resume_task(second)
        await until(lambda: len(log.events) == 2)
        scheduler.pause_task(second)
        for _ in range(2):
            await first.run()
        await until(lambda: second.state.backlog == 2)
        scheduler.resume_task(second)
        await until(lambda: len(log.events) == 4)
        assert log.results(second) == [0, 2, 4, 6]


async def test_chain_retry_keeps_result_of_its_run() -> None:
    clock = FakeClock()
    async with asyncio.timeout(30), AsyncIOScheduler(clock=clock) as scheduler:
        numbers = iter([1, 2])
        first = scheduler.add_task(lambda: next(numbers), trigger=None)

        def fail_at_first(number: int) -> int:
            if current_run().attempt == 1:
                raise OSError("not yet")
            return number

        second = first.then(fail_at_first, retry=Retry(attempts=2, delay=60))
        log = EventRecorder.of_tasks(second)
        for _ in range(2):
            await first.run()
        await until(lambda: second.state.retrying == 1 and second.state.backlog == 1)
        await clock.advance(60)
        await until(lambda: second.state.executed == 1 and second.state.retrying == 1)
        await clock.advance(60)
        await until(lambda: len(log.events) == 2)
        assert log.results(second) == [1, 2]


def make_lock() -> object:
    return threading.Lock()


async def test_chain_unpicklable_result_fails_downstream() -> None:
    async with AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(1)}) as scheduler:
        first = scheduler.add_task(make_lock, trigger=None)
        second = first.then(id, executor="cpu")
        await first.run()
        with pytest.raises(SerializationError, match="argument 'obj' of builtins:id"):
            await second.result()
        assert first.state.executed == second.state.errors == 1


async def test_chain_results_wait_while_scheduler_paused() -> None:
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        first = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        second = first.then(double)
        scheduler.pause()
        await first.run()
        await until(lambda: second.state.backlog == 1)
        scheduler.resume()
        await until(lambda: second.state.executed == 1)
