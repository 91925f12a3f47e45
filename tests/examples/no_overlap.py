"""A job that never overlaps with itself, with a clock that a test moves: hours take milliseconds."""

import asyncio

from asyncz import AsyncIOScheduler, IntervalTrigger, TaskMaxInstances
from asyncz.testing import FakeClock


async def main() -> None:
    clock, end = FakeClock(), asyncio.Event()

    async def synchronize() -> None:
        await end.wait()

    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(synchronize, trigger=IntervalTrigger(minutes=5), id="sync")
        scheduler.subscribe(TaskMaxInstances, lambda event: print(event.task_id, "is still running"))
        await clock.advance(minutes=10)
        print("running:", task.state.running)
        end.set()
        await clock.advance(minutes=5, wait_for_runs=True)
        print("executed:", task.state.executed, "rejected:", task.state.rejected)


asyncio.run(main())
