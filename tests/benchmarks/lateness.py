"""Lateness of runs that are due evenly, 1,000 per second."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from statistics import quantiles

from asyncz import AsyncIOScheduler, DateTrigger, TaskExecuted
from tests.benchmarks.ours import EXECUTORS, nothing, nothing_async

RUNS_A_SECOND = 1000
# So long it may take to add one, at most.
_SECONDS_TO_ADD = 0.0005


def distribution(seconds: list[float]) -> dict[str, float]:
    """The figures of many delays, in milliseconds."""
    hundredths = quantiles(seconds, n=100)
    return {"p50": hundredths[49] * 1e3, "p99": hundredths[98] * 1e3, "max": max(seconds) * 1e3}


async def lateness(kind: str, runs: int) -> dict[str, float]:
    """One-off tasks, each due a millisecond after the one before; how late their functions were called."""
    late: list[float] = []
    everything = asyncio.Event()

    def ended(event: TaskExecuted[object]) -> None:
        assert event.details.started is not None
        assert event.details.scheduled is not None
        late.append(event.details.started - event.details.scheduled)
        if len(late) == runs:
            everything.set()

    async with AsyncIOScheduler(executors={"measured": EXECUTORS[kind]()}) as scheduler:
        await asyncio.gather(*(scheduler.add_task(nothing, executor="measured").result() for _ in range(4)))
        scheduler.subscribe(TaskExecuted, ended)
        first = datetime.now(UTC) + timedelta(seconds=1 + runs * _SECONDS_TO_ADD)
        for number in range(runs):
            trigger = DateTrigger(first + timedelta(seconds=number / RUNS_A_SECOND))
            if kind == "coroutine":
                scheduler.add_task(nothing_async, trigger=trigger, executor="measured")
            else:
                scheduler.add_task(nothing, trigger=trigger, executor="measured")
        await everything.wait()
    return distribution(late)
