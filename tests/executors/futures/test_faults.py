"""Pools of the user that break."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import loky
import pytest

from asyncz import AsyncIOScheduler, FuturesExecutor, TaskExecuted, WorkerLostError
from tests.helpers import payloads
from tests.helpers.executors import start_run, state_of
from tests.helpers.foreign_pools import pool_of_one_process
from tests.helpers.waiting import until
from tests.regressions.test_process_rows import wait_for_end

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("pools"), pytest.mark.slow]


async def test_dead_worker_costs_started_runs_only(tmp_path: Path) -> None:
    begun, never = tmp_path / "begun", tmp_path / "never"
    async with AsyncIOScheduler(executors={"under_test": FuturesExecutor(pool_of_one_process)}) as scheduler:
        victim = start_run(scheduler, payloads.mark_and_wait, str(begun), str(never))
        waiting = [start_run(scheduler, payloads.add, number, 1) for number in range(10)]
        await until(lambda: begun.exists() and begun.read_text() != "")
        os.kill(int(begun.read_text()), 9)
        with pytest.raises(WorkerLostError, match="broke the pool"):
            await victim
        endings = [await handle.notification() for handle in waiting]
        # A pool sends a few runs ahead.
        assert [isinstance(ending, TaskExecuted) for ending in endings[3:]] == [True] * 7
        assert state_of(scheduler).status == "running"


async def test_dead_loky_worker_replaced() -> None:
    executor = FuturesExecutor(partial(loky.get_reusable_executor, 1), shutdown_pool=False)
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        for _ in range(2):
            with pytest.raises(WorkerLostError):
                await start_run(scheduler, payloads.die)
            assert await start_run(scheduler, payloads.add, 1, 2) == 3


async def test_broken_given_pool_breaks_executor() -> None:
    with pool_of_one_process() as pool:
        async with AsyncIOScheduler(executors={"under_test": FuturesExecutor(pool)}) as scheduler:
            dying = [start_run(scheduler, payloads.die) for _ in range(5)]
            for handle in dying:
                with pytest.raises(WorkerLostError):
                    await handle
            await until(lambda: state_of(scheduler).status == "broken")
            assert state_of(scheduler).running == 0


ORPHANS = """
import asyncio, concurrent.futures, multiprocessing, os, sys, time
from functools import partial
from asyncz import AsyncIOScheduler, FuturesExecutor


def work(folder, number, seconds):
    with open(f"{folder}/begun-{number}", "w") as file:
        file.write(str(os.getpid()))
    time.sleep(seconds)
    open(f"{folder}/done-{number}", "w").close()


async def main(method, workers, folder):
    context = multiprocessing.get_context(method)
    pool = FuturesExecutor(partial(concurrent.futures.ProcessPoolExecutor, int(workers), context))
    async with AsyncIOScheduler(executors={"pool": pool}) as scheduler:
        for number, seconds in enumerate((0.1, 1.5)):
            scheduler.add_task(work, folder, number, seconds, executor="pool")
        while not os.path.exists(f"{folder}/begun-1") or not open(f"{folder}/begun-1").read():
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), 9)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize(("method", "workers"), [("fork", 1), ("fork", 3), ("forkserver", 1), ("spawn", 1)])
def test_workers_end_after_runs_of_killed_program(method: str, workers: int, tmp_path: Path) -> None:
    """Without the executor, workers of the standard library's pool wait for ever: those that had no run still do."""
    program = tmp_path / "program.py"
    program.write_text(ORPHANS)
    command = [sys.executable, str(program), method, str(workers), str(tmp_path)]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            assert process.wait(100) == -signal.SIGKILL
            wait_for_end(int((tmp_path / "begun-1").read_text()))
            assert (tmp_path / "done-1").exists()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
