"""Nodes, records and a clock for the conformance tests of stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from asyncz.clock import utc
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import Firing, Outcome, RunKind, RunRecord, RunRecordState, TaskRecord
from asyncz.testing import rules
from asyncz.testing.rules import RuleBrokenError

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)

# A time of day with microseconds, so that a store which cuts them off is noticed.
DUE = datetime(2030, 1, 1, 10, 20, 30, 400_500, tzinfo=UTC)


class StoreClock:
    """Clock of a store in a test: it changes only when `advance` is called."""

    def __init__(self) -> None:
        self._now = (DUE + SECOND).timestamp()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class StoreNodes:
    """Sessions of several nodes with one store."""

    def __init__(self, sessions: Sequence[StoreSession], ids: Sequence[str], clock: StoreClock) -> None:
        self.sessions = [*sessions]
        self.ids = ids
        self.first = self.sessions[0]
        self._clock = clock

    @property
    def now(self) -> datetime:
        return utc(self._clock.now())

    def advance(self, seconds: float) -> None:
        self._clock.advance(seconds)

    async def declare(self, task: TaskRecord) -> TaskRecord:
        (declared,) = await self.first.declare([task], "update")
        return declared

    async def running_run(self, task_id: str = "task") -> RunRecord:
        """Return a run that the first node has fired."""
        (run,) = await self.first.fire([firing_of(await self.declare(new_task(task_id)))])
        return run


def new_task(task_id: str, due: datetime = DUE) -> TaskRecord:
    return TaskRecord(id=task_id, function="jobs:report", trigger='{"hours": 1}', declaration="hash", next_due=due)


def new_run(
    task_id: str,
    due: datetime,
    *,
    kind: RunKind = "due",
    state: RunRecordState = "running",
    executor: str = "asyncio",
    missed: int = 0,
) -> RunRecord:
    return RunRecord(
        id=uuid4(), task_id=task_id, scheduled_at=due, kind=kind, state=state, executor=executor, missed=missed
    )


def firing_of(task: TaskRecord) -> Firing:
    due = task.next_due or DUE
    return Firing(task_id=task.id, version=task.version, due=due, next_due=due + HOUR, runs=(new_run(task.id, due),))


def outcome_of(run: RunRecord, result: str = '"done"') -> Outcome:
    return Outcome(
        run_id=run.id, fence=max(run.fence, 1), state="executed", result=result, finished_at=run.scheduled_at
    )


def expect_changed(task: TaskRecord | None) -> TaskRecord:
    if task is None:
        raise RuleBrokenError(rules.COMPARE_AND_CHANGE, "a change with the current version was rejected")
    return task


async def first_hint(hints: AsyncIterator[int]) -> None:
    async for _ in hints:
        return
