"""Schedules in a storm, under a clock that is set forwards and backwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from typing_extensions import override

from asyncz import AsyncIOScheduler, CronTrigger, IntervalTrigger, Task, TaskMaxInstances, TaskSubmitted
from asyncz.clock import SystemClock
from tests.chaos.workload import quick

_STALLED_SECONDS = 60.0
"""A schedule stalls if nothing is due for so long, and for as long as the due times that were submitted before."""


class SteppedClock(SystemClock):
    """System clock that can be set."""

    def __init__(self) -> None:
        self.steps = 0
        self._offset = 0.0

    @override
    def now(self) -> float:
        return time.time() + self._offset

    def step(self, seconds: float) -> None:
        """Set the clock forwards or backwards."""
        self._offset += seconds
        self.steps += 1


class ScheduleWatch:
    """Scheduled tasks on each executor: no due time repeats, and no schedule stalls.

    Args:
        scheduler: The scheduler.
        executors: Aliases of its executors.
    """

    def __init__(self, scheduler: AsyncIOScheduler, executors: Sequence[str]) -> None:
        self.submitted = 0
        self._scheduler = scheduler
        self._executors = executors
        self._tasks: dict[str, Task[int]] = {}
        self._due: set[tuple[str, float]] = set()
        self._last_due_at: dict[str, float] = {}
        self._problems: list[str] = []
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Add the tasks."""
        scheduler, began = self._scheduler, time.monotonic()
        for executor in self._executors:
            for name, trigger in (("interval", IntervalTrigger(seconds=0.1)), ("cron", CronTrigger("* * * * * *"))):
                task_id = f"{executor} {name}"
                self._tasks[task_id] = scheduler.add_task(quick, id=task_id, trigger=trigger, executor=executor)
                self._last_due_at[task_id] = began
        scheduler.subscribe(TaskSubmitted, self._on_submitted)
        scheduler.subscribe(TaskMaxInstances, self._on_rejected)
        self._watching = asyncio.ensure_future(self._watch())

    async def stop(self) -> Sequence[str]:
        """Pause the tasks, and return the problems."""
        for task in self._tasks.values():
            task.pause()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        return self._problems

    def _on_submitted(self, event: TaskSubmitted) -> None:
        if event.task_id not in self._tasks or event.details.scheduled is None:
            return
        self.submitted += 1
        key = event.task_id, event.details.scheduled
        if key in self._due:
            self._problems.append(f"{event.task_id} was submitted twice for {event.details.scheduled_at}")
        self._due.add(key)
        self._last_due_at[event.task_id] = time.monotonic()

    def _on_rejected(self, event: TaskMaxInstances) -> None:
        if event.task_id in self._tasks:
            self._last_due_at[event.task_id] = time.monotonic()

    async def _watch(self) -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for task_id, last_due_at in self._last_due_at.items():
                # The clock may be set back to the start: the due times since then were submitted.
                if now - last_due_at > _STALLED_SECONDS + (last_due_at - began):
                    self._problems.append(f"{task_id} was not due for {now - last_due_at:.0f} s")
                    self._last_due_at[task_id] = now
