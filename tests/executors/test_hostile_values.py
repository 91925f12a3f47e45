"""Each run with a hostile function, argument or result has exactly one outcome, and the executor goes on."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures
from functools import partial
from uuid import UUID

import pytest
from typing_extensions import override

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DaskExecutor,
    DebugExecutor,
    FuturesExecutor,
    ProcessPoolExecutor,
    RunHandle,
    Task,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskNotification,
    TaskSubmitted,
    TaskTimeoutError,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from tests.executors import hostile_values as hostile
from tests.helpers.payloads import add

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WATCHDOG_SECONDS = 100

SPAWN = multiprocessing.get_context("forkserver")
EXECUTORS: dict[str, Callable[[], UniversalExecutor]] = {
    "asyncio": AsyncIOExecutor,
    "debug": DebugExecutor,
    "threadpool": partial(ThreadPoolExecutor, 2),
    "processpool": partial(ProcessPoolExecutor, 2),
    "futures-threads": partial(FuturesExecutor, partial(futures.ThreadPoolExecutor, 2)),
    "futures-processes": partial(FuturesExecutor, partial(futures.ProcessPoolExecutor, 2, mp_context=SPAWN)),
    "dask": lambda: DaskExecutor(cluster_kwargs={"n_workers": 1, "threads_per_worker": 2}),
}
PICKLING = ("processpool", "futures-processes", "dask")


class Outcomes:
    """Outcomes of the runs of a scheduler, counted."""

    def __init__(self, scheduler: AsyncIOScheduler) -> None:
        self.submitted: set[UUID] = set()
        self.ended: Counter[UUID] = Counter()
        scheduler.subscribe(TaskSubmitted, lambda event: self.submitted.add(event.details.run_id))
        scheduler.subscribe(TaskExecuted, self._count)
        scheduler.subscribe(TaskError, self._count)
        scheduler.subscribe(TaskMissed, self._count)
        scheduler.subscribe(TaskCancelled, self._count)

    def _count(self, outcome: TaskNotification[object]) -> None:
        self.ended[outcome.details.run_id] += 1

    def check(self) -> None:
        assert self.ended == dict.fromkeys(self.submitted, 1)


@pytest.mark.parametrize("kind", EXECUTORS)
async def test_hostile_functions_end_once(kind: str) -> None:
    async with asyncio.timeout(WATCHDOG_SECONDS):
        async with AsyncIOScheduler(executors={kind: EXECUTORS[kind]()}) as scheduler:
            outcomes = Outcomes(scheduler)
            for function in hostile.FUNCTIONS:
                tasks: list[Task[object]] = [
                    scheduler.add_task(function, number, executor=kind, trigger=None)
                    for number in range(len(hostile.BLOWS))
                ]
                handles = [task.run() for task in tasks]
                for handle in handles:
                    await handle.notification()
                assert await scheduler.add_task(add, 1, 2, executor=kind, trigger=None).run() == 3, function
            (state,) = [each for each in scheduler.state.executors if each.alias == kind]
            assert (state.status, state.running) == ("running", 0)
        outcomes.check()


@pytest.mark.parametrize("kind", PICKLING)
async def test_hostile_arguments_end_once(kind: str) -> None:
    """They blow when they are pickled for the worker, or in the worker."""
    async with asyncio.timeout(WATCHDOG_SECONDS):
        async with AsyncIOScheduler(executors={kind: EXECUTORS[kind]()}) as scheduler:
            outcomes = Outcomes(scheduler)
            for number in range(len(hostile.BLOWS)):
                armed = hostile.BlowsWhilePickled(number)
                arguments = armed, hostile.BlowsWhileLoaded(number), hostile.BlowsInSetstate(number)
                tasks = [scheduler.add_task(hostile.accept, each, executor=kind, trigger=None) for each in arguments]
                methods = hostile.BlowingList(number)
                tasks.append(scheduler.add_task(methods.count, 1, executor=kind, trigger=None))
                armed.armed = methods.armed = True
                for task in tasks:
                    assert isinstance(await task.run().notification(), TaskError)
                assert await scheduler.add_task(add, 1, 2, executor=kind, trigger=None).run() == 3
            (state,) = [each for each in scheduler.state.executors if each.alias == kind]
            assert (state.status, state.running) == ("running", 0)
        outcomes.check()


async def test_hostile_method_leaves_other_runs_alone() -> None:
    """A method of an object written in C is not pickled on the thread that all runs share."""
    kind = "processpool"
    async with AsyncIOScheduler(executors={kind: EXECUTORS[kind]()}) as scheduler:
        methods = hostile.BlowingList(0)
        hostile_task = scheduler.add_task(methods.count, 1, executor=kind, trigger=None)
        bystander = scheduler.add_task(time.sleep, 0.5, executor=kind, trigger=None).run()
        methods.armed = True
        assert isinstance(await hostile_task.run().notification(), TaskError)
        await bystander


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
@pytest.mark.parametrize("kind", ["asyncio", "debug", "threadpool", "processpool", "futures-threads"])
async def test_listener_that_raises_changes_no_outcome(kind: str, error: BaseException) -> None:
    def fail(_: object) -> None:
        raise error

    async def fail_async(_: object) -> None:
        await asyncio.sleep(0)
        if not isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
            raise error

    async with asyncio.timeout(WATCHDOG_SECONDS):
        async with AsyncIOScheduler(executors={kind: EXECUTORS[kind]()}) as scheduler:
            for listener in (fail, fail_async):
                scheduler.subscribe(TaskSubmitted, listener)
                scheduler.subscribe(TaskExecuted, listener)
                scheduler.subscribe(TaskError, listener)
            outcomes = Outcomes(scheduler)
            for function in (partial(add, 1, 2), partial(hostile.raise_with_arguments, 1)):
                task: Task[object] = scheduler.add_task(function, executor=kind, trigger=None)
                await task.run().notification()
        outcomes.check()


class RaisingHandler(logging.Handler):
    """Log handler that raises, apart from interrupts that the main thread could have received."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(self._error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            return
        raise self._error


