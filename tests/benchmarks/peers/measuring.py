"""What the measurements of all peers have in common; a script beside this one adds how its peer is called."""

from __future__ import annotations

import asyncio
import json
import sys
import time


async def nothing_async():
    pass


def nothing():
    pass


async def measured(kind, runs, start_paused, add, listen, resume):
    """The cost of adding a task, or of a run from being due to its listener having been told."""
    finished, left = asyncio.Event(), runs
    loop = asyncio.get_running_loop()

    def ended(_):
        nonlocal left
        left -= 1
        if not left:
            loop.call_soon_threadsafe(finished.set)

    function = nothing_async if kind in {"coroutine", "stall"} else nothing
    start_paused()
    started = time.perf_counter()
    for _ in range(runs):
        add(function)
    if kind == "add":
        return {"microseconds": (time.perf_counter() - started) / runs * 1e6}
    listen(ended)
    await asyncio.sleep(0.1)
    turns = asyncio.ensure_future(longest_turn(finished))
    await asyncio.sleep(0)
    started = time.perf_counter()
    resume()
    await finished.wait()
    elapsed = time.perf_counter() - started
    return {"microseconds": elapsed / runs * 1e6, "milliseconds": await turns}


async def longest_turn(finished):
    longest, before = 0.0, time.perf_counter()
    while not finished.is_set():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return longest * 1e3


def print_measured(measure):
    """Make the measurement that the command line names, and print it."""
    print(json.dumps(asyncio.run(measure(sys.argv[1], int(sys.argv[2])))), flush=True)
