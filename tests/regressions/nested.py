"""Functions of runs that start processes themselves, importable by workers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
from collections.abc import Callable

from asyncz import AsyncIOScheduler, ProcessPoolExecutor


def double(number: int) -> int:
    return 2 * number


def in_multiprocessing_pool(number: int) -> int:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.map(double, [number])[0]


def in_futures_pool(number: int) -> int:
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        return pool.submit(double, number).result()


def in_scheduler(number: int) -> int:
    async def main() -> int:
        async with AsyncIOScheduler(executors={"cpu": ProcessPoolExecutor(1)}) as scheduler:
            return await scheduler.add_task(double, number, executor="cpu").result()

    return asyncio.run(main())


NESTED: tuple[Callable[[int], int], ...] = (in_multiprocessing_pool, in_futures_pool, in_scheduler)
