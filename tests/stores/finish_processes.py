"""Program of the tests that kill a process around the commit of a transaction that finishes a run.

python -m tests.stores.finish_processes URL FOLDER [submit]

If the folder has a file `kill-before` or `kill-after`, the process deletes it and kills itself before or after the
commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from asyncz import AsyncIOScheduler, current_run
from asyncz.stores import StoreOptions
from tests.helpers.connections import connect
from tests.helpers.stored_jobs import kill_if_asked, write_line


def book(url: str, folder: str) -> str:
    write_line(folder, "called")
    with contextlib.closing(connect(url)) as connection:
        connection.execute("INSERT INTO orders VALUES (1)")
        result = current_run().finish_in(connection, folder)
        kill_if_asked(Path(folder, "kill-before"))
        connection.commit()
    kill_if_asked(Path(folder, "kill-after"))
    return result


def note(folder: str) -> None:
    write_line(folder, "noted")


async def main(url: str, folder: str, *options: str) -> None:
    scheduler = AsyncIOScheduler(store=url, store_options=StoreOptions(lease=3, on_lost="rerun"))
    task = scheduler.add_task(book, url, folder, trigger=None, id="book", executor="threadpool")
    task.then(note, id="note", executor="threadpool")
    async with scheduler:
        if "submit" in options:
            task.submit()
        await scheduler.wait_closed()


if __name__ == "__main__":
    # Under its own name, as other processes import it.
    from tests.stores.finish_processes import main as run

    asyncio.run(run(*sys.argv[1:]))
