"""Node of an application that is deployed: a scheduler with a store, until the process is ended.

python node.py URL FOLDER VERSION

It is run as a file, so that a variable of the environment can give it an older asyncz.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from pathlib import Path

from asyncz import AsyncIOScheduler


async def main(url: str, folder: str, version: str) -> None:
    here = Path(__file__).parent
    sys.path[:1] = [str(here / f"version_{version}")]
    app = importlib.import_module("app")
    scheduler: AsyncIOScheduler = app.make_scheduler(url, folder)
    started = Path(folder, f"started-{os.getpid()}")
    async with scheduler:
        app.add_after_start(scheduler, folder)
        await asyncio.to_thread(started.touch)
        await scheduler.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
