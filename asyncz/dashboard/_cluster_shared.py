"""Read model of a store that a scheduler of this process uses: with what only this process knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from typing import Generic

import attrs
from typing_extensions import TypeVar, override

from asyncz.clock import utc
from asyncz.dashboard._cluster import ClusterModel
from asyncz.dashboard._reading import ReadModel
from asyncz.dashboard._redaction import Redactor
from asyncz.dashboard.states import Attempt, ExecutorPage, RunDetail, SchedulerInfo, TaskDetail
from asyncz.exceptions import AsynczError, InvalidInputError
from asyncz.schedulers import AsyncIOScheduler
from asyncz.stores._console import StoreConsole, console_of
from asyncz.stores.records import RunRecord, RunReport

EntryT = TypeVar("EntryT")


class SharedModel(ClusterModel):
    """States of a store and of one of its nodes: this process.

    Args:
        console: Connection with the store.
        local: States of this process.
        redactor: Redaction of texts that may contain secrets.
        title: Title of the dashboard.
    """

    def __init__(self, console: StoreConsole, local: ReadModel, redactor: Redactor, title: str) -> None:
        super().__init__(console, redactor, title)
        self._local = local

    @override
    def info(self) -> SchedulerInfo:
        """Return the store, and the scheduler of this process."""
        return super().info().model_copy(update={"status": self._local.info().status})

    @override
    async def task(self, task_id: str, /) -> TaskDetail:
        """Return a stored task, with the names of its arguments and its progress if this process has it."""
        detail = await super().task(task_id)
        try:
            local = await self._local.task(task_id)
        except AsynczError:
            return detail
        progress = local.task.progress or detail.task.progress
        task = detail.task.model_copy(update={"trigger": local.task.trigger, "progress": progress})
        return detail.model_copy(update={"task": task, "arguments": local.arguments})

    @override
    def _detail_of(self, record: RunRecord, reports: Sequence[RunReport]) -> RunDetail:
        """Return a stored run, with its attempts, progress and log records if this process executes it."""
        local = self._local.find_run(record.id)
        if local is None or record.node is None or record.node != self._local.node_id:
            return super()._detail_of(record, reports)
        own_reports = [report for report in reports if report.node == record.node]
        own = super()._detail_of(record, own_reports)
        others = super()._detail_of(record, [report for report in reports if report.node != record.node])
        # This process knows its part earlier than the store, and with the names of the threads.
        attempts, attempts_dropped = _joined(
            _Part(others.attempts, others.attempts_dropped),
            _Part(own.attempts, own.attempts_dropped),
            _Part(local.attempts, local.attempts_dropped),
            lambda attempt: (attempt.attempt, attempt.started_at, attempt.finished_at),
        )
        logs, logs_dropped = _joined(
            _Part(others.logs, others.logs_dropped),
            _Part(own.logs, own.logs_dropped),
            _Part(local.logs, local.logs_dropped),
            lambda line: (line.at, line.level, line.logger),
        )
        update = {
            "run": own.run.model_copy(update={"worker": local.run.worker or own.run.worker}),
            "progress": local.progress or (own if own_reports else others).progress,
            "attempts": tuple(sorted(attempts, key=_time_of_attempt)),
            "attempts_dropped": attempts_dropped,
            "logs": tuple(sorted(logs, key=lambda line: line.at)),
            "logs_dropped": logs_dropped,
        }
        return own.model_copy(update=update)

    @override
    async def executors(self) -> ExecutorPage:
        """Return the executors of this process, and all nodes."""
        nodes, local = await super().executors(), await self._local.executors()
        return nodes.model_copy(update={"executors": local.executors})

    @override
    async def metrics(self) -> str:
        """Return the metrics of this process and of the store."""
        return f"{await self._local.metrics()}{await super().metrics()}"


@attrs.frozen
class _Part(Generic[EntryT]):
    """Last attempts or log records of a run, and the number of older ones that were dropped."""

    kept: Sequence[EntryT]
    dropped: int

    @property
    def total(self) -> int:
        """Number of all entries."""
        return len(self.kept) + self.dropped


def _joined(
    others: _Part[EntryT], own: _Part[EntryT], local: _Part[EntryT], key: Callable[[EntryT], Hashable]
) -> tuple[list[EntryT], int]:
    """Return the entries of all owners of a run, and the number of dropped ones.

    Args:
        others: Stored part of the other nodes.
        own: Stored part of this node.
        local: Part that this process knows; it may include entries of another node, which was in this process too.
        key: Function that returns the identity of an entry.
    """
    known = _union(own.kept, local.kept, key)
    dropped = max(own.total, local.total, len(known)) - len(known)
    return _union(others.kept, known, key), others.dropped + dropped


def _union(stored: Sequence[EntryT], local: Sequence[EntryT], key: Callable[[EntryT], Hashable]) -> list[EntryT]:
    """Return the entries of both without repeating those that both have; these are returned as in `local`."""
    found = Counter(map(key, local))
    missing: list[EntryT] = []
    for entry in stored:
        # Entries may have equal keys: each local entry stands for one stored entry.
        if found[key(entry)] > 0:
            found[key(entry)] -= 1
        else:
            missing.append(entry)
    return [*missing, *local]


def _time_of_attempt(attempt: Attempt) -> datetime:
    return attempt.finished_at or attempt.started_at or utc(0)


def console_of_scheduler(scheduler: AsyncIOScheduler) -> StoreConsole | None:
    """Return the console of the store of a scheduler; None if it has none, or one of another kind."""
    try:
        store = scheduler.store
    except InvalidInputError:
        return None
    return console_of(store._connector._store)
