"""A scheduler with a store, and a dashboard of the store alone, for processes of their own.

`ASYNCZ_TEST_STORE` has the URL of the store. `asyncz run tests.dashboard.store_apps:scheduler` is a node, and
`uvicorn tests.dashboard.store_apps:app` the dashboard.
"""

from __future__ import annotations

import asyncio
import logging
import os

from asyncz import AsyncIOScheduler, IntervalTrigger, Retry, current_run
from asyncz.dashboard import StoreDashboard, User
from tests.dashboard.serving import double, fail

_URL = os.environ["ASYNCZ_TEST_STORE"]
logger = logging.getLogger("shards")


async def rebuild(password: str) -> None:
    run = current_run()
    if run.attempt == 1:
        logger.warning("the first attempt fails")
        raise ConnectionError(f"password={password} was rejected")
    for shard in range(1, 1000):
        logger.warning("shard %d with password=%s", shard, password)
        run.report(shard, 1000, f"shard {shard}")
        await asyncio.sleep(0.5)


scheduler = AsyncIOScheduler(store=_URL)
scheduler.add_task(double, 4, id="double", trigger=IntervalTrigger(hours=1))
scheduler.add_task(fail, "hunter2", id="fail", trigger=None)
scheduler.add_task(rebuild, "hunter2", id="rebuild", trigger=None, max_instances=5, retry=Retry(attempts=2, delay=0.01))
scheduler.add_task(double, 1, id="spare", trigger=IntervalTrigger(days=1))
app = StoreDashboard(_URL, lambda _: User("operate", "mara"), title="jobs")
