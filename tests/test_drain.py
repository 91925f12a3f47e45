"""Shutting down: what runs ends, what is left is told, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    ExecutorState,
    IntervalTrigger,
    InvalidInputError,
    MaximumInstancesError,
    Notifier,
    ProcessPoolExecutor,
    SchedulerNotRunningError,
    SchedulerShutdown,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskRun,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from tests import functions
from tests.functions import ResultT


class Stubborn:
    """An executor of a user's own, with no base class, that never tells how its runs end."""

    def __init__(self, *, returns_without_waiting: bool) -> None:
        self.state = ExecutorState(alias="stubborn")
        self.returns_without_waiting = returns_without_waiting
        self.taken: list[int] = []
        self.shutdowns: list[bool] = []

    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        self.state = self.state.evolve("starting").evolve("running")

    def submit(self, run: TaskRun[ResultT], /) -> None:
        self.taken.append(run.id)

    async def shutdown(self, wait: bool = True) -> None:
        self.shutdowns.append(wait)
        if wait or not self.returns_without_waiting:
            await asyncio.Event().wait()


class ReleasesOnly(Stubborn):
    """Tells that the work of a run is over, and never how it ended, or only later."""

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        await super().start(scheduler, alias)
        self.scheduler = scheduler
        self.late: list[Callable[[], None]] = []

    @override
    def submit(self, run: TaskRun[ResultT], /) -> None:
        super().submit(run)
        self.scheduler.released(run)
        self.late.append(lambda: self.scheduler.notify(run, run.execute()))


def pools() -> dict[str, UniversalExecutor]:
    return {"threadpool": ThreadPoolExecutor(1), "processpool": ProcessPoolExecutor(1)}


@pytest.mark.parametrize("kind", pools())
def test_what_outlasts_the_timeout_is_cancelled_and_told(kind: str) -> None:
    async def main() -> None:
        reports: list[SchedulerShutdown] = []
        scheduler = AsyncIOScheduler(executors={"tried": pools()[kind]})
        scheduler.subscribe(SchedulerShutdown, reports.append)
        await scheduler.start()
        running = scheduler.add_task(functions.sleep, 1.5, executor="tried", trigger=None).run()
        while scheduler.state.executors[0].queued:
            await asyncio.sleep(0.01)
        waiting = scheduler.add_task(functions.sleep, 1.5, executor="tried", trigger=None).run()
        await scheduler.shutdown(timeout=0.1)
        assert {type(await handle.notification()) for handle in (running, waiting)} == {TaskCancelled}
        assert scheduler.state.submitted == scheduler.state.cancelled == 2
        # A function in a thread goes on, and the report says so.
        assert [(report.cancelled, report.abandoned) for report in reports] == [(2, int(kind == "threadpool"))]

    asyncio.run(main())


def test_what_ends_in_time_is_finished() -> None:
    async def main() -> None:
        reports: list[SchedulerShutdown] = []
        scheduler = AsyncIOScheduler()
        scheduler.subscribe(SchedulerShutdown, reports.append)
        await scheduler.start()
        handle = scheduler.add_task(functions.sleep_async, 0.05, trigger=None).run()
        await scheduler.shutdown(timeout=60)
        assert await handle == "slept"
        assert [(report.finished, report.cancelled, report.abandoned) for report in reports] == [(1, 0, 0)]

    asyncio.run(main())


@pytest.mark.usefixtures("cut_turns")
def test_the_runs_of_an_executor_that_came_with_them_are_finished_also_on_a_busy_loop() -> None:
    async def main() -> None:
        scheduler = AsyncIOScheduler()
        await scheduler.start()
        handles = [scheduler.add_task(functions.add, 1, 2, executor=ThreadPoolExecutor(1)).run() for _ in range(2)]
        await scheduler.shutdown()
        assert [await handle for handle in handles] == [3, 3]

    asyncio.run(main())


