"""Shutdown with busy, dead and stuck workers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asyncz import AsyncIOScheduler, ProcessPoolExecutor, TaskCancelled, WorkerLostError
from tests.helpers import payloads
from tests.helpers.executors import scheduler_with
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_shutdown_after_worker_death_ends(tmp_path: Path) -> None:
    scheduler = AsyncIOScheduler(executors={"under_test": ProcessPoolExecutor(1)})
    await scheduler.start()
    victim = scheduler.add_task(payloads.die, executor="under_test", trigger=None).run()
    never, mark = str(tmp_path / "never"), tmp_path / "mark"
    waiting = [
        scheduler.add_task(payloads.mark_and_wait, str(mark), never, executor="under_test", trigger=None).run()
        for _ in range(3)
    ]
    with pytest.raises(WorkerLostError):
        await victim
    async with asyncio.timeout(30):
        await scheduler.shutdown(wait=False)
    assert {type(await handle.notification()) for handle in waiting} == {TaskCancelled}


async def test_shutdown_without_wait_kills_busy_worker() -> None:
    scheduler = scheduler_with("processpool")
    await scheduler.start()
    handle = scheduler.add_task(payloads.sleep, 600.0, executor="under_test", trigger=None).run()
    await until(lambda: scheduler.state.executors[0].queued == 0)
    async with asyncio.timeout(30):
        await scheduler.shutdown(wait=False)
    assert isinstance(await handle.notification(), TaskCancelled)


@pytest.mark.slow
async def test_shutdown_of_stuck_worker_keeps_loop_running() -> None:
    scheduler = scheduler_with("processpool")
    await scheduler.start()
    # The thread holds the process up, so that its end takes seconds.
    await scheduler.add_task(payloads.leave_a_thread, executor="under_test").result()
    turns = 0
    shutdown = asyncio.ensure_future(scheduler.shutdown())
    while not shutdown.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert turns > 10
