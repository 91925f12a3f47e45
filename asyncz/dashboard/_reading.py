"""Read model of the dashboard: pages of tasks, runs, executors and events, as typed states."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from asyncz._metadata import __version__
from asyncz._run_ids import NO_RUN, number_of, parsed_run_id
from asyncz._text import exception_text, quoted
from asyncz.clock import utc
from asyncz.dashboard import _runs
from asyncz.dashboard._index import TaskIndex
from asyncz.dashboard._journal import Journal, RecordedEvent, RecordedRun
from asyncz.dashboard._problems import RequestError, store_problem
from asyncz.dashboard._reader import RunSelection, TaskSelection
from asyncz.dashboard._redaction import Redactor
from asyncz.dashboard._safe_logging import logger
from asyncz.dashboard._texts import duration_text
from asyncz.dashboard._timelines import MAX_DUE_TIMES, MAX_LANES, MAX_RUNS, lane_of, limits_as_arguments, nodes_of
from asyncz.dashboard.states import (
    EventPage,
    EventRecord,
    ExecutorPage,
    Lane,
    Run,
    RunDetail,
    RunPage,
    SchedulerInfo,
    Scope,
    TaskDetail,
    TaskFilter,
    TaskPage,
    Timeline,
)
from asyncz.events import TaskExecuted
from asyncz.exceptions import AsynczError, InvalidInputError, RunLookupError, TaskLookupError
from asyncz.prometheus import PrometheusMetrics
from asyncz.schedulers import AsyncIOScheduler
from asyncz.schedulers._observation import node_id
from asyncz.states import TaskState
from asyncz.stores.records import RunQuery

if TYPE_CHECKING:
    from asyncz.schedulers.stored import SchedulerStore


class ReadModel:
    """States of a scheduler: the `Reader` of this process.

    Coroutines read in another thread: if there are many tasks, a page takes too long for the event loop. If the
    scheduler has a store, its runs and nodes are read on the loop's thread of the scheduler.

    Args:
        scheduler: Scheduler.
        journal: Record of its runs and events.
        redactor: Redaction of texts that may contain secrets.
        title: Title of the dashboard.
    """

    scope: Scope = "process"

    def __init__(self, scheduler: AsyncIOScheduler, journal: Journal, redactor: Redactor, title: str) -> None:
        self._scheduler = scheduler
        self._journal = journal
        self._redactor = redactor
        self._title = title
        self.index: TaskIndex = TaskIndex(scheduler, redactor.shows_argument)
        self._metrics = PrometheusMetrics(scheduler)

    @property
    def store(self) -> SchedulerStore | None:
        """Store of the scheduler; None without one."""
        try:
            return self._scheduler.store
        except InvalidInputError:
            return None

    @property
    def stores_runs(self) -> bool:
        """True if a selection of runs can ask for those of the store."""
        return self.store is not None

    @property
    def now(self) -> datetime:
        """Current time by the clock of the machine, UTC."""
        return utc(time.time())

    def info(self) -> SchedulerInfo:
        """Return the scheduler and its process, for a user with the right to look."""
        return SchedulerInfo(
            title=self._title,
            status=self._scheduler.status,
            host=platform.node(),
            pid=os.getpid(),
            version=__version__,
            since=utc(self._journal.since),
            store="" if self.store is None else "store",
            tasks=len(self._scheduler.tasks),
            access="look",
        )

    async def refresh(self) -> None:
        """Do nothing: the scheduler is in this process."""

    async def metrics(self) -> str:
        """Return the metrics of the scheduler in the text format of Prometheus."""
        return await asyncio.to_thread(self._metrics.text)

    def close(self) -> None:
        """Stop counting. Thread-safe."""
        self._metrics.close()

    # Tasks

    async def tasks(self, selection: TaskSelection, /) -> TaskPage:
        """Return a page of tasks, with redacted errors."""
        return await asyncio.to_thread(self._tasks, selection)

    async def counts(self) -> Mapping[TaskFilter, int]:
        """Return the number of tasks that each filter selects."""
        return await asyncio.to_thread(self.index.counts)

    def aliases(self) -> Sequence[str]:
        """Return the aliases of the registered executors."""
        return [executor.alias for executor in self._scheduler.executors]

    def _tasks(self, selection: TaskSelection) -> TaskPage:
        page = self.index.page(selection)
        return page.model_copy(update={"tasks": tuple(self._redacted(task) for task in page.tasks)})

    def _redacted(self, task: TaskState) -> TaskState:
        progress = task.progress
        if progress is not None and progress.message:
            message = self._redactor("progress", task.task_id, progress.message)
            task = task.model_copy(update={"progress": progress.model_copy(update={"message": message})})
        return task.redacted(self._redactor.error(task.task_id))

    async def task(self, task_id: str, /) -> TaskDetail:
        """Return a task with its arguments, options and next due times.

        Raises:
            TaskLookupError: No task has the id.
        """
        return await asyncio.to_thread(self._task, task_id)

    def _task(self, task_id: str) -> TaskDetail:
        task = self._scheduler.get_task(task_id)
        last = task.last_notification
        return TaskDetail(
            task=self._redacted(task.state),
            arguments=self._redactor.arguments(task.call),
            options=limits_as_arguments(task.limits),
            due=self._due_times(task_id, 10),
            result=self._redactor.value("result", task_id, last.result) if isinstance(last, TaskExecuted) else None,
        )

    def _due_times(self, task_id: str, limit: int) -> tuple[datetime, ...]:
        try:
            return self._scheduler.due_times(task_id, limit)
        except TaskLookupError:
            return ()

    # Runs

    async def runs(self, selection: RunSelection, /) -> RunPage:
        """Return a page of runs, newest first.

        Raises:
            AsynczError: The store cannot be read.
        """
        store = self.store
        if selection.stored and store is not None:
            return await self._stored_runs(store, selection)
        return await asyncio.to_thread(self._recorded_runs, selection)

    def _recorded_runs(self, selection: RunSelection) -> RunPage:
        if selection.outcome == "waiting":
            # Waiting runs are in a store only.
            return RunPage(runs=())
        found = self._journal.runs(self._matching(selection), selection.limit + 1)
        runs = [(record.position, _runs.run_of_record(record, self._redactor)) for record in found]
        if len(runs) <= selection.limit:
            runs += self._remembered(selection, {run.run_id for _, run in runs})
        more = len(runs) > selection.limit
        shown = runs[: selection.limit]
        return RunPage(runs=tuple(run for _, run in shown), next_key=f"{shown[-1][0]}" if more else None)

    def _matching(self, selection: RunSelection) -> Callable[[RecordedRun], bool]:
        task_id, before = selection.task_id, selection.before
        any_outcome = selection.outcome is None
        wanted = _runs.outcome_of(selection.outcome or "")

        def matches(record: RecordedRun) -> bool:
            details = record.details
            return (
                (task_id is None or record.task_id == task_id)
                and (any_outcome or record.outcome == wanted)
                and (before is None or record.position < before)
                and _is_between(details.started_at or details.scheduled_at, selection)
                and self._shows(selection.text, record.task_id, record.error)
            )

        return matches

    def _shows(self, text: str, task_id: str, error: str) -> bool:
        """Return True if the error of a run contains a text as it is shown: a search must not find what is hidden."""
        return not text or text.casefold() in self._redactor("error", task_id, error).casefold()

    def _remembered(self, selection: RunSelection, known: set[UUID]) -> list[tuple[int, Run]]:
        """Return older runs that the scheduler remembers, but not the journal, with their positions.

        Those that another process has fired are left out: the store has them.
        """
        if selection.task_id is None:
            summaries = self._scheduler.history
        else:
            own = (run for run in self._scheduler.history if run.task_id == selection.task_id)
            try:
                summaries = (*own, *self._scheduler.get_task(selection.task_id).state.recent_runs)
            except TaskLookupError:
                summaries = tuple(own)
        runs = [
            (position, _runs.run_of_summary(each, self._redactor))
            for each in summaries
            if (position := number_of(each.run_id)) is not None
            and (selection.before is None or position < selection.before)
            and each.run_id not in known
            and (selection.outcome is None or each.outcome == selection.outcome)
            and _is_between(each.started_at or each.scheduled_at, selection)
            and self._shows(selection.text, each.task_id, each.error)
        ]
        return sorted(runs, key=lambda entry: entry[0], reverse=True)

    async def _stored_runs(self, store: SchedulerStore, selection: RunSelection) -> RunPage:
        records = await store.runs(
            RunQuery(
                task_id=selection.task_id,
                states=() if selection.outcome is None else (selection.outcome,),
                before=selection.before or None,
                limit=selection.limit + 1,
            )
        )
        read, has_more = records[: selection.limit], len(records) > selection.limit
        shown = [
            record
            for record in read
            if _is_between(record.started_at or record.scheduled_at, selection)
            and self._shows(selection.text, record.task_id, record.error)
        ]
        return RunPage(
            runs=tuple(_runs.run_of_store(record, self._redactor) for record in shown),
            next_key=f"{read[-1].sequence}" if has_more else None,
            is_partial=has_more and len(shown) < len(read),
        )

    async def run(self, run_id: str, /) -> RunDetail:
        """Return a run with its traceback, attempts and log records.

        Raises:
            RunLookupError: No such run is kept.
            RequestError: The id is not one of a run.
            AsynczError: The store cannot be read.
        """
        wanted = parsed_run_id(run_id)
        if wanted is None:
            raise RequestError(404, f"no run with the id {quoted(run_id, 100)} is known")
        recorded = self.find_run(wanted)
        if recorded is not None:
            return recorded
        store = self.store
        if store is not None:
            for record in await store.runs(RunQuery(run_id=wanted, limit=1)):
                reports = await store.reports(record.id)
                return _runs.detail_of_store(record, reports, self._redactor, _node_text)
        return RunDetail(run=_runs.run_of_summary(self._scheduler.get_run(wanted), self._redactor))

    def can_cancel(self, run: Run, /) -> bool:
        """Return True if the run is in progress in this process. A run of the store may be that of another node."""
        try:
            return run.state == "running" and self._scheduler.get_run(run.run_id).outcome is None
        except RunLookupError:
            return False

    @property
    def node_id(self) -> str:
        """Id of this process in its store; empty without one."""
        return node_id(self._scheduler._parts)

    def find_run(self, run_id: UUID) -> RunDetail | None:
        """Return a recorded run; None if it is not recorded."""
        record = self._journal.find(run_id)
        return None if record is None else _runs.detail_of_record(record, self._redactor)

    # Executors, timeline and events

    async def executors(self) -> ExecutorPage:
        """Return the executors, and the nodes of the store."""
        executors = self._scheduler.executors
        store = self.store
        if store is None:
            return ExecutorPage(executors=executors)
        try:
            nodes = await store.nodes()
        except AsynczError as error:
            logger.warning("The store of the dashboard failed: %s", exception_text(error))
            return ExecutorPage(executors=executors, problem=store_problem(error))
        return ExecutorPage(
            executors=executors,
            nodes=nodes_of(nodes),
        )

    async def timeline(self, past: timedelta, future: timedelta, /) -> Timeline:
        """Return past and coming runs in a window around now."""
        return await asyncio.to_thread(self._timeline, past, future)

    def _timeline(self, past: timedelta, future: timedelta) -> Timeline:
        now = self.now
        start, end = now - past, now + future
        runs = dict[str, list[Run]]()
        for record in self._journal.runs(_overlapping(start.timestamp()), MAX_RUNS):
            runs.setdefault(record.task_id, []).append(_runs.run_of_record(record, self._redactor))
        coming, hidden = self.index.coming(end, MAX_LANES)
        shown = dict.fromkeys((*coming, *runs))
        lanes = [self._lane(task_id, runs.get(task_id, []), now, end) for task_id in list(shown)[:MAX_LANES]]
        hidden += max(0, len(shown) - MAX_LANES)
        return Timeline(start=start, now=now, end=end, lanes=tuple(lanes), hidden=hidden)

    def _lane(self, task_id: str, runs: Sequence[Run], now: datetime, end: datetime) -> Lane:
        due = self._due_times(task_id, MAX_DUE_TIMES) if self.index.is_coming(task_id) else ()
        return lane_of(task_id, runs, due, now, end)

    async def events(self, before: str | None, limit: int, /) -> EventPage:
        """Return a page of events, newest first."""
        number = None if before is None else int(before.partition(".")[0])
        found = self._journal.recorded_events(before=number, limit=limit + 1)
        shown = found[:limit]
        return EventPage(
            events=tuple(self._event(event) for event in shown),
            next_key=f"{shown[-1].number}" if len(found) > limit else None,
        )

    def _event(self, event: RecordedEvent) -> EventRecord:
        return EventRecord(
            number=event.number,
            at=utc(event.at),
            kind=event.kind,
            task_id=event.task_id,
            run_id=None if event.details is None or event.details.run_id == NO_RUN else event.details.run_id,
            user=event.user,
            text=self._redactor("error", event.task_id, event.text) if event.text else _timing(event),
        )


def _timing(event: RecordedEvent) -> str:
    duration = None if event.details is None else event.details.duration
    return "" if duration is None else f"in {duration_text(duration)}"


def _is_between(at: datetime | None, selection: RunSelection) -> bool:
    since, until = selection.since, selection.until
    if since is None and until is None:
        return True
    return at is not None and (since is None or at >= since) and (until is None or at < until)


def _overlapping(start: float) -> Callable[[RecordedRun], bool]:
    def overlaps(record: RecordedRun) -> bool:
        finished = record.details.finished
        return record.details.started is not None and (record.outcome is None or finished is None or finished >= start)

    return overlaps


def _node_text(node: str | None) -> str:
    return "" if node is None else f"node {node}"
