"""The web application: status, and a feed that is fetched now."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException

from asyncz import SchedulerState, TaskLookupError
from tests.examples.ingest.fetching import fetch
from tests.examples.ingest.models import Page
from tests.examples.ingest.service import Ingest


def make_app(ingest: Ingest) -> FastAPI:
    """Build the application; the scheduler lives as long as the server."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with ingest.scheduler.lifespan(drain_timeout=25):
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/state")
    def state() -> SchedulerState:
        return ingest.scheduler.state

    @app.get("/status")
    def status() -> dict[str, str]:
        return ingest.status()

    @app.post("/feeds/{name}/fetch")
    async def fetch_now(name: str) -> int:
        try:
            task = ingest.scheduler.tasks_of(fetch).get(f"{name}-fetch")
        except TaskLookupError as error:
            raise HTTPException(404, str(error)) from error
        page: Page = await task.run()
        return len(page.body)

    return app
