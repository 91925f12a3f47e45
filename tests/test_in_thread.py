"""A program that is not asynchronous: the scheduler runs in a thread of its own, and others wait for what it does."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    DebugExecutor,
    IntervalTrigger,
    InvalidInputError,
    MaximumInstancesError,
    Notifier,
    ProcessPoolExecutor,
    ResultTimeoutError,
    RunHandle,
    SchedulerAlreadyRunningError,
    SchedulerNotRunningError,
    SchedulerShutdown,
    TaskCancelled,
    TaskCancelledError,
    TaskExecuted,
    WrongThreadError,
)
from tests import functions
from tests.test_executors import MAKERS, every_executor


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Generator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive(), thread


@every_executor
def test_results_reach_the_thread_that_waits(kind: str) -> None:
    with AsyncIOScheduler(executors={"tried": MAKERS[kind]()}).in_thread() as thread:
        on_demand = thread.scheduler.add_task(functions.add_async, 1, 2, executor="tried", trigger=None)
        assert [thread.run(on_demand, timeout=30) for _ in range(3)] == [3, 3, 3]
        tasks = [thread.scheduler.add_task(functions.add, number, 1, executor="tried") for number in range(5)]
        assert [thread.result(task, timeout=30) for task in tasks] == [1, 2, 3, 4, 5]
        texts: queue.Queue[str] = queue.Queue()
        on_demand.then(str, executor="tried").on_executed(lambda event: texts.put(event.result))
        thread.run(on_demand, timeout=30)
        assert texts.get(timeout=30) == "3"
    assert thread.scheduler.state.status == "stopped"


def test_what_a_run_raises_is_raised_where_it_is_waited_for() -> None:
    with AsyncIOScheduler().in_thread() as thread:
        task = thread.scheduler.add_task(functions.fail, "broken", trigger=None)
        with pytest.raises(ValueError, match="broken"):
            thread.run(task)

        def too_late() -> None:
            raise TimeoutError("of its own")

        with pytest.raises(TimeoutError, match="of its own"):
            thread.run(thread.scheduler.add_task(too_late, trigger=None), timeout=30)


def test_who_has_waited_long_enough_goes_on_and_so_does_the_run() -> None:
    started, go_on = threading.Event(), threading.Event()

    def work() -> str:
        started.set()
        return "done" if go_on.wait(30) else "never told"

    with AsyncIOScheduler().in_thread() as thread:
        task = thread.scheduler.add_task(work, trigger=None, id="slow")
        first = threading.Thread(target=lambda: thread.run(task))
        first.start()
        assert started.wait(30)
        with pytest.raises(ResultTimeoutError, match=r"'slow' has not returned a result within 0\.01 seconds"):
            thread.result(task, timeout=0.01)
        with pytest.raises(MaximumInstancesError):
            thread.run(task, timeout=30)
        other = thread.scheduler.add_task(work, trigger=None)
        with pytest.raises(ResultTimeoutError):
            thread.run(other, timeout=0.5)
        assert (task.state.running, task.state.executed) == (1, 0)
        go_on.set()
        first.join(30)
        assert task.state.executed == 1
        with pytest.raises(InvalidInputError, match="timeout"):
            thread.run(task, timeout=-1)


def test_the_end_of_the_block_waits_for_what_runs() -> None:
    endings: list[object] = []
    with AsyncIOScheduler().in_thread() as thread:
        started = threading.Event()

        async def work() -> str:
            started.set()
            await asyncio.sleep(0.05)
            return "done"

        thread.scheduler.add_task(work).on_done(endings.append)
        assert started.wait(30)
    (ending,) = endings
    assert isinstance(ending, TaskExecuted)
    assert ending.result == "done"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_in_the_block_cancels_what_runs_and_goes_on(error: type[BaseException]) -> None:
    endings: list[object] = []
    scheduler = AsyncIOScheduler()
    with pytest.raises(error, match="in the block"), scheduler.in_thread():
        started = threading.Event()

        async def work() -> None:
            started.set()
            await asyncio.Event().wait()

        scheduler.add_task(work).on_done(endings.append)
        assert started.wait(30)
        raise error("in the block")
    assert [type(ending) for ending in endings] == [TaskCancelled]
    assert scheduler.state.status == "stopped"


def test_what_outlasts_the_drain_timeout_is_cancelled() -> None:
    reports: list[SchedulerShutdown] = []
    scheduler = AsyncIOScheduler()
    scheduler.subscribe(SchedulerShutdown, reports.append)
    with scheduler.in_thread(drain_timeout=0.05):
        started = threading.Event()

        async def work() -> None:
            started.set()
            await asyncio.Event().wait()

        scheduler.add_task(work)
        assert started.wait(30)
    assert [report.cancelled for report in reports] == [1]
    with pytest.raises(InvalidInputError, match="drain_timeout"):
        scheduler.in_thread(drain_timeout=-1)


class FailsToStart(DebugExecutor):
    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        raise OSError("no licence")


def test_a_start_that_fails_raises_where_the_block_begins_and_leaves_nothing() -> None:
    scheduler = AsyncIOScheduler(executors={"tried": FailsToStart()})
    with pytest.raises(OSError, match="no licence"), scheduler.in_thread():
        pytest.fail("it did not start")
    assert scheduler.state.status == "stopped"


def test_a_scheduler_that_runs_already_is_rejected_and_goes_on() -> None:
    scheduler = AsyncIOScheduler()
    with scheduler.in_thread() as thread:
        with pytest.raises(SchedulerAlreadyRunningError), scheduler.in_thread():
            pytest.fail("it did not start")
        assert thread.run(scheduler.add_task(functions.add, 1, 2, trigger=None), timeout=30) == 3


def test_it_can_run_again_in_another_thread_and_in_a_loop_of_ones_own() -> None:
    scheduler = AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(1), "io": "threadpool"})
    tasks = [scheduler.add_task(functions.add, 1, 2, trigger=None, executor=alias) for alias in ("cpu", "io")]
    for _ in range(2):
        with scheduler.in_thread() as thread:
            assert [thread.run(task, timeout=60) for task in tasks] == [3, 3]

    async def main() -> None:
        async with scheduler:
            assert [await task.run() for task in tasks] == [3, 3]

    asyncio.run(main())


def test_after_the_block_waiting_is_rejected() -> None:
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(functions.add, 1, 2, trigger=None)
    with scheduler.in_thread() as thread:
        pass
    with pytest.raises(SchedulerNotRunningError, match="waiting for what runs"):
        thread.run(task)
    with pytest.raises(SchedulerNotRunningError):
        thread.shutdown()
    thread.wait_closed()


def test_who_waits_when_the_scheduler_is_shut_down_is_told() -> None:
    told: list[BaseException] = []
    scheduler = AsyncIOScheduler()
    with scheduler.in_thread() as thread:
        running = threading.Event()

        async def work() -> None:
            running.set()
            await asyncio.Event().wait()

        ran = scheduler.add_task(work, trigger=None)
        never_run = scheduler.add_task(work, trigger=None)

        def wait(what: Callable[[], object]) -> None:
            try:
                what()
            except BaseException as error:
                told.append(error)

        waiting = [
            threading.Thread(target=wait, args=[what])
            for what in (lambda: thread.run(ran), lambda: thread.result(never_run))
        ]
        for each in waiting:
            each.start()
        assert running.wait(30)
        thread.shutdown(wait=False)
        for each in waiting:
            each.join(30)
    assert {type(error) for error in told} == {TaskCancelledError, SchedulerNotRunningError}


def test_what_would_wait_for_itself_or_in_the_wrong_thread_is_rejected_and_does_not_hang() -> None:
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(functions.add, 1, 2, trigger=None)
    handles: list[RunHandle[object]] = []
    with scheduler.in_thread() as thread:

        async def in_its_thread() -> None:
            handles.append(scheduler.add_task(asyncio.Event().wait, trigger=None).run())
            for call in (lambda: thread.run(task), lambda: thread.result(task), thread.shutdown, thread.wait_closed):
                with pytest.raises(WrongThreadError, match=r"'asyncz-scheduler'.*wait for itself"):
                    call()

        thread.run(scheduler.add_task(in_its_thread, trigger=None), timeout=30)
        for call in (task.run, handles[0].cancel):
            with pytest.raises(WrongThreadError, match=r"'MainThread'.*in_thread\(\)"):
                call()
        coroutines: list[Callable[[], object]] = [
            task.result,
            handles[0].notification,
            task.notifications().__anext__,
            scheduler.shutdown,
            scheduler.wait_closed,
            lambda: scheduler.remove_executor("asyncio"),
        ]

        async def elsewhere(call: Callable[[], object]) -> None:
            async with asyncio.timeout(30):
                outcome = call()
                assert asyncio.iscoroutine(outcome)
                await outcome

        for each in coroutines:
            with pytest.raises(WrongThreadError, match="'MainThread'"):
                asyncio.run(elsewhere(each))
        thread.shutdown(wait=False)
    assert task.state.submitted == 0


def test_listeners_are_called_in_its_thread_and_the_schedule_runs_there() -> None:
    names: list[str] = []
    heard = threading.Event()

    def listen(event: TaskExecuted[int]) -> None:
        names.append(threading.current_thread().name)
        heard.set()

    with AsyncIOScheduler().in_thread() as thread:
        task = thread.scheduler.add_task(functions.add, 1, 2, trigger=IntervalTrigger(seconds=0.01))
        task.on_executed(listen)
        assert heard.wait(30)
        assert thread.scheduler.state.errors == 0
    assert set(names) == {"asyncz-scheduler"}


def test_several_threads_may_wait_at_the_same_time() -> None:
    results: list[int] = []
    with AsyncIOScheduler().in_thread() as thread:
        task = thread.scheduler.add_task(functions.add_async, 1, 2, trigger=None, max_instances=20)
        waiting = [
            threading.Thread(target=lambda: results.extend(thread.run(task, timeout=30) for _ in range(20)))
            for _ in range(5)
        ]
        for each in waiting:
            each.start()
        for each in waiting:
            each.join(60)
    assert results == [3] * 100


def test_an_error_of_the_loop_itself_is_raised_at_the_end_of_the_block() -> None:
    scheduler = AsyncIOScheduler()

    def end_the_loop() -> None:
        raise KeyboardInterrupt("in a callback of the loop")

    with pytest.raises(KeyboardInterrupt, match="in a callback"), scheduler.in_thread() as thread:
        loop = thread._loop
        assert loop is not None
        loop.call_soon_threadsafe(end_the_loop)
        assert thread._closed.wait(30)


# As a program

PROGRAM = """
import asyncio, faulthandler, os, signal, threading, time
from asyncz import AsyncIOScheduler, TaskCancelled, TaskExecuted

