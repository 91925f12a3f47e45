"""Mistakes with retries."""

from __future__ import annotations

from asyncz import AsyncIOScheduler, Retry, TaskError, TaskLimits, TaskRetrying
from typecheck.accept.functions import fetch

scheduler = AsyncIOScheduler()
retry = Retry(attempts=2)

Retry()  # E
Retry(5)  # E
Retry(attempts="5")  # E
Retry(attempts=5, delay="1 s")  # E
Retry(attempts=5, backoff=None)  # E
Retry(attempts=5, jitter="some")  # E
Retry(attempts=5, max_delay="1 m")  # E
Retry(attempts=5, on=OSError)  # E
Retry(attempts=5, on=("OSError",))  # E
Retry(attempts=5, on=(int,))  # E
Retry(attempts=5, tries=3)  # E
retry.attempts = 3  # E
retry.follows(OSError())  # E
retry.follows(1, "error")  # E
retry.delay_after("1")  # E
TaskLimits(retry=3)  # E
scheduler.add_task(fetch, "u", retry=3)  # E
scheduler.add_task(fetch, "u", retry=Retry)  # E
scheduler.task(retry=3)  # E


def on_error(event: TaskError) -> None: ...
def on_retrying(event: TaskRetrying) -> None: ...


scheduler.subscribe(TaskRetrying, on_error)  # E
scheduler.subscribe(TaskError, on_retrying)  # E


def changed(event: TaskRetrying) -> None:
    event.delay = 0.0  # E
    event.result  # E
