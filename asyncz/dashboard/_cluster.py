"""Read model of a store: tasks, runs, nodes and history of all processes, without their code."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from typing_extensions import TypeVar

from asyncz._metadata import __version__
from asyncz._run_ids import parsed_run_id
from asyncz._text import quoted
from asyncz.clock import utc
from asyncz.dashboard import _runs
from asyncz.dashboard._cluster_index import ClusterIndex
from asyncz.dashboard._cluster_states import (
    ArgumentSearch,
    arguments_of,
    due_times,
    options_of,
    result_text,
    task_state,
)
from asyncz.dashboard._metrics import store_text
from asyncz.dashboard._problems import RequestError
from asyncz.dashboard._reader import RunSelection, TaskSelection
from asyncz.dashboard._redaction import Redactor
from asyncz.dashboard._texts import duration_text
from asyncz.dashboard._timelines import MAX_DUE_TIMES, MAX_LANES, MAX_RUNS, lane_of, nodes_of
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
from asyncz.exceptions import TaskLookupError
from asyncz.states import SchedulerStatus, TaskState
from asyncz.stores._admin import StoreAdmin
from asyncz.stores._checks import is_storable
from asyncz.stores._columns import from_microseconds, microseconds
from asyncz.stores._console import StoreConsole
from asyncz.stores._console_queries import ConsoleQueries
from asyncz.stores._console_records import CommandRecord, RunSearch
from asyncz.stores.records import NodeRecord, RunRecord, RunReport, TaskRecord

ResultT = TypeVar("ResultT")

_RECENT: Final = 10
# Owners of a run whose reports are shown, and running runs whose progress is looked up.
_OWNERS: Final = 20
_RUNNING: Final = 1000
# Seconds for which the names of nodes are used again.
_NAMES: Final = 2.0
# Runs that are counted for each task: on a page of tasks, and on the page of one.
_COUNTED: Final = 100
_COUNTED_OF_ONE: Final = 1000
_EVENTS: Final[Mapping[str, str]] = {
    "executed": "TaskExecuted",
    "error": "TaskError",
    "missed": "TaskMissed",
    "cancelled": "TaskCancelled",
}


class ClusterModel:
    """States of a store: the `Reader` of the cluster.

    Args:
        console: Connection with the store.
        redactor: Redaction of texts that may contain secrets.
        title: Title of the dashboard.
    """

    scope: Scope = "cluster"
    stores_runs: bool = False

    def __init__(self, console: StoreConsole, redactor: Redactor, title: str) -> None:
        self.console: StoreConsole = console
        self.index: ClusterIndex = ClusterIndex(ArgumentSearch(redactor))
        self._redactor = redactor
        self._title = title
        self._since = utc(time.time())
        self._nodes: Mapping[str, str] = {}
        self._paused_nodes = 0
        self._names_until = 0.0

    @property
    def now(self) -> datetime:
        """Current time by the clock of the machine, UTC."""
        return utc(time.time())

    def info(self) -> SchedulerInfo:
        """Return the store and the process that reads it, for a user with the right to look."""
        return SchedulerInfo(
            title=self._title,
            status=self._status,
            host=platform.node(),
            pid=os.getpid(),
            version=__version__,
            since=self._since,
            store=self.console.description,
            tasks=self.index.total,
            access="look",
            scope="cluster",
            nodes=len(self._nodes),
            paused_nodes=self._paused_nodes,
        )

    @property
    def _status(self) -> SchedulerStatus:
        if not self._nodes:
            return "stopped"
        return "paused" if self._paused_nodes == len(self._nodes) else "running"

    def aliases(self) -> Sequence[str]:
        """Return the aliases of the executors of stored tasks."""
        return self.index.executors

    async def _read(self, read: Callable[[ConsoleQueries], ResultT]) -> ResultT:
        def call(database: StoreAdmin) -> ResultT:
            queries = ConsoleQueries(database)
            if time.monotonic() >= self._names_until:
                self._read_nodes(queries)
            return read(queries)

        return await self.console.call(call)

    def _read_nodes(self, queries: ConsoleQueries) -> Sequence[NodeRecord]:
        nodes = queries.nodes()
        self._nodes = {node.id: node.name for node in nodes}
        self._paused_nodes = sum(node.paused for node in nodes)
        self._names_until = time.monotonic() + _NAMES
        return nodes

    async def refresh(self) -> None:
        """Read the nodes and the number of tasks, which all pages show."""
        await self._read(self._refresh)

    def _refresh(self, queries: ConsoleQueries) -> Sequence[NodeRecord]:
        self.index.rows(queries)
        return self._read_nodes(queries)

    # Tasks

    async def tasks(self, selection: TaskSelection, /) -> TaskPage:
        """Return a page of tasks, with redacted errors. Runs are counted among the last 100 of each task."""
        return await self._read(lambda queries: self._tasks(queries, selection))

    def _tasks(self, queries: ConsoleQueries, selection: TaskSelection) -> TaskPage:
        ids, following, matching = self.index.page(queries, selection)
        return TaskPage(
            tasks=tuple(self._states(queries, ids, _COUNTED)),
            total=self.index.total,
            matching=matching,
            next_key=following,
        )

    def _states(self, queries: ConsoleQueries, ids: Sequence[str], counted: int) -> Sequence[TaskState]:
        records, counts = queries.tasks(ids), queries.run_counts(ids, counted)
        recent = queries.recent_runs(ids, _RECENT)
        running = [task_id for task_id in ids if counts.get(task_id, {}).get("running")]
        progress = queries.progress(running, _RUNNING)
        return [
            self._state(records[task_id], counts.get(task_id, {}), recent.get(task_id, ()), progress.get(task_id))
            for task_id in ids
            if task_id in records
        ]

    def _state(
        self,
        record: TaskRecord,
        counts: Mapping[str, int],
        recent: Sequence[RunRecord],
        progress: tuple[UUID, str] | None,
    ) -> TaskState:
        state = task_state(record, counts, recent, self._redactor)
        if progress is None:
            return state
        return state.model_copy(
            update={"progress": _runs.progress_of_store(progress[0], record.id, progress[1], self._redactor)}
        )

    async def counts(self) -> Mapping[TaskFilter, int]:
        """Return the number of tasks that each filter selects."""
        return await self._read(self.index.counts)

    async def task(self, task_id: str, /) -> TaskDetail:
        """Return a task with its arguments, options and next due times.

        Raises:
            TaskLookupError: No task has the id.
        """
        return await self._read(lambda queries: self._task(queries, task_id))

    def _task(self, queries: ConsoleQueries, task_id: str) -> TaskDetail:
        record = queries.tasks([task_id]).get(task_id) if is_storable(task_id) else None
        if record is None:
            raise TaskLookupError(task_id)
        (state,) = self._states(queries, [task_id], _COUNTED_OF_ONE)
        last = queries.run(state.recent_runs[-1].run_id) if state.recent_runs else None
        return TaskDetail(
            task=state,
            arguments=arguments_of(record.arguments, self._redactor),
            options=options_of(record),
            due=due_times(record, 10),
            result=result_text(last, self._redactor),
        )

    # Runs

    async def runs(self, selection: RunSelection, /) -> RunPage:
        """Return a page of runs, newest first."""
        if not is_storable(f"{selection.task_id}{selection.text}"):
            return RunPage(runs=())
        search = RunSearch(
            task_id=selection.task_id,
            state=selection.outcome,
            since=selection.since,
            until=selection.until,
            text=selection.text,
            before=selection.before,
            limit=selection.limit,
            shown=lambda run: self._redactor("error", run.task_id, run.error),
        )
        found = await self._read(lambda queries: queries.runs(search))
        return RunPage(
            runs=tuple(self._run(record) for record in found.runs),
            next_key=None if found.next_before is None else f"{found.next_before}",
            is_partial=found.is_partial,
        )

    def _run(self, record: RunRecord) -> Run:
        run = _runs.run_of_store(record, self._redactor)
        return run.model_copy(update={"worker": self._node_text(record.node)})

    def _node_text(self, node: str | None) -> str:
        """Return the description of a node with its id; empty without a node."""
        if node is None:
            return ""
        name = self._nodes.get(node)
        return f"{name} (node {node})" if name else f"node {node}"

    async def run(self, run_id: str, /) -> RunDetail:
        """Return a stored run with its traceback.

        Raises:
            RequestError: No such run is stored.
        """
        wanted = parsed_run_id(run_id)
        found = None if wanted is None else await self._read(lambda queries: self._detail(queries, wanted))
        if found is None:
            raise RequestError(404, f"no run with the id {quoted(run_id, 100)} is stored")
        return found

    def _detail(self, queries: ConsoleQueries, run_id: UUID) -> RunDetail | None:
        record = queries.run(run_id)
        if record is None:
            return None
        return self._detail_of(record, queries.reports(record, _OWNERS))

    def _detail_of(self, record: RunRecord, reports: Sequence[RunReport]) -> RunDetail:
        """Return a stored run with the reports of its owners, which are in their order."""
        detail = _runs.detail_of_store(record, reports, self._redactor, self._node_text)
        return detail.model_copy(update={"run": self._run(record)})

    def can_cancel(self, run: Run, /) -> bool:
        """Return True if the run has no outcome: its node cancels it."""
        return run.outcome is None

    # Nodes, timeline and events

    async def executors(self) -> ExecutorPage:
        """Return the nodes. Their executors are known to their processes only."""
        nodes = await self._read(self._refresh)
        return ExecutorPage(executors=(), nodes=nodes_of(nodes))

    async def timeline(self, past: timedelta, future: timedelta, /) -> Timeline:
        """Return past and coming runs in a window around now."""
        return await self._read(lambda queries: self._timeline(queries, past, future))

    def _timeline(self, queries: ConsoleQueries, past: timedelta, future: timedelta) -> Timeline:
        now = queries.now
        start, end = now - past, now + future
        found = dict[str, list[RunRecord]]()
        ended = queries.finished(start, MAX_RUNS)
        for record in (*queries.running(MAX_RUNS - len(ended) + 1), *ended):
            if record.started_at is not None or record.state == "running":
                found.setdefault(record.task_id, []).append(record)
        coming, hidden = queries.coming(end, MAX_LANES)
        all_shown = list(dict.fromkeys((*coming, *found)))
        shown = all_shown[:MAX_LANES]
        records = queries.tasks(shown)
        due = {task_id: due_times(records[task_id], MAX_DUE_TIMES) for task_id in coming if task_id in records}
        lanes: list[Lane] = []
        for task_id in shown:
            runs = [self._run(record) for record in found.get(task_id, ())]
            lanes.append(lane_of(task_id, runs, due.get(task_id, ()), now, end))
        hidden += len(all_shown) - len(shown)
        return Timeline(start=start, now=now, end=end, lanes=tuple(lanes), hidden=hidden)

    async def events(self, before: str | None, limit: int, /) -> EventPage:
        """Return a page of outcomes of runs, and of actions of operators, newest first."""
        moment, number = _event_key(before)
        return await self._read(lambda queries: self._events(queries, moment, number, limit))

    def _events(self, queries: ConsoleQueries, moment: datetime | None, number: int, limit: int) -> EventPage:
        moment = queries.now + timedelta(days=1) if moment is None else moment
        # An even number is that of a run, an odd one that of an action: events of the same time have one order.
        runs = queries.finished_before(moment, (number + 1) // 2, limit + 1)
        commands = queries.commands_before(moment, number // 2, limit + 1)
        found = [
            *((run.finished_at or utc(0), 2 * run.sequence, self._run_event(run)) for run in runs),
            *((each.created_at, 2 * each.sequence + 1, self._command_event(each)) for each in commands),
        ]
        found.sort(key=lambda entry: entry[:2], reverse=True)
        shown = found[:limit]
        following = f"{microseconds(shown[-1][0])}.{shown[-1][1]}" if len(found) > limit else None
        return EventPage(events=tuple(event for _, _, event in shown), next_key=following)

    def _run_event(self, run: RunRecord) -> EventRecord:
        text = self._redactor("error", run.task_id, run.error)
        seconds = _runs.seconds_between(run.started_at, run.finished_at)
        on_node = f" on {self._nodes.get(run.node) or f'node {run.node}'}" if run.node else ""
        if run.missed > 1:
            text = f"{run.missed} due times"
        return EventRecord(
            number=run.sequence,
            at=run.finished_at or utc(0),
            kind=_EVENTS[run.state],
            task_id=run.task_id,
            run_id=run.id,
            text=f"{text or ('' if seconds is None else f'in {duration_text(seconds)}')}{on_node}".strip(),
        )

    def _command_event(self, command: CommandRecord) -> EventRecord:
        answer = f" failed: {command.failure}" if command.failure else ""
        asked = f", not yet answered by node {command.node}" if command.done_at is None else ""
        detail = f": {command.detail}" if command.detail else ""
        return EventRecord(
            number=command.sequence,
            at=command.created_at,
            kind="OperatorAction",
            task_id=command.task_id,
            user=command.operator,
            text=f"{command.action if command.task_id else f'{command.action} schedulers'}{detail}{answer}{asked}",
        )

    async def metrics(self) -> str:
        """Return numbers about the store in the text format of Prometheus."""
        return store_text(await self._read(lambda queries: queries.totals()))


def _event_key(key: str | None) -> tuple[datetime | None, int]:
    """Return the time and the number of a key; its form was checked."""
    if key is None:
        return None, 2**62
    moment, _, number = key.partition(".")
    try:
        return from_microseconds(int(moment)), int(number or 0)
    except OverflowError:
        raise RequestError(400, f"before: {quoted(key)} is not the key of a page") from None
