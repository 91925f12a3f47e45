"""The store of a scheduler, for its users: history, nodes, and tasks that cannot run here."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast
from uuid import UUID

from typing_extensions import TypeVar

from asyncz._checks import check_count, check_instance
from asyncz.events import RunDetails, TaskExecuted, Worker
from asyncz.exceptions import SchedulerNotRunningError
from asyncz.schedulers._store_part import StoreConnector
from asyncz.stores._calls import StoredCall, decode_result
from asyncz.stores.codecs import Codec
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import NodeRecord, RunQuery, RunRecord, RunReport
from asyncz.tasks import Task

ResultT = TypeVar("ResultT")


class SchedulerStore:
    """Store of a scheduler, as returned by `AsyncIOScheduler.store`. The coroutines are for the loop's thread.

    Example:
        >>> last = await scheduler.store.executed(task, limit=1)
    """

    def __init__(self, connector: StoreConnector) -> None:
        self._connector = connector

    @property
    def connected(self) -> bool:
        """True if the last call of the store was successful. Thread-safe."""
        return self._connector.connected

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Reasons for which stored tasks cannot run in this program, by task id. Thread-safe."""
        return dict(self._connector.tasks.unreadable)

    @property
    def undeclared(self) -> frozenset[str]:
        """Ids of stored tasks that no program declares any more: they are kept for a time, and not fired.

        Thread-safe.
        """
        return frozenset(tuple(self._connector.tasks.undeclared))

    @property
    def rejected_outcomes(self) -> int:
        """Number of outcomes that the store has rejected, because another node had taken over the run."""
        return self._connector.runs.outcomes.rejected

    @property
    def log_handler(self) -> logging.Handler:
        """Log handler that reports the records of stored runs, so that dashboards show them with the run.

        Add it to a logger. The records are kept within the limits of `RunReporting`.

        Example:
            >>> logging.getLogger().addHandler(scheduler.store.log_handler)
        """
        return self._connector.runs.reports.log_handler

    async def runs(self, query: RunQuery | None = None) -> Sequence[RunRecord]:
        """Return runs of all nodes, newest first.

        Args:
            query: Selection of runs; None for the last 100.

        Raises:
            SchedulerNotRunningError: The scheduler is not running.
            StoreConnectionError: The store cannot be reached.
        """
        return await self._session().runs(RunQuery() if query is None else query)

    async def reports(self, run_id: UUID) -> Sequence[RunReport]:
        """Return what the owners of a run have reported to the store, one report of each, in their order.

        Args:
            run_id: Id of the run in the store.

        Raises:
            SchedulerNotRunningError: The scheduler is not running.
            StoreConnectionError: The store cannot be reached.
        """
        return await self._session().reports(run_id)

    async def nodes(self) -> Sequence[NodeRecord]:
        """Return the schedulers that use the store now.

        Raises:
            SchedulerNotRunningError: The scheduler is not running.
            StoreConnectionError: The store cannot be reached.
        """
        return await self._session().nodes()

    async def executed(self, task: Task[ResultT], limit: int = 100) -> tuple[TaskExecuted[ResultT], ...]:
        """Return the last successful runs of a task on all nodes, newest first, with their results.

        A run is left out if its result was not stored, or does not fit the present return annotation. The worker in
        the details has the id of the node only.

        Args:
            task: Task.
            limit: Maximum number of runs, at least 1.

        Raises:
            SchedulerNotRunningError: The scheduler is not running.
            StoreConnectionError: The store cannot be reached.
        """
        check_instance("task", task, Task)
        check_count("limit", limit)
        records = await self._session().runs(RunQuery(task_id=task.id, states=("executed",), limit=limit))
        function, codec = StoredCall.of(task.call).function, self._connector.tasks.codec
        # In another thread: the annotations of a function may be any code.
        results = await codec.call(partial(_results_of, records, function, codec.values))
        # Unverified: the adapter of the return annotation has made the values, of the result type of the task.
        return tuple(
            TaskExecuted(task.id, cast("ResultT", value), details=_details_of(record)) for record, value in results
        )

    def _session(self) -> StoreSession:
        session = self._connector.session
        if session is None:
            raise SchedulerNotRunningError("using the store")
        return session


def _results_of(records: Sequence[RunRecord], function: object, values: Codec | None) -> list[tuple[RunRecord, object]]:
    """Return the runs with a result that the return annotation of their function accepts, and these results."""
    found: list[tuple[RunRecord, object]] = []
    for record in records:
        if record.result is not None:
            # Validators and codecs are code of users, and may raise anything.
            with contextlib.suppress(Exception):
                found.append((record, decode_result(function, record.result, values)))
    return found


def _details_of(record: RunRecord) -> RunDetails:
    return RunDetails(
        run_id=record.id,
        attempt=record.attempt,
        scheduled=record.scheduled_at.timestamp(),
        started=None if record.started_at is None else record.started_at.timestamp(),
        finished=None if record.finished_at is None else record.finished_at.timestamp(),
        worker=None if record.node is None else Worker(node=record.node),
    )
