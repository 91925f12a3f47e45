"""Apps of several frameworks with a dashboard, for `uvicorn tests.dashboard.apps:NAME`."""

from __future__ import annotations

from fastapi import FastAPI
from litestar import Litestar, asgi
from starlette.applications import Starlette
from starlette.routing import Mount

from asyncz import AsyncIOScheduler
from asyncz.dashboard import Dashboard
from tests.dashboard.serving import add_tasks, double

scheduler = AsyncIOScheduler()
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
add_tasks(scheduler)
scheduler.add_task(double, 3, id=HOSTILE, trigger=None)
scheduler.add_task(double, 5, id="spare", trigger=None)
dashboard = Dashboard(scheduler, lambda _: "operate")

starlette_app = Starlette(routes=[Mount("/jobs", dashboard)], lifespan=scheduler.lifespan)
fastapi_app = FastAPI(lifespan=scheduler.lifespan)
fastapi_app.mount("/jobs", dashboard)
mounted = asgi("/jobs", is_mount=True, copy_scope=True)(dashboard)
# The logging of the process is not for Litestar to configure.
litestar_app = Litestar([mounted], lifespan=[scheduler.lifespan], logging_config=None)
alone = scheduler.asgi(dashboard)