def test_a_scheduler_that_shuts_down_takes_no_new_runs() -> None:
    async def main() -> None:
        go_on = asyncio.Event()
        scheduler = AsyncIOScheduler()
        await scheduler.start()
        running = scheduler.add_task(go_on.wait, trigger=None).run()
        other = scheduler.add_task(functions.add, 1, 2, trigger=None)
        shutdown = asyncio.ensure_future(scheduler.shutdown())
        await asyncio.sleep(0)
        with pytest.raises(SchedulerNotRunningError):
            other.run()
        late = scheduler.add_task(functions.add, 1, 2)
        await asyncio.sleep(0.01)
        assert late.last_notification is None
        go_on.set()
        await shutdown
        assert await running is True
        assert scheduler.state.submitted == 1

    asyncio.run(main())


@pytest.mark.parametrize("returns_without_waiting", [True, False])
def test_an_executor_that_never_tells_cannot_keep_a_shutdown_from_its_end(
    returns_without_waiting: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncz.schedulers.asyncio._LAST_PATIENCE", 0.05)

    async def main() -> None:
        stubborn = Stubborn(returns_without_waiting=returns_without_waiting)
        scheduler = AsyncIOScheduler(executors={"stubborn": stubborn})
        await scheduler.start()
        kept = scheduler.add_task(functions.add, 1, 2, executor="stubborn", trigger=None)
        handle = kept.run()
        removed = scheduler.add_task(functions.add, 1, 2, executor="stubborn", trigger=None)
        handle_of_removed = removed.run()
        scheduler.remove_task(removed)
        await scheduler.shutdown(timeout=0.05)
        assert isinstance(await handle.notification(), TaskCancelled)
        assert isinstance(await handle_of_removed.notification(), TaskCancelled)
        assert stubborn.shutdowns == [True, False]
        assert scheduler.state.submitted == scheduler.state.cancelled == 2

    asyncio.run(main())
    assert "never told how 1 run(s)" in caplog.text


def test_a_run_that_is_released_before_its_end_is_told_is_not_lost(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        executor = ReleasesOnly(returns_without_waiting=True)
        scheduler = AsyncIOScheduler(executors={"early": executor})
        await scheduler.start()
        late = scheduler.add_task(functions.add, 1, 2, executor="early", trigger=None)
        never = scheduler.add_task(functions.add, 1, 2, executor="early", trigger=None)
        handles = late.run(), never.run()
        await asyncio.sleep(0.01)
        assert late.state.running == 1
        executor.late[0]()
        assert await handles[0] == 3
        await asyncio.sleep(0.01)
        assert (late.state.running, never.state.running) == (0, 1)
        await scheduler.shutdown(wait=False)
        assert isinstance(await handles[1].notification(), TaskCancelled)
        assert scheduler.state.submitted == scheduler.state.executed + scheduler.state.cancelled == 2
        assert never.state.running == 0

    asyncio.run(main())
    assert "released before its end was told" in caplog.text


@pytest.mark.usefixtures("cut_turns")
def test_a_run_that_waits_for_the_start_of_its_executor_can_be_cancelled() -> None:
    class Slow(ThreadPoolExecutor):
        @override
        async def start(self, scheduler: Notifier, alias: str, /) -> None:
            await go_on.wait()
            await super().start(scheduler, alias)

    go_on = asyncio.Event()
    called: list[bool] = []

    async def main() -> None:
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

    asyncio.run(main())


def test_runs_of_a_removed_task_still_end_and_can_be_cancelled() -> None:
    async def main() -> None:
        go_on = asyncio.Event()
        async with AsyncIOScheduler() as scheduler:
            first = scheduler.add_task(go_on.wait, trigger=None, id="same")
            handle = first.run()
            scheduler.remove_task(first)
            second = scheduler.add_task(go_on.wait, trigger=None, id="same")
            cancelled = second.run()
            scheduler.remove_task("same")
            assert second.cancel_runs() == 1
            assert isinstance(await cancelled.notification(), TaskCancelled)
            go_on.set()
            assert isinstance(await handle.notification(), TaskExecuted)
        assert scheduler._leaving == {}

    asyncio.run(main())


def test_a_thread_that_a_shutdown_left_to_itself_takes_no_place_in_the_next_start() -> None:
    async def main() -> None:
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
                    assert await scheduler.add_task(functions.add, 1, 2, executor="io").result() == 3
            finally:
                go_on.set()

    asyncio.run(main())


@pytest.mark.parametrize("timeout", [-1, "soon"])
def test_a_timeout_that_makes_no_sense_is_rejected(timeout: float) -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            with pytest.raises(InvalidInputError, match="timeout cannot be"):
                await scheduler.shutdown(timeout=timeout)
            with pytest.raises(InvalidInputError, match="drain_timeout cannot be"):
                await scheduler.wait_closed(drain_timeout=timeout)
            assert scheduler.running

    asyncio.run(main())


class Command:
    """`asyncz run` on a program of ours, spoken to by signals and read line by line."""

    def __init__(self, folder: Path, program: str, *arguments: str) -> None:
        (folder / "own.py").write_text(textwrap.dedent(program))
        command = [sys.executable, "-m", "asyncz", "run", "own:scheduler", *arguments]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        # Whatever happens, reading its output comes to an end.
        self.guard = threading.Timer(60, self.process.kill)
        self.guard.start()

    def until(self, line: str) -> None:
        assert self.process.stdout is not None
        for printed in self.process.stdout:
            if printed.strip() == line:
                return
        pytest.fail(f"ended without saying {line!r}")

    def rest(self) -> tuple[int, list[str]]:
        output, _ = self.process.communicate()
        self.guard.cancel()
        # The rest is what the command tells of each event.
        return self.process.returncode, [line for line in output.splitlines() if not line.startswith("time=")]


PROGRAM = """
    import asyncio
    from asyncz import AsyncIOScheduler

    async def work():
        print("running", flush=True)
        try:
            await asyncio.sleep({seconds})
            print("finished", flush=True)
        except asyncio.CancelledError:
            print("cancelled", flush=True)
            raise

    scheduler = AsyncIOScheduler()
    scheduler.add_task(work).on_done(lambda event: print(type(event).__name__, flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_drains_on_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    command = Command(tmp_path, PROGRAM.format(seconds=0.5))
    command.until("running")
    command.process.send_signal(number)
    assert command.rest() == (0, ["finished", "TaskExecuted"])


def test_the_command_cancels_what_outlasts_its_drain_timeout(tmp_path: Path) -> None:
    command = Command(tmp_path, PROGRAM.format(seconds=600), "--drain-timeout", "0.2")
    command.until("running")
    command.process.send_signal(signal.SIGTERM)
    assert command.rest() == (0, ["cancelled", "TaskCancelled"])


def test_a_second_signal_cuts_the_drain_of_the_command_short(tmp_path: Path) -> None:
    program = (
        PROGRAM
        + """
    from asyncz.schedulers import AsyncIOScheduler as Scheduler
    shutdown = Scheduler.shutdown
    async def announced(self, wait=True, timeout=None):
        print("draining", flush=True)
        await shutdown(self, wait, timeout)
    Scheduler.shutdown = announced
"""
    )
    command = Command(tmp_path, program.format(seconds=600))
    command.until("running")
    command.process.send_signal(signal.SIGTERM)
    command.until("draining")
    command.process.send_signal(signal.SIGTERM)
    status, words = command.rest()
    assert (status, [word for word in words if word != "draining"]) == (0, ["cancelled", "TaskCancelled"])


def test_a_schedule_that_fails_at_the_end_still_adds_up() -> None:
    async def main() -> None:
        endings: list[object] = []
        scheduler = AsyncIOScheduler(executors={"io": "threadpool"})
        scheduler.subscribe(TaskExecuted, endings.append)
        scheduler.subscribe(TaskError, endings.append)
        scheduler.subscribe(TaskCancelled, endings.append)
        await scheduler.start()
        for number in range(20):
            scheduler.add_task(
                functions.sleep, 0.001 * number, executor="io", trigger=IntervalTrigger(seconds=0.01), coalesce=False
            )
        await asyncio.sleep(0.2)
        await scheduler.shutdown(timeout=0.05)
        state = scheduler.state
        assert state.submitted == state.executed + state.errors + state.cancelled == len(endings) > 0
        assert all(task.running == 0 for task in state.tasks)

    asyncio.run(main())
