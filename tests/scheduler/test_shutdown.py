"""Shutdown of a scheduler."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from typing_extensions import override

import asyncz
from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    ExecutorState,
    IntervalTrigger,
    InvalidInputError,
    SchedulerNotRunningError,
    SchedulerShutdown,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskRemoved,
    TaskRun,
    TaskSubmitted,
    ThreadPoolExecutor,
)
from tests.helpers import payloads
from tests.helpers.faulty_executors import FailsToRelease, SilentExecutor
from tests.helpers.generics import ResultT
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_shutdown_submits_nothing_afterwards() -> None:
    scheduler = AsyncIOScheduler()
    heard: list[str] = []
    scheduler.subscribe(TaskSubmitted, lambda event: heard.append(event.task_id))
    scheduler.subscribe(SchedulerShutdown, lambda _: heard.append("shutdown"))
    await scheduler.start()
    shutdown = asyncio.ensure_future(scheduler.shutdown())
    scheduler.add_task(payloads.add, 1, 2, id="in the same moment")
    await shutdown
    scheduler.add_task(payloads.add, 1, 2, id="after it")
    await asyncio.sleep(0.05)
    assert heard[-1] == "shutdown"
    assert "after it" not in heard
    assert not scheduler.running


async def test_shutdown_reports_finished_runs() -> None:
    reports: list[SchedulerShutdown] = []
    scheduler = AsyncIOScheduler()
    scheduler.subscribe(SchedulerShutdown, reports.append)
    await scheduler.start()
    handle = scheduler.add_task(payloads.sleep_async, 0.05, trigger=None).run()
    await scheduler.shutdown(timeout=60)
    assert await handle == "slept"
    assert [(report.finished, report.cancelled, report.abandoned) for report in reports] == [(1, 0, 0)]


@pytest.mark.usefixtures("cut_slices")
async def test_shutdown_finishes_runs_of_late_executors() -> None:
    scheduler = AsyncIOScheduler()
    await scheduler.start()
    handles = [scheduler.add_task(payloads.add, 1, 2, executor=ThreadPoolExecutor(1)).run() for _ in range(2)]
    await scheduler.shutdown()
    assert [await handle for handle in handles] == [3, 3]


async def test_shutdown_rejects_new_runs() -> None:
    go_on = asyncio.Event()
    scheduler = AsyncIOScheduler()
    await scheduler.start()
    running = scheduler.add_task(go_on.wait, trigger=None).run()
    other = scheduler.add_task(payloads.add, 1, 2, trigger=None)
    shutdown = asyncio.ensure_future(scheduler.shutdown())
    await asyncio.sleep(0)
    with pytest.raises(SchedulerNotRunningError):
        other.run()
    late = scheduler.add_task(payloads.add, 1, 2)
    await asyncio.sleep(0.01)
    assert late.last_notification is None
    go_on.set()
    await shutdown
    assert await running is True
    assert scheduler.state.submitted == 1


@pytest.mark.parametrize("returns_without_waiting", [True, False])
async def test_silent_executor_does_not_block_shutdown(
    returns_without_waiting: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncz._shutdown_limits.EXECUTORS_SECONDS", 0.05)

    stubborn = SilentExecutor(returns_without_waiting=returns_without_waiting)
    scheduler = AsyncIOScheduler(executors={"stubborn": stubborn})
    await scheduler.start()
    kept = scheduler.add_task(payloads.add, 1, 2, executor="stubborn", trigger=None)
    handle = kept.run()
    removed = scheduler.add_task(payloads.add, 1, 2, executor="stubborn", trigger=None)
    handle_of_removed = removed.run()
    scheduler.remove_task(removed)
    await scheduler.shutdown(timeout=0.05)
    assert isinstance(await handle.notification(), TaskCancelled)
    assert isinstance(await handle_of_removed.notification(), TaskCancelled)
    assert stubborn.shutdowns == [True, False]
    assert scheduler.state.submitted == scheduler.state.cancelled == 2
    assert "never reported the outcome of 1 run(s)" in caplog.text


@pytest.mark.parametrize("timeout", [-1, "soon"])
async def test_shutdown_invalid_timeout_rejected(timeout: float) -> None:
    async with AsyncIOScheduler() as scheduler:
        with pytest.raises(InvalidInputError, match="timeout cannot be"):
            await scheduler.shutdown(timeout=timeout)
        with pytest.raises(InvalidInputError, match="drain_timeout cannot be"):
            await scheduler.wait_closed(drain_timeout=timeout)
        assert scheduler.running


async def test_shutdown_of_busy_schedule_accounts_all_runs() -> None:
    endings: list[object] = []
    scheduler = AsyncIOScheduler(executors={"io": "threadpool"})
    scheduler.subscribe(TaskExecuted, endings.append)
    scheduler.subscribe(TaskError, endings.append)
    scheduler.subscribe(TaskCancelled, endings.append)
    await scheduler.start()
    for number in range(20):
        scheduler.add_task(
            payloads.sleep, 0.001 * number, executor="io", trigger=IntervalTrigger(seconds=0.01), coalesce=False
        )
    await until(lambda: len(endings) >= 100)
    await scheduler.shutdown(timeout=0.05)
    state = scheduler.state
    assert state.submitted == state.executed + state.errors + state.cancelled == len(endings) > 0
    # A function that has not returned in time is left behind. Its run was cancelled, and keeps its slot until the next
    # start: the executor may count it no more, as functions return at any time.
    assert sum(task.running for task in state.tasks) <= state.cancelled


async def test_second_shutdown_waits_for_first() -> None:
    go_on = asyncio.Event()
    scheduler = AsyncIOScheduler()
    reports: list[object] = []
    scheduler.subscribe(SchedulerShutdown, reports.append)
    await scheduler.start()
    handle = scheduler.add_task(go_on.wait, trigger=None).run()
    first = asyncio.ensure_future(scheduler.shutdown())
    second = asyncio.ensure_future(scheduler.shutdown())
    await asyncio.sleep(0.01)
    assert (first.done(), second.done()) == (False, False)
    go_on.set()
    await second
    assert handle.done()
    await first
    await scheduler.shutdown()
    assert len(reports) == 1


async def test_shutdown_event_is_last() -> None:
    heard: list[str] = []
    scheduler = AsyncIOScheduler()
    scheduler.subscribe(TaskExecuted, lambda _: heard.append("executed"))
    scheduler.subscribe(TaskRemoved, lambda _: heard.append("removed"))
    scheduler.subscribe(SchedulerShutdown, lambda _: heard.append("shutdown"))
    await scheduler.start()
    task = scheduler.add_task(payloads.add_async, 1, 2, trigger=None)

    @task.on_executed
    async def remove_later(_: TaskExecuted[int]) -> None:
        await asyncio.sleep(0.02)
        scheduler.remove_task(task)

    task.run()
    await scheduler.shutdown()
    assert heard == ["executed", "removed", "shutdown"]


async def test_executor_shutdown_error_does_not_block() -> None:
    scheduler = AsyncIOScheduler(executors={"bad": FailsToRelease(), "good": AsyncIOExecutor()})
    await scheduler.start()
    async with asyncio.timeout(30):
        await scheduler.shutdown()
    assert scheduler.state.status == "stopped"
    assert scheduler.state.executors[1].status == "stopped"


class Ill:
    """Executor that accepts runs and never reports an outcome; its other methods raise."""

    def __init__(self) -> None:
        self.asked_to_cancel = False
        self.asked_to_end: list[bool] = []

    @property
    def state(self) -> ExecutorState:
        if self.asked_to_end:
            raise OSError("cannot tell")
        return ExecutorState(alias="ill", status="running")

    async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
        pass

    def submit(self, run: TaskRun[ResultT], /) -> None:
        pass

    def cancel_all(self) -> None:
        self.asked_to_cancel = True
        raise OSError("cannot cancel")

    async def shutdown(self, wait: bool = True) -> None:
        self.asked_to_end.append(wait)
        if wait:
            await asyncio.Event().wait()
        raise OSError("cannot shut down")


async def test_executor_failing_everywhere_does_not_block() -> None:
    ill = Ill()
    scheduler = AsyncIOScheduler(executors={"ill": ill})
    reports: list[SchedulerShutdown] = []
    scheduler.subscribe(SchedulerShutdown, reports.append)
    await scheduler.start()
    handle = scheduler.add_task(payloads.add, 1, 2, executor="ill", trigger=None).run()
    async with asyncio.timeout(30):
        await scheduler.shutdown(timeout=0.01)
    assert ill.asked_to_cancel
    assert ill.asked_to_end == [True, False]
    assert isinstance(await handle.notification(), TaskCancelled)
    assert (len(reports), scheduler.running) == (1, False)


async def test_shutdown_timeout_cancels_remaining_runs() -> None:
    scheduler = AsyncIOScheduler()
    await scheduler.shutdown()
    await scheduler.start()
    handle = scheduler.add_task(payloads.sleep_async, 60.0, trigger=None).run()
    await asyncio.gather(scheduler.shutdown(timeout=0.05), scheduler.shutdown())
    assert isinstance(await handle.notification(), TaskCancelled)


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the last waits of a shutdown."""
    for name in ("EXECUTORS_SECONDS", "LEAST_SECONDS", "LISTENERS_SECONDS"):
        monkeypatch.setattr(f"asyncz._shutdown_limits.{name}", 0.01)


