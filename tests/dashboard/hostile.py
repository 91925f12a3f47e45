"""A scheduler with long and odd ids, errors, results and logs: `uvicorn tests.dashboard.hostile:app`."""

from __future__ import annotations

import asyncio
import logging

from asyncz import AsyncIOScheduler, CronTrigger, IntervalTrigger, current_run
from asyncz.dashboard import Dashboard, User
from asyncz.retries import Retry

LONG = "x" * 1900
IDS = (
    "<img src=x onerror=\"document.title='owned'\">",
    LONG,
    "a" * 60 + "/" + "b" * 60,
    "\u202eright-to-left\u202c",
    "العربية/עברית",
    "任务" * 40,
    "👩‍👩‍👧‍👦" * 20,
    "e\u0301" * 30 + "\u0345" * 40,
    "line\nbreak\tand\x00zero",
    "{{ 7*7 }}${7*7}",
    " ",
)

logger = logging.getLogger("hostile." + "y" * 120)
scheduler = AsyncIOScheduler(executors={"pool-" + "z" * 200: "threadpool"}, recent_runs=8)


def work(value: str) -> str:
    for number in range(60):
        logger.warning("%d: %s", number, value[:300] * 4)
    return value


def fail(value: str, depth: int = 60) -> str:
    if depth:
        return fail(value, depth - 1)
    raise RuntimeError(f"{value}\n{'w' * 500} {value}")


async def report(value: str) -> None:
    current_run().report(1e300, 1e308, value)
    await asyncio.Event().wait()


for number, task_id in enumerate(IDS):
    scheduler.add_task(
        (work, fail, report)[number % 3],
        task_id,
        id=task_id,
        trigger=IntervalTrigger(seconds=20) if number % 2 else CronTrigger("*/7 9-17 1,15 * MON-FRI"),
        executor="asyncio" if number % 3 == 2 else "pool-" + "z" * 200,
        retry=Retry(attempts=2, delay=0.01),
    )
dashboard = Dashboard(scheduler, lambda _: User("operate", LONG), title="t" * 300)
logging.getLogger("hostile").addHandler(dashboard.log_handler)
app = scheduler.asgi(dashboard)
