"""Web app of the tests with several workers: each worker has a scheduler, and all of them share a store."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping

from asyncz import AsyncIOScheduler, IntervalTrigger
from asyncz.stores import StoreOptions
from tests.helpers.stored_jobs import write_line
from tests.stores.processes import INTERVAL, TASKS


async def pages(
    scope: Mapping[str, object],
    receive: Callable[[], Awaitable[MutableMapping[str, object]]],
    send: Callable[[MutableMapping[str, object]], Awaitable[None]],
) -> None:
    """Return the process id of the worker as a page."""
    if scope["type"] == "lifespan":
        for state in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{state}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{os.getpid()}".encode()})


def make_app() -> object:
    options = StoreOptions(lease=3, on_lost="rerun")
    scheduler = AsyncIOScheduler(store=os.environ["ASYNCZ_TEST_STORE"], store_options=options)
    folder = os.environ["ASYNCZ_TEST_FOLDER"]
    for number in range(TASKS):
        trigger = IntervalTrigger(seconds=INTERVAL)
        scheduler.add_task(write_line, folder, f"task-{number}", trigger=trigger, id=f"task-{number}")
    return scheduler.asgi(pages, drain_timeout=10)