async def fail_when_cancelled() -> None:
    try:
        await asyncio.sleep(WATCHDOG_SECONDS)
    except asyncio.CancelledError:
        raise ValueError from None


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), RuntimeError()])
@pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool", "futures-threads"])
async def test_log_handler_that_raises_changes_no_outcome(kind: str, error: BaseException) -> None:
    """Executors and the scheduler log failures, timeouts and errors that a timeout hides."""
    handler = RaisingHandler(error)
    logging.getLogger("asyncz").addHandler(handler)
    try:
        async with asyncio.timeout(WATCHDOG_SECONDS):
            async with AsyncIOScheduler(executors={kind: EXECUTORS[kind]()}) as scheduler:
                outcomes = Outcomes(scheduler)
                failing = scheduler.add_task(hostile.raise_with_arguments, 1, executor=kind, trigger=None)
                assert isinstance(await failing.run().notification(), TaskError)
                limited = scheduler.add_task(fail_when_cancelled, executor=kind, trigger=None, timeout=0.1)
                assert isinstance(await limited.run().notification(), TaskError)
                assert await scheduler.add_task(add, 1, 2, executor=kind, trigger=None).run() == 3
        outcomes.check()
    finally:
        logging.getLogger("asyncz").removeHandler(handler)


@pytest.mark.parametrize("kind", PICKLING)
async def test_result_that_hangs_delays_no_other_run(kind: str) -> None:
    async with asyncio.timeout(WATCHDOG_SECONDS):
        async with AsyncIOScheduler(executors={kind: EXECUTORS[kind]()}) as scheduler:
            outcomes = Outcomes(scheduler)
            assert await scheduler.add_task(add, 1, 2, executor=kind, trigger=None).run() == 3
            hanging = scheduler.add_task(hostile.return_hanging, executor=kind, trigger=None, timeout=1).run()
            bystanders = [scheduler.add_task(add, 1, number, executor=kind, trigger=None) for number in range(5)]
            async with asyncio.timeout(hostile.HANG_SECONDS - 2):
                assert [await each.run() for each in bystanders] == [1, 2, 3, 4, 5]
                await hanging.notification()
        outcomes.check()


@pytest.fixture
def go_on() -> Iterator[Callable[[], None]]:
    """Function that lets pickling go on that hangs."""
    hostile.GO_ON.clear()
    yield hostile.GO_ON.set
    hostile.GO_ON.set()


@pytest.mark.parametrize("kind", PICKLING)
async def test_argument_that_hangs_blocks_only_its_run(kind: str, go_on: Callable[[], None]) -> None:
    """It hangs while it is pickled. Its timeout counts, it can be cancelled, and it runs if it goes on."""
    async with asyncio.timeout(WATCHDOG_SECONDS):
        async with AsyncIOScheduler(executors={kind: EXECUTORS[kind]()}) as scheduler:
            outcomes = Outcomes(scheduler)
            assert await scheduler.add_task(add, 1, 2, executor=kind, trigger=None).run() == 3

            def run(cls: type[hostile.HangsWhilePickled], timeout: float | None = None) -> RunHandle[int]:
                argument = cls()
                task = scheduler.add_task(hostile.accept, argument, executor=kind, trigger=None, timeout=timeout)
                argument.armed = True
                return task.run()

            limited = [run(cls, timeout=0.5) for cls in hostile.HANG_WHILE_PICKLED]
            cancelled = [run(cls) for cls in hostile.HANG_WHILE_PICKLED]
            late = [run(cls, timeout=60) for cls in hostile.HANG_WHILE_PICKLED]
            others = [scheduler.add_task(add, 1, number, executor=kind, trigger=None) for number in range(3)]
            assert [await each.run() for each in others] == [1, 2, 3]
            for handle in limited:
                outcome = await handle.notification()
                assert isinstance(outcome, TaskError)
                assert isinstance(outcome.exception, TaskTimeoutError)
            for handle in cancelled:
                handle.cancel()
                assert isinstance(await handle.notification(), TaskCancelled)
            assert [await each.run() for each in others] == [1, 2, 3]
            assert not hostile.GO_ON.is_set()
            go_on()
            assert [await handle for handle in late] == [1] * len(late)
            (state,) = [each for each in scheduler.state.executors if each.alias == kind]
            assert (state.status, state.running) == ("running", 0)
        outcomes.check()


@pytest.mark.usefixtures("go_on")
@pytest.mark.parametrize("kind", PICKLING)
async def test_many_hanging_arguments_block_no_plain_run(kind: str) -> None:
    """There are more of them than threads that pickle. The shutdown is bounded all the same."""
    async with asyncio.timeout(WATCHDOG_SECONDS):
        scheduler = AsyncIOScheduler(executors={kind: EXECUTORS[kind]()})
        outcomes = Outcomes(scheduler)
        await scheduler.start()
        for _ in range(100):
            argument = hostile.HangsInReduce()
            task = scheduler.add_task(hostile.accept, argument, executor=kind, trigger=None)
            argument.armed = True
            task.submit()
        others = [scheduler.add_task(add, 1, number, executor=kind, trigger=None) for number in range(3)]
        assert [await each.run() for each in others] == [1, 2, 3]
        assert not hostile.GO_ON.is_set()
        await scheduler.shutdown(timeout=1)
        assert not hostile.GO_ON.is_set()
        outcomes.check()
