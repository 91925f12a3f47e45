"""Session over a database with a driver that blocks, and the transactions that each database implements."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from typing_extensions import TypeVar

from asyncz.stores import _thread
from asyncz.stores._checks import check_keep, check_limit
from asyncz.stores._console_records import CommandRecord
from asyncz.stores._thread import ConnectionThread
from asyncz.stores.exceptions import StoreClosedError
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


class Transactions(Protocol):
    """Transactions of one node over one connection: `StoreSession` without event loop, for one thread at a time.

    If the connection is lost, a call raises `StoreConnectionError`, and the next one connects again.
    """

    def grant_lease(self, *, first: bool) -> Lease:
        """Write the lease of the node, and return it. Only a lease that is not the first one can be `lost`."""
        ...

    def declare(self, tasks: Sequence[TaskRecord], existing: ExistingTaskPolicy, /) -> Sequence[TaskRecord]: ...
    def change(self, task: TaskRecord, /) -> TaskRecord | None: ...
    def remove(self, task_ids: Sequence[str], /) -> Sequence[str]: ...
    def changes(self, since: int, limit: int, /) -> Sequence[TaskRecord]: ...
    def overdue(self, by: timedelta, limit: int, after: tuple[datetime, str] | None, /) -> Sequence[TaskRecord]: ...
    def fire(self, firings: Sequence[Firing], /) -> Sequence[RunRecord]: ...
    def submit(self, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]: ...
    def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str], /) -> Sequence[RunRecord]: ...
    def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]: ...
    def take_over(self, limit: int, /) -> Sequence[RunRecord]: ...
    def report(self, reports: Sequence[RunReport], /) -> Sequence[UUID]: ...
    def reports(self, run_id: UUID, /) -> Sequence[RunReport]: ...
    def runs(self, query: RunQuery, /) -> Sequence[RunRecord]: ...
    def nodes(self) -> Sequence[NodeRecord]: ...
    def note_paused(self, paused: bool, /) -> None: ...
    def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int: ...
    def trim(self, task_ids: Sequence[str], keep: int, limit: int, /) -> int: ...

    def listen(self) -> int: ...
    def outcomes(self, since: int, limit: int, /) -> Sequence[RunRecord]: ...
    def announce(self, task_ids: Sequence[str], /) -> None: ...
    def sweep(self, keep_undeclared: timedelta, keep_finished: timedelta | None, limit: int, /) -> Sequence[str]: ...
    def commands(self, since: int | None, limit: int, /) -> Sequence[CommandRecord]: ...
    def answer(self, sequence: int, failure: str, /) -> None: ...

    def revision(self) -> int:
        """Return a number that changes when a task changes, and when a run starts to wait."""
        ...

    def end_lease(self) -> None:
        """Delete the lease of the node."""
        ...

    def interrupt(self) -> None:
        """Interrupt a call that waits for an answer, if that is possible. Thread-safe."""
        ...

    def close(self) -> None:
        """Close the connection. Idempotent."""
        ...


class DatabaseSession:
    """Session of a node with a database: one thread for transactions, and one connection for the lease.

    Args:
        transactions: Transactions over the first connection. For the thread of this session.
        renewals: The same over a second connection, which only `renew` uses.
        description: Description of the store, without passwords.
        poll_interval: Seconds between polls for changes.
    """

    def __init__(
        self, transactions: Transactions, renewals: Transactions, description: str, poll_interval: float
    ) -> None:
        self._transactions = transactions
        self._renewals = renewals
        # Renewals may come from several threads; each uses the second connection alone.
        self._renewing = threading.Lock()
        self._description = description
        self._poll_interval = poll_interval
        self._thread = ConnectionThread(f"asyncz-store {description}")
        self._closed = False
        self._lease: Lease | None = None

    async def open(self) -> None:
        """Connect, and write the first lease.

        Raises:
            StoreConnectionError: The database cannot be reached.
            StoreSchemaError: The database has a schema that this version cannot use.
        """
        try:
            self._lease = await self._thread.call(lambda: self._transactions.grant_lease(first=True))
        except BaseException:
            # After a cancellation the transaction continues; the thread closes its connection afterwards.
            self._thread.post(self._transactions.close)
            self._thread.stop()
            raise

    @property
    def lease(self) -> Lease:
        """The last lease that the store granted."""
        if self._lease is None:
            raise StoreClosedError(self._description)
        return self._lease

    def renew(self) -> Lease:
        """Renew the lease for another `ttl`, by the clock of the store. Blocks; for any thread."""
        with self._renewing:
            if self._closed:
                raise StoreClosedError(self._description)
            # This thread waits for the answer, so that another one has to end that.
            watchdog = threading.Timer(_thread.NO_ANSWER_AFTER, self._renewals.interrupt)
            watchdog.daemon = True
            watchdog.start()
            try:
                self._lease = self._renewals.grant_lease(first=False)
            finally:
                watchdog.cancel()
            return self._lease

    async def declare(self, tasks: Sequence[TaskRecord], existing: ExistingTaskPolicy, /) -> Sequence[TaskRecord]:
        """Store the tasks that the program declares, and return them as they are stored now."""
        declared = await self._call(lambda: self._transactions.declare(tasks, existing))
        self._announce()
        return declared

    async def change(self, task: TaskRecord, /) -> TaskRecord | None:
        """Add or replace one task, and return it with its new version."""
        changed = await self._call(lambda: self._transactions.change(task))
        if changed is not None:
            self._announce()
        return changed

    async def remove(self, task_ids: Sequence[str], /) -> Sequence[str]:
        """Remove tasks and return the ids of those that existed."""
        removed = await self._call(lambda: self._transactions.remove(task_ids))
        if removed:
            self._announce()
        return removed

    async def changes(self, since: int, limit: int, /) -> Sequence[TaskRecord]:
        """Return tasks with a `revision` greater than a number, in that order."""
        check_limit(limit)
        return await self._call(lambda: self._transactions.changes(since, limit))

    async def overdue(
        self, by: timedelta, limit: int, after: tuple[datetime, str] | None = None, /
    ) -> Sequence[TaskRecord]:
        """Return active tasks that are due for longer than `by`, the most overdue first."""
        check_limit(limit)
        return await self._call(lambda: self._transactions.overdue(by, limit, after))

    async def fire(self, firings: Sequence[Firing], /) -> Sequence[RunRecord]:
        """Advance tasks to their next due times and store the runs of the past ones."""
        return await self._call(lambda: self._transactions.fire(firings))

    async def submit(self, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]:
        """Store runs with new ids, and return them."""
        submitted = await self._call(lambda: self._transactions.submit(runs))
        if any(run.state == "waiting" for run in submitted):
            self._announce()
        return submitted

    async def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str] = (), /) -> Sequence[RunRecord]:
        """Become the owner of waiting runs, the oldest first."""
        check_limit(limit)
        return await self._call(lambda: self._transactions.claim(executors, limit, skip))

    async def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]:
        """Store outcomes, and return the ids of those with the current fence."""
        accepted = await self._call(lambda: self._transactions.finish(outcomes))
        if any(outcome.state == "waiting" or outcome.then for outcome in outcomes):
            self._announce()
        return accepted

    async def take_over(self, limit: int, /) -> Sequence[RunRecord]:
        """Become the owner of running runs of nodes that closed their session or lost their lease."""
        check_limit(limit)
        return await self._call(lambda: self._transactions.take_over(limit))

    async def report(self, reports: Sequence[RunReport], /) -> Sequence[UUID]:
        """Store reports of running runs, and return the ids of those with the current fence."""
        return await self._call(lambda: self._transactions.report(reports))

    async def reports(self, run_id: UUID, /) -> Sequence[RunReport]:
        """Return the reports of a run, one of each owner, in the order of the owners."""
        return await self._call(lambda: self._transactions.reports(run_id))

    async def runs(self, query: RunQuery, /) -> Sequence[RunRecord]:
        """Return runs of the history, newest first."""
        return await self._call(lambda: self._transactions.runs(query))

    async def nodes(self) -> Sequence[NodeRecord]:
        """Return the nodes with a valid lease, sorted by id."""
        return await self._call(self._transactions.nodes)

    async def note_paused(self, paused: bool, /) -> None:
        """Store that this node is paused, or that it is not."""
        await self._call(lambda: self._transactions.note_paused(paused))

    async def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int:
        """Delete runs with an outcome older than `keep` says."""
        check_limit(limit)
        return await self._call(lambda: self._transactions.prune(keep, limit))

    async def trim(self, task_ids: Sequence[str], keep: int, limit: int, /) -> int:
        """Delete the oldest runs with an outcome of each task, so that the newest `keep` of them are left."""
        check_keep(keep)
        check_limit(limit)
        return await self._call(lambda: self._transactions.trim(task_ids, keep, limit))

    async def listen(self) -> int:
        """Number the outcomes of all nodes from now on, and return the last number."""
        return await self._call(self._transactions.listen)

    async def outcomes(self, since: int, limit: int, /) -> Sequence[RunRecord]:
        """Return the finished runs whose outcome has a greater number, in that order."""
        check_limit(limit)
        return await self._call(lambda: self._transactions.outcomes(since, limit))

    async def announce(self, task_ids: Sequence[str], /) -> None:
        """Note which tasks the program of this node declares, instead of those that were noted before."""
        await self._call(lambda: self._transactions.announce(task_ids))

    async def sweep(self, keep_undeclared: timedelta, keep_finished: timedelta | None, limit: int, /) -> Sequence[str]:
        """Remove tasks that are not needed any more, and return the ids of the tasks whose state has changed."""
        check_limit(limit)
        changed = await self._call(lambda: self._transactions.sweep(keep_undeclared, keep_finished, limit))
        if changed:
            self._announce()
        return changed

    async def commands(self, since: int | None, limit: int, /) -> Sequence[CommandRecord]:
        """Return the actions of operators whose `sequence` is greater than a number; the last one only for None."""
        check_limit(limit)
        return await self._call(lambda: self._transactions.commands(since, limit))

    async def answer(self, sequence: int, failure: str, /) -> None:
        """Store that this node has carried out an action, or the reason for which it could not."""
        await self._call(lambda: self._transactions.answer(sequence, failure))

    async def wake_ups(self) -> AsyncIterator[int]:
        """Iterate over hints that tasks or runs may have changed, found by polling."""
        known = await self._call(self._transactions.revision)
        while True:
            await asyncio.sleep(self._poll_interval)
            revision = await self._call(self._transactions.revision)
            if revision != known:
                known = revision
                yield revision

    async def close(self) -> None:
        """End the lease and release the connections. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._thread.call(self._end)
        finally:
            self._thread.stop()

    def _announce(self) -> None:
        """Notify other nodes that tasks or waiting runs have changed, if the database can do that."""

    async def _call(self, transaction: Callable[[], ResultT]) -> ResultT:
        if self._closed:
            raise StoreClosedError(self._description)
        return await self._thread.call(transaction, self._transactions.interrupt)

    def _end(self) -> None:
        try:
            # A renewal that is in progress would write the lease again.
            with self._renewing:
                self._renewals.close()
            self._transactions.end_lease()
        finally:
            self._transactions.close()
