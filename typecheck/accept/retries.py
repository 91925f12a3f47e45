"""Trying failed runs again."""

from __future__ import annotations

from typing import assert_type

from asyncz import AsyncIOScheduler, Retry, Task, TaskLimits, TaskRetrying, WorkerLostError
from typecheck.accept.functions import fetch, size

scheduler = AsyncIOScheduler()
retry = Retry(attempts=5, delay=1.0, backoff=2, max_delay=60.0, jitter=0.5, on=(OSError, WorkerLostError))
assert_type(retry.attempts, int)
assert_type(retry.delay, float)
assert_type(retry.max_delay, float | None)
assert_type(retry.on, tuple[type[BaseException], ...])
assert_type(retry.follows(1, OSError()), bool)
assert_type(retry.delay_after(1), float)
assert_type(scheduler.add_task(fetch, "u", retry=Retry(attempts=2)), Task[bytes])
assert_type(scheduler.add_task(size, "p", retry=None), Task[int])
assert_type(TaskLimits(retry=retry).retry, Retry | None)


@scheduler.task(retry=retry)
def count(path: str) -> int:
    return 1


assert_type(count.schedule("p"), Task[int])


def on_retrying(event: TaskRetrying) -> None:
    assert_type(event.exception, BaseException)
    assert_type(event.delay, float)
    assert_type(event.traceback, str)
    assert_type(event.details.attempt, int)


scheduler.subscribe(TaskRetrying, on_retrying)
