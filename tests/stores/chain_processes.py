"""Program of the tests of chains and retries with several processes.

python -m tests.stores.chain_processes URL FOLDER [held] [resume]

If the folder has a file `kill-2`, the second attempt of the failing task deletes it and kills the process.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from asyncz import AsyncIOScheduler, DateTrigger, IntervalTrigger, Retry, current_run
from asyncz.stores import StoreOptions
from tests.helpers.stored_jobs import kill_if_asked, write_line


def first(folder: str) -> str:
    write_line(folder, "first")
    return folder


def second(folder: str) -> str:
    write_line(folder, "second")
    return folder


def fail_each_time(folder: str) -> None:
    write_line(folder, f"attempt-{current_run().attempt}")
    kill_if_asked(Path(folder, f"kill-{current_run().attempt}"))
    raise ValueError(folder)


async def main(url: str, folder: str, *options: str) -> None:
    scheduler = AsyncIOScheduler(store=url, store_options=StoreOptions(lease=3, on_lost="rerun"))
    often = IntervalTrigger(seconds=0.1)
    upstream = scheduler.add_task(first, folder, trigger=often, id="first", executor="threadpool")
    downstream = upstream.then(second, id="second", executor="threadpool", paused="held" in options)
    retry = Retry(attempts=3, delay=1)
    scheduler.add_task(fail_each_time, folder, trigger=DateTrigger(), id="failing", executor="threadpool", retry=retry)
    async with scheduler:
        if "resume" in options:
            downstream.resume()
        await asyncio.to_thread(Path(folder, "started").touch)
        await scheduler.wait_closed()


if __name__ == "__main__":
    # Under its own name, as other processes import it.
    from tests.stores.chain_processes import main as run

    asyncio.run(run(*sys.argv[1:]))
