"""Protocol of stores, with the promises that every store keeps.

| moment | promise |
| --- | --- |
| a due time becomes a run | exactly once over all nodes |
| a run has one owner | the node that holds the current fence |
| an outcome is accepted | exactly one, and only with the current fence |
| a result is handed over to a downstream task | exactly one run, stored together with the outcome |
| the function is called | at most once with `on_lost="fail"`, at least once with `on_lost="rerun"` |
| not early | never before the due time by the clock of the store |
| an unchanged declaration | writes nothing; a pause, the next due time and overdue times are kept |
| unreadable tasks | are parked and kept, never deleted |

The clock of the store decides about leases and due times, so that wrong clocks of nodes do no harm.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable
from uuid import UUID

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

FORGET_NODE_AFTER = timedelta(days=1)
"""Time after which `StoreSession.prune` forgets a node without a lease."""

UNDECLARED_AFTER = timedelta(hours=1)
"""Time after which `StoreSession.sweep` marks the tasks of a program as undeclared if none of its nodes is left.

A restart takes less, and writes nothing."""

FORGET_REMOVED_AFTER = timedelta(days=1)
"""Time after which `StoreSession.sweep` deletes the tombstone of a removed task."""


@runtime_checkable
class StoreSession(Protocol):
    """Connection of one node to a store. Each method is one transaction.

    Methods other than `renew` are for the thread of one event loop, which they never block.

    Raises:
        StoreConnectionError: From every method, if the database cannot be reached. Nothing has been changed, or the
            outcome is unknown: all methods can be called again with the same arguments.
        StoreDataError: From every method that writes, if the database does not accept a value. Nothing has been
            changed, and another call with the same arguments fails again.
    """

    @property
    def lease(self) -> Lease:
        """The last lease that the store granted."""
        ...

    def renew(self) -> Lease:
        """Renew the lease for another `ttl`, by the clock of the store.

        Blocks, and may be called from any thread, at any time: a thread of its own renews the lease, so that neither a
        blocked event loop nor a slow transaction loses it. When the lease has ended, other nodes may take over the
        runs of this one. A renewal then starts a new lease with `lost`. If the lease has `news`, a node makes no other
        call for work that they exclude.
        """
        ...

    async def declare(self, tasks: Sequence[TaskRecord], existing: ExistingTaskPolicy, /) -> Sequence[TaskRecord]:
        """Store the tasks that the program declares, and return them as they are stored now.

        A task is not written if its declaration has the same hash. A newer `app_version` in the store is kept. For
        other known tasks, the policy decides: `update` writes the declaration and keeps a pause; `keep` changes
        nothing; `replace` writes the declaration, pause and next due time included; `refuse` raises. An undeclared
        task becomes active again when it is declared.

        Raises:
            StoredTaskConflictError: A task is known with another declaration, and the policy is `refuse`. No task has
                been written.
        """
        ...

    async def change(self, task: TaskRecord, /) -> TaskRecord | None:
        """Add or replace one task, and return it with its new version.

        The `version` has to be the stored one, 0 for a new task; otherwise nothing is written.

        Returns:
            The stored record, or None if the version was another.
        """
        ...

    async def remove(self, task_ids: Sequence[str], /) -> Sequence[str]:
        """Remove tasks and return the ids of those that existed. Their runs stay in the history."""
        ...

    async def changes(self, since: int, limit: int, /) -> Sequence[TaskRecord]:
        """Return tasks with a `revision` greater than a number, in that order; 0 returns all tasks.

        Removed tasks are reported by tombstones. Firing a task is not a change.
        """
        ...

    async def overdue(
        self, by: timedelta, limit: int, after: tuple[datetime, str] | None = None, /
    ) -> Sequence[TaskRecord]:
        """Return active tasks that are due for longer than `by`, the most overdue first.

        That happens if their preferred node is dead or busy, or if it does not know them.

        Args:
            by: The minimum delay.
            limit: The maximum number of tasks.
            after: Next due time and id of the last task of the previous page; None for the first page.
        """
        ...

    async def fire(self, firings: Sequence[Firing], /) -> Sequence[RunRecord]:
        """Advance tasks to their next due times and store the runs of the past ones.

        A firing succeeds if the task is active, not paused and due by the clock of the store, if its version and due
        time are those of the firing, if no run is later than the clock of the store, and if the lease of this node is
        valid. A failed firing changes nothing and does not affect the others.

        Returns:
            The runs of the successful firings. `running` ones belong to this node, with a fence of 1.
        """
        ...

    async def submit(self, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]:
        """Store runs with new ids, and return them.

        A `waiting` run is for any node that has a free slot. A `running` one, which this node has started already,
        belongs to this node with a fence of 1; it is not stored if the lease of this node is over.
        """
        ...

    async def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str] = (), /) -> Sequence[RunRecord]:
        """Become the owner of waiting runs, the oldest first.

        Args:
            executors: The number of free slots of each executor.
            limit: The maximum number of runs.
            skip: Tasks with runs that are left to other nodes.

        Returns:
            The runs, each with a new fence; none if the lease of this node is over.
        """
        ...

    async def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]:
        """Store outcomes, and return the ids of those with the current fence.

        An outcome is rejected if another node has taken over the run, or if the run is finished. A run that is given
        back as `waiting` has no owner and a new fence.

        With an accepted outcome, the runs of its `then` are stored, in the same transaction. A rejected one adds none.

        The node of the run stays its owner, or becomes the `lost_node` of the outcome.

        An outcome that was accepted before, equal in all fields, is accepted again and changes nothing: the answer of
        the first call may have been lost. That ends when the run gets another owner.
        """
        ...

    async def take_over(self, limit: int, /) -> Sequence[RunRecord]:
        """Become the owner of running runs of nodes that closed their session or lost their lease.

        Returns:
            The runs with a new fence, and their former node as `lost_node`, whose outcomes are rejected from now on.
        """
        ...

    async def report(self, reports: Sequence[RunReport], /) -> Sequence[UUID]:
        """Store reports of running runs, at most one of each run, and return the ids of those with the current fence.

        A report is rejected if another node has taken over the run, or if the run has an outcome. A text replaces that
        of an earlier report of the same owner. Reports are deleted with their run.
        """
        ...

    async def reports(self, run_id: UUID, /) -> Sequence[RunReport]:
        """Return the reports of a run, one of each owner, in the order of the owners."""
        ...

    async def runs(self, query: RunQuery, /) -> Sequence[RunRecord]:
        """Return runs of the history, newest first."""
        ...

    async def nodes(self) -> Sequence[NodeRecord]:
        """Return the nodes with a valid lease, sorted by id."""
        ...

    async def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int:
        """Delete runs if their outcome is older than `keep` says; runs in other states are kept.

        Nodes are forgotten, too, a day after the end of their lease.

        Returns:
            The number of deleted runs, at most `limit`.
        """
        ...

    async def trim(self, task_ids: Sequence[str], keep: int, limit: int, /) -> int:
        """Delete the oldest runs with an outcome of each task, so that the newest `keep` of them are left.

        Returns:
            The number of deleted runs, at most `limit`.
        """
        ...

    async def listen(self) -> int:
        """Number the outcomes of all nodes from now on, and return the last number.

        That ends when the node is forgotten. Without a node that listens, outcomes have no numbers.
        """
        ...

    async def outcomes(self, since: int, limit: int, /) -> Sequence[RunRecord]:
        """Return the finished runs whose outcome has a greater number, in that order.

        Numbers become visible in their order: a node that has seen one has seen all smaller ones. Each accepted outcome
        has one number.
        """
        ...

    async def announce(self, task_ids: Sequence[str], /) -> None:
        """Note which tasks the program of this node declares, instead of those that were noted before."""
        ...

    async def sweep(self, keep_undeclared: timedelta, keep_finished: timedelta | None, limit: int, /) -> Sequence[str]:
        """Remove tasks that are not needed any more, and return the ids of the tasks whose state has changed.

        A task that a program has announced is undeclared an hour after the last node of such a program. An undeclared
        task is removed after `keep_undeclared`. A task whose trigger has no more due times is removed if it has been
        idle for `keep_finished` and no program announces it; one without a start and without runs may be one that
        this version cannot read, and is kept. Tombstones of removed tasks are deleted after a day.

        Args:
            keep_undeclared: Time for which undeclared tasks are kept.
            keep_finished: Time for which finished tasks are kept; None for ever.
            limit: The maximum number of tasks of each kind.
        """
        ...

    def wake_ups(self) -> AsyncIterator[int]:
        """Iterate over hints that tasks or runs may have changed, each with the current revision.

        Hints may be late, merged or missing: a caller polls beside them.
        """
        ...

    async def close(self) -> None:
        """End the lease and release the connection. Other nodes may take over runs at once. Idempotent."""
        ...


@runtime_checkable
class Store(Protocol):
    """Place in which schedulers keep tasks, runs and their history. May be shared by several schedulers.

    Example:
        >>> session = await SqliteStore("jobs.db").connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
    """

    async def connect(self, node: NodeRecord, ttl: timedelta, /) -> StoreSession:
        """Open a session for a node, with its first lease. For the thread of a running event loop.

        Args:
            node: The node, with an id that no other session has had.
            ttl: The duration of a lease, at least 3 seconds.

        Raises:
            StoreConnectionError: The database cannot be reached.
            StoreSchemaError: The database has a schema that this version cannot use.
        """
        ...
