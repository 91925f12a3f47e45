"""APScheduler 4 with its SQLAlchemy data store."""

import asyncio
import sys
import time
from datetime import UTC, datetime

from apscheduler import AsyncScheduler, ConflictPolicy, JobReleased
from apscheduler.datastores.sqlalchemy import SQLAlchemyDataStore
from apscheduler.triggers.date import DateTrigger
from measuring import Meter
from sqlalchemy.ext.asyncio import create_async_engine


async def nothing():
    pass


async def main(url, runs):
    meter, ended = Meter(runs), asyncio.Event()

    def count(_):
        meter.count()
        if meter.done == runs:
            ended.set()

    host = url.partition("host=")[2].partition("&")[0]
    engine = create_async_engine("postgresql+asyncpg://postgres@/postgres", connect_args={"host": host})
    async with AsyncScheduler(SQLAlchemyDataStore(engine)) as scheduler:
        scheduler.subscribe(count, {JobReleased})
        at = datetime.fromtimestamp(meter.at, UTC)
        for number in range(runs):
            await scheduler.add_schedule(
                nothing, DateTrigger(at), id=f"s-{number}", conflict_policy=ConflictPolicy.replace
            )
        await scheduler.start_in_background()
        await asyncio.sleep(max(0.0, meter.at - 0.3 - time.time()))
        meter.start()
        await asyncio.wait_for(ended.wait(), 120)
        meter.end()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
