"""What `tests.benchmarks.ours` measures, of the package that has our name. Run by a Python that has that one."""

from __future__ import annotations

import logging
import os

from asyncz.events.constants import TASK_EXECUTED
from asyncz.executors import AsyncIOExecutor, DebugExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from asyncz.schedulers import AsyncIOScheduler
from measuring import measured, print_measured

EXECUTORS = {
    "coroutine": AsyncIOExecutor,
    "threads": lambda: ThreadPoolExecutor(max_workers=2),
    "processes": lambda: ProcessPoolExecutor(max_workers=2),
    "inline": DebugExecutor,
    "add": DebugExecutor,
    "stall": AsyncIOExecutor,
}


async def measure(kind, runs):
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
