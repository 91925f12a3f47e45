"""Store in memory: the reference implementation, shared by the schedulers of one process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from typing_extensions import TypeVar

from asyncz.clock import utc
from asyncz.stores._checks import check_keep, check_limit, check_ttl, usable_age
from asyncz.stores._columns import OUTCOME_COLUMNS
from asyncz.stores._declarations import records_to_write
from asyncz.stores._sweep import Program, sweep
from asyncz.stores.exceptions import StoreClosedError
from asyncz.stores.protocol import FORGET_NODE_AFTER, StoreSession
from asyncz.stores.records import (
    OVERDUE_AFTER,
    ExistingTaskPolicy,
    FinalRunState,
    Firing,
    Lease,
    NodeRecord,
    Outcome,
    RunQuery,
    RunRecord,
    RunReport,
    StoreNews,
    TaskRecord,
)

ResultT = TypeVar("ResultT")


class MemoryStore:
    """Store for the schedulers of one process, and for tests. It forgets everything with the process.

    May be used from several threads with an event loop each.

    Args:
        now: Clock of the store: returns seconds since the epoch.

    Example:
        >>> store = MemoryStore()
        >>> session = await store.connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        # Held for one transaction, in which only code of this module is called.
        self._lock = threading.Lock()
        self._tables = _Tables()

    async def connect(self, node: NodeRecord, ttl: timedelta, /) -> StoreSession:
        """Open a session for a node, with its first lease."""
        check_ttl(ttl)
        return MemoryStoreSession(self._tables, self._lock, lambda: utc(self._now()), node, ttl)


class _Tables:
    """Records of a store. For the holder of the lock."""

    def __init__(self) -> None:
        self.tasks: dict[str, TaskRecord] = {}
        self.runs: dict[UUID, RunRecord] = {}
        self.reports: dict[UUID, dict[int, RunReport]] = {}
        self.due_times: set[tuple[str, datetime, str]] = set()
        self.nodes: dict[str, NodeRecord] = {}
        self.revision: int = 0
        self.sequence: int = 0
        self.ended: int = 0
        self.listeners: set[str] = set()
        self.programs: dict[str, tuple[Sequence[str], datetime | None]] = {}
        self.wake_ups: dict[object, Callable[[], object]] = {}

    def write_task(self, task: TaskRecord) -> TaskRecord:
        self.revision += 1
        written = task.model_copy(update={"version": task.version + 1, "revision": self.revision})
        self.tasks[task.id] = written
        return written

    def add_run(self, run: RunRecord, now: datetime) -> RunRecord:
        self.sequence += 1
        ended = self.next_ended() if run.done else 0
        added = run.model_copy(update={"sequence": self.sequence, "created_at": now, "ended": ended})
        self.runs[run.id] = added
        return added

    def next_ended(self) -> int:
        """Return the number of another outcome; 0 if no node listens."""
        if not self.listeners:
            return 0
        self.ended += 1
        return self.ended

    def forget_run(self, run: RunRecord) -> None:
        del self.runs[run.id]
        _ = self.reports.pop(run.id, None)
        self.due_times.discard((run.task_id, run.scheduled_at, run.kind))

    def is_alive(self, node_id: str | None, now: datetime) -> bool:
        node = None if node_id is None else self.nodes.get(node_id)
        return node is not None and node.lease_until is not None and node.lease_until > now


