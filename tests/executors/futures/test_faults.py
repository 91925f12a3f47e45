"""Pools of the user that break."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import loky
import pytest

from asyncz import AsyncIOScheduler, FuturesExecutor, TaskExecuted, WorkerLostError
from tests.helpers import payloads
from tests.helpers.executors import start_run, state_of
from tests.helpers.foreign_pools import pool_of_one_process
from tests.helpers.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("cluster"), pytest.mark.slow]


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
