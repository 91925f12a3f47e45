"""Stores in memory whose calls take time or fail, or whose answers are lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from typing_extensions import override

from asyncz.stores import (
    ExistingTaskPolicy,
    FinalRunState,
    Firing,
    Lease,
    MemoryStore,
    NodeRecord,
    Outcome,
    RunQuery,
    RunRecord,
    RunReport,
    StoreConnectionError,
    StoreDataError,
    StoreSession,
    TaskRecord,
)
from asyncz.stores.memory import MemoryStoreSession


class Faults:
    """Faults of all sessions of a store."""

    def __init__(self) -> None:
        self.broken = False
        self.error: BaseException = StoreConnectionError("faulty", "it is away")
        self.delay = 0.0
        self.calls = 0
        self.closed = 0


class FaultyStore:
    """Store in memory whose calls take time, or fail."""

    def __init__(self, faults: Faults, session: type[FaultySession] | None = None) -> None:
        self.store = MemoryStore()
        self._faults = faults
        self._session = FaultySession if session is None else session

    async def connect(self, node: NodeRecord, ttl: timedelta, /) -> StoreSession:
        session = await self.store.connect(node, ttl)
        assert isinstance(session, MemoryStoreSession)
        return self._session(session, self._faults)


class FaultySession:
    def __init__(self, session: MemoryStoreSession, faults: Faults) -> None:
        self._session = session
        self._faults = faults

    @property
    def lease(self) -> Lease:
        return self._session.lease

    def _strain(self) -> None:
        self._faults.calls += 1
        time.sleep(self._faults.delay)
        if self._faults.broken:
            raise self._faults.error

    async def _wait(self) -> None:
        await asyncio.to_thread(self._strain)

    def renew(self) -> Lease:
        self._strain()
        return self._session.renew()

    async def declare(self, tasks: Sequence[TaskRecord], existing: ExistingTaskPolicy, /) -> Sequence[TaskRecord]:
        await self._wait()
        return await self._session.declare(tasks, existing)

    async def change(self, task: TaskRecord, /) -> TaskRecord | None:
        await self._wait()
        return await self._session.change(task)

    async def remove(self, task_ids: Sequence[str], /) -> Sequence[str]:
        await self._wait()
        return await self._session.remove(task_ids)

    async def changes(self, since: int, limit: int, /) -> Sequence[TaskRecord]:
        await self._wait()
        return await self._session.changes(since, limit)

    async def overdue(
        self, by: timedelta, limit: int, after: tuple[datetime, str] | None = None, /
    ) -> Sequence[TaskRecord]:
        await self._wait()
        return await self._session.overdue(by, limit, after)

    async def fire(self, firings: Sequence[Firing], /) -> Sequence[RunRecord]:
        await self._wait()
        return await self._session.fire(firings)

    async def submit(self, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]:
        await self._wait()
        return await self._session.submit(runs)

    async def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str] = (), /) -> Sequence[RunRecord]:
        await self._wait()
        return await self._session.claim(executors, limit, skip)

    async def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]:
        await self._wait()
        return await self._session.finish(outcomes)

    async def take_over(self, limit: int, /) -> Sequence[RunRecord]:
        await self._wait()
        return await self._session.take_over(limit)

    async def report(self, reports: Sequence[RunReport], /) -> Sequence[UUID]:
        await self._wait()
        return await self._session.report(reports)

    async def reports(self, run_id: UUID, /) -> Sequence[RunReport]:
        await self._wait()
        return await self._session.reports(run_id)

    async def runs(self, query: RunQuery, /) -> Sequence[RunRecord]:
        await self._wait()
        return await self._session.runs(query)

    async def nodes(self) -> Sequence[NodeRecord]:
        await self._wait()
        return await self._session.nodes()

    async def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int:
        await self._wait()
        return await self._session.prune(keep, limit)

    async def trim(self, task_ids: Sequence[str], keep: int, limit: int, /) -> int:
        await self._wait()
        return await self._session.trim(task_ids, keep, limit)

    async def listen(self) -> int:
        await self._wait()
        return await self._session.listen()

    async def outcomes(self, since: int, limit: int, /) -> Sequence[RunRecord]:
        await self._wait()
        return await self._session.outcomes(since, limit)

    async def announce(self, task_ids: Sequence[str], /) -> None:
        await self._wait()
        await self._session.announce(task_ids)

    async def sweep(self, keep_undeclared: timedelta, keep_finished: timedelta | None, limit: int, /) -> Sequence[str]:
        await self._wait()
        return await self._session.sweep(keep_undeclared, keep_finished, limit)

    async def wake_ups(self) -> AsyncIterator[int]:
        async for revision in self._session.wake_ups():
            await self._wait()
            yield revision

    async def close(self) -> None:
        self._faults.closed += 1
        await self._wait()
        await self._session.close()


class AnswerlessSession(FaultySession):
    """Session that loses the answer of one firing, one outcome and one submission: the store has done them."""

    def __init__(self, session: MemoryStoreSession, faults: Faults) -> None:
        super().__init__(session, faults)
        self.lost: set[str] = set()

    def _lose(self, method: str) -> None:
        if method not in self.lost:
            self.lost.add(method)
            raise StoreConnectionError("faulty", "the answer was lost")

    @override
    async def fire(self, firings: Sequence[Firing], /) -> Sequence[RunRecord]:
        fired = await super().fire(firings)
        if fired:
            self._lose("fire")
        return fired

    @override
    async def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]:
        accepted = await super().finish(outcomes)
        self._lose("finish")
        return accepted

    @override
    async def submit(self, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]:
        submitted = await super().submit(runs)
        self._lose("submit")
        return submitted

    @override
    async def take_over(self, limit: int, /) -> Sequence[RunRecord]:
        taken = await super().take_over(limit)
        if taken:
            self._lose("take_over")
        return taken


class LeavingSession(FaultySession):
    """Session that loses the answer of a firing because the store goes away: the store has done it."""

    @override
    async def fire(self, firings: Sequence[Firing], /) -> Sequence[RunRecord]:
        fired = await super().fire(firings)
        if fired:
            self._faults.broken = True
            raise self._faults.error
        return fired


class PickySession(FaultySession):
    """Session that does not accept results of `bad`, and nothing at all of `worst`."""

    @override
    async def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]:
        for outcome in outcomes:
            if outcome.result == '"BAD"' or (outcome.state, outcome.attempt) == ("error", 1):
                raise StoreDataError("picky", "it is bad")
        return await super().finish(outcomes)


class ForgetfulSession(FaultySession):
    """Session whose first firing does not arrive, as if another node had won and died."""

    arrived = False

    @override
    async def fire(self, firings: Sequence[Firing], /) -> Sequence[RunRecord]:
        if firings and not self.arrived:
            self.arrived = True
            return ()
        return await super().fire(firings)
