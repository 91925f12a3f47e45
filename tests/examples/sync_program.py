"""A program without a line of asyncio: the scheduler runs in a thread of its own.

`python -m tests.examples.sync_program FOLDER` prints the total size of the files of a folder, again and again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from asyncz import AsyncIOScheduler, IntervalTrigger, ResultTimeoutError, TaskExecuted, current_run


def size(folder: Path) -> int:
    """Add up the sizes of files, and stop if the run is cancelled."""
    total = 0
    for path in folder.rglob("*"):
        if current_run().is_cancelled():
            break
        if path.is_file():
            total += path.stat().st_size
    return total


def report(event: TaskExecuted[int]) -> None:
    """Called in the thread of the scheduler."""
    print("looked", event.details.scheduled_at, event.result, "bytes")


def main(folder: Path) -> int:
    """Look once now, and again each hour until a signal comes."""
    scheduler = AsyncIOScheduler()
    with scheduler.in_thread(drain_timeout=25) as thread:
        task = scheduler.add_task(size, folder, trigger=IntervalTrigger(hours=1), executor="threadpool")
        task.on_executed(report)
        try:
            # A type checker knows that this is an int.
            total = thread.run(task, timeout=60)
        except ResultTimeoutError as error:
            print(error)
            total = 0
        print("now", total, "bytes")
        # SIGINT and SIGTERM let live runs finish.
        thread.wait_closed()
    print("runs that ended:", [run.outcome for run in task.state.recent_runs])
    return total


if __name__ == "__main__":
    main(Path(sys.argv[1]))
