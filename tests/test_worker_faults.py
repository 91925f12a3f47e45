"""One crash costs one run, however a worker dies and whatever it was doing."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from typing_extensions import TypeVarTuple, Unpack

from asyncz import (
    AsyncIOScheduler,
    ProcessPoolExecutor,
    RemoteError,
    RunHandle,
    SerializationError,
    TaskCancelledError,
    TaskTimeoutError,
    WorkerLostError,
    WorkerStartError,
)
from asyncz.config import ProcessPoolKwargs
from tests import functions
from tests.functions import ResultT
from tests.test_defects import until

Ts = TypeVarTuple("Ts")
METHODS = ["fork", "spawn", "forkserver"]
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def pool_of(workers: int, method: str = "forkserver", **pool_kwargs: Unpack[ProcessPoolKwargs]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, {"mp_context": multiprocessing.get_context(method), **pool_kwargs})


def run(
    scheduler: AsyncIOScheduler, function: Callable[[Unpack[Ts]], ResultT], *arguments: Unpack[Ts]
) -> RunHandle[ResultT]:
    return scheduler.add_task(function, *arguments, executor="tried", trigger=None).run()


def has_lost(scheduler: AsyncIOScheduler, workers: int) -> bool:
    return scheduler.state.executors[0].lost_workers == workers


async def process_id_in(path: Path) -> int:
    def text() -> str:
        return path.read_text() if path.exists() else ""

    await until(lambda: text() != "")
    return int(text())


@contextlib.contextmanager
def child_killed_in_the_end(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        os.kill(int(path.read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    ("die", "exit_code"),
    [
        (partial(functions.die, signal.SIGKILL), -signal.SIGKILL),
        (partial(functions.die, signal.SIGTERM), -signal.SIGTERM),
        (partial(functions.die, signal.SIGRTMIN + 5), -(signal.SIGRTMIN + 5)),
        (functions.die_by_segmentation_fault, -signal.SIGSEGV),
        (partial(functions.exit_at_once, 7), 7),
    ],
    ids=["SIGKILL", "SIGTERM", "a real-time signal", "segmentation fault", "os._exit"],
)
@pytest.mark.parametrize("method", METHODS)
def test_a_worker_that_dies_costs_one_run(method: str, die: Callable[[], None], exit_code: int) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": pool_of(2, method)}) as scheduler:
            before = [run(scheduler, functions.add, number, 1) for number in range(10)]
            victim = run(scheduler, die)
            after = [run(scheduler, functions.add, number, 1) for number in range(10, 20)]
            with pytest.raises(WorkerLostError) as lost:
                await victim
            assert lost.value.exit_code == exit_code
            assert [await handle for handle in before + after] == list(range(1, 21))
            state = scheduler.state.executors[0]
            assert (state.status, state.lost_workers, state.running) == ("running", 1, 0)

    asyncio.run(main())


@pytest.mark.parametrize("method", METHODS)
def test_each_of_many_deaths_is_told_with_its_own_status(method: str) -> None:
    statuses = [3, -signal.SIGKILL, 4, -signal.SIGTERM] * 4

    async def exit_code_of(scheduler: AsyncIOScheduler, status: int) -> int | None:
        function, argument = (functions.exit_at_once, status) if status > 0 else (functions.die, -status)
        with pytest.raises(WorkerLostError) as lost:
            await run(scheduler, function, argument)
        return lost.value.exit_code

    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": pool_of(4, method)}) as scheduler:
            assert await asyncio.gather(*(exit_code_of(scheduler, status) for status in statuses)) == statuses
            assert scheduler.state.executors[0].lost_workers == len(statuses)

    asyncio.run(main())


def test_all_workers_killed_at_once_cost_the_runs_that_they_executed(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": pool_of(3)}) as scheduler:
            never = str(tmp_path / "never")
            marks = [tmp_path / str(number) for number in range(3)]
            victims = [run(scheduler, functions.mark_and_wait, str(mark), never) for mark in marks]
            waiting = [run(scheduler, functions.add, number, 0) for number in range(20)]
            process_ids = [await process_id_in(mark) for mark in marks]
            for process_id in process_ids:
                os.kill(process_id, signal.SIGKILL)
            for victim in victims:
                with pytest.raises(WorkerLostError, match="SIGKILL"):
                    await victim
            assert [await handle for handle in waiting] == list(range(20))

    asyncio.run(main())


def test_an_idle_worker_that_is_killed_costs_no_run() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": pool_of(1)}) as scheduler:
            for killed in range(1, 4):
                os.kill(await run(scheduler, functions.process_id), signal.SIGKILL)
                await until(partial(has_lost, scheduler, killed))
                assert await run(scheduler, functions.add, 1, 1) == 2
            state = scheduler.state
            assert (state.submitted, state.executed) == (6, 6)
            assert state.executors[0].status == "running"

    asyncio.run(main())


def test_a_run_that_is_given_to_a_worker_which_was_just_killed_runs_elsewhere() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": pool_of(2, "fork")}) as scheduler:
            for round_ in range(40):
                os.kill(await run(scheduler, functions.process_id), signal.SIGKILL)
                handles = [run(scheduler, functions.add, round_, number) for number in range(4)]
                assert [await handle for handle in handles] == [round_ + number for number in range(4)]

    asyncio.run(main())


def test_a_worker_that_is_killed_while_it_starts_costs_no_run(tmp_path: Path) -> None:
    deaths = tmp_path / "deaths"
    deaths.write_text("4")

    async def main() -> None:
        pool = pool_of(1, initializer=functions.die_if_new, initargs=(str(deaths),))
        async with AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            assert await run(scheduler, functions.add, 1, 1) == 2
            state = scheduler.state.executors[0]
            assert (state.status, state.lost_workers, state.replaced_workers) == ("running", 0, 4)

    asyncio.run(main())


def test_a_worker_that_can_never_start_ends_the_runs_in_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        pool = pool_of(2, initializer=functions.exit_at_once, initargs=(5,))
        async with AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            handles = [run(scheduler, functions.add, 1, 1) for _ in range(5)]
            for handle in handles:
                with pytest.raises(WorkerStartError, match="status 5 while it started"):
                    await handle
            assert scheduler.state.executors[0].status == "broken"

    asyncio.run(main())
    assert "takes no more runs" in caplog.text


def test_a_run_whose_worker_does_not_get_ready_can_be_cancelled() -> None:
    async def main() -> None:
        pool = pool_of(1, initializer=functions.hang_initializer)
        async with AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            handle = run(scheduler, functions.add, 1, 1)
            await until(lambda: scheduler.state.executors[0].queued == 0)
            assert handle.cancel()
            with pytest.raises(TaskCancelledError):
                await handle
            assert scheduler.state.executors[0].lost_workers == 0

    asyncio.run(main())


def test_of_many_runs_in_flight_those_before_a_death_keep_their_results_and_those_behind_run_elsewhere() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": pool_of(1)}) as scheduler:
            warm_up = [run(scheduler, functions.add, 0, 0) for _ in range(200)]
            handles: list[RunHandle[int]] = []
            victims: list[RunHandle[None]] = []
            for number in range(200):
                handles.append(run(scheduler, functions.add, number, 0))
                if number % 40 == 20:
                    victims.append(run(scheduler, functions.die))
            assert [await handle for handle in warm_up + handles] == [0] * 200 + list(range(200))
            for victim in victims:
                with pytest.raises(WorkerLostError):
                    await victim
            assert scheduler.state.executors[0].lost_workers == len(victims) == 5

    asyncio.run(main())


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_a_worker_that_is_killed_on_purpose_is_replaced_and_not_lost(how: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": pool_of(1)}) as scheduler:
            before = await run(scheduler, functions.process_id)
            victim = scheduler.add_task(
                functions.mark_and_wait,
                str(mark),
                str(tmp_path / "never"),
                executor="tried",
                trigger=None,
                timeout=0.2 if how == "timeout" else None,
            ).run()
            if how == "cancel":
                await process_id_in(mark)
                assert victim.cancel()
            with pytest.raises(TaskTimeoutError if how == "timeout" else TaskCancelledError):
                await victim
            assert await run(scheduler, functions.process_id) != before
            state = scheduler.state.executors[0]
            assert (state.lost_workers, state.replaced_workers, state.running) == (0, 1, 0)

    asyncio.run(main())


@pytest.mark.parametrize("method", METHODS)
def test_a_child_that_left_its_worker_and_holds_its_pipes_delays_nothing(method: str, tmp_path: Path) -> None:
    path = tmp_path / "child"

    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler(executors={"tried": pool_of(1, method)}) as scheduler:
            with pytest.raises(WorkerLostError) as lost:
                await scheduler.add_task(functions.fork_a_child_that_leaves, str(path), executor="tried").result()
            assert lost.value.exit_code == -signal.SIGKILL
            assert await run(scheduler, functions.add, 1, 1) == 2

    with child_killed_in_the_end(path):
        asyncio.run(main())
        os.kill(int(path.read_text()), 0)


def test_a_function_that_closes_the_channel_of_its_worker_is_lost_with_it() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": pool_of(1)}) as scheduler:
            with pytest.raises(WorkerLostError):
                await scheduler.add_task(functions.close_everything, executor="tried").result()
            assert await run(scheduler, functions.add, 1, 1) == 2

    asyncio.run(main())


def test_a_child_that_a_function_forks_and_lets_return_does_not_speak_for_its_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": pool_of(1)}) as scheduler:
            for number in range(5):
                assert await run(scheduler, functions.fork_and_return, number) == number
            state = scheduler.state
            assert (state.executed, state.executors[0].status, state.executors[0].lost_workers) == (5, "running", 0)

    asyncio.run(main())
    assert not caplog.records


def test_a_retired_worker_that_does_not_quit_does_not_hold_up_the_next(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": pool_of(1, max_tasks_per_child=1)}) as scheduler:
            first = await run(scheduler, functions.leave_a_thread)
            assert await run(scheduler, functions.process_id) != first
            assert scheduler.state.executors[0].lost_workers == 0

    asyncio.run(main())


def test_a_worker_at_its_memory_limit_reports_or_dies_and_goes_on() -> None:
    limit = 600 << 20

    async def main() -> None:
        pool = pool_of(1, "spawn", initializer=functions.limit_memory, initargs=(limit,))
        async with AsyncIOScheduler(executors={"tried": pool}) as scheduler:
            with pytest.raises(MemoryError):
                await run(scheduler, functions.allocate, 2 * limit)
            # Fits, but not a second time: it cannot be told.
            with pytest.raises((SerializationError, WorkerLostError)):
                await scheduler.add_task(functions.allocate_result, int(limit * 0.6), executor="tried").result()
            assert await run(scheduler, functions.add, 1, 1) == 2

    asyncio.run(main())


def test_an_exception_without_a_text_is_told() -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": pool_of(1)}) as scheduler:
            with pytest.raises((functions.UnprintableError, RemoteError)):
                await scheduler.add_task(functions.fail_unprintably, executor="tried").result()
            assert await run(scheduler, functions.add, 1, 1) == 2

    asyncio.run(main())


def test_workers_of_two_pools_neither_see_nor_hold_each_other() -> None:
    async def main() -> None:
        pools = {"tried": pool_of(2, "fork"), "other": pool_of(2, "fork")}
        async with asyncio.timeout(60), AsyncIOScheduler(executors=pools) as scheduler:
            other = scheduler.add_task(functions.add, 1, 2, executor="other", trigger=None)
            assert [await run(scheduler, functions.add, 1, 1), await other.run()] == [2, 3]
            with pytest.raises(WorkerLostError):
                await scheduler.add_task(functions.die, executor="tried").result()
            assert await other.run() == 3

    asyncio.run(main())
    assert not multiprocessing.active_children()
