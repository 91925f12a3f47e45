"""Rule: a shutdown ends every run, waiting or not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from pathlib import Path

import pytest

from asyncz import (
    AsyncIOScheduler,
    DebugExecutor,
    ProcessPoolExecutor,
    SchedulerShutdown,
    TaskCancelled,
    TaskCancelledError,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from tests.helpers import payloads
from tests.helpers.executors import every_queueing_executor, scheduler_with
from tests.helpers.payloads import run_until_cancelled
from tests.helpers.recorder import EventRecorder
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["asyncio", "threadpool"])
async def test_shutdown_without_wait_visible_in_function(kind: str, tmp_path: Path) -> None:
    mark, cleaned_up = tmp_path / "mark", tmp_path / "mark-cleaned-up"
    scheduler = scheduler_with(kind)
    await scheduler.start()
    handle = scheduler.add_task(run_until_cancelled, str(mark), executor="under_test", trigger=None).run()
    await until(mark.exists)
    async with asyncio.timeout(30):
        await scheduler.shutdown(wait=False)
    assert isinstance(await handle.notification(), TaskCancelled)
    await until(cleaned_up.exists)


@pytest.mark.parametrize("kind", ["threadpool", "asyncio"])
async def test_shutdown_waits_for_function_using_loop(kind: str) -> None:
    loop = asyncio.get_running_loop()
    begun = threading.Event()

    def needs_loop() -> int:
        begun.set()
        return asyncio.run_coroutine_threadsafe(payloads.add_async(1, 2), loop).result(30)

    scheduler = scheduler_with(kind)
    await scheduler.start()
    handle = scheduler.add_task(needs_loop, executor="under_test", trigger=None).run()
    await until(begun.is_set)
    async with asyncio.timeout(30):
        await scheduler.shutdown()
    assert await handle == 3


def pools() -> dict[str, UniversalExecutor]:
    return {"threadpool": ThreadPoolExecutor(1), "processpool": ProcessPoolExecutor(1)}


@pytest.mark.parametrize("kind", pools())
async def test_shutdown_timeout_cancels_and_reports(kind: str) -> None:
    reports: list[SchedulerShutdown] = []
    scheduler = AsyncIOScheduler(executors={"under_test": pools()[kind]})
    scheduler.subscribe(SchedulerShutdown, reports.append)
    await scheduler.start()
    running = scheduler.add_task(payloads.sleep, 1.5, executor="under_test", trigger=None).run()
    while scheduler.state.executors[0].queued:
        await asyncio.sleep(0.01)
    waiting = scheduler.add_task(payloads.sleep, 1.5, executor="under_test", trigger=None).run()
    await scheduler.shutdown(timeout=0.1)
    assert {type(await handle.notification()) for handle in (running, waiting)} == {TaskCancelled}
    assert scheduler.state.submitted == scheduler.state.cancelled == 2
    # A function in a thread goes on, and the report says so.
    assert [(report.cancelled, report.abandoned) for report in reports] == [(2, int(kind == "threadpool"))]


@every_queueing_executor
@pytest.mark.parametrize("wait", [True, False])
async def test_shutdown_event_follows_every_outcome(kind: str, wait: bool, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"

    scheduler = scheduler_with(kind)
    listener = EventRecorder.of_scheduler(scheduler)
    await scheduler.start()
    handles = [
        scheduler.add_task(
            payloads.mark_and_wait, str(tmp_path / f"{number}"), str(go_on), executor="under_test", trigger=None
        ).run()
        for number in range(2)
    ]
    while not all((tmp_path / f"{number}").exists() for number in range(2)):
        await asyncio.sleep(0.005)
    if wait:
        asyncio.get_running_loop().call_later(0.05, go_on.touch)
    async with asyncio.timeout(30):
        await scheduler.shutdown(wait=wait)
    assert not scheduler.running
    go_on.touch()
    ending = "TaskExecuted" if wait else "TaskCancelled"
    assert listener.names == ["TaskSubmitted"] * 2 + [ending] * 2 + ["SchedulerShutdown"]
    assert all(handle.done() for handle in handles)


@pytest.mark.bites("asyncz.executors.base:BaseExecutor.shutdown", "await state.wait_until_drained()", "pass")
@every_queueing_executor
async def test_shutdown_waits_without_blocking_loop(kind: str, tmp_path: Path) -> None:
    scheduler = scheduler_with(kind)
    await scheduler.start()
    gate = tmp_path / "gate"
    handle = scheduler.add_task(payloads.wait_for_file, str(gate), 1, executor="under_test", trigger=None).run()
    shutdown = asyncio.ensure_future(scheduler.shutdown())
    # The function returns only if the loop goes on.
    for _ in range(6):
        await asyncio.sleep(0.02)
        assert not shutdown.done()
    gate.touch()
    await shutdown
    assert await handle == 1


@pytest.mark.bites("asyncz.executors.base:BaseExecutor.shutdown", "self.cancel_all()", "pass")
@every_queueing_executor
async def test_shutdown_without_wait_cancels_runs(kind: str) -> None:
    scheduler = scheduler_with(kind)
    await scheduler.start()
    handle = scheduler.add_task(payloads.sleep, 0.5, executor="under_test", trigger=None).run()
    await asyncio.sleep(0)
    await scheduler.shutdown(wait=False)
    with pytest.raises(TaskCancelledError):
        await handle
    assert scheduler.state.cancelled == 1


@pytest.mark.parametrize("kind", ["threadpool", "processpool", "asyncio"])
def test_shutdown_leaves_no_files_or_threads(kind: str) -> None:
    async def cycle() -> None:
        async with scheduler_with(kind) as scheduler:
            assert await scheduler.add_task(payloads.add, 1, 1, executor="under_test").result() == 2

    def count() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    asyncio.run(cycle())
    # Resources of earlier tests may disappear during this test, but none may be added.
    gc.collect()
    files, threads = count()
    for _ in range(5):
        asyncio.run(cycle())
    # A thread that has reported its end still counts until it has returned.
    asyncio.run(until(lambda: threading.active_count() <= threads))
    assert count()[0] <= files


async def test_shutdown_started_in_run_sees_its_end() -> None:
    waits_for: list[object] = []
    executor = DebugExecutor()
    shutdown = executor.shutdown()
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        # An eager task factory does the same: it runs a task up to its first wait.
        task = scheduler.add_task(lambda: waits_for.append(shutdown.send(None)), executor="under_test")
        await task.result()
        assert isinstance(waits_for[0], asyncio.Future)
        await asyncio.wait_for(waits_for[0], 30)
        shutdown.close()


@every_queueing_executor
@pytest.mark.parametrize("timeout", [None, 60.0])
@pytest.mark.parametrize("waiting", [False, True])
async def test_cancelled_shutdown_continued_by_next(
    kind: str, timeout: float | None, waiting: bool, tmp_path: Path
) -> None:
    mark, go_on = tmp_path / "mark", tmp_path / "go-on"

    scheduler = scheduler_with(kind)
    reports: list[SchedulerShutdown] = []
    scheduler.subscribe(SchedulerShutdown, reports.append)
    await scheduler.start()
    task = scheduler.add_task(payloads.mark_and_wait, str(mark), str(go_on), executor="under_test", trigger=None)
    handle = task.run()
    await until(mark.exists)
    first = asyncio.ensure_future(scheduler.shutdown(timeout=timeout))
    await asyncio.sleep(0)
    # Another call may wait for that one already, or come later.
    next_one = asyncio.ensure_future(scheduler.shutdown(wait=False)) if waiting else None
    await asyncio.sleep(0.01)
    first.cancel()
    # The next call shortens the one shutdown, so that the first may have returned before it is cancelled.
    with contextlib.suppress(asyncio.CancelledError):
        await first
    async with asyncio.timeout(30):
        await (next_one or scheduler.shutdown(wait=False))
    assert isinstance(await handle.notification(), TaskCancelled)
    assert [report.cancelled for report in reports] == [1]
    assert scheduler.state.executors[0].status == "stopped"
    go_on.touch()
    async with asyncio.timeout(30), scheduler:
        assert await scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None).run() == 3
