"""Common part of the measurements of all peers; a script beside this one adds the calls of its peer."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from statistics import quantiles


async def nothing_async():
    pass


def nothing():
    pass


def lateness(scheduled):
    return time.time() - scheduled


async def lateness_async(scheduled):
    return time.time() - scheduled


async def measured_scale(tasks, start, pause, resume, add_at, remove, listen):
    """The time to add a task to a running scheduler, to remove one and to fire one, and the memory of one."""
    start()
    later = datetime.now().astimezone() + timedelta(days=1)
    gc.collect()
    memory, started = resident(), time.perf_counter()
    added = []
    for number in range(tasks):
        added.append(add_at(nothing, later))
        if number % 100 == 99:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    add = time.perf_counter() - started
    gc.collect()
    # Without the list that only this measurement keeps.
    taken = resident() - memory - sys.getsizeof(added)
    some = min(500, tasks)
    removed = [added[number * tasks // some] for number in range(some)]
    started = time.perf_counter()
    for each in removed:
        remove(each)
    await asyncio.sleep(0)
    removing = time.perf_counter() - started
    pause()
    for _ in range(some):
        add_at(nothing, datetime.now().astimezone())
    ended, finished = countdown(some)
    ends = []
    listen(ended)
    listen(lambda _: ends.append(time.perf_counter()))
    resume()
    await finished.wait()
    return {
        "add": add / tasks * 1e6,
        "remove": removing / some * 1e6,
        # From the first end on: that of the resumption is not the cost of a run.
        "fire": (ends[-1] - ends[0]) / some * 1e6,
        "memory": taken / tasks,
    }


async def measured_lateness(kind, runs, start, add_at, listen, result_of):
    """Return the lateness of one-off tasks that are due a millisecond after each other, as their functions see it."""
    start()
    late = []
    ended, finished = countdown(runs)

    def note(event):
        late.append(result_of(event))
        ended(event)

    listen(note)
    first = time.time() + 1 + runs * 0.0005
    function = lateness_async if kind == "coroutine" else lateness
    for number in range(runs):
        due = first + number / 1000
        add_at(function, due, datetime.fromtimestamp(due).astimezone())
    await finished.wait()
    hundredths = quantiles(late, n=100)
    return {"p50": hundredths[49] * 1e3, "p99": hundredths[98] * 1e3, "max": max(late) * 1e3}


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def countdown(runs):
    """Return a function to call at each outcome, and the event that the last call sets."""
    finished, left = asyncio.Event(), runs
    loop = asyncio.get_running_loop()

    def ended(_):
        nonlocal left
        left -= 1
        if not left:
            loop.call_soon_threadsafe(finished.set)

    return ended, finished


async def measured(kind, runs, start_paused, add, listen, resume):
    """Return the cost of adding a task, or of a run from its due time to the call of its listener."""
    ended, finished = countdown(runs)
    function = nothing_async if kind in {"coroutine", "stall"} else nothing
    start_paused()
    started = time.perf_counter()
    for _ in range(runs):
        add(function)
    if kind == "add":
        return {"cost": (time.perf_counter() - started) / runs * 1e6}
    listen(ended)
    await asyncio.sleep(0.1)
    turns = asyncio.ensure_future(longest_turn(finished))
    await asyncio.sleep(0)
    started = time.perf_counter()
    resume()
    await finished.wait()
    elapsed = time.perf_counter() - started
    return {"cost": elapsed / runs * 1e6, "longest turn": await turns}


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
