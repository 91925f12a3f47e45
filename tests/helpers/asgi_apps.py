"""Apps of several frameworks with the same scheduler, for tests that serve them in a process of their own.

Environment variables name the file of their records, and the file for which their runs wait.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from litestar import Litestar, get
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from asyncz import AsyncIOScheduler, SchedulerState, TaskNotification, TaskSubmitted, events

FOLDER = Path(os.environ.get("ASYNCZ_TEST_FOLDER", "."))
DRAIN_TIMEOUT = json.loads(os.environ.get("ASYNCZ_TEST_DRAIN_TIMEOUT", "null"))
GATE = FOLDER / "gate"
Message = MutableMapping[str, object]


def wait_for_gate(path: str) -> str:
    """Work that is done when a file is there, or after a minute."""
    deadline = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return "done"


scheduler = AsyncIOScheduler()


for executor in ("asyncio", "threadpool", "processpool"):
    scheduler.add_task(wait_for_gate, str(GATE), executor=executor, id=executor)


def note(event: TaskSubmitted | TaskNotification[object]) -> None:
    """Record the outcome of a run in the file."""
    with (FOLDER / "events").open("a") as file:
        file.write(f"{json.dumps([type(event).__name__, f'{event.details.run_id}'])}\n")


scheduler.subscribe(TaskSubmitted, note)


scheduler.subscribe(events.TaskExecuted, note)


scheduler.subscribe(events.TaskError, note)


scheduler.subscribe(events.TaskMissed, note)


scheduler.subscribe(events.TaskCancelled, note)


lifespan = partial(scheduler.lifespan, drain_timeout=DRAIN_TIMEOUT)


async def state_for_starlette(request: Request) -> Response:
    """The state as JSON."""
    return Response(scheduler.state.model_dump_json(), media_type="application/json")


starlette_app = Starlette(routes=[Route("/state", state_for_starlette)], lifespan=lifespan)
fastapi_app = FastAPI(lifespan=lifespan)


@fastapi_app.get("/state")
async def state_for_fastapi() -> SchedulerState:
    """The state, which FastAPI knows how to turn into JSON."""
    return scheduler.state


@get("/state")
async def state_for_litestar() -> SchedulerState:
    """The state, which Litestar knows how to turn into JSON."""
    return scheduler.state


# The logging of the process is not for Litestar to configure.
litestar_app = Litestar([state_for_litestar], lifespan=[lifespan], logging_config=None)


async def plain_app(
    scope: MutableMapping[str, object],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """An app without a framework, and without a lifespan."""
    assert scope["type"] == "http"
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": scheduler.state.model_dump_json().encode()})


wrapped_app = scheduler.asgi(plain_app, drain_timeout=DRAIN_TIMEOUT)
