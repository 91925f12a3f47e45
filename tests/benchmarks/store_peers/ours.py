"""asyncz with a store."""

import asyncio
import sys
import time
from datetime import UTC, datetime

from asyncz import AsyncIOScheduler, DateTrigger, TaskExecuted
from asyncz.stores import RunQuery
from measuring import Meter


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
        while meter.done < runs:
            await asyncio.sleep(0.05)
        # The last outcomes are stored after the events.
        while await scheduler.store.runs(RunQuery(states=("running", "waiting"), limit=1)):
            await asyncio.sleep(0.05)
        meter.end()


if __name__ == "__main__":
    sys.modules["benchmark_of_asyncz"] = sys.modules["__main__"]
    nothing.__module__ = "benchmark_of_asyncz"
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
