"""Delay of short runs by long runs on two processes, with asyncz and with bare submission one by one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
import time

from asyncz import AsyncIOScheduler, ProcessPoolExecutor, TaskExecuted
from tests.benchmarks.ours import Countdown, nothing

# One run in so many is long.
_SHORT_PER_LONG = 250


def long() -> None:
    """Takes 50 milliseconds."""
    time.sleep(0.05)


def mixture(runs: int) -> list[bool]:
    """Which of so many runs are long: the same each time, in no order."""
    are_long = [number % _SHORT_PER_LONG == 0 for number in range(runs)]
    random.Random(1).shuffle(are_long)
    return are_long


async def scheduled(runs: int) -> dict[str, float]:
    """Milliseconds until all has ended, of asyncz."""
    countdown = Countdown(runs)
    async with AsyncIOScheduler(executors={"measured": ProcessPoolExecutor(2)}) as scheduler:
        await asyncio.gather(*(scheduler.add_task(nothing, executor="measured").result() for _ in range(4)))
        scheduler.pause()
        await asyncio.sleep(0.1)
        for is_long in mixture(runs):
            scheduler.add_task(long if is_long else nothing, executor="measured")
        scheduler.subscribe(TaskExecuted, countdown.ended)
        await asyncio.sleep(0.1)
        started = time.perf_counter()
        scheduler.resume()
        await countdown.reached.wait()
        return {"makespan": (time.perf_counter() - started) * 1e3}


async def bare(runs: int) -> dict[str, float]:
    """The same of a pool of `concurrent.futures`."""
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        concurrent.futures.wait([pool.submit(long) for _ in range(4)])
        started = time.perf_counter()
        concurrent.futures.wait([pool.submit(long if is_long else nothing) for is_long in mixture(runs)])
        return {"makespan": (time.perf_counter() - started) * 1e3}
