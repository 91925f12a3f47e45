"""A scheduler with tasks of all kinds behind its dashboard, for browsers: `uvicorn tests.dashboard.demo:app`.

The URL of a store may be in the variable `ASYNCZ_TEST_STORE`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time

from starlette.applications import Starlette
from starlette.routing import Mount

from asyncz import AsyncIOScheduler, CronTrigger, IntervalTrigger, current_run
from asyncz.dashboard import Dashboard, RedactedKind, User, redact_secrets
from asyncz.retries import Retry
from tests.helpers.paths import PROJECT

logger = logging.getLogger("reports")
scheduler = AsyncIOScheduler(
    executors={"io": "threadpool"}, recent_runs=8, store=os.environ.get("ASYNCZ_TEST_STORE") or None
)
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"


def fetch(url: str, password: str = "") -> int:
    time.sleep(random.uniform(0.005, 0.06))
    logger.info("fetched %s", url)
    return len(url) * 100


async def refresh(region: str) -> str:
    await asyncio.sleep(random.uniform(0.01, 0.05))
    return f"{region}: fresh"


def reconcile(account: str) -> None:
    logger.warning("the totals of %s differ", account)
    raise LookupError(f"no statement for {account}: password=hunter2-secret")


def flaky() -> str:
    run = current_run()
    logger.info("connecting to mail.example, attempt %d", run.attempt)
    if run.attempt < 2:
        logger.warning("the connection was reset")
        raise ConnectionResetError("peer went away")
    return "second try"


async def rebuild(steps: int) -> None:
    run = current_run()
    for step in range(steps):
        run.report(step, steps, f"shard {step}")
        await asyncio.sleep(0.25)


def nightly() -> None: ...


def populate() -> None:
    every = IntervalTrigger
    scheduler.add_task(
        fetch, "https://example.org/feed", "hunter2-secret", id="feeds.example", trigger=every(seconds=3), executor="io"
    )
    scheduler.add_task(refresh, "eu-central", id="cache.refresh.eu-central", trigger=every(seconds=2))
    scheduler.add_task(refresh, "us-east", id="cache.refresh.us-east", trigger=every(seconds=7))
    scheduler.add_task(reconcile, "ACME", id="billing.reconcile", trigger=every(seconds=9), executor="io")
    scheduler.add_task(
        flaky, id="mail.deliver", trigger=every(seconds=5), executor="io", retry=Retry(attempts=3, delay=0.1)
    )
    scheduler.add_task(rebuild, 4000, id="search.rebuild-index", trigger=every(hours=1))
    scheduler.add_task(nightly, id="reports.nightly", trigger=CronTrigger("30 2 * * *"))
    scheduler.add_task(nightly, id="archive.cold-storage", trigger=CronTrigger("0 4 * * 0"), paused=True)
    scheduler.add_task(nightly, id="maintenance.vacuum", trigger=None)
    scheduler.add_task(nightly, id=HOSTILE, trigger=every(hours=2))
    scheduler.add_task(
        nightly,
        id="tenant-7f0c2a91-4d8e-4b7a-9c61-0d7f1b3e55aa/exports/quarterly/very-long-name-of-a-task",
        trigger=every(minutes=12),
    )
    for number in range(int(os.environ.get("ASYNCZ_TEST_TASKS", "0"))):
        scheduler.add_task(nightly, id=f"bulk-{number:05}", trigger=every(minutes=5 + number % 50))


def redact(kind: RedactedKind, name: str, text: str) -> str:
    """Hide secrets, and the folder of the project in tracebacks."""
    return redact_secrets(kind, name, text.replace(f"{PROJECT}/", ""))


populate()
dashboard = Dashboard(
    scheduler, lambda request: User("operate", request.headers.get("x-user", "mara")), redact=redact, title="jobs"
)
logger.addHandler(dashboard.log_handler)
logger.setLevel(logging.INFO)
if os.environ.get("ASYNCZ_TEST_STORE"):
    logger.addHandler(scheduler.store.log_handler)
app = scheduler.asgi(Starlette(routes=[Mount("/jobs", dashboard)]))
