"""Removal, shutdown and restart of chained tasks."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from asyncz import (
    AsyncIOScheduler,
    DateTrigger,
    Task,
    TaskAdded,
    TaskCancelled,
    TaskError,
    TaskRemoved,
    TaskSubmitted,
    ThreadPoolExecutor,
)
from tests.helpers import payloads
from tests.helpers.executors import scheduler_with
from tests.helpers.payloads import double, double_later, to_text, wait_for_file
from tests.helpers.recorder import EventRecorder
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_chain_downstream_removed_after_upstream() -> None:
    """Remove a downstream task once its upstream task is gone and its last run has ended."""
    removed: list[str] = []
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        scheduler.subscribe(TaskRemoved, lambda event: removed.append(event.task_id))
        first = scheduler.add_task(payloads.add, 1, 2, id="a")
        second = first.then(double_later, id="b", executor="threadpool")
        third = second.then(double, id="c")
        assert await third.result() == 12
        await until(lambda: scheduler.tasks == ())
    assert removed == ["a", "b", "c"]


async def test_chain_running_upstream_removed_passes_result() -> None:
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        go_on = asyncio.Event()

        async def wait() -> int:
            await go_on.wait()
            return 1

        first = scheduler.add_task(wait, trigger=None)
        second = first.then(double)
        log = EventRecorder.of_tasks(second)
        handle = first.run()
        scheduler.remove_task(first)
        await asyncio.sleep(0.01)
        assert scheduler.tasks == (second,)
        go_on.set()
        await handle
        await until(lambda: scheduler.tasks == ())
        assert log.results(second) == [2]


async def test_chain_removed_downstream_cancels_backlog() -> None:
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        go_on = asyncio.Event()

        async def wait(number: int) -> int:
            await go_on.wait()
            return number

        first = scheduler.add_task(payloads.add, 1, 2, trigger=None)
        second = first.then(wait)
        log = EventRecorder.of_tasks(second)
        for _ in range(3):
            await first.run()
        await until(lambda: second.state.backlog == 2)
        scheduler.remove_task(second)
        await first.run()
        go_on.set()
        await until(lambda: len(log.events) == 3)
        assert sorted(kind.__name__ for kind in log.kinds(second)) == ["TaskCancelled"] * 2 + ["TaskExecuted"]
        await first.run()
        await asyncio.sleep(0.01)
        assert len(log.events) == 3


async def test_chain_finished_upstream_passes_last_result() -> None:
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        first = scheduler.add_task(payloads.add, 1, 2)
        assert await first.result() == 3
        await until(lambda: scheduler.tasks == ())
        second = first.then(double)
        assert await second.result() == 6
        await until(lambda: scheduler.tasks == ())
        failed = scheduler.add_task(payloads.fail, "broken")
        with pytest.raises(ValueError, match="broken"):
            await failed.result()
        never = failed.then(double)
        log = EventRecorder.of_tasks(second, never)
        await until(lambda: scheduler.tasks == ())
        assert log.events == []


@pytest.mark.parametrize("turns", range(8))
async def test_chain_during_run_passes_result_once(turns: int) -> None:
    """Pass the result once, at each point of a run at which the chain is made."""
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        first = scheduler.add_task(double_later, 1, trigger=DateTrigger())
        for _ in range(turns):
            await asyncio.sleep(0)
        second = first.then(double, executor="debug")
        log = EventRecorder.of_tasks(second)
        await until(lambda: scheduler.tasks == ())
        assert log.results(second) == [4]


async def test_chain_result_waits_for_added_event() -> None:
    """Emit `TaskAdded` of the downstream task before its first submission."""
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        first = scheduler.add_task(payloads.add, 1, 2, trigger=None, executor="debug")
        await first.run()
        heard: list[object] = []
        # Its outcome is reported at the next iteration of the loop, and the next task was added after that.
        first.run()
        second = first.then(double, executor="debug")
        scheduler.subscribe(TaskAdded, heard.append)
        scheduler.subscribe(TaskSubmitted, heard.append)
        log = EventRecorder.of_tasks(second)
        await until(lambda: len(log.events) == 1)
        assert log.results(second) == [6]
        assert [type(event) for event in heard] == [TaskAdded, TaskSubmitted]


async def test_chain_from_threads_passes_every_result() -> None:
    async with asyncio.timeout(60), AsyncIOScheduler() as scheduler:
        made: list[Task[int]] = []
        tasks = [scheduler.add_task(double, number, executor="threadpool", trigger=None) for number in range(20)]
        handles = [task.run() for task in tasks]

        def chain() -> None:
            made.extend(task.then(double, executor="debug") for task in tasks for _ in range(5))

        threads = [threading.Thread(target=chain) for _ in range(2)]
        for thread in threads:
            thread.start()
        await asyncio.gather(*handles)
        for thread in threads:
            await asyncio.to_thread(thread.join)
        # A task that was chained concurrently receives this result, at the latest.
        await asyncio.gather(*(task.run() for task in tasks))
        await until(lambda: all(task.state.executed for task in made))
        assert len(made) == 200


@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])
async def test_chain_shutdown_drains_all_stages(kind: str, tmp_path: Path) -> None:
    scheduler = scheduler_with(kind)
    async with asyncio.timeout(60), scheduler:
        go_on = tmp_path / "go-on"
        first = scheduler.add_task(wait_for_file, str(go_on), 1, executor="under_test", trigger=None, max_instances=3)
        second = first.then(double_later, executor="under_test")
        third = second.then(to_text, executor="threadpool")
        log = EventRecorder.of_tasks(first, second, third)
        for _ in range(3):
            first.run()
        await until(lambda: scheduler.state.executors[0].running == 3)
        shutdown = asyncio.ensure_future(scheduler.shutdown())
        await asyncio.sleep(0)
        go_on.touch()
        await shutdown
    assert log.results(third) == ["2"] * 3
    assert scheduler.state.submitted == scheduler.state.executed == 9


@pytest.mark.parametrize(("wait", "timeout"), [(False, None), (True, 0.05)])
async def test_chain_shutdown_without_wait_cancels_results(wait: bool, timeout: float | None) -> None:
    """Cancel and report the downstream runs that the results would have started."""
    scheduler = AsyncIOScheduler()
    await scheduler.start()
    go_on = asyncio.Event()

    async def wait_for_nothing(number: int) -> None:
        await go_on.wait()

    first = scheduler.add_task(payloads.add, 1, 2, trigger=None)
    second = first.then(wait_for_nothing)
    log = EventRecorder.of_tasks(second)
    for _ in range(3):
        await first.run()
    await until(lambda: second.state.backlog == 2)
    async with asyncio.timeout(30):
        await scheduler.shutdown(wait, timeout)
    assert log.kinds(second) == [TaskCancelled] * 3


async def test_chain_shutdown_ignores_abandoned_thread() -> None:
    go_on = threading.Event()
    scheduler = AsyncIOScheduler(executors={"under_test": ThreadPoolExecutor(1)})
    await scheduler.start()
    first = scheduler.add_task(payloads.add, 1, 2, trigger=None)
    second = first.then(lambda number: go_on.wait(30) and number, executor="under_test", timeout=0.05)
    log = EventRecorder.of_tasks(second)
    for _ in range(2):
        await first.run()
    await until(lambda: len(log.events) == 1)
    async with asyncio.timeout(30):
        await scheduler.shutdown()
    go_on.set()
    assert log.kinds(second) == [TaskError, TaskCancelled]


async def test_chain_continues_after_restart() -> None:
    scheduler = AsyncIOScheduler()
    first = scheduler.add_task(payloads.add, 1, 2, trigger=None)
    second = first.then(double)
    log = EventRecorder.of_tasks(second)
    for _ in range(2):
        async with scheduler:
            await first.run()
    assert log.results(second) == [6, 6]
