"""Event loops that a scheduler runs on, and those that it rejects."""

from __future__ import annotations

import asyncio
import gc
import importlib
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor as Pool
from contextlib import contextmanager

import anyio
import pytest
import trio

from asyncz import AsyncIOScheduler, NoEventLoopError, TaskCancelled, TaskExecuted, TaskNotification
from tests.helpers import payloads
from tests.helpers.executors import every_executor, scheduler_with
from tests.helpers.interpreter import python_output

pytestmark = pytest.mark.anyio


def new_uvloop() -> asyncio.AbstractEventLoop:
    pytest.importorskip("uvloop", reason="uvloop cannot be installed here")
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return factory()


async def use(scheduler: AsyncIOScheduler) -> None:
    """Results, an error, a cancellation and a chain."""
    async with asyncio.timeout(60), scheduler:
        for function in (payloads.add, payloads.add_async):
            assert await scheduler.add_task(function, 1, 2, executor="under_test", trigger=None).run() == 3
        with pytest.raises(ValueError, match="broken"):
            await scheduler.add_task(payloads.fail, "broken", executor="under_test", trigger=None).run()
        first = scheduler.add_task(payloads.add, 1, 2, executor="under_test")
        assert await first.then(str, executor="under_test").result() == "3"
        never = scheduler.add_task(asyncio.Event().wait, trigger=None).run()
        assert never.cancel()
        assert isinstance(await never.notification(), TaskCancelled)
        state = scheduler.state
        assert (state.submitted, state.executed, state.errors, state.cancelled) == (6, 4, 1, 1)


@every_executor
def test_uvloop_runs_every_executor(kind: str) -> None:
    with asyncio.Runner(loop_factory=new_uvloop) as runner:
        assert "uvloop" in type(runner.get_loop()).__module__
        runner.run(use(scheduler_with(kind)))


def test_uvloop_in_thread() -> None:
    with AsyncIOScheduler().in_thread(loop_factory=new_uvloop) as thread:

        async def module_of_the_loop() -> str:
            return type(asyncio.get_running_loop()).__module__

        assert "uvloop" in thread.result(thread.scheduler.add_task(module_of_the_loop), timeout=30)


@every_executor
def test_scheduler_moves_between_loops(kind: str) -> None:
    scheduler = scheduler_with(kind)
    kept = scheduler.add_task(payloads.add_async, 1, 2, executor="under_test", trigger=None)
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
async def test_two_schedulers_in_one_loop_are_independent(kind: str) -> None:
    first, second = (scheduler_with(kind) for _ in range(2))
    heard_first: list[TaskExecuted[object]] = []
    heard_second: list[TaskExecuted[object]] = []
    first.subscribe(TaskExecuted, heard_first.append)
    second.subscribe(TaskExecuted, heard_second.append)
    async with asyncio.timeout(60), first:
        tasks = [first.add_task(payloads.add, number, 1, executor="under_test", id=f"{number}") for number in range(5)]
        async with second:
            others = [
                second.add_task(payloads.add, number, 100, executor="under_test", id=f"{number}") for number in range(5)
            ]
            assert await asyncio.gather(*(task.result() for task in others)) == list(range(100, 105))
        # The end of one is not the end of the other.
        assert await asyncio.gather(*(task.result() for task in tasks)) == list(range(1, 6))
        assert await first.add_task(payloads.add, 5, 1, executor="under_test").result() == 6
    assert sorted(str(event.result) for event in heard_first) == [str(number) for number in range(1, 7)]
    assert sorted(str(event.result) for event in heard_second) == [str(number) for number in range(100, 105)]


def test_two_schedulers_in_threads_pass_results() -> None:
    with AsyncIOScheduler().in_thread() as first, AsyncIOScheduler().in_thread() as second:
        told: list[str] = []
        done = threading.Event()

        def hear(event: TaskExecuted[str]) -> None:
            told.append(event.result)
            done.set()

        def tell(number: int) -> None:
            # Due only after the subscription: the scheduler runs in another thread.
            task = second.scheduler.add_task(str, number, trigger=None)
            task.on_executed(hear)
            task.submit()

        first.scheduler.add_task(payloads.add, 1, 2).then(tell)
        assert done.wait(30)
        assert told == ["3"]


@contextmanager
def rejected(scheduler: AsyncIOScheduler) -> Generator[None]:
    """Rejected with a clear error, after which the scheduler is as new."""
    with pytest.raises(NoEventLoopError, match=r"trio.*in_thread\(\)"):
        yield
    assert scheduler.state.status == "created"

    async def main() -> None:
        async with scheduler:
            assert await scheduler.add_task(payloads.add, 1, 2).result() == 3

    asyncio.run(main())


def test_trio_rejected() -> None:
    scheduler = AsyncIOScheduler()
    with rejected(scheduler):
        trio.run(scheduler.start)


def test_anyio_trio_backend_rejected() -> None:
    scheduler = AsyncIOScheduler()

    async def main() -> int:
        async with scheduler:
            return await scheduler.add_task(payloads.add, 1, 2).result()

    with rejected(scheduler):
        anyio.run(main, backend="trio")
    assert anyio.run(main, backend="asyncio") == 3


def test_start_without_loop_rejected() -> None:
    scheduler = AsyncIOScheduler()
    with rejected(scheduler):
        scheduler.start().send(None)


def test_scheduler_in_thread_works_under_trio() -> None:
    async def main() -> int:
        with AsyncIOScheduler().in_thread() as thread:
            task = thread.scheduler.add_task(payloads.add_async, 1, 2, trigger=None)
            return await trio.to_thread.run_sync(thread.run, task)

    assert trio.run(main) == 3


@pytest.mark.slow
def test_start_does_not_block_loop_while_importing() -> None:
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
    assert python_output("-c", code).split() == ["True", "True"]


def test_run_awaited_in_closed_loop_frees_slot() -> None:
    go_on = threading.Event()
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(go_on.wait, 30, trigger=None, executor="threadpool")

    async def begin() -> None:
        await scheduler.start()
        handle = task.run()
        waiting.append(asyncio.ensure_future(handle.notification()))
        await asyncio.sleep(0)

    async def go_on_elsewhere() -> None:
        async with asyncio.timeout(30):
            await scheduler.shutdown()
            async with scheduler:
                assert task.state.running == 0
                assert task.state.executed == 1
                assert await task.run()

    waiting: list[asyncio.Future[TaskNotification[bool]]] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    go_on.set()
    deadline = time.monotonic() + 30
    while any(state.running for state in scheduler.state.executors):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    asyncio.run(go_on_elsewhere())


def test_watch_of_closed_loop_cancels_nothing_later() -> None:
    """A coroutine of the first loop is collected while the second one is used."""
    go_on = threading.Event()
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(go_on.wait, 30, trigger=None, max_instances=2)

    async def begin() -> None:
        await scheduler.start()
        task.submit()
        await asyncio.sleep(0)

    async def go_on_elsewhere() -> None:
        async with asyncio.timeout(30):
            with Pool(1) as pool:
                asyncio.get_running_loop().set_default_executor(pool)
                await scheduler.start()
                queued = [scheduler.add_task(go_on.wait, 30, trigger=None).run() for _ in range(3)]
                await asyncio.sleep(0)
                gc.collect()
                go_on.set()
                assert await asyncio.gather(*queued) == [True] * 3
                await scheduler.shutdown()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.close()
    del loop
    asyncio.run(go_on_elsewhere())
