"""Start and stop of a scheduler in a thread, without a block for `with`."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Never

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    InvalidInputError,
    Notifier,
    SchedulerAlreadyRunningError,
    SchedulerNotRunningError,
    TaskCancelled,
    TaskExecuted,
    WrongThreadError,
)
from tests.helpers import payloads


def test_thread_starts_stops_and_starts_again() -> None:
    thread = AsyncIOScheduler().in_thread()
    thread.stop()
    task = thread.scheduler.add_task(payloads.add, 1, 2, trigger=None)
    for _ in range(2):
        assert thread.start() is thread
        assert thread.run(task, timeout=30) == 3
        thread.stop()
        thread.stop()
        assert thread.scheduler.state.status == "stopped"
    with pytest.raises(SchedulerNotRunningError):
        thread.run(task, timeout=30)


def test_second_start_is_rejected() -> None:
    thread = AsyncIOScheduler().in_thread().start()
    try:
        with pytest.raises(SchedulerAlreadyRunningError):
            thread.start()
        with pytest.raises(SchedulerAlreadyRunningError), thread:
            pass
        assert thread.scheduler.running
    finally:
        thread.stop()


def test_interrupt_during_start_stops_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt `start()` while an executor is starting: the scheduler is stopped when the executor has started."""

    class Interrupts(AsyncIOExecutor):
        @override
        async def start(self, scheduler: Notifier, alias: str, /) -> None:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            # Until `start()` handles the interrupt.
            await asyncio.to_thread(stopping.wait, 30)
            await super().start(scheduler, alias)

    scheduler = AsyncIOScheduler(executors={"slow": Interrupts()})
    thread, stopping = scheduler.in_thread(), threading.Event()
    stop, waits = thread._stop, list[bool]()

    def stop_and_note(wait: bool) -> None:
        waits.append(wait)
        stop(wait)
        stopping.set()

    monkeypatch.setattr(thread, "_stop", stop_and_note)
    with pytest.raises(KeyboardInterrupt):
        thread.start()
    assert scheduler.state.status == "stopped"
    assert waits == [False]
    monkeypatch.undo()
    thread.stop()


