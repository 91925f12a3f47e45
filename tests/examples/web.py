"""A web app that starts jobs and looks up their runs: `uvicorn tests.examples.web:app`."""

import gc
from shutil import disk_usage
from uuid import UUID

from fastapi import FastAPI

from asyncz import AsyncIOScheduler, CronTrigger, IntervalTrigger, RunSummary, SchedulerState

scheduler = AsyncIOScheduler()
scheduler.add_task(disk_usage, "/", id="disk", executor="threadpool", trigger=IntervalTrigger(minutes=5))
scheduler.add_task(gc.collect, id="collect", trigger=CronTrigger("30 2 * * *", timezone="Europe/Berlin"))
scheduler.add_task(sum, range(10**6), id="sum", executor="threadpool", trigger=None)
app = FastAPI(lifespan=lambda app: scheduler.lifespan(app, drain_timeout=25))


@app.get("/state")
async def state() -> SchedulerState:
    return scheduler.state.redacted()


@app.post("/tasks/{task_id}/runs", status_code=202)
async def start(task_id: str) -> RunSummary:
    return scheduler.get_run(scheduler.get_task(task_id).run().run_id)


@app.get("/runs/{run_id}")
async def find(run_id: UUID) -> RunSummary:
    return scheduler.get_run(run_id)
