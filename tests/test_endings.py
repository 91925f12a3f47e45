"""However a run ends, its listeners hear of it once: after its submission and before the shutdown."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from asyncz import (
    AsyncIOScheduler,
    IntervalTrigger,
    SerializationError,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskTimeoutError,
    WorkerLostError,
    events,
)
from asyncz.events import Event
from asyncz.testing import FakeClock
from tests import functions
from tests.test_executors import every_executor, every_queueing_executor, scheduler_with


class Listener:
    """Hears everything that a scheduler tells of runs, and of its own end."""

    def __init__(self, scheduler: AsyncIOScheduler) -> None:
        self.heard: list[Event] = []
        self.threads: set[int] = set()
        scheduler.subscribe(events.TaskSubmitted, self._hear)
        scheduler.subscribe(events.TaskExecuted, self._hear)
        scheduler.subscribe(events.TaskError, self._hear)
        scheduler.subscribe(events.TaskMissed, self._hear)
        scheduler.subscribe(events.TaskCancelled, self._hear)
        scheduler.subscribe(events.SchedulerShutdown, self._hear)

    def _hear(self, event: Event) -> None:
        self.heard.append(event)
        self.threads.add(threading.get_ident())

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.heard]

    @property
    def exceptions(self) -> list[BaseException]:
        return [event.exception for event in self.heard if isinstance(event, TaskError)]


def listener_of_one_run(kind: str, call: Callable[[], object], timeout: float | None = None) -> Listener:
    """What is heard of a scheduler that runs a function once, and then another one that gives 3."""

    async def main() -> Listener:
        scheduler = scheduler_with(kind)
        listener = Listener(scheduler)
        async with asyncio.timeout(60), scheduler:
            task = scheduler.add_task(call, executor="tried", trigger=None, timeout=timeout)
            await task.run().notification()
            assert await scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None).run() == 3
            while scheduler.state.executors[0].running:
                await asyncio.sleep(0.005)
            assert scheduler.state.executors[0].instances == ()
        assert listener.threads == {threading.get_ident()}
        return listener

    return asyncio.run(main())


@every_executor
@pytest.mark.parametrize(
    ("call", "ending", "exception"),
    [
        (partial(functions.add, 1, 2), "TaskExecuted", None),
        (partial(functions.add_async, 1, 2), "TaskExecuted", None),
        (functions.returns_coroutine, "TaskExecuted", None),
        (partial(functions.fail, "x"), "TaskError", ValueError),
        (partial(functions.fail_async, "x"), "TaskError", ValueError),
        (functions.leave, "TaskError", SystemExit),
        (functions.leave_async, "TaskError", SystemExit),
        (functions.interrupt, "TaskError", KeyboardInterrupt),
        (functions.interrupt_async, "TaskError", KeyboardInterrupt),
        (functions.raise_base_exception, "TaskError", functions.OwnBaseException),
        (functions.raise_base_exception_async, "TaskError", functions.OwnBaseException),
        (functions.cancel_itself, "TaskCancelled", None),
        (functions.cancel_itself_async, "TaskCancelled", None),
    ],
)
def test_what_a_function_does_is_told_once(
    kind: str, call: Callable[[], object], ending: str, exception: type[BaseException] | None
) -> None:
    listener = listener_of_one_run(kind, call)
    assert listener.names == ["TaskSubmitted", ending, "TaskSubmitted", "TaskExecuted", "SchedulerShutdown"]
    assert [type(each) for each in listener.exceptions] == ([] if exception is None else [exception])
    if ending == "TaskExecuted":
        assert isinstance(listener.heard[1], TaskExecuted)
        assert listener.heard[1].result == 3


@pytest.mark.parametrize(
    ("call", "exception"),
    [
        (functions.unpicklable_result, SerializationError),
        (functions.badly_loading_result, SerializationError),
        (functions.die, WorkerLostError),
        (functions.fail_with_two_arguments, Exception),
    ],
)
def test_what_happens_to_a_process_is_told_once(call: Callable[[], object], exception: type[Exception]) -> None:
    listener = listener_of_one_run("processpool", call)
    assert listener.names == ["TaskSubmitted", "TaskError", "TaskSubmitted", "TaskExecuted", "SchedulerShutdown"]
    assert isinstance(listener.exceptions[0], exception)


@every_queueing_executor
@pytest.mark.parametrize("function", [functions.sleep, functions.sleep_async])
def test_a_time_limit_is_told_once(kind: str, function: Callable[[float], object]) -> None:
    listener = listener_of_one_run(kind, partial(function, 0.3), timeout=0.05)
    assert listener.names == ["TaskSubmitted", "TaskError", "TaskSubmitted", "TaskExecuted", "SchedulerShutdown"]
    assert isinstance(listener.exceptions[0], TaskTimeoutError)


@every_queueing_executor
@pytest.mark.parametrize("wait", [True, False])
def test_a_shutdown_is_told_after_every_run(kind: str, wait: bool, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"

    async def main() -> None:
        scheduler = scheduler_with(kind)
        listener = Listener(scheduler)
        await scheduler.start()
        handles = [
            scheduler.add_task(
                functions.mark_and_wait, str(tmp_path / f"{number}"), str(go_on), executor="tried", trigger=None
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

    asyncio.run(main())


def test_a_coroutine_that_somebody_else_cancels_is_told_as_cancelled() -> None:
    async def main() -> None:
        async with scheduler_with("asyncio") as scheduler:
            listener = Listener(scheduler)
            before = asyncio.all_tasks()
            handle = scheduler.add_task(functions.sleep_async, 60.0, executor="tried", trigger=None).run()
            (coroutine,) = asyncio.all_tasks() - before
            await asyncio.sleep(0)
            coroutine.cancel()
            assert isinstance(await handle.notification(), TaskCancelled)
            assert listener.names == ["TaskSubmitted", "TaskCancelled"]

    asyncio.run(main())


def test_a_coroutine_that_is_cancelled_before_its_first_step_is_told_as_cancelled() -> None:
    async def main() -> None:
        async with scheduler_with("asyncio") as scheduler:
            listener = Listener(scheduler)
            handle = scheduler.add_task(functions.sleep_async, 60.0, executor="tried", trigger=None).run()
            assert handle.cancel()
            assert isinstance(await handle.notification(), TaskCancelled)
            await asyncio.sleep(0.01)
            assert listener.names == ["TaskSubmitted", "TaskCancelled"]
            assert scheduler.state.executors[0].running == 0

    asyncio.run(main())


def test_a_run_that_the_owner_of_the_default_executor_drops_is_told_as_cancelled(tmp_path: Path) -> None:
    mark, go_on = tmp_path / "mark", tmp_path / "go-on"

    async def main() -> None:
        pool = concurrent.futures.ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(pool)
        async with scheduler_with("asyncio") as scheduler:
            running = scheduler.add_task(
                functions.mark_and_wait, str(mark), str(go_on), executor="tried", trigger=None
            ).run()
            while not mark.exists():
                await asyncio.sleep(0.005)
            waiting = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None).run()
            pool.shutdown(wait=False, cancel_futures=True)
            assert isinstance(await waiting.notification(), TaskCancelled)
            go_on.touch()
            assert isinstance(await running.notification(), TaskExecuted)
            assert scheduler.state.executors[0].running == 0

    asyncio.run(main())


@every_executor
def test_an_executor_can_be_used_again_in_another_loop(kind: str) -> None:
    scheduler = scheduler_with(kind)
    task = scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None)

    async def main() -> int:
        async with asyncio.timeout(30), scheduler:
            return await task.run()

    assert [asyncio.run(main()) for _ in range(3)] == [3, 3, 3]
    assert scheduler.state.executed == 3


@pytest.mark.parametrize("raised", [ValueError("one of three"), functions.OwnBaseException("one of three")])
def test_of_several_due_runs_one_that_fails_does_not_stop_the_others(raised: BaseException) -> None:
    calls: list[int] = []

    async def second_fails() -> None:
        calls.append(len(calls))
        if len(calls) == 2:
            raise raised

    async def main() -> None:
        clock = FakeClock()
        async with AsyncIOScheduler(clock=clock) as scheduler:
            listener = Listener(scheduler)
            task = scheduler.add_task(second_fails, trigger=IntervalTrigger(hours=1), coalesce=False)
            await clock.advance()
            scheduler.pause_task(task)
            await clock.advance(hours=3)
            scheduler.resume_task(task)
            await clock.advance(seconds=1)
            ended = [name for name in listener.names if name != "TaskSubmitted"]
            assert ended == ["TaskExecuted", "TaskError", "TaskExecuted"]
            assert listener.names.count("TaskSubmitted") == 3

    asyncio.run(main())


@every_queueing_executor
def test_runs_of_an_executor_that_is_removed_come_to_their_end(kind: str) -> None:
    async def main() -> None:
        async with scheduler_with(kind) as scheduler:
            task = scheduler.add_task(functions.sleep, 0.1, executor="tried", trigger=None)
            handle = task.run()
            scheduler.remove_task(task)
            await scheduler.remove_executor("tried")
            assert handle.done()
            assert await handle == "slept"

    asyncio.run(main())


def test_listeners_hear_in_the_thread_of_the_loop_also_of_runs_that_end_at_once() -> None:
    async def main() -> None:
        scheduler = scheduler_with("threadpool")
        listener = Listener(scheduler)
        async with scheduler:
            for _ in range(100):
                await scheduler.add_task(functions.add, 1, 2, executor="tried", trigger=None).run()
        assert listener.names == ["TaskSubmitted", "TaskExecuted"] * 100 + ["SchedulerShutdown"]
        assert listener.threads == {threading.get_ident()}

    asyncio.run(main())