@pytest.mark.usefixtures("short_limits")
async def test_endless_executor_shutdown_is_cut_short(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = AsyncIOScheduler(executors={"endless": SilentExecutor(returns_without_waiting=False)})
    await scheduler.start()
    async with asyncio.timeout(15):
        await scheduler.shutdown(wait=False)
    assert scheduler.state.status == "stopped"
    assert "The executor 'endless' did not shut down in time" in caplog.text


async def wait_in_spite_of_cancellation(event: asyncio.Event) -> None:
    while not event.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await event.wait()


@pytest.mark.usefixtures("short_limits")
async def test_endless_executor_start_is_cut_short() -> None:
    class IgnoresCancellation(AsyncIOExecutor):
        @override
        async def start(self, scheduler: asyncz.Notifier, alias: str, /) -> None:
            await wait_in_spite_of_cancellation(go_on)
            await super().start(scheduler, alias)

    go_on, late = asyncio.Event(), IgnoresCancellation()
    scheduler = AsyncIOScheduler()
    await scheduler.start()
    scheduler.add_executor(late, alias="late")
    # Ends the start after some seconds, if the shutdown waits for it.
    asyncio.get_running_loop().call_later(12, go_on.set)
    await scheduler.shutdown(timeout=0)
    assert (go_on.is_set(), scheduler.state.status, late.state.status) == (False, "stopped", "created")
    go_on.set()
    await until(lambda: late.state.status == "running")
    await late.shutdown()


@pytest.mark.usefixtures("short_limits")
async def test_endless_listener_does_not_block_shutdown(caplog: pytest.LogCaptureFixture) -> None:
    go_on, scheduler = asyncio.Event(), AsyncIOScheduler()
    scheduler.subscribe(TaskExecuted, lambda _: wait_in_spite_of_cancellation(go_on))
    await scheduler.start()
    await scheduler.add_task(payloads.add, 1, 2, trigger=None).run()
    # Ends the listener after some seconds, if the shutdown waits for it.
    asyncio.get_running_loop().call_later(12, go_on.set)
    await scheduler.shutdown(timeout=0)
    assert not go_on.is_set()
    go_on.set()
    assert "1 listener(s) are cancelled" in caplog.text
    assert "A step of the shutdown failed" not in caplog.text


async def test_task_finished_during_shutdown_stays() -> None:
    """Keep a task whose last run ends during the shutdown: its state is read after that."""
    go_on, removed = asyncio.Event(), list[TaskRemoved]()
    scheduler = AsyncIOScheduler()
    scheduler.subscribe(TaskRemoved, removed.append)
    await scheduler.start()
    task = scheduler.add_task(go_on.wait)
    await until(lambda: task.state.running == 1)
    shutdown = asyncio.ensure_future(scheduler.shutdown())
    await until(lambda: scheduler.state.status == "draining")
    go_on.set()
    await shutdown
    assert scheduler.tasks == (task,)
    assert (task.state.executed, removed) == (1, [])
