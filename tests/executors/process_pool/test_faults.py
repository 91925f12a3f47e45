"""Worker processes that die: one death costs one run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from asyncz import (
    AsyncIOScheduler,
    RunHandle,
    SerializationError,
    TaskCancelledError,
    TaskTimeoutError,
    WorkerLostError,
    WorkerStartError,
)
from tests.helpers import payloads
from tests.helpers.executors import process_pool_of, scheduler_with, start_run
from tests.helpers.waiting import process_id_in, until

_OF_FORK = "ignore:.*multi-threaded:DeprecationWarning"
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings(_OF_FORK), pytest.mark.slow]


def has_ended(process_id: int) -> bool:
    """Return True if a process is gone, or waits for its parent only."""
    try:
        os.kill(process_id, 0)
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except ProcessLookupError:
        return True
    except FileNotFoundError:
        # Gone just now, if the system has the folder.
        return Path("/proc/self").exists()
    return stat.rpartition(")")[2].split()[0] == "Z"


async def test_killed_worker_takes_its_children(tmp_path: Path) -> None:
    path = tmp_path / "child"
    async with scheduler_with("processpool") as scheduler:
        handle = scheduler.add_task(payloads.start_child, str(path), executor="under_test", trigger=None).run()
        await until(lambda: path.exists() and bool(path.read_text()))
        handle.cancel()
        with pytest.raises(TaskCancelledError):
            await handle
    child = int(path.read_text())
    await until(lambda: has_ended(child))


async def test_dead_worker_leaves_other_runs_alone(tmp_path: Path) -> None:
    mark, go_on = tmp_path / "mark", tmp_path / "go-on"

    async with asyncio.timeout(60), scheduler_with("processpool") as scheduler:
        handle = scheduler.add_task(
            payloads.mark_and_wait, str(mark), str(go_on), executor="under_test", trigger=None
        ).run()
        await until(mark.exists)
        with pytest.raises(WorkerLostError):
            await scheduler.add_task(payloads.die, executor="under_test", trigger=None).run()
        go_on.touch()
        assert await handle == int(mark.read_text())


METHODS = ["fork", "spawn", "forkserver"]


@pytest.mark.parametrize(
    ("die", "exit_code"),
    [
        (partial(payloads.die, signal.SIGKILL), -signal.SIGKILL),
        (partial(payloads.die, signal.SIGTERM), -signal.SIGTERM),
        (partial(payloads.die, signal.SIGRTMIN + 5), -(signal.SIGRTMIN + 5)),
        (payloads.die_by_segmentation_fault, -signal.SIGSEGV),
        (partial(payloads.exit_at_once, 7), 7),
    ],
    ids=["SIGKILL", "SIGTERM", "a real-time signal", "segmentation fault", "os._exit"],
)
@pytest.mark.parametrize("method", METHODS)
async def test_dead_worker_costs_one_run(method: str, die: Callable[[], None], exit_code: int) -> None:
    async with AsyncIOScheduler(executors={"under_test": process_pool_of(2, method)}) as scheduler:
        before = [start_run(scheduler, payloads.add, number, 1) for number in range(10)]
        victim = start_run(scheduler, die)
        after = [start_run(scheduler, payloads.add, number, 1) for number in range(10, 20)]
        with pytest.raises(WorkerLostError) as lost:
            await victim
        assert lost.value.exit_code == exit_code
        assert [await handle for handle in before + after] == list(range(1, 21))
        state = scheduler.state.executors[0]
        assert (state.status, state.lost_workers, state.running) == ("running", 1, 0)


@pytest.mark.parametrize("method", METHODS)
async def test_each_death_reports_its_exit_code(method: str) -> None:
    statuses = [3, -signal.SIGKILL, 4, -signal.SIGTERM] * 4

    async def exit_code_of(scheduler: AsyncIOScheduler, status: int) -> int | None:
        function, argument = (payloads.exit_at_once, status) if status > 0 else (payloads.die, -status)
        with pytest.raises(WorkerLostError) as lost:
            await start_run(scheduler, function, argument)
        return lost.value.exit_code

    async with AsyncIOScheduler(executors={"under_test": process_pool_of(4, method)}) as scheduler:
        assert await asyncio.gather(*(exit_code_of(scheduler, status) for status in statuses)) == statuses
        assert scheduler.state.executors[0].lost_workers == len(statuses)


async def test_all_workers_killed_cost_their_runs_only(tmp_path: Path) -> None:
    async with AsyncIOScheduler(executors={"under_test": process_pool_of(3)}) as scheduler:
        never = str(tmp_path / "never")
        marks = [tmp_path / str(number) for number in range(3)]
        victims = [start_run(scheduler, payloads.mark_and_wait, str(mark), never) for mark in marks]
        waiting = [start_run(scheduler, payloads.add, number, 0) for number in range(20)]
        process_ids = [await process_id_in(mark) for mark in marks]
        for process_id in process_ids:
            os.kill(process_id, signal.SIGKILL)
        for victim in victims:
            with pytest.raises(WorkerLostError, match="SIGKILL"):
                await victim
        assert [await handle for handle in waiting] == list(range(20))


def has_lost(scheduler: AsyncIOScheduler, workers: int) -> bool:
    return scheduler.state.executors[0].lost_workers == workers


async def test_killed_idle_worker_costs_no_run() -> None:
    async with AsyncIOScheduler(executors={"under_test": process_pool_of(1)}) as scheduler:
        for killed in range(1, 4):
            os.kill(await start_run(scheduler, payloads.process_id), signal.SIGKILL)
            await until(partial(has_lost, scheduler, killed))
            assert await start_run(scheduler, payloads.add, 1, 1) == 2
        state = scheduler.state
        assert (state.submitted, state.executed) == (6, 6)
        assert state.executors[0].status == "running"


async def test_run_sent_to_dead_worker_runs_elsewhere() -> None:
    async with AsyncIOScheduler(executors={"under_test": process_pool_of(2, "fork")}) as scheduler:
        for round_ in range(40):
            os.kill(await start_run(scheduler, payloads.process_id), signal.SIGKILL)
            handles = [start_run(scheduler, payloads.add, round_, number) for number in range(4)]
            assert [await handle for handle in handles] == [round_ + number for number in range(4)]


async def test_worker_killed_during_start_costs_no_run(tmp_path: Path) -> None:
    deaths = tmp_path / "deaths"
    deaths.write_text("4")

    pool = process_pool_of(1, initializer=payloads.die_if_new, initargs=(str(deaths),))
    async with AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        assert await start_run(scheduler, payloads.add, 1, 1) == 2
        state = scheduler.state.executors[0]
        assert (state.status, state.lost_workers, state.replaced_workers) == ("running", 0, 4)


async def test_worker_never_starting_breaks_executor(caplog: pytest.LogCaptureFixture) -> None:
    pool = process_pool_of(2, initializer=payloads.exit_at_once, initargs=(5,))
    async with AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        handles = [start_run(scheduler, payloads.add, 1, 1) for _ in range(5)]
        for handle in handles:
            with pytest.raises(WorkerStartError, match="status 5 while it started"):
                await handle
        assert scheduler.state.executors[0].status == "broken"
    assert "accepts no more runs" in caplog.text


async def test_death_spares_finished_and_prefetched_runs() -> None:
    async with AsyncIOScheduler(executors={"under_test": process_pool_of(1)}) as scheduler:
        warm_up = [start_run(scheduler, payloads.add, 0, 0) for _ in range(200)]
        handles: list[RunHandle[int]] = []
        victims: list[RunHandle[None]] = []
        for number in range(200):
            handles.append(start_run(scheduler, payloads.add, number, 0))
            if number % 40 == 20:
                victims.append(start_run(scheduler, payloads.die))
        assert [await handle for handle in warm_up + handles] == [0] * 200 + list(range(200))
        for victim in victims:
            with pytest.raises(WorkerLostError):
                await victim
        assert scheduler.state.executors[0].lost_workers == len(victims) == 5


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_worker_killed_on_purpose_not_lost(how: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async with AsyncIOScheduler(executors={"under_test": process_pool_of(1)}) as scheduler:
        before = await start_run(scheduler, payloads.process_id)
        victim = scheduler.add_task(
            payloads.mark_and_wait,
            str(mark),
            str(tmp_path / "never"),
            executor="under_test",
            trigger=None,
            timeout=0.2 if how == "timeout" else None,
        ).run()
        if how == "cancel":
            await process_id_in(mark)
            assert victim.cancel()
        with pytest.raises(TaskTimeoutError if how == "timeout" else TaskCancelledError):
            await victim
        assert await start_run(scheduler, payloads.process_id) != before
        state = scheduler.state.executors[0]
        assert (state.lost_workers, state.replaced_workers, state.running) == (0, 1, 0)


@contextlib.contextmanager
def child_killed_in_the_end(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        os.kill(int(path.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("method", METHODS)
async def test_escaped_child_delays_nothing(method: str, tmp_path: Path) -> None:
    path = tmp_path / "child"

    with child_killed_in_the_end(path):
        async with (
            asyncio.timeout(30),
            AsyncIOScheduler(executors={"under_test": process_pool_of(1, method)}) as scheduler,
        ):
            with pytest.raises(WorkerLostError) as lost:
                await scheduler.add_task(payloads.fork_a_child_that_leaves, str(path), executor="under_test").result()
            assert lost.value.exit_code == -signal.SIGKILL
            assert await start_run(scheduler, payloads.add, 1, 1) == 2
        os.kill(int(path.read_text()), 0)


async def test_function_closing_channel_is_lost() -> None:
    async with AsyncIOScheduler(executors={"under_test": process_pool_of(1)}) as scheduler:
        with pytest.raises(WorkerLostError):
            await scheduler.add_task(payloads.close_everything, executor="under_test").result()
        assert await start_run(scheduler, payloads.add, 1, 1) == 2


async def test_forked_child_does_not_report(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with AsyncIOScheduler(executors={"under_test": process_pool_of(1)}) as scheduler:
        for number in range(5):
            assert await start_run(scheduler, payloads.fork_and_return, number) == number
        state = scheduler.state
        assert (state.executed, state.executors[0].status, state.executors[0].lost_workers) == (5, "running", 0)
    assert not caplog.records


async def test_retired_worker_does_not_delay_next(tmp_path: Path) -> None:
    async with AsyncIOScheduler(executors={"under_test": process_pool_of(1, max_tasks_per_child=1)}) as scheduler:
        first = await start_run(scheduler, payloads.leave_a_thread)
        assert await start_run(scheduler, payloads.process_id) != first
        assert scheduler.state.executors[0].lost_workers == 0


async def test_worker_at_memory_limit_recovers() -> None:
    limit = 600 << 20

    pool = process_pool_of(1, "spawn", initializer=payloads.limit_memory, initargs=(limit,))
    async with AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        with pytest.raises(MemoryError):
            await start_run(scheduler, payloads.allocate, 2 * limit)
        # The result fits once, but not as a copy: it cannot be reported.
        with pytest.raises((SerializationError, WorkerLostError)):
            await scheduler.add_task(payloads.allocate_result, int(limit * 0.6), executor="under_test").result()
        assert await start_run(scheduler, payloads.add, 1, 1) == 2
