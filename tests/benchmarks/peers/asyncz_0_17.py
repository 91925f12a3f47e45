"""What `tests.benchmarks.ours` measures, of the package that has our name. Run by a Python that has that one."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time

from asyncz.events.constants import TASK_EXECUTED
from asyncz.executors import AsyncIOExecutor, DebugExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from asyncz.schedulers import AsyncIOScheduler


async def nothing_async():
    pass


def nothing():
    pass


EXECUTORS = {
    "coroutine": (AsyncIOExecutor, nothing_async),
    "threads": (lambda: ThreadPoolExecutor(max_workers=2), nothing),
    "processes": (lambda: ProcessPoolExecutor(max_workers=2), nothing),
    "inline": (DebugExecutor, nothing),
    "add": (DebugExecutor, nothing),
    "stall": (AsyncIOExecutor, nothing_async),
}


async def measure(kind, runs):
    make_executor, function = EXECUTORS[kind]
    scheduler = AsyncIOScheduler()
    scheduler.add_executor(make_executor(), "default")
    finished, left = asyncio.Event(), runs
    loop = asyncio.get_running_loop()

    def ended(event):
        nonlocal left
        left -= 1
        if not left:
            loop.call_soon_threadsafe(finished.set)

    scheduler.start(paused=True)
    started = time.perf_counter()
    for _ in range(runs):
        scheduler.add_task(function, "date", mistrigger_grace_time=None)
    if kind == "add":
        return {"microseconds": (time.perf_counter() - started) / runs * 1e6}
    scheduler.add_listener(ended, TASK_EXECUTED)
    await asyncio.sleep(0.1)
    stalls = asyncio.ensure_future(longest_turn(finished))
    await asyncio.sleep(0)
    started = time.perf_counter()
    scheduler.resume()
    await finished.wait()
    elapsed = time.perf_counter() - started
    return {"microseconds": elapsed / runs * 1e6, "milliseconds": await stalls}


async def longest_turn(finished):
    longest, before = 0.0, time.perf_counter()
    while not finished.is_set():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return longest * 1e3


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2])))), flush=True)
    # Its helper threads keep the interpreter from its end.
    import os

    os._exit(0)
