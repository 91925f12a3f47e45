"""A scheduler in a thread of its own, used from a synchronous program."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Generator

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
from tests.helpers import payloads
from tests.helpers.executors import MAKERS, every_executor


@pytest.fixture(autouse=True)
def no_threads_left() -> Generator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive(), thread


@every_executor
def test_in_thread_returns_results(kind: str) -> None:
    with AsyncIOScheduler(executors={"under_test": MAKERS[kind]()}).in_thread() as thread:
        on_demand = thread.scheduler.add_task(payloads.add_async, 1, 2, executor="under_test", trigger=None)
        assert [thread.run(on_demand, timeout=30) for _ in range(3)] == [3, 3, 3]
        tasks = [thread.scheduler.add_task(payloads.add, number, 1, executor="under_test") for number in range(5)]
        assert [thread.result(task, timeout=30) for task in tasks] == [1, 2, 3, 4, 5]
        texts: queue.Queue[str] = queue.Queue()
        on_demand.then(str, executor="under_test").on_executed(lambda event: texts.put(event.result))
        thread.run(on_demand, timeout=30)
        assert texts.get(timeout=30) == "3"
    assert thread.scheduler.state.status == "stopped"


def test_in_thread_run_raises_exception_of_run() -> None:
    with AsyncIOScheduler().in_thread() as thread:
        task = thread.scheduler.add_task(payloads.fail, "broken", trigger=None)
        with pytest.raises(ValueError, match="broken"):
            thread.run(task)

        def too_late() -> None:
            raise TimeoutError("of its own")

        with pytest.raises(TimeoutError, match="of its own"):
            thread.run(thread.scheduler.add_task(too_late, trigger=None), timeout=30)


def test_in_thread_result_timeout_keeps_run() -> None:
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


def test_in_thread_block_end_waits_for_runs() -> None:
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
def test_in_thread_block_error_cancels_runs(error: type[BaseException]) -> None:
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


def test_in_thread_drain_timeout_cancels() -> None:
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


def test_in_thread_failed_start_raises() -> None:
    scheduler = AsyncIOScheduler(executors={"under_test": FailsToStart()})
    with pytest.raises(OSError, match="no licence"), scheduler.in_thread():
        pytest.fail("it did not start")
    assert scheduler.state.status == "stopped"


def test_in_thread_running_scheduler_rejected() -> None:
    scheduler = AsyncIOScheduler()
    with scheduler.in_thread() as thread:
        with pytest.raises(SchedulerAlreadyRunningError), scheduler.in_thread():
            pytest.fail("it did not start")
        assert thread.run(scheduler.add_task(payloads.add, 1, 2, trigger=None), timeout=30) == 3


def test_in_thread_scheduler_reusable_elsewhere() -> None:
    scheduler = AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(1), "io": "threadpool"})
    tasks = [scheduler.add_task(payloads.add, 1, 2, trigger=None, executor=alias) for alias in ("cpu", "io")]
    for _ in range(2):
        with scheduler.in_thread() as thread:
            assert [thread.run(task, timeout=60) for task in tasks] == [3, 3]

    async def main() -> None:
        async with scheduler:
            assert [await task.run() for task in tasks] == [3, 3]

    asyncio.run(main())


def test_in_thread_run_after_block_rejected() -> None:
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
    with scheduler.in_thread() as thread:
        pass
    with pytest.raises(SchedulerNotRunningError, match="waiting for the scheduler"):
        thread.run(task)
    with pytest.raises(SchedulerNotRunningError):
        thread.shutdown()
    thread.wait_closed()


def test_in_thread_waiters_notified_at_shutdown() -> None:
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


def test_in_thread_wrong_thread_rejected() -> None:
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
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


def test_in_thread_listeners_called_there() -> None:
    names: list[str] = []
    heard = threading.Event()

    def listen(event: TaskExecuted[int]) -> None:
        names.append(threading.current_thread().name)
        heard.set()

    with AsyncIOScheduler().in_thread() as thread:
        task = thread.scheduler.add_task(payloads.add, 1, 2, trigger=IntervalTrigger(seconds=0.01))
        task.on_executed(listen)
        assert heard.wait(30)
        assert thread.scheduler.state.errors == 0
    assert set(names) == {"asyncz-scheduler"}


def test_in_thread_serves_several_threads() -> None:
    results: list[int] = []
    with AsyncIOScheduler().in_thread() as thread:
        task = thread.scheduler.add_task(payloads.add_async, 1, 2, trigger=None, max_instances=20)
        waiting = [
            threading.Thread(target=lambda: results.extend(thread.run(task, timeout=30) for _ in range(20)))
            for _ in range(5)
        ]
        for each in waiting:
            each.start()
        for each in waiting:
            each.join(60)
    assert results == [3] * 100


def test_in_thread_loop_error_raised_at_block_end() -> None:
    scheduler = AsyncIOScheduler()

    def end_the_loop() -> None:
        raise KeyboardInterrupt("in a callback of the loop")

    with pytest.raises(KeyboardInterrupt, match="in a callback"), scheduler.in_thread() as thread:
        loop = thread._loop
        assert loop is not None
        loop.call_soon_threadsafe(end_the_loop)
        assert thread._closed.wait(30)
