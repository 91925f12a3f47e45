"""asyncz with a store.

ours.py URL RUNS [CALLS]: with CALLS, the answers of the database are counted, which costs time.
"""

import asyncio
import sqlite3
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime

from asyncz import AsyncIOScheduler, DateTrigger, TaskExecuted
from asyncz.stores import RunQuery
from measuring import Meter

# Seconds without a run after which no more follow.
QUIET = 1.0
# Calls of a query of this program in SQLite: BEGIN and SELECT, COMMIT.
OWN_CALLS = {"statement": 2, "COMMIT": 1}
calls = Counter()


async def nothing():
    pass


async def main(url, runs):
    meter = Meter(runs)
    scheduler = AsyncIOScheduler(store=url)
    at = datetime.fromtimestamp(meter.at, UTC)
    for number in range(runs):
        scheduler.add_task(nothing, trigger=DateTrigger(at), id=f"task-{number}")
    scheduler.on(TaskExecuted)(lambda event: meter.count())
    async with scheduler:
        await asyncio.sleep(max(0.0, meter.at - 0.3 - time.time()))
        meter.start()
        calls.clear()
        await asyncio.sleep(max(0.0, meter.at - time.time()))
        state, last, counted = None, time.monotonic(), {}
        while meter.done < runs and time.monotonic() < last + QUIET:
            # Other processes may have the other runs.
            await asyncio.sleep(0.05)
            is_busy = state is None or state[0] != meter.done or await has_runs(scheduler)
            if state != (meter.done, is_busy):
                state, last, counted = (meter.done, is_busy), time.monotonic(), dict(calls)
                meter.mark()
        if meter.done == runs:
            # The last outcomes are stored after the events.
            while await has_runs(scheduler):
                await asyncio.sleep(0.02)
            meter.mark()
            counted = dict(calls)
        meter.end(calls=counted)


async def has_runs(scheduler):
    # This query is not one of asyncz.
    calls.subtract(OWN_CALLS if calls["statement"] else {"answer": 1})
    return bool(await scheduler.store.runs(RunQuery(states=("running", "waiting"), limit=1)))


def count_calls():
    """Count statements of SQLite, and waits for answers of PostgreSQL, in the thread of the store."""
    import psycopg

    def note(name):
        if threading.current_thread().name.startswith("asyncz-store"):
            calls[name] += 1

    connect, wait = sqlite3.connect, psycopg.Connection.wait

    def traced_connect(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(lambda sql: note("COMMIT" if sql == "COMMIT" else "statement"))
        return connection

    def counted_wait(self, *args, **kwargs):
        note("answer")
        return wait(self, *args, **kwargs)

    sqlite3.connect, psycopg.Connection.wait = traced_connect, counted_wait


if __name__ == "__main__":
    sys.modules["benchmark_of_asyncz"] = sys.modules["__main__"]
    nothing.__module__ = "benchmark_of_asyncz"
    if len(sys.argv) > 3:
        count_calls()
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
