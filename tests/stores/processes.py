"""Program of the tests with several processes: a scheduler with a store, until the process is ended.

python -m tests.stores.processes URL FOLDER VERSION [hang] [at SECONDS]

With `at`, it starts at that time since the epoch.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from asyncz import AsyncIOScheduler, IntervalTrigger
from asyncz.stores import StoreOptions
from tests.helpers.stored_jobs import write_and_hang, write_line

TASKS = 8
INTERVAL = 0.25


async def main(url: str, folder: str, version: int, hang: bool, at: float) -> None:
    options = StoreOptions(version=version, importable=("tests.helpers",), lease=3, on_lost="rerun")
    scheduler = AsyncIOScheduler(store=url, store_options=options)
    for number in range(TASKS):
        trigger = IntervalTrigger(seconds=INTERVAL)
        if version == 1:
            scheduler.add_task(write_line, folder, f"task-{number}", trigger=trigger, id=f"task-{number}")
        else:
            # The function was renamed.
            scheduler.add_task(renamed, folder, f"task-{number}", trigger=trigger, id=f"task-{number}")
    if hang:
        scheduler.add_task(write_and_hang, folder, "hanging", id="hanging", executor="threadpool")
    started = Path(folder, f"started-{version}")
    # In a loop without pauses, so that several processes start in the same millisecond.
    while time.time() < at:
        pass
    async with scheduler:
        await asyncio.to_thread(started.touch)
        await scheduler.wait_closed()


def renamed(folder: str, line: str) -> None:
    write_line(folder, f"{line} renamed")


if __name__ == "__main__":
    # Under its own name, as other processes import it.
    from tests.stores.processes import main as run

    at = float(sys.argv[sys.argv.index("at") + 1]) if "at" in sys.argv else 0.0
    asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3]), "hang" in sys.argv, at))
