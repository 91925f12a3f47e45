"""What `tests.benchmarks.ours` measures, of APScheduler 3.11. Run by a Python that has it; imports nothing of ours."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import datetime

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ProcessPoolExecutor, ThreadPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler


async def nothing_async():
    pass


def nothing():
    pass


EXECUTORS = {
    "coroutine": (AsyncIOExecutor, nothing_async),
    "threads": (lambda: ThreadPoolExecutor(2), nothing),
    "processes": (lambda: ProcessPoolExecutor(2), nothing),
    "inline": (DebugExecutor, nothing),
    "add": (DebugExecutor, nothing),
    "stall": (AsyncIOExecutor, nothing_async),
}


async def measure(kind, runs):
    make_executor, function = EXECUTORS[kind]
    scheduler = AsyncIOScheduler(executors={"default": make_executor()})
    finished, left = asyncio.Event(), runs
    loop = asyncio.get_running_loop()

    def ended(event):
        nonlocal left
        left -= 1
        if not left:
            loop.call_soon_threadsafe(finished.set)

    scheduler.start(paused=True)
    started = time.perf_counter()
    now = datetime.now().astimezone()
    for _ in range(runs):
        scheduler.add_job(function, "date", run_date=now, misfire_grace_time=None)
    if kind == "add":
        return {"microseconds": (time.perf_counter() - started) / runs * 1e6}
    scheduler.add_listener(ended, EVENT_JOB_EXECUTED)
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
    print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2])))))