class MemoryStoreSession:
    """Session with a `MemoryStore`. Its methods return at once."""

    def __init__(
        self,
        tables: _Tables,
        lock: threading.Lock,
        now: Callable[[], datetime],
        node: NodeRecord,
        ttl: timedelta,
    ) -> None:
        self._tables = tables
        self._lock = lock
        self._now = now
        self._node = node
        self._ttl = ttl
        self._closed = False
        self._lease = self._write_lease(first=True)

    @property
    def lease(self) -> Lease:
        """The last lease that the store granted."""
        return self._lease

    def renew(self) -> Lease:
        """Renew the lease for another `ttl`, by the clock of the store."""
        self._check_open()
        self._lease = self._write_lease(first=False)
        return self._lease

    async def declare(self, tasks: Sequence[TaskRecord], existing: ExistingTaskPolicy, /) -> Sequence[TaskRecord]:
        """Store the tasks that the program declares, and return them as they are stored now."""
        self._check_open()
        with self._lock:
            written = records_to_write(tasks, self._tables.tasks, existing)
            for record in written:
                _ = self._tables.write_task(record)
            declared = tuple(self._tables.tasks[task.id] for task in tasks)
        if written:
            self._wake()
        return declared

    async def change(self, task: TaskRecord, /) -> TaskRecord | None:
        """Add or replace one task, and return it with its new version."""
        self._check_open()
        with self._lock:
            known = self._tables.tasks.get(task.id)
            if task.version != (0 if known is None or known.removed else known.version):
                return None
            # A tombstone keeps counting: a node that knows the removed task cannot fire the new one by its version.
            version = task.version if known is None else known.version
            written = self._tables.write_task(task.model_copy(update={"version": version}))
        self._wake()
        return written

    async def remove(self, task_ids: Sequence[str], /) -> Sequence[str]:
        """Remove tasks and return the ids of those that existed."""
        self._check_open()
        removed: list[str] = []
        with self._lock:
            for task_id in task_ids:
                known = self._tables.tasks.get(task_id)
                if known is not None and not known.removed:
                    update = {"removed": True, "next_due": None, "inactive_since": self._now()}
                    _ = self._tables.write_task(known.model_copy(update=update))
                    removed.append(task_id)
        if removed:
            self._wake()
        return removed

    async def changes(self, since: int, limit: int, /) -> Sequence[TaskRecord]:
        """Return tasks with a `revision` greater than a number, in that order."""
        self._check_open()
        check_limit(limit)
        with self._lock:
            changed = [task for task in self._tables.tasks.values() if task.revision > since]
        return sorted(changed, key=lambda task: task.revision)[:limit]

    async def overdue(
        self, by: timedelta, limit: int, after: tuple[datetime, str] | None = None, /
    ) -> Sequence[TaskRecord]:
        """Return active tasks that are due for longer than `by`, the most overdue first."""
        self._check_open()
        check_limit(limit)
        with self._lock:
            until = self._now() - by
            found = [
                ((task.next_due, task.id), task)
                for task in self._tables.tasks.values()
                if _can_fire(task) and task.next_due is not None and task.next_due < until
            ]
        page = [each for each in found if after is None or each[0] > after]
        return [task for _, task in sorted(page, key=lambda each: each[0])[:limit]]

    async def fire(self, firings: Sequence[Firing], /) -> Sequence[RunRecord]:
        """Advance tasks to their next due times and store the runs of the past ones."""
        self._check_open()
        fired: list[RunRecord] = []
        with self._lock:
            now = self._now()
            if not self._tables.is_alive(self._node.id, now):
                return ()
            for firing in firings:
                fired += self._fire(firing, now)
        return fired

    async def submit(self, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]:
        """Store runs with new ids, and return them."""
        self._check_open()
        with self._lock:
            now = self._now()
            is_alive = self._tables.is_alive(self._node.id, now)
            added = [
                self._tables.add_run(self._with_first_owner(run), now)
                for run in runs
                if run.id not in self._tables.runs and (is_alive or run.state == "waiting")
            ]
        if any(run.state == "waiting" for run in added):
            self._wake()
        return added

    async def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str] = (), /) -> Sequence[RunRecord]:
        """Become the owner of waiting runs, the oldest first."""
        self._check_open()
        check_limit(limit)
        free, excluded = dict(executors), frozenset(skip)
        claimed: list[RunRecord] = []
        with self._lock:
            now = self._now()
            if not self._tables.is_alive(self._node.id, now):
                return ()
            for run in self._waiting(now):
                if len(claimed) == limit:
                    break
                if free.get(run.executor, 0) > 0 and run.task_id not in excluded:
                    free[run.executor] -= 1
                    claimed.append(self._own(run))
        return claimed

    async def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]:
        """Store outcomes, and return the ids of those with the current fence."""
        self._check_open()
        with self._lock:
            accepted = [outcome.run_id for outcome in outcomes if self._finish(outcome)]
        if any(outcome.state == "waiting" or outcome.then for outcome in outcomes):
            self._wake()
        return accepted

    async def take_over(self, limit: int, /) -> Sequence[RunRecord]:
        """Become the owner of running runs of nodes that closed their session or lost their lease."""
        self._check_open()
        check_limit(limit)
        with self._lock:
            now = self._now()
            if not self._tables.is_alive(self._node.id, now):
                return ()
            lost = (
                run
                for run in self._tables.runs.values()
                if run.state == "running" and not self._tables.is_alive(run.node, now)
            )
            return [self._own(run) for run in tuple(islice(lost, limit))]

    async def report(self, reports: Sequence[RunReport], /) -> Sequence[UUID]:
        """Store reports of running runs, and return the ids of those with the current fence."""
        self._check_open()
        with self._lock:
            return [each.run_id for each in reports if self._report(each)]

    async def reports(self, run_id: UUID, /) -> Sequence[RunReport]:
        """Return the reports of a run, one of each owner, in the order of the owners."""
        self._check_open()
        with self._lock:
            of_owners = self._tables.reports.get(run_id, {})
            return [of_owners[fence] for fence in sorted(of_owners)]

    async def runs(self, query: RunQuery, /) -> Sequence[RunRecord]:
        """Return runs of the history, newest first."""
        self._check_open()
        with self._lock:
            everything = sorted(self._tables.runs.values(), key=lambda run: run.sequence, reverse=True)
        found = (
            run
            for run in everything
            if (query.run_id is None or run.id == query.run_id)
            and (query.task_id is None or run.task_id == query.task_id)
            and (not query.states or run.state in query.states)
            and (query.before is None or run.sequence < query.before)
        )
        return tuple(islice(found, query.limit))

    async def nodes(self) -> Sequence[NodeRecord]:
        """Return the nodes with a valid lease, sorted by id."""
        self._check_open()
        with self._lock:
            now = self._now()
            alive = [node for node in self._tables.nodes.values() if self._tables.is_alive(node.id, now)]
        return sorted(alive, key=lambda node: node.id)

    async def note_paused(self, paused: bool, /) -> None:
        """Store that this node is paused, or that it is not."""
        self._check_open()
        with self._lock:
            self._node = self._node.model_copy(update={"paused": paused})
            known = self._tables.nodes[self._node.id]
            self._tables.nodes[self._node.id] = known.model_copy(update={"paused": paused})

    async def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int:
        """Delete runs with an outcome older than `keep` says."""
        self._check_open()
        check_limit(limit)
        with self._lock:
            now = self._now()
            ages = {str(state): usable_age(age, now) for state, age in keep.items()}
            outdated = (
                run
                for run in self._tables.runs.values()
                if run.state in ages and run.finished_at is not None and run.finished_at < now - ages[run.state]
            )
            pruned = tuple(islice(outdated, limit))
            for run in pruned:
                self._tables.forget_run(run)
            self._tables.nodes = {
                node_id: node
                for node_id, node in self._tables.nodes.items()
                if node.lease_until is None or node.lease_until > now - FORGET_NODE_AFTER
            }
            self._tables.listeners &= self._tables.nodes.keys()
        return len(pruned)

    async def trim(self, task_ids: Sequence[str], keep: int, limit: int, /) -> int:
        """Delete the oldest runs with an outcome of each task, so that the newest `keep` of them are left."""
        self._check_open()
        check_keep(keep)
        check_limit(limit)
        with self._lock:
            done: dict[str, list[RunRecord]] = {task_id: [] for task_id in task_ids}
            for run in self._tables.runs.values():
                if run.done and run.task_id in done:
                    done[run.task_id].append(run)
            excess = (run for each in done.values() for run in _oldest_first(each)[: max(0, len(each) - keep)])
            trimmed = tuple(islice(excess, limit))
            for run in trimmed:
                self._tables.forget_run(run)
        return len(trimmed)

    async def listen(self) -> int:
        """Number the outcomes of all nodes from now on, and return the last number."""
        self._check_open()
        with self._lock:
            self._tables.listeners.add(self._node.id)
            return self._tables.ended

    async def outcomes(self, since: int, limit: int, /) -> Sequence[RunRecord]:
        """Return the finished runs whose outcome has a greater number, in that order."""
        self._check_open()
        check_limit(limit)
        with self._lock:
            found = [run for run in self._tables.runs.values() if run.ended > max(since, 0)]
        return sorted(found, key=lambda run: run.ended)[:limit]

    async def announce(self, task_ids: Sequence[str], /) -> None:
        """Note which tasks the program of this node declares, instead of those that were noted before."""
        self._check_open()
        with self._lock:
            self._tables.programs[self._node.id] = tuple(task_ids), None

    async def sweep(self, keep_undeclared: timedelta, keep_finished: timedelta | None, limit: int, /) -> Sequence[str]:
        """Remove tasks that are not needed any more, and return the ids of the tasks whose state has changed."""
        self._check_open()
        check_limit(limit)
        with self._lock:
            changed = sweep(_SweepQueries(self._tables), self._now(), keep_undeclared, keep_finished, limit)
        if changed:
            self._wake()
        return changed

    async def wake_ups(self) -> AsyncIterator[int]:
        """Iterate over hints that tasks or runs may have changed."""
        self._check_open()
        changed, loop, key = asyncio.Event(), asyncio.get_running_loop(), object()
        with self._lock:
            self._tables.wake_ups[key] = lambda: loop.call_soon_threadsafe(changed.set)
        try:
            while True:
                await changed.wait()
                changed.clear()
                yield self._tables.revision
        finally:
            with self._lock:
                _ = self._tables.wake_ups.pop(key, None)

    async def close(self) -> None:
        """End the lease and release the connection."""
        self._closed = True
        with self._lock:
            _ = self._tables.nodes.pop(self._node.id, None)
            self._tables.listeners.discard(self._node.id)
            task_ids, closed_at = self._tables.programs.get(self._node.id, ((), None))
            if task_ids and closed_at is None:
                self._tables.programs[self._node.id] = task_ids, self._now()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosedError("MemoryStore()")

    def _write_lease(self, *, first: bool) -> Lease:
        with self._lock:
            now = self._now()
            until = now + self._ttl
            lost = not first and not self._tables.is_alive(self._node.id, now)
            self._tables.nodes[self._node.id] = self._node.model_copy(update={"lease_until": until})
            news = self._news(now)
        return Lease(until=until, now=now, lost=lost, news=news)

    def _news(self, now: datetime) -> StoreNews:
        tables = self._tables
        late = now - OVERDUE_AFTER
        return StoreNews(
            nodes=tuple(sorted(node for node in tables.nodes if tables.is_alive(node, now))),
            revision=tables.revision,
            waiting=bool(self._waiting(now)),
            overdue=any(
                _can_fire(task) and task.next_due is not None and task.next_due < late for task in tables.tasks.values()
            ),
            lost=any(run.state == "running" and not tables.is_alive(run.node, now) for run in tables.runs.values()),
        )

    def _fire(self, firing: Firing, now: datetime) -> Iterable[RunRecord]:
        tables = self._tables
        task = tables.tasks.get(firing.task_id)
        if task is None or not _can_fire(task) or task.version != firing.version or task.next_due != firing.due:
            return
        if firing.latest > now:
            return
        tables.tasks[task.id] = task.model_copy(update={"next_due": firing.next_due})
        for run in firing.runs:
            key = (run.task_id, run.scheduled_at, run.kind)
            if key not in tables.due_times:
                tables.due_times.add(key)
                yield tables.add_run(self._with_first_owner(run), now)

    def _with_first_owner(self, run: RunRecord) -> RunRecord:
        owner = {"node": self._node.id, "fence": 1} if run.state == "running" else {"node": None, "fence": 0}
        return run.model_copy(update=owner)

    def _waiting(self, now: datetime) -> tuple[RunRecord, ...]:
        """Return the waiting runs that may start, the oldest first."""
        return tuple(
            run
            for run in self._tables.runs.values()
            if run.state == "waiting" and (run.not_before is None or run.not_before <= now)
        )

    def _own(self, run: RunRecord) -> RunRecord:
        update = {"state": "running", "node": self._node.id, "fence": run.fence + 1}
        owned = self._tables.runs[run.id] = run.model_copy(update=update)
        return owned if run.node is None else owned.model_copy(update={"lost_node": run.node})

    def _finish(self, outcome: Outcome) -> bool:
        run = self._tables.runs.get(outcome.run_id)
        if run is None:
            return False
        if run.fence != outcome.fence:
            # Only the owner with this fence can have moved the run on, to a state that is not `running`.
            is_next = run.fence == outcome.fence + 1
            return is_next and all(getattr(run, name) == getattr(outcome, name) for name in OUTCOME_COLUMNS)
        values = outcome.model_dump(exclude={"run_id", "fence", "then", "lost_node"}) | {"fence": run.fence + 1}
        if outcome.state == "waiting":
            values["node"] = None
        else:
            values["node"] = run.node if outcome.lost_node is None else outcome.lost_node
            values["ended"] = self._tables.next_ended()
        self._tables.runs[run.id] = run.model_copy(update=values)
        self._hand_over(outcome.then)
        return True

    def _hand_over(self, runs: Iterable[RunRecord]) -> None:
        """Add the runs of downstream tasks."""
        now = self._now()
        for run in runs:
            if run.id not in self._tables.runs:
                _ = self._tables.add_run(self._with_first_owner(run), now)

    def _report(self, report: RunReport) -> bool:
        run = self._tables.runs.get(report.run_id)
        if run is None or run.fence != report.fence:
            return False
        of_owners = self._tables.reports.setdefault(run.id, {})
        given = {"progress": report.progress, "details": report.details}
        update = {name: text for name, text in given.items() if text is not None}
        known = of_owners.get(run.fence, RunReport(run_id=run.id, fence=run.fence, node=run.node))
        of_owners[run.fence] = known.model_copy(update=update)
        return True

    def _wake(self) -> None:
        with self._lock:
            wake_ups = tuple(self._tables.wake_ups.values())
        for wake_up in wake_ups:
            try:
                wake_up()
            except RuntimeError:
                # The loop of another scheduler has been closed meanwhile.
                continue


