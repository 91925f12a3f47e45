"""The measurements of `tests.benchmarks.ours` for APScheduler 3.11, in an environment that has only that."""

from __future__ import annotations

from datetime import datetime

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ProcessPoolExecutor, ThreadPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from measuring import measured, measured_lateness, measured_scale, print_measured

EXECUTORS = {
    "coroutine": AsyncIOExecutor,
    "threads": lambda: ThreadPoolExecutor(2),
    "processes": lambda: ProcessPoolExecutor(2),
    "inline": DebugExecutor,
    "add": DebugExecutor,
    "stall": AsyncIOExecutor,
}


async def scale(tasks):
    scheduler = AsyncIOScheduler(executors={"default": DebugExecutor()})
    return await measured_scale(
        tasks,
        start=scheduler.start,
        pause=scheduler.pause,
        resume=scheduler.resume,
        add_at=lambda function, at: scheduler.add_job(
            function, "interval", hours=1, next_run_time=at, misfire_grace_time=None
        ),
        remove=lambda job: job.remove(),
        listen=lambda ended: scheduler.add_listener(ended, EVENT_JOB_EXECUTED),
    )


async def lateness(kind, runs):
    scheduler = AsyncIOScheduler(executors={"default": EXECUTORS[kind]()})
    return await measured_lateness(
        kind,
        runs,
        start=scheduler.start,
        add_at=lambda function, due, at: scheduler.add_job(
            function, "date", args=(due,), run_date=at, misfire_grace_time=None
        ),
        listen=lambda ended: scheduler.add_listener(ended, EVENT_JOB_EXECUTED),
        result_of=lambda event: event.retval,
    )


async def measure(kind, runs):
    if kind == "scale":
        return await scale(runs)
    if kind.startswith("lateness "):
        return await lateness(kind.removeprefix("lateness "), runs)
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
