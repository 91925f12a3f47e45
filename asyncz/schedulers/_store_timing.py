"""Session with a store that reports the duration of each transaction, if the scheduler is instrumented."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from typing_extensions import TypeVar

from asyncz.schedulers._run_hook import HookHolder
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import (
    ExistingTaskPolicy,
    FinalRunState,
    Firing,
    Lease,
    NodeRecord,
    Outcome,
    RunQuery,
    RunRecord,
    RunReport,
    TaskRecord,
)

ResultT = TypeVar("ResultT")


class TimedSession:
    """Session that makes the calls of another one.

    Args:
        session: The session.
        holder: Shared state of the scheduler, with the hook that receives durations.
    """

    def __init__(self, session: StoreSession, holder: HookHolder) -> None:
        self._session = session
        self._holder = holder

    @property
    def lease(self) -> Lease:
        """The last lease that the store granted."""
        return self._session.lease

    def renew(self) -> Lease:
        """Renew the lease. Blocks; for any thread."""
        began = time.perf_counter()
        try:
            lease = self._session.renew()
        except BaseException as error:
            self._report("renew", began, error)
            raise
        self._report("renew", began, None)
        return lease

    async def declare(self, tasks: Sequence[TaskRecord], existing: ExistingTaskPolicy, /) -> Sequence[TaskRecord]:
        return await self._timed("declare", self._session.declare(tasks, existing))

    async def change(self, task: TaskRecord, /) -> TaskRecord | None:
        return await self._timed("change", self._session.change(task))

    async def remove(self, task_ids: Sequence[str], /) -> Sequence[str]:
        return await self._timed("remove", self._session.remove(task_ids))

    async def changes(self, since: int, limit: int, /) -> Sequence[TaskRecord]:
        return await self._timed("changes", self._session.changes(since, limit))

    async def overdue(
        self, by: timedelta, limit: int, after: tuple[datetime, str] | None = None, /
    ) -> Sequence[TaskRecord]:
        return await self._timed("overdue", self._session.overdue(by, limit, after))

    async def fire(self, firings: Sequence[Firing], /) -> Sequence[RunRecord]:
        return await self._timed("fire", self._session.fire(firings))

    async def submit(self, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]:
        return await self._timed("submit", self._session.submit(runs))

    async def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str] = (), /) -> Sequence[RunRecord]:
        return await self._timed("claim", self._session.claim(executors, limit, skip))

    async def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]:
        return await self._timed("finish", self._session.finish(outcomes))

    async def take_over(self, limit: int, /) -> Sequence[RunRecord]:
        return await self._timed("take_over", self._session.take_over(limit))

    async def report(self, reports: Sequence[RunReport], /) -> Sequence[UUID]:
        return await self._timed("report", self._session.report(reports))

    async def reports(self, run_id: UUID, /) -> Sequence[RunReport]:
        return await self._timed("reports", self._session.reports(run_id))

    async def runs(self, query: RunQuery, /) -> Sequence[RunRecord]:
        return await self._timed("runs", self._session.runs(query))

    async def nodes(self) -> Sequence[NodeRecord]:
        return await self._timed("nodes", self._session.nodes())

    async def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int:
        return await self._timed("prune", self._session.prune(keep, limit))

    async def trim(self, task_ids: Sequence[str], keep: int, limit: int, /) -> int:
        return await self._timed("trim", self._session.trim(task_ids, keep, limit))

    async def listen(self) -> int:
        return await self._timed("listen", self._session.listen())

    async def outcomes(self, since: int, limit: int, /) -> Sequence[RunRecord]:
        return await self._timed("outcomes", self._session.outcomes(since, limit))

    async def announce(self, task_ids: Sequence[str], /) -> None:
        await self._timed("announce", self._session.announce(task_ids))

    async def sweep(self, keep_undeclared: timedelta, keep_finished: timedelta | None, limit: int, /) -> Sequence[str]:
        return await self._timed("sweep", self._session.sweep(keep_undeclared, keep_finished, limit))

    def wake_ups(self) -> AsyncIterator[int]:
        """Iterate over hints; they are not timed, as they wait."""
        return self._session.wake_ups()

    async def close(self) -> None:
        await self._timed("close", self._session.close())

    async def _timed(self, operation: str, call: Awaitable[ResultT]) -> ResultT:
        began = time.perf_counter()
        try:
            result = await call
        except BaseException as error:
            self._report(operation, began, error)
            raise
        self._report(operation, began, None)
        return result

    def _report(self, operation: str, began: float, error: BaseException | None) -> None:
        hook = self._holder.run_hook
        if hook is not None:
            hook.store_called(operation, time.perf_counter() - began, error)
