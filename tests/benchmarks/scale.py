"""Cost of a task among many tasks, and of all of them together."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asyncz import AsyncIOScheduler, DebugExecutor, IntervalTrigger, TaskExecuted
from tests.benchmarks.ours import Countdown, nothing

# So many are fired, and so many removed, at most.
SOME = 500


def resident() -> int:
    """Return the bytes of memory that this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def scale(tasks: int) -> dict[str, float]:
    """The time to add a task to a running scheduler, to remove one and to fire one, and the memory of one."""
    async with AsyncIOScheduler(executors={"measured": DebugExecutor()}) as scheduler:

        def add(start_at: datetime) -> None:
            scheduler.add_task(nothing, trigger=IntervalTrigger(hours=1, start_at=start_at), executor="measured")

        later = datetime.now(UTC) + timedelta(days=1)
        gc.collect()
        memory, started = resident(), time.perf_counter()
        for number in range(tasks):
            add(later)
            if number % 100 == 99:
                # So that the scheduler, which works on the same loop, has its part in the time.
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        added = time.perf_counter() - started
        gc.collect()
        taken = resident() - memory

        known = scheduler.tasks
        some = min(SOME, tasks)
        removed = [known[number * tasks // some] for number in range(some)]
        del known
        started = time.perf_counter()
        for task in removed:
            scheduler.remove_task(task)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        remove = time.perf_counter() - started

        scheduler.pause()
        await asyncio.sleep(0.1)
        for _ in range(some):
            # Due during the pause: an interval whose start is over when it is added begins with its next time.
            add(datetime.now(UTC) + timedelta(seconds=0.05))
        await asyncio.sleep(0.2)
        countdown = Countdown(some)
        scheduler.subscribe(TaskExecuted, countdown.ended)
        ends: list[float] = []
        scheduler.subscribe(TaskExecuted, lambda _: ends.append(time.perf_counter()))
        scheduler.resume()
        await countdown.reached.wait()
        # From the first end on: that of the resumption is not the cost of a run.
        fire = ends[-1] - ends[0]
        await scheduler.shutdown(wait=False)
    return {
        "add": added / tasks * 1e6,
        "remove": remove / some * 1e6,
        "fire": fire / some * 1e6,
        "memory": taken / tasks,
    }
