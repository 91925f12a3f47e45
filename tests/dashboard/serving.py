"""Dashboards and clients for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.requests import Request

from asyncz import AsyncIOScheduler, CronTrigger, IntervalTrigger
from asyncz.dashboard import Access, Dashboard, StoreDashboard
from asyncz.dashboard.local import LocalDashboard

HOST = "testserver"
JSON = {"content-type": "application/json"}


def by_header(request: Request) -> Access | None:
    """Give the right that a header names, so that a test can choose it for each request."""
    match request.headers.get("x-access"):
        case "look":
            return "look"
        case "operate":
            return "operate"
        case _:
            return None


def double(number: int) -> int:
    return 2 * number


def fail(password: str) -> None:
    raise ValueError(f"password={password} was rejected")


async def sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


def add_tasks(scheduler: AsyncIOScheduler) -> None:
    """Add one task of each kind."""
    scheduler.add_task(double, 4, id="double", trigger=IntervalTrigger(hours=1))
    scheduler.add_task(fail, "hunter2", id="fail", trigger=None)
    scheduler.add_task(sleep, 60, id="long", trigger=None, max_instances=5)
    # On leap days only: whenever the tests run, it is not on a timeline of hours.
    scheduler.add_task(double, 1, id="a/b/../ü", trigger=CronTrigger("0 4 29 2 *"))


def client_of(
    dashboard: Dashboard | StoreDashboard | LocalDashboard, access: str = "operate", root: str = "", **headers: str
) -> httpx.AsyncClient:
    """Return a client that sends requests to a dashboard without a server."""
    transport = httpx.ASGITransport(app=dashboard, root_path=root, raise_app_exceptions=True)
    return httpx.AsyncClient(
        transport=transport, base_url=f"http://{HOST}{root}", headers={"x-access": access, **headers}
    )


@asynccontextmanager
async def served(access: str = "operate") -> AsyncIterator[tuple[AsyncIOScheduler, Dashboard, httpx.AsyncClient]]:
    """Run a scheduler with tasks of each kind, and yield it with its dashboard and a client."""
    scheduler = AsyncIOScheduler()
    dashboard = Dashboard(scheduler, by_header)
    add_tasks(scheduler)
    async with scheduler, client_of(dashboard, access) as client:
        yield scheduler, dashboard, client
        for task in scheduler.tasks:
            task.cancel_runs()