def _oldest_first(runs: Iterable[RunRecord]) -> list[RunRecord]:
    return sorted(runs, key=lambda run: run.sequence)


def _can_fire(task: TaskRecord) -> bool:
    return task.state == "active" and not task.paused and not task.removed


class _SweepQueries:
    """Queries of a sweep. For the holder of the lock."""

    def __init__(self, tables: _Tables) -> None:
        self._tables = tables

    def programs(self) -> Sequence[Program]:
        found: list[Program] = []
        for node_id, (task_ids, closed_at) in self._tables.programs.items():
            node = self._tables.nodes.get(node_id)
            found.append(Program(node_id, task_ids, closed_at or (None if node is None else node.lease_until)))
        return found

    def keep_program(self, node: str, task_ids: Sequence[str], /) -> None:
        _, closed_at = self._tables.programs.pop(node)
        if task_ids:
            self._tables.programs[node] = task_ids, closed_at

    def known(self, task_ids: Sequence[str], /) -> Sequence[TaskRecord]:
        return [self._tables.tasks[task_id] for task_id in task_ids if task_id in self._tables.tasks]

    def undeclared(self, before: datetime, limit: int, /) -> Sequence[TaskRecord]:
        found = (task for task in self._left_before(before) if task.state == "undeclared" and not task.removed)
        return tuple(islice(found, limit))

    def finished(self, before: datetime, announced: Collection[str], limit: int, /) -> Sequence[TaskRecord]:
        found = (
            task
            for task in self._tables.tasks.values()
            if _can_fire(task)
            and task.next_due is None
            and task.trigger is not None
            and (task.started_at is None or task.started_at < before)
            and task.id not in announced
            and self._is_idle(task, before)
        )
        return tuple(islice(found, limit))

    def _is_idle(self, task: TaskRecord, before: datetime) -> bool:
        ends = [run.finished_at for run in self._tables.runs.values() if run.task_id == task.id]
        started = task.started_at is not None or bool(ends)
        return started and all(end is not None and end < before for end in ends)

    def write(self, tasks: Sequence[TaskRecord], /) -> None:
        for task in tasks:
            _ = self._tables.write_task(task)

    def forget_removed(self, before: datetime, limit: int, /) -> None:
        for task in tuple(islice((task for task in self._left_before(before) if task.removed), limit)):
            del self._tables.tasks[task.id]

    def _left_before(self, before: datetime) -> Iterable[TaskRecord]:
        return [
            task
            for task in self._tables.tasks.values()
            if task.inactive_since is not None and task.inactive_since < before
        ]
