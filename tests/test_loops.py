"""The event loops that a scheduler runs on, one after another and side by side, and those that it rejects."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio
import pytest
import trio

from asyncz import (
    AsyncIOScheduler,
    NoEventLoopError,
    TaskCancelled,
    TaskExecuted,
)
from tests import functions
from tests.fresh_python import output_of
from tests.test_executors import every_executor, scheduler_with


def new_uvloop() -> asyncio.AbstractEventLoop:
    pytest.importorskip("uvloop", reason="uvloop cannot be installed here")
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return factory()


async def use(scheduler: AsyncIOScheduler) -> None:
    """Results, an error, a cancellation and a chain."""
    async with asyncio.timeout(60), scheduler:
        for function in (functions.add, functions.add_async):
            assert await scheduler.add_task(function, 1, 2, executor="tried", trigger=None).run() == 3
        with pytest.raises(ValueError, match="broken"):
            await scheduler.add_task(functions.fail, "broken", executor="tried", trigger=None).run()
        first = scheduler.add_task(functions.add, 1, 2, executor="tried")
        assert await first.then(str, executor="tried").result() == "3"
        never = scheduler.add_task(asyncio.Event().wait, trigger=None).run()
        assert never.cancel()
        assert isinstance(await never.notification(), TaskCancelled)
        state = scheduler.state
        assert (state.submitted, state.executed, state.errors, state.cancelled) == (6, 4, 1, 1)


@every_executor
def test_uvloop(kind: str) -> None:
    with asyncio.Runner(loop_factory=new_uvloop) as runner:
        assert "uvloop" in type(runner.get_loop()).__module__
        runner.run(use(scheduler_with(kind)))


def test_uvloop_in_a_thread() -> None:
    with AsyncIOScheduler().in_thread(loop_factory=new_uvloop) as thread:

        async def module_of_the_loop() -> str:
            return type(asyncio.get_running_loop()).__module__

        assert "uvloop" in thread.result(thread.scheduler.add_task(module_of_the_loop), timeout=30)


@every_executor
def test_a_scheduler_goes_from_one_loop_to_another(kind: str) -> None:
    scheduler = scheduler_with(kind)
    kept = scheduler.add_task(functions.add_async, 1, 2, executor="tried", trigger=None)
    results: list[object] = []
    kept.on_executed(lambda event: results.append(event.result))

    async def run() -> None:
        async with asyncio.timeout(60), scheduler:
            assert await kept.run() == 3

    asyncio.run(run())
    with asyncio.Runner(loop_factory=new_uvloop) as runner:
        runner.run(run())
    with scheduler.in_thread() as thread:
        assert thread.run(kept, timeout=60) == 3
    asyncio.run(run())
    assert results == [3] * 4
    assert (kept.state.submitted, kept.state.executed) == (4, 4)


@every_executor
def test_two_schedulers_in_one_loop_know_nothing_of_each_other(kind: str) -> None:
    async def main() -> None:
        first, second = (scheduler_with(kind) for _ in range(2))
        heard_first: list[TaskExecuted[object]] = []
        heard_second: list[TaskExecuted[object]] = []
        first.subscribe(TaskExecuted, heard_first.append)
        second.subscribe(TaskExecuted, heard_second.append)
        async with asyncio.timeout(60), first:
            tasks = [first.add_task(functions.add, number, 1, executor="tried", id=f"{number}") for number in range(5)]
            async with second:
                others = [
                    second.add_task(functions.add, number, 100, executor="tried", id=f"{number}") for number in range(5)
                ]
                assert await asyncio.gather(*(task.result() for task in others)) == list(range(100, 105))
            # The end of one is not the end of the other.
            assert await asyncio.gather(*(task.result() for task in tasks)) == list(range(1, 6))
            assert await first.add_task(functions.add, 5, 1, executor="tried").result() == 6
        assert sorted(str(event.result) for event in heard_first) == [str(number) for number in range(1, 7)]
        assert sorted(str(event.result) for event in heard_second) == [str(number) for number in range(100, 105)]

    asyncio.run(main())


def test_two_schedulers_in_two_threads_hand_results_to_each_other() -> None:
    with AsyncIOScheduler().in_thread() as first, AsyncIOScheduler().in_thread() as second:
        told: list[str] = []
        done = threading.Event()

        def hear(event: TaskExecuted[str]) -> None:
            told.append(event.result)
            done.set()

        def tell(number: int) -> None:
            # Due only once somebody listens: its scheduler runs in another thread than this.
            task = second.scheduler.add_task(str, number, trigger=None)
            task.on_executed(hear)
            task.submit()

        first.scheduler.add_task(functions.add, 1, 2).then(tell)
        assert done.wait(30)
        assert told == ["3"]


# Loops of others


@contextmanager
def rejected(scheduler: AsyncIOScheduler) -> Generator[None]:
    """Rejected with a clear error, after which the scheduler is as new."""
    with pytest.raises(NoEventLoopError, match=r"trio.*in_thread\(\)"):
        yield
    assert scheduler.state.status == "created"

    async def main() -> None:
        async with scheduler:
            assert await scheduler.add_task(functions.add, 1, 2).result() == 3

    asyncio.run(main())


def test_trio_is_rejected() -> None:
    scheduler = AsyncIOScheduler()
    with rejected(scheduler):
        trio.run(scheduler.start)


def test_the_trio_backend_of_anyio_is_rejected_and_that_of_asyncio_is_not() -> None:
    scheduler = AsyncIOScheduler()

    async def main() -> int:
        async with scheduler:
            return await scheduler.add_task(functions.add, 1, 2).result()

    with rejected(scheduler):
        anyio.run(main, backend="trio")
    assert anyio.run(main, backend="asyncio") == 3


def test_no_loop_at_all_is_rejected() -> None:
    scheduler = AsyncIOScheduler()
    with rejected(scheduler):
        scheduler.start().send(None)


def test_under_trio_a_scheduler_runs_in_a_thread() -> None:
    async def main() -> int:
        with AsyncIOScheduler().in_thread() as thread:
            task = thread.scheduler.add_task(functions.add_async, 1, 2, trigger=None)
            return await trio.to_thread.run_sync(thread.run, task)

    assert trio.run(main) == 3


def test_a_start_does_not_hold_the_loop_while_it_loads_what_states_need() -> None:
    code = """
import asyncio, sys
from asyncz import AsyncIOScheduler

async def main():
    scheduler = AsyncIOScheduler()
    starting = asyncio.create_task(scheduler.start())
    turns = 0
    while not starting.done():
        await asyncio.sleep(0)
        turns += 1
    print(turns > 10, "pydantic" in sys.modules)
    await scheduler.shutdown()

asyncio.run(main())
"""
    assert output_of("-c", code).split() == ["True", "True"]
