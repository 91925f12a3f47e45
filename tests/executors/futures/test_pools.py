"""Runs in pools of the user."""

from __future__ import annotations

import asyncio
import operator
import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cloudpickle
import loky
import pytest
from typing_extensions import ParamSpec, override

import asyncz
from asyncz import (
    AsyncIOScheduler,
    FuturesExecutor,
    InvalidInputError,
    SerializationError,
    TaskCancelledError,
    TaskExecuted,
    TaskMissedError,
    TaskTimeoutError,
    UniversalExecutor,
    WorkerLostError,
)
from tests.helpers import payloads
from tests.helpers.executors import start_run, state_of
from tests.helpers.foreign_pools import pool_of_one_process
from tests.helpers.generics import ResultT
from tests.helpers.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("pools")]


def test_given_pool_stays_open() -> None:
    async def main(executor: FuturesExecutor) -> None:
        async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
            assert await start_run(scheduler, threading.get_ident) != threading.get_ident()

    with ThreadPoolExecutor(1) as pool:
        executor = FuturesExecutor(pool)
        for _ in range(2):
            asyncio.run(main(executor))
        assert pool.submit(payloads.add, 1, 2).result() == 3
        asyncio.run(main(FuturesExecutor(pool, shutdown_pool=True)))
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.submit(payloads.add, 1, 2)


async def test_pool_shut_down_by_owner_fails_runs() -> None:
    pool = ThreadPoolExecutor(1)
    async with AsyncIOScheduler(executors={"under_test": FuturesExecutor(pool)}) as scheduler:
        pool.shutdown()
        with pytest.raises(RuntimeError, match="after shutdown"):
            await start_run(scheduler, payloads.add, 1, 2)


@pytest.mark.parametrize("pool", [3, "threads", None])
async def test_invalid_pool_rejected(pool: object) -> None:
    # Not every user has a type checker.
    make: Callable[[object], UniversalExecutor] = getattr(asyncz, "FuturesExecutor")  # noqa: B009
    with pytest.raises(InvalidInputError, match="pool"):
        make(pool)

    with pytest.raises(InvalidInputError, match="must return"):
        async with AsyncIOScheduler(executors={"under_test": make(lambda: pool)}):
            pass


async def test_process_results_and_errors_keep_origin() -> None:
    async with AsyncIOScheduler(executors={"under_test": FuturesExecutor(pool_of_one_process)}) as scheduler:
        ending = await start_run(scheduler, payloads.process_id).notification()
        assert isinstance(ending, TaskExecuted)
        assert ending.details.worker is not None
        assert ending.details.worker.pid == ending.result != os.getpid()
        with pytest.raises(ValueError, match="remotely") as raised:
            await start_run(scheduler, payloads.fail, "remotely")
        assert "in fail" in raised.value.__notes__[0]
        with pytest.raises(SerializationError, match="result"):
            await start_run(scheduler, payloads.badly_loading_result)


async def test_current_run_visible_in_foreign_process() -> None:
    async with AsyncIOScheduler(executors={"under_test": FuturesExecutor(pool_of_one_process)}) as scheduler:
        for number in range(2):
            task = scheduler.add_task(
                payloads.run_that_calls, id=f"known-{number}", executor="under_test", trigger=None
            )
            handle = task.run()
            assert await handle == (handle.run_id, f"known-{number}", 1)


async def test_custom_dumps_pickles_closures() -> None:
    pickling = FuturesExecutor(partial(loky.get_reusable_executor, 1), shutdown_pool=False)
    by_value = FuturesExecutor(partial(loky.get_reusable_executor, 1), shutdown_pool=False, dumps=cloudpickle.dumps)
    async with AsyncIOScheduler(executors={"under_test": pickling, "by value": by_value}) as scheduler:
        offset = 40
        task = scheduler.add_task(lambda: offset + 2, executor="by value", trigger=None)
        assert await task.run() == 42
        with pytest.raises(SerializationError, match="lambda"):
            await start_run(scheduler, lambda: offset + 2)


async def test_queued_run_cancelled_or_missed_in_pool(tmp_path: Path) -> None:
    noted, begun, go_on = tmp_path / "noted", tmp_path / "begun", tmp_path / "go on"
    executor = FuturesExecutor(pool_of_one_process, max_queue=100)
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        running = start_run(scheduler, payloads.mark_and_wait, str(begun), str(go_on))
        await until(begun.exists)
        # The runs that the pool sends ahead.
        ahead = [start_run(scheduler, payloads.add, 1, number) for number in range(3)]
        cancelled = start_run(scheduler, payloads.note_and_fail, str(noted))
        late = scheduler.add_task(
            payloads.note_and_fail, str(noted), executor="under_test", trigger=None, misfire_grace_time=0.1
        ).run()
        assert state_of(scheduler).queued >= 2
        assert cancelled.cancel()
        assert not running.cancel()
        await asyncio.sleep(0.2)
        go_on.touch()
        with pytest.raises(TaskCancelledError):
            await cancelled
        with pytest.raises(TaskMissedError):
            await late
        assert [await handle for handle in ahead] == [1, 2, 3]
    assert not noted.exists()