faulthandler.dump_traceback_later(30, exit=True)
# A shell may have started the tests with it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
scheduler = AsyncIOScheduler()
scheduler.subscribe(TaskExecuted, lambda event: print("executed", event.result, flush=True))
scheduler.subscribe(TaskCancelled, lambda event: print("cancelled", flush=True))
go_on = threading.Event()

async def wait(signals_handled=False):
    while signals_handled and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        await asyncio.sleep(0.005)
    print("waiting", flush=True)
    while not go_on.is_set():
        await asyncio.sleep(0.01)
    return "to its end"

{main}
print("ended", threading.active_count(), signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)
"""


@contextlib.contextmanager
def program(main: str, tmp_path: Path) -> Generator[Callable[[signal.Signals | None], tuple[int, list[str], str]]]:
    """Runs a program, and gives what sends it a signal when it waits, and then tells how it ended and what it wrote."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM.replace("{main}", textwrap.dedent(main)))
    process = subprocess.Popen([sys.executable, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ended(number: signal.Signals | None) -> tuple[int, list[str], str]:
        assert process.stdout is not None
        if number is not None:
            assert process.stdout.readline() == "waiting\n"
            process.send_signal(number)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.splitlines(), err

    try:
        yield ended
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_what_runs_come_to_its_end(number: signal.Signals, tmp_path: Path) -> None:
    main = """
    def release():
        while scheduler.state.status != "draining":
            time.sleep(0.005)
        go_on.set()
        return "released"

    with scheduler.in_thread() as thread:
        scheduler.add_task(release, executor="threadpool")
        scheduler.add_task(wait, True)
        thread.wait_closed()
    """
    with program(main, tmp_path) as ended:
        status, out, err = ended(number)
    assert status == 0, err
    assert sorted(out[:2]) == ["executed released", "executed to its end"]
    assert out[2:] == ["ended 1 True"]


def test_a_second_signal_cancels_what_runs(tmp_path: Path) -> None:
    main = """
    def interrupt():
        while scheduler.state.status != "draining":
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    with scheduler.in_thread() as thread:
        interrupting.start()
        scheduler.add_task(wait, True)
        thread.wait_closed()
    interrupting.join()
    """
    with program(main, tmp_path) as ended:
        status, out, err = ended(signal.SIGINT)
    assert status == 0, err
    assert out == ["cancelled", "ended 1 True"]


def test_an_interrupt_where_nothing_waits_for_it_ends_the_program(tmp_path: Path) -> None:
    main = """
    with scheduler.in_thread() as thread:
        thread.run(scheduler.add_task(wait, trigger=None))
    """
    with program(main, tmp_path) as ended:
        status, out, err = ended(signal.SIGINT)
    assert "KeyboardInterrupt" in err
    assert status == -signal.SIGINT
    assert out == ["cancelled"]


def test_an_interrupt_at_the_end_of_the_block_cancels_what_it_waits_for(tmp_path: Path) -> None:
    main = """
    async def wait_at_the_end():
        while scheduler.state.status != "draining":
            await asyncio.sleep(0.005)
        await wait()

    with scheduler.in_thread() as thread:
        scheduler.add_task(wait_at_the_end)
        while not scheduler.state.submitted:
            time.sleep(0.005)
    """
    with program(main, tmp_path) as ended:
        status, out, err = ended(signal.SIGINT)
    assert "KeyboardInterrupt" in err
    assert status == -signal.SIGINT
    assert out == ["cancelled"]


def test_a_block_that_is_never_left_does_not_keep_the_program_from_its_end(tmp_path: Path) -> None:
    main = """
    thread = scheduler.in_thread()
    thread.__enter__()
    scheduler.add_task(wait)
    while not scheduler.state.submitted:
        time.sleep(0.005)
    """
    with program(main, tmp_path) as ended:
        status, out, err = ended(None)
    assert status == 0, err
    assert [line for line in out if line != "waiting"] == ["ended 2 True", "cancelled"]
