"""A program without asyncio: `python -m tests.examples.sync_program FOLDER` prints the size of a folder each hour."""

import sys
from pathlib import Path

from asyncz import AsyncIOScheduler, IntervalTrigger, TaskExecuted, current_run


def size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        if current_run().is_cancelled():
            break
        total += path.stat().st_size if path.is_file() else 0
    return total


def report(event: TaskExecuted[int]) -> None:
    print("looked", event.details.scheduled_at, event.result, "bytes")


if __name__ == "__main__":
    scheduler = AsyncIOScheduler()
    with scheduler.in_thread(drain_timeout=25) as thread:
        task = scheduler.add_task(size, Path(sys.argv[1]), trigger=IntervalTrigger(hours=1), executor="threadpool")
        task.on_executed(report)
        print("now", thread.run(task, timeout=60), "bytes")
        # SIGINT and SIGTERM let live runs finish.
        thread.wait_closed()
    print("runs that ended:", [run.outcome for run in task.state.recent_runs])
