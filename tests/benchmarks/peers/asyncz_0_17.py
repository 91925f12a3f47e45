"""The measurements of `tests.benchmarks.ours` for the other package of this name, in an environment that has it."""

from __future__ import annotations

import logging
import os

from asyncz.events.constants import TASK_EXECUTED
from asyncz.executors import AsyncIOExecutor, DebugExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from asyncz.schedulers import AsyncIOScheduler
from measuring import measured, measured_lateness, measured_scale, print_measured

EXECUTORS = {
    "coroutine": AsyncIOExecutor,
    "threads": lambda: ThreadPoolExecutor(max_workers=2),
    "processes": lambda: ProcessPoolExecutor(max_workers=2),
    "inline": DebugExecutor,
    "add": DebugExecutor,
    "stall": AsyncIOExecutor,
}


async def scale(tasks):
    scheduler = AsyncIOScheduler()
    scheduler.add_executor(DebugExecutor(), "default")
    return await measured_scale(
        tasks,
        start=scheduler.start,
        pause=scheduler.pause,
        resume=scheduler.resume,
        add_at=lambda function, at: scheduler.add_task(
            function, "interval", hours=1, next_run_time=at, mistrigger_grace_time=None
        ),
        remove=lambda task: scheduler.delete_task(task.id),
        listen=lambda ended: scheduler.add_listener(ended, TASK_EXECUTED),
    )


async def lateness(kind, runs):
    scheduler = AsyncIOScheduler()
    scheduler.add_executor(EXECUTORS[kind](), "default")
    return await measured_lateness(
        kind,
        runs,
        start=scheduler.start,
        add_at=lambda function, due, at: scheduler.add_task(
            function, "date", args=(due,), run_at=at, mistrigger_grace_time=None
        ),
        listen=lambda ended: scheduler.add_listener(ended, TASK_EXECUTED),
        result_of=lambda event: event.return_value,
    )


async def measure(kind, runs):
    if kind == "scale":
        return await scale(runs)
    if kind.startswith("lateness "):
        return await lateness(kind.removeprefix("lateness "), runs)
    scheduler = AsyncIOScheduler()
    scheduler.add_executor(EXECUTORS[kind](), "default")
    return await measured(
        kind,
        runs,
        start_paused=lambda: scheduler.start(paused=True),
        add=lambda function: scheduler.add_task(function, "date", mistrigger_grace_time=None),
        listen=lambda ended: scheduler.add_listener(ended, TASK_EXECUTED),
        resume=scheduler.resume,
    )


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    print_measured(measure)
    # Threads that it leaves behind keep the interpreter from its end.
    os._exit(0)
