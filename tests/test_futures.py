"""Runs in pools that a user brings: what they have in common, and what breaks them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cloudpickle
import loky
import pytest
from typing_extensions import ParamSpec, TypeVarTuple, Unpack, override

import asyncz
from asyncz import (
    AsyncIOScheduler,
    ExecutorState,
    FuturesExecutor,
    InvalidInputError,
    RunHandle,
    SerializationError,
    TaskCancelledError,
    TaskExecuted,
    TaskMissedError,
    TaskTimeoutError,
    UniversalExecutor,
    WorkerLostError,
)
from asyncz.testing import ExecutorConformance
from tests import functions
from tests.functions import ResultT
from tests.test_defects import until

P = ParamSpec("P")
Ts = TypeVarTuple("Ts")

pool_of_one_process = partial(ProcessPoolExecutor, 1, multiprocessing.get_context("forkserver"))


class KeptPool:
    """Gives each executor the same pool, as long as that is whole: processes take their time to start."""

    def __init__(self) -> None:
        self._pools = [pool_of_one_process()]

    def maker(self) -> Callable[[], Executor]:
        """What an executor calls at its start, and again where the pool has broken."""
        before: list[Executor] = []

        def make() -> Executor:
            if before and before[-1] is self._pools[-1]:
                self._pools.append(pool_of_one_process())
            before.append(self._pools[-1])
            return self._pools[-1]

        return make

    def end(self) -> None:
        """Shut down all that were made."""
        for pool in self._pools:
            pool.shutdown()


@pytest.fixture(scope="module")
def kept_pool() -> Iterator[KeptPool]:
    pool = KeptPool()
    yield pool
    pool.end()


# What is kept for a module is made once, also where tests run side by side.
pytestmark = pytest.mark.xdist_group("cluster")


class TestFuturesExecutorOfThreads(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return FuturesExecutor(partial(ThreadPoolExecutor, 4))


class TestFuturesExecutorOfProcesses(ExecutorConformance):
    runs_in_another_process = True
    hang_timeout = 30.0

    @pytest.fixture(autouse=True)
    def _with_pool(self, kept_pool: KeptPool) -> None:
        self.pool = kept_pool

    @override
    def make_executor(self) -> UniversalExecutor:
        return FuturesExecutor(self.pool.maker(), shutdown_pool=False)


class TestFuturesExecutorOfLoky(ExecutorConformance):
    runs_in_another_process = True
    hang_timeout = 30.0

    @override
    def make_executor(self) -> UniversalExecutor:
        return FuturesExecutor(partial(loky.get_reusable_executor, 1), shutdown_pool=False)


@pytest.mark.skipif(
    not hasattr(concurrent.futures, "InterpreterPoolExecutor"), reason="pools of interpreters exist from Python 3.14 on"
)
class TestFuturesExecutorOfInterpreters(ExecutorConformance):
    runs_in_another_process = True
    hang_timeout = 30.0

    @override
    def make_executor(self) -> UniversalExecutor:
        return FuturesExecutor(partial(getattr(concurrent.futures, "InterpreterPoolExecutor"), 4))  # noqa: B009

    @override
    def test_dead_worker_ends_one_run(self) -> None:
        pytest.skip("an interpreter dies with its process")


def run(
    scheduler: AsyncIOScheduler, function: Callable[[Unpack[Ts]], ResultT], *arguments: Unpack[Ts]
) -> RunHandle[ResultT]:
    return scheduler.add_task(function, *arguments, executor="tried", trigger=None).run()


def state_of(scheduler: AsyncIOScheduler) -> ExecutorState:
    return scheduler.state.executors[0]


def test_a_pool_that_was_given_stays_its_owners() -> None:
    async def main(executor: FuturesExecutor) -> None:
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            assert await run(scheduler, threading.get_ident) != threading.get_ident()

    with ThreadPoolExecutor(1) as pool:
        executor = FuturesExecutor(pool)
        for _ in range(2):
            asyncio.run(main(executor))
        assert pool.submit(functions.add, 1, 2).result() == 3
        asyncio.run(main(FuturesExecutor(pool, shutdown_pool=True)))
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.submit(functions.add, 1, 2)


def test_a_pool_that_was_shut_down_by_its_owner_ends_each_run_with_what_it_says() -> None:
    async def main() -> None:
        pool = ThreadPoolExecutor(1)
        async with AsyncIOScheduler(executors={"tried": FuturesExecutor(pool)}) as scheduler:
            pool.shutdown()
            with pytest.raises(RuntimeError, match="after shutdown"):
                await run(scheduler, functions.add, 1, 2)

    asyncio.run(main())


@pytest.mark.parametrize("pool", [3, "threads", None])
def test_what_is_no_pool_is_rejected(pool: object) -> None:
    # Not every user has a type checker.
    make: Callable[[object], UniversalExecutor] = getattr(asyncz, "FuturesExecutor")  # noqa: B009
    with pytest.raises(InvalidInputError, match="pool"):
        make(pool)

    async def main() -> None:
        with pytest.raises(InvalidInputError, match="must give"):
            async with AsyncIOScheduler(executors={"tried": make(lambda: pool)}):
                pass

    asyncio.run(main())


def test_results_and_errors_of_another_process_come_with_where_they_were_made() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": FuturesExecutor(pool_of_one_process)}) as scheduler:
            ending = await run(scheduler, functions.process_id).notification()
            assert isinstance(ending, TaskExecuted)
            assert ending.details.worker is not None
            assert ending.details.worker.pid == ending.result != os.getpid()
            with pytest.raises(ValueError, match="remotely") as raised:
                await run(scheduler, functions.fail, "remotely")
            assert "in fail" in raised.value.__notes__[0]
            with pytest.raises(SerializationError, match="result"):
                await run(scheduler, functions.badly_loading_result)

    asyncio.run(main())


def test_a_function_in_a_foreign_process_knows_the_run_that_calls_it() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": FuturesExecutor(pool_of_one_process)}) as scheduler:
            for number in range(2):
                task = scheduler.add_task(
                    functions.run_that_calls, id=f"known-{number}", executor="tried", trigger=None
                )
                handle = task.run()
                assert await handle == (handle.run_id, f"known-{number}", 1)

    asyncio.run(main())


def test_how_calls_are_pickled_is_the_users_to_say() -> None:
    async def main() -> None:
        pickling = FuturesExecutor(partial(loky.get_reusable_executor, 1), shutdown_pool=False)
        by_value = FuturesExecutor(partial(loky.get_reusable_executor, 1), shutdown_pool=False, dumps=cloudpickle.dumps)
        async with AsyncIOScheduler(executors={"tried": pickling, "by value": by_value}) as scheduler:
            offset = 40
            task = scheduler.add_task(lambda: offset + 2, executor="by value", trigger=None)
            assert await task.run() == 42
            with pytest.raises(SerializationError, match="lambda"):
                await run(scheduler, lambda: offset + 2)

    asyncio.run(main())


def test_a_worker_that_dies_costs_what_the_pool_had_begun_and_nothing_that_waits(tmp_path: Path) -> None:
    async def main() -> None:
        begun, never = tmp_path / "begun", tmp_path / "never"
        async with AsyncIOScheduler(executors={"tried": FuturesExecutor(pool_of_one_process)}) as scheduler:
            victim = run(scheduler, functions.mark_and_wait, str(begun), str(never))
            waiting = [run(scheduler, functions.add, number, 1) for number in range(10)]
            await until(lambda: begun.exists() and begun.read_text() != "")
            os.kill(int(begun.read_text()), 9)
            with pytest.raises(WorkerLostError, match="broke the pool"):
                await victim
            endings = [await handle.notification() for handle in waiting]
            # A pool sends a few runs ahead.
            assert [isinstance(ending, TaskExecuted) for ending in endings[3:]] == [True] * 7
            assert state_of(scheduler).status == "running"

    asyncio.run(main())


def test_a_worker_of_loky_that_dies_is_replaced() -> None:
    async def main() -> None:
        executor = FuturesExecutor(partial(loky.get_reusable_executor, 1), shutdown_pool=False)
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            for _ in range(2):
                with pytest.raises(WorkerLostError):
                    await run(scheduler, functions.die)
                assert await run(scheduler, functions.add, 1, 2) == 3

    asyncio.run(main())


def test_a_given_pool_that_breaks_breaks_the_executor() -> None:
    async def main() -> None:
        with pool_of_one_process() as pool:
            async with AsyncIOScheduler(executors={"tried": FuturesExecutor(pool)}) as scheduler:
                dying = [run(scheduler, functions.die) for _ in range(5)]
                for handle in dying:
                    with pytest.raises(WorkerLostError):
                        await handle
                await until(lambda: state_of(scheduler).status == "broken")
                assert state_of(scheduler).running == 0

    asyncio.run(main())


def test_a_pool_that_cannot_start_is_not_made_for_ever() -> None:
    made: list[Executor] = []

    def make_pool() -> Executor:
        made.append(ThreadPoolExecutor(1, initializer=functions.failing_initializer))
        return made[-1]

    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": FuturesExecutor(make_pool)}) as scheduler:
            handles = [run(scheduler, functions.add, 1, 2) for _ in range(20)]
            for handle in handles:
                with pytest.raises(WorkerLostError):
                    await handle
            assert state_of(scheduler).status == "broken"
            assert len(made) == 4

    asyncio.run(main())


def test_what_waits_in_the_pool_is_cancelled_and_missed_there(tmp_path: Path) -> None:
    async def main() -> None:
        noted, begun, go_on = tmp_path / "noted", tmp_path / "begun", tmp_path / "go on"
        executor = FuturesExecutor(pool_of_one_process, max_queue=100)
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            running = run(scheduler, functions.mark_and_wait, str(begun), str(go_on))
            await until(begun.exists)
            # What the pool sends ahead.
            ahead = [run(scheduler, functions.add, 1, number) for number in range(3)]
            cancelled = run(scheduler, functions.note_and_fail, str(noted))
            late = scheduler.add_task(
                functions.note_and_fail, str(noted), executor="tried", trigger=None, misfire_grace_time=0.1
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

    asyncio.run(main())


def test_cancel_futures_drops_what_the_pool_has_not_begun(tmp_path: Path) -> None:
    async def main() -> None:
        begun, go_on = tmp_path / "begun", tmp_path / "go on"
        executor = FuturesExecutor(partial(ThreadPoolExecutor, 1), cancel_futures=True)
        scheduler = AsyncIOScheduler(executors={"tried": executor})
        await scheduler.start()
        running = run(scheduler, functions.mark_and_wait, str(begun), str(go_on))
        await until(begun.exists)
        dropped = run(scheduler, functions.add, 1, 2)
        shutdown = asyncio.ensure_future(scheduler.shutdown())
        with pytest.raises(TaskCancelledError):
            await dropped
        go_on.touch()
        await shutdown
        assert await running == os.getpid()

    asyncio.run(main())


def test_a_time_limit_counts_from_when_the_pool_begins_a_run(tmp_path: Path) -> None:
    async def main() -> None:
        begun, go_on = tmp_path / "begun", tmp_path / "go on"
        async with AsyncIOScheduler(executors={"tried": FuturesExecutor(pool_of_one_process)}) as scheduler:
            running = run(scheduler, functions.mark_and_wait, str(begun), str(go_on))
            ahead = [run(scheduler, functions.add, 1, number) for number in range(3)]
            limited = partial(scheduler.add_task, executor="tried", trigger=None, timeout=0.2)
            waiting = limited(functions.add, 1, 2).run()
            await until(begun.exists)
            await asyncio.sleep(0.3)
            assert not waiting.done()
            go_on.touch()
            assert await waiting == 3
            assert [await handle for handle in [running, *ahead]][1:] == [1, 2, 3]
            with pytest.raises(TaskTimeoutError):
                await limited(functions.sleep, 0.5).run()
            assert state_of(scheduler).abandoned == 1
            await until(lambda: state_of(scheduler).running == 0)

    asyncio.run(main())


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


def test_a_pool_whose_submit_blocks_does_not_block_the_loop(tmp_path: Path) -> None:
    async def main() -> None:
        begun, go_on = tmp_path / "begun", tmp_path / "go on"
        async with AsyncIOScheduler(executors={"tried": FuturesExecutor(BoundedPool)}) as scheduler:
            running = run(scheduler, functions.mark_and_wait, str(begun), str(go_on))
            waiting = [run(scheduler, functions.add, number, 1) for number in range(5)]
            await until(begun.exists)
            assert state_of(scheduler).queued == 5
            assert waiting.pop().cancel()
            go_on.touch()
            assert await running == os.getpid()
            assert [await handle for handle in waiting] == [1, 2, 3, 4]

    asyncio.run(main())