async def test_cancel_futures_drops_queued_runs(tmp_path: Path) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    executor = FuturesExecutor(partial(ThreadPoolExecutor, 1), cancel_futures=True)
    scheduler = AsyncIOScheduler(executors={"under_test": executor})
    await scheduler.start()
    running = start_run(scheduler, payloads.mark_and_wait, str(begun), str(go_on))
    await until(begun.exists)
    dropped = start_run(scheduler, payloads.add, 1, 2)
    shutdown = asyncio.ensure_future(scheduler.shutdown())
    with pytest.raises(TaskCancelledError):
        await dropped
    go_on.touch()
    await shutdown
    assert await running == os.getpid()


async def test_timeout_starts_when_pool_starts_run(tmp_path: Path) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    async with AsyncIOScheduler(executors={"under_test": FuturesExecutor(pool_of_one_process)}) as scheduler:
        running = start_run(scheduler, payloads.mark_and_wait, str(begun), str(go_on))
        ahead = [start_run(scheduler, payloads.add, 1, number) for number in range(3)]
        limited = partial(scheduler.add_task, executor="under_test", trigger=None, timeout=0.2)
        waiting = limited(payloads.add, 1, 2).run()
        await until(begun.exists)
        await asyncio.sleep(0.3)
        assert not waiting.done()
        go_on.touch()
        assert await waiting == 3
        assert [await handle for handle in [running, *ahead]][1:] == [1, 2, 3]
        with pytest.raises(TaskTimeoutError):
            await limited(payloads.sleep, 0.5).run()
        assert state_of(scheduler).abandoned == 1
        await until(lambda: state_of(scheduler).running == 0)


P = ParamSpec("P")


class BoundedPool(ThreadPoolExecutor):
    """One whose `submit` blocks while its only thread is busy."""

    def __init__(self) -> None:
        super().__init__(1)
        self._free = threading.Semaphore()

    @override
    def submit(self, fn: Callable[P, ResultT], /, *args: P.args, **kwargs: P.kwargs) -> Future[ResultT]:
        self._free.acquire()
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(lambda _: self._free.release())
        return future


async def test_blocking_pool_submit_does_not_block_loop(tmp_path: Path) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    async with AsyncIOScheduler(executors={"under_test": FuturesExecutor(BoundedPool)}) as scheduler:
        running = start_run(scheduler, payloads.mark_and_wait, str(begun), str(go_on))
        waiting = [start_run(scheduler, payloads.add, number, 1) for number in range(5)]
        await until(begun.exists)
        assert state_of(scheduler).queued == 5
        assert waiting.pop().cancel()
        go_on.touch()
        assert await running == os.getpid()
        assert [await handle for handle in waiting] == [1, 2, 3, 4]


class PicklingPool(ThreadPoolExecutor):
    """One with a single thread, which pickles each call as pools of processes do."""

    def __init__(self) -> None:
        super().__init__(1)

    @override
    def submit(self, fn: Callable[P, ResultT], /, *args: P.args, **kwargs: P.kwargs) -> Future[ResultT]:
        def call() -> ResultT:
            copied: Callable[P, ResultT] = pickle.loads(pickle.dumps(fn))
            return copied(*args, **kwargs)

        return super().submit(call)


class PickledLate:
    """Value that becomes the number 7 when an event is set."""

    def __init__(self, is_set: threading.Event) -> None:
        self._is_set = is_set

    def __add__(self, other: int) -> int:
        return 0

    @override
    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        assert self._is_set.wait(60)
        return int, (7,)


async def test_slow_pickling_does_not_hold_pool() -> None:
    """The pool gets a call that does nothing, and another one when the run is pickled."""
    is_set = threading.Event()
    async with AsyncIOScheduler(executors={"under_test": FuturesExecutor(PicklingPool)}) as scheduler:
        slow = start_run(scheduler, operator.add, PickledLate(is_set), 1)
        try:
            assert await start_run(scheduler, payloads.add, 1, 2) == 3
        finally:
            is_set.set()
        assert await slow == 8


async def test_timeout_counts_while_call_is_pickled() -> None:
    is_set = threading.Event()
    async with AsyncIOScheduler(executors={"under_test": FuturesExecutor(PicklingPool)}) as scheduler:
        task = scheduler.add_task(
            operator.add, PickledLate(is_set), 1, executor="under_test", trigger=None, timeout=0.05
        )
        try:
            with pytest.raises(TaskTimeoutError):
                await task.run()
        finally:
            is_set.set()


async def test_pool_failing_to_start_breaks_executor() -> None:
    made: list[Executor] = []

    def make_pool() -> Executor:
        made.append(ThreadPoolExecutor(1, initializer=payloads.failing_initializer))
        return made[-1]

    async with AsyncIOScheduler(executors={"under_test": FuturesExecutor(make_pool)}) as scheduler:
        handles = [start_run(scheduler, payloads.add, 1, 2) for _ in range(20)]
        for handle in handles:
            with pytest.raises(WorkerLostError):
                await handle
        assert state_of(scheduler).status == "broken"
        assert len(made) == 4
