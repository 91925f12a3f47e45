"""What `tests.benchmarks.ours` measures, of APScheduler 3.11. Run by a Python that has it; imports nothing of ours."""

from __future__ import annotations

from datetime import datetime

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ProcessPoolExecutor, ThreadPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from measuring import measured, print_measured

EXECUTORS = {
    "coroutine": AsyncIOExecutor,
    "threads": lambda: ThreadPoolExecutor(2),
    "processes": lambda: ProcessPoolExecutor(2),
    "inline": DebugExecutor,
    "add": DebugExecutor,
    "stall": AsyncIOExecutor,
}


async def measure(kind, runs):
    scheduler = AsyncIOScheduler(executors={"default": EXECUTORS[kind]()})
    now = datetime.now().astimezone()
    return await measured(
        kind,
        runs,
        start_paused=lambda: scheduler.start(paused=True),
        add=lambda function: scheduler.add_job(function, "date", run_date=now, misfire_grace_time=None),
        listen=lambda ended: scheduler.add_listener(ended, EVENT_JOB_EXECUTED),
        resume=scheduler.resume,
    )


if __name__ == "__main__":
    print_measured(measure)
