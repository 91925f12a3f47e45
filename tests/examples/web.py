"""A web app whose scheduler starts and drains with the server; `GET /state` returns its state as JSON.

uvicorn tests.examples.web:app
"""

from __future__ import annotations

import hashlib
from collections import Counter
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asyncz import AsyncIOScheduler, IntervalTrigger

scheduler = AsyncIOScheduler()
checked: Counter[str] = Counter()


def checksum(text: str) -> str:
    """Work for a thread."""
    return hashlib.sha256(text.encode()).hexdigest()


async def forget() -> int:
    """Housekeeping on a schedule."""
    forgotten = checked.total()
    checked.clear()
    return forgotten


scheduler.add_task(forget, trigger=IntervalTrigger(hours=1), id="forget")


async def state(request: Request) -> Response:
    """Return the state of the scheduler, its tasks and its executors."""
    return Response(scheduler.state.model_dump_json(), media_type="application/json")


async def work(request: Request) -> Response:
    """Run a function for the client, in a thread, and answer with its typed result."""
    text = (await request.body()).decode()
    digest = await scheduler.add_task(checksum, text, executor="threadpool").result()
    checked[digest] += 1
    return JSONResponse({"sha256": digest, "asked": checked[digest]})


app = Starlette(
    routes=[Route("/state", state), Route("/checksum", work, methods=["POST"])],
    lifespan=partial(scheduler.lifespan, drain_timeout=25),
)