def test_concurrent_starts_make_one_thread() -> None:
    thread = AsyncIOScheduler().in_thread()
    barrier, errors = threading.Barrier(4), list[Exception]()

    def start() -> None:
        barrier.wait(30)
        try:
            thread.start()
        except SchedulerAlreadyRunningError as error:
            errors.append(error)

    starters = [threading.Thread(target=start) for _ in range(4)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join(30)
    thread.stop()
    assert len(errors) == 3


def test_stop_without_waiting_cancels_runs() -> None:
    thread = AsyncIOScheduler().in_thread().start()
    entered = threading.Event()
    task = thread.scheduler.add_task(payloads.wait_forever_after, entered.set, trigger=None)
    task.submit()
    assert entered.wait(30)
    thread.stop(wait=False)
    assert isinstance(task.last_notification, TaskCancelled)


@pytest.mark.parametrize(("drain_timeout", "timeout"), [(None, 0), (60, 0), (0, None)])
def test_stop_cancels_runs_after_time_limit(drain_timeout: float | None, timeout: float | None) -> None:
    """Cancel the runs after the `timeout` of `stop()`, or by default after `drain_timeout`."""
    thread = AsyncIOScheduler().in_thread(drain_timeout=drain_timeout).start()
    entered = threading.Event()
    task = thread.scheduler.add_task(payloads.wait_forever_after, entered.set, trigger=None)
    task.submit()
    assert entered.wait(30)
    thread.stop(timeout=timeout)
    assert isinstance(task.last_notification, TaskCancelled)


@pytest.mark.parametrize(("drain_timeout", "timeout"), [(None, None), (0, 60), (60, None)])
def test_stop_waits_for_runs_until_time_limit(drain_timeout: float | None, timeout: float | None) -> None:
    scheduler = AsyncIOScheduler()
    thread = scheduler.in_thread(drain_timeout=drain_timeout).start()
    entered = threading.Event()

    async def work() -> str:
        entered.set()
        while scheduler.running:
            await asyncio.sleep(0)
        # Some more iterations of the loop, in which a cancellation would be made.
        for _ in range(100):
            await asyncio.sleep(0)
        return "finished"

    task = scheduler.add_task(work, trigger=None)
    task.submit()
    assert entered.wait(30)
    thread.stop(timeout=timeout)
    assert isinstance(ending := task.last_notification, TaskExecuted)
    assert ending.result == "finished"


def test_interrupted_stop_cancels_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(**_: object) -> Never:
        raise KeyboardInterrupt

    thread = AsyncIOScheduler().in_thread().start()
    entered = threading.Event()
    task = thread.scheduler.add_task(payloads.wait_forever_after, entered.set, trigger=None)
    task.submit()
    assert entered.wait(30)
    monkeypatch.setattr(thread, "shutdown", interrupt)
    with pytest.raises(KeyboardInterrupt):
        thread.stop()
    assert isinstance(task.last_notification, TaskCancelled)
    assert thread.scheduler.state.status == "stopped"


def test_failure_of_thread_cancels_runs() -> None:
    entered = threading.Event()

    class Fails(AsyncIOScheduler):
        @override
        async def wait_closed(self, drain_timeout: float | None = None) -> None:
            await asyncio.to_thread(entered.wait, 30)
            raise OSError("broken")

    scheduler = Fails()
    task = scheduler.add_task(payloads.wait_forever_after, entered.set)
    thread = scheduler.in_thread().start()
    thread.wait_closed()
    with pytest.raises(OSError, match="broken"):
        thread.stop()
    assert isinstance(task.last_notification, TaskCancelled)


def test_short_timeout_waits_until_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = threading.Semaphore(0)

    def monotonic() -> float:
        looks.release()
        return 0.0

    async def work() -> str:
        # The first look sets the limit, the second one compares.
        for _ in range(2):
            await asyncio.to_thread(looks.acquire, True, 30)
        return "done"

    with AsyncIOScheduler().in_thread() as thread:
        task = thread.scheduler.add_task(work, trigger=None)
        monkeypatch.setattr("asyncz.schedulers.thread.time", SimpleNamespace(monotonic=monotonic))
        assert thread.run(task, timeout=0.5) == "done"


def test_cancel_ends_runs_from_another_thread() -> None:
    with AsyncIOScheduler().in_thread() as thread:
        entered, ended = threading.Event(), threading.Event()
        task = thread.scheduler.add_task(payloads.wait_forever_after, entered.set, trigger=None)
        task.on_cancelled(lambda _: ended.set())
        assert thread.cancel(task) == 0
        task.submit()
        assert entered.wait(30)
        assert thread.cancel(task, timeout=30) == 1
        assert ended.wait(30)
    with pytest.raises(SchedulerNotRunningError):
        thread.cancel(task)


def test_stop_in_own_thread_is_rejected() -> None:
    with AsyncIOScheduler().in_thread() as thread:

        async def stop() -> None:
            thread.stop()

        with pytest.raises(WrongThreadError):
            thread.run(thread.scheduler.add_task(stop, trigger=None), timeout=30)
    with pytest.raises(InvalidInputError):
        thread.stop(timeout=-1)


@pytest.mark.slow
def test_program_without_stop_ends() -> None:
    code = """
from asyncz import AsyncIOScheduler, IntervalTrigger
import time
scheduler = AsyncIOScheduler()
scheduler.add_task(print, "due", trigger=IntervalTrigger(hours=1))
scheduler.in_thread().start()
print("end")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert (result.stdout, result.stderr) == ("end\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(("drain_timeout", "outcome"), [("30", "TaskExecuted"), ("None", "TaskCancelled")])
def test_exit_drains_within_the_drain_timeout(drain_timeout: str, outcome: str) -> None:
    code = f"""
import asyncio, threading
from asyncz import AsyncIOScheduler, TaskCancelled, TaskExecuted
scheduler, entered = AsyncIOScheduler(), threading.Event()
async def work():
    entered.set()
    await asyncio.sleep(1)
scheduler.add_task(work)
for event in (TaskExecuted, TaskCancelled):
    scheduler.subscribe(event, lambda event: print(type(event).__name__))
scheduler.in_thread(drain_timeout={drain_timeout}).start()
entered.wait()
print("end")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout == f"end\n{outcome}\n"
