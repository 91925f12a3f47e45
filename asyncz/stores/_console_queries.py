"""Queries of a console: each reads a bounded number of rows by an index, however many runs are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import attrs

from asyncz.clock import utc
from asyncz.stores._admin import StoreAdmin
from asyncz.stores._columns import (
    REPORT_COLUMNS,
    RUN_COLUMNS,
    TASK_COLUMNS,
    column_list,
    report_of_row,
    run_id_of_row,
    run_of_row,
    task_of_row,
)
from asyncz.stores._console_records import (
    COMMAND_COLUMNS,
    LIST_COLUMNS,
    CommandRecord,
    FoundRuns,
    RunSearch,
    StoreTotals,
    TaskRow,
    command_of,
)
from asyncz.stores.records import FINAL_RUN_STATES, NodeRecord, RunRecord, RunReport, TaskRecord

# States with an index by sequence, or with few runs; runs of the others are looked at one by one.
_INDEXED: Final = frozenset({"error", "missed", "cancelled", "running"})
# Runs that a search looks at before it ends, in the database and here.
_LOOKED: Final = 20_000
_READ: Final = 2000
# Runs may be stored in another order than that of their times, as nodes store them at the same moment.
_OUT_OF_ORDER: Final = timedelta(seconds=60)
_MAX_COUNTED: Final = 10_000
# Tasks of one statement: databases limit its length.
_CHUNK: Final = 50

# Keeps a database from a walk along the sequence of all runs, in which few are running.
_UNINDEXED: Final = "sequence + 0"

_LIST: Final = column_list(LIST_COLUMNS)
# Longer arguments are not searched.
_SEARCHED: Final = "CASE WHEN length(arguments) <= 2000 THEN arguments ELSE '' END"
_HAS_ENDED: Final = "state NOT IN ('waiting', 'running')"
_ALL: Final = ("SELECT * FROM", "")
_CAN_FIRE: Final = "state = 'active' AND NOT paused AND NOT removed"


class ConsoleQueries:
    """Queries over one connection, for the thread of a console.

    Args:
        database: Connection.
    """

    def __init__(self, database: StoreAdmin) -> None:
        self._database = database

    @property
    def now(self) -> datetime:
        """Time by the clock of the store."""
        return self._database.now()

    # Tasks

    def task_rows(self) -> Sequence[TaskRow]:
        """Return all tasks, each with the state of its last run; for an index in memory."""
        running = self.running_counts()
        rows = self._rows(
            f"SELECT id, function, executor, paused, state, next_due, {_SEARCHED}, (SELECT state FROM asyncz_runs WHERE"  # noqa: S608
            f" task_id = asyncz_tasks.id AND {_HAS_ENDED} ORDER BY sequence DESC LIMIT 1)"
            " FROM asyncz_tasks WHERE NOT removed ORDER BY id"
        )
        return [
            TaskRow(
                id=f"{task_id}",
                function=f"{function}",
                executor=f"{executor}",
                paused=bool(paused),
                is_active=state == "active",
                next_due=self._time(next_due),
                last=f"{last or ''}",
                running=running.get(f"{task_id}", 0),
                arguments=f"{arguments}",
            )
            for task_id, function, executor, paused, state, next_due, arguments, last in rows
        ]

    def tasks(self, task_ids: Sequence[str]) -> Mapping[str, TaskRecord]:
        """Return tasks by their ids, without those that were removed."""
        found: list[TaskRecord] = []
        for chunk in _chunks(task_ids):
            sql = f"SELECT {column_list(TASK_COLUMNS)} FROM asyncz_tasks WHERE id IN ({_places(chunk)})"  # noqa: S608
            found += [task_of_row(row) for row in self._rows(sql, *chunk)]
        return {task.id: task for task in found if not task.removed}

    def recent_runs(self, task_ids: Sequence[str], limit: int) -> Mapping[str, Sequence[RunRecord]]:
        """Return the last runs with an outcome of each task, newest first."""
        found: dict[str, list[RunRecord]] = {}
        for row in self._newest(_LIST, task_ids, limit, f"AND {_HAS_ENDED}"):
            run = run_of_row(row, LIST_COLUMNS)
            found.setdefault(run.task_id, []).append(run)
        return {task_id: sorted(runs, key=lambda run: -run.sequence) for task_id, runs in found.items()}

    def run_counts(self, task_ids: Sequence[str], limit: int) -> Mapping[str, Mapping[str, int]]:
        """Return the number of runs of each task by state, among its last ones."""
        counts = "SELECT task_id, state, count(*) FROM", "GROUP BY task_id, state"
        found: dict[str, dict[str, int]] = {}
        for task_id, state, count in self._newest("task_id, state", task_ids, limit, around=counts):
            found.setdefault(f"{task_id}", {})[f"{state}"] = _number(count)
        return found

    def _newest(
        self, columns: str, task_ids: Sequence[str], limit: int, condition: str = "", around: tuple[str, str] = _ALL
    ) -> Sequence[Sequence[object]]:
        """Return columns of the newest runs of each task.

        Args:
            columns: The columns.
            task_ids: Ids of the tasks.
            limit: Maximum number of runs of each task.
            condition: Further condition.
            around: Text before and after the query of the runs.
        """
        before, after = around

        def newest(task: str) -> str:
            order = f"ORDER BY sequence DESC LIMIT {limit}"
            return f"SELECT {columns} FROM asyncz_runs WHERE task_id = {task} {condition} {order}"  # noqa: S608  # own names

        if self._database.dialect == "postgres":
            # One subquery: PostgreSQL takes longer to plan one for each task than to execute them.
            each = f"SELECT runs.* FROM unnest(?::text[]) AS wanted (id), LATERAL ({newest('wanted.id')}) AS runs"  # noqa: S608
            return self._rows(f"{before} ({each}) AS newest {after}", [*task_ids])
        found: list[Sequence[object]] = []
        for chunk in _chunks(task_ids):
            one = f"{before} ({newest('?')}) AS newest {after}"
            found += self._rows(" UNION ALL ".join([one] * len(chunk)), *chunk)
        return found

    def running_counts(self) -> Mapping[str, int]:
        """Return the number of running runs by task."""
        rows = self._rows("SELECT task_id, count(*) FROM asyncz_runs WHERE state = 'running' GROUP BY task_id")
        return {f"{task_id}": _number(count) for task_id, count in rows}

    def coming(self, until: datetime, limit: int) -> tuple[Sequence[str], int]:
        """Return the ids of the tasks that are due next until a time, and the number of those left out."""
        due, stored = f"next_due <= ? AND {_CAN_FIRE}", self._database.stored_time(until)
        sql = f"SELECT id FROM asyncz_tasks WHERE {due} ORDER BY next_due, id LIMIT ?"  # noqa: S608  # own names
        found = [f"{task_id}" for (task_id,) in self._rows(sql, stored, limit)]
        if len(found) < limit:
            return found, 0
        ((total,),) = self._rows(f"SELECT count(*) FROM asyncz_tasks WHERE {due}", stored)  # noqa: S608  # own names
        return found, max(0, _number(total) - limit)

    # Runs

    def run(self, run_id: UUID) -> RunRecord | None:
        """Return a run with all columns; None if it is not stored."""
        sql = f"SELECT {column_list(RUN_COLUMNS)} FROM asyncz_runs WHERE id = ?"  # noqa: S608  # own names
        for row in self._rows(sql, self._database.stored_id(run_id)):
            return run_of_row(row)
        return None

    def reports(self, run: RunRecord, limit: int) -> Sequence[RunReport]:
        """Return the reports of the last owners of a run, in their order."""
        columns, run_id = column_list(REPORT_COLUMNS), self._database.stored_id(run.id)
        sql = f"SELECT {columns} FROM asyncz_reports WHERE run_id = ? ORDER BY fence DESC LIMIT ?"  # noqa: S608
        return [report_of_row(row) for row in reversed(self._rows(sql, run_id, limit))]

    def progress(self, task_ids: Sequence[str], limit: int) -> Mapping[str, tuple[UUID, str]]:
        """Return the id and the progress of the last running run of each task that has reported one.

        Args:
            task_ids: Ids of the tasks.
            limit: Number of running runs that are looked at.
        """
        if not task_ids:
            return {}
        running = (
            "SELECT id, task_id, sequence, fence FROM asyncz_runs WHERE state = 'running'"  # noqa: S608  # own names
            f" ORDER BY {_UNINDEXED} DESC LIMIT ?"
        )
        sql = (
            f"SELECT task_id, running.id, progress FROM ({running}) AS running"  # noqa: S608  # own names
            " JOIN asyncz_reports AS report ON report.run_id = running.id AND report.fence = running.fence"
            " WHERE progress IS NOT NULL ORDER BY sequence"
        )
        wanted = {*task_ids}
        rows = self._rows(sql, limit)
        return {
            f"{task_id}": (run_id_of_row(run_id), f"{text}") for task_id, run_id, text in rows if f"{task_id}" in wanted
        }

    def runs(self, search: RunSearch) -> FoundRuns:
        """Return a page of runs.

        A search that no index answers looks at a bounded number of runs, and returns where it has ended.
        """
        if search.text and search.state is None:
            search = attrs.evolve(search, state="error")
        if search.state == "waiting" and search.task_id is None:
            return self._waiting(search)
        key = _UNINDEXED if search.state == "running" and search.task_id is None else "sequence"
        conditions, values = self._indexed(search, key)
        residual, others = self._residual(search)
        if not residual and not search.text:
            found = self._list(f"{conditions} ORDER BY {key} DESC LIMIT ?", *values, search.limit + 1)
            return _page(found, search.limit)
        window = f"SELECT {_LIST} FROM asyncz_runs WHERE {conditions} ORDER BY {key} DESC LIMIT {_LOOKED}"  # noqa: S608
        where = f"WHERE {residual}" if residual else ""
        maximum = _READ if search.text else search.limit + 1
        sql = f"SELECT {_LIST} FROM ({window}) AS looked {where} ORDER BY sequence DESC LIMIT {maximum}"  # noqa: S608
        matches = [run_of_row(row, LIST_COLUMNS) for row in self._rows(sql, *values, *others)]
        found = _showing(matches, search)
        if len(found) > search.limit:
            return _page(found, search.limit)
        if len(matches) == maximum:
            return FoundRuns(found, matches[-1].sequence, is_partial=True)
        sql = f"SELECT sequence FROM asyncz_runs WHERE {conditions} ORDER BY {key} DESC LIMIT 1 OFFSET {_LOOKED - 1}"  # noqa: S608
        last = self._rows(sql, *values)
        return FoundRuns(found, _number(last[0][0]), is_partial=True) if last else FoundRuns(found)

    def _indexed(self, search: RunSearch, key: str) -> tuple[str, list[object]]:
        """Return the conditions of a search that bound a range of an index."""
        conditions, values = [f"{key} > ?"], list[object]()
        before = search.before
        values.append(0 if search.since is None else self._first_since(search.since - _OUT_OF_ORDER) - 1)
        if search.until is not None:
            end = self._first_since(search.until + _OUT_OF_ORDER)
            before = end if before is None else min(before, end)
        if before is not None:
            conditions.append(f"{key} < ?")
            values.append(before)
        if search.task_id is not None:
            conditions.append("task_id = ?")
            values.append(search.task_id)
        elif search.state in _INDEXED:
            # As a literal: a partial index is not used for a parameter.
            conditions.append(f"state = '{search.state}'")
        return " AND ".join(conditions), values

    def _residual(self, search: RunSearch) -> tuple[str, list[object]]:
        """Return the conditions of a search that each run of the range is compared with.

        The text is not one of them: the database knows what is hidden, so that the end of a page would show a match.
        """
        conditions, values = list[str](), list[object]()
        if search.state is not None and (search.task_id is not None or search.state not in _INDEXED):
            conditions.append("state = ?")
            values.append(search.state)
        for moment, sign in ((search.since, ">="), (search.until, "<")):
            if moment is not None:
                conditions.append(f"created_at {sign} ?")
                values.append(self._database.stored_time(moment))
        return " AND ".join(conditions), values

    def _waiting(self, search: RunSearch) -> FoundRuns:
        before = 2**62 if search.before is None else search.before
        is_filtered = bool(search.text or search.since or search.until)
        maximum = _READ if is_filtered else search.limit + 1
        read, floor = list[RunRecord](), 0
        for executor in self.waiting_executors():
            condition = "state = 'waiting' AND executor = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?"
            rows = self._list(condition, executor, before, maximum)
            read += rows
            if len(rows) == maximum:
                floor = max(floor, rows[-1].sequence)
        # The older runs of an executor with many were not read: the page ends where its last one is.
        complete = sorted((run for run in read if run.sequence >= floor), key=lambda run: -run.sequence)
        found = [run for run in complete if _is_between(run.created_at, search.since, search.until)]
        found = _showing(found, search)
        if len(found) > search.limit or not floor:
            return _page(found, search.limit)
        return FoundRuns(found, floor, is_partial=True)

    def waiting_executors(self) -> Sequence[str]:
        """Return the aliases for which runs wait, by one step in the index each."""
        found, last = list[str](), ""
        while True:
            sql = "SELECT min(executor) FROM asyncz_runs WHERE state = 'waiting' AND executor > ?"
            ((executor,),) = self._rows(sql, last)
            if executor is None:
                return found
            last = f"{executor}"
            found.append(last)

    def _first_since(self, moment: datetime) -> int:
        """Return the position of the first run that was stored at a time or later: a binary search."""
        ((first,),) = self._rows("SELECT min(sequence) FROM asyncz_runs")
        ((last,),) = self._rows("SELECT max(sequence) FROM asyncz_runs")
        low, high = (0, 0) if first is None else (_number(first), _number(last) + 1)
        while low < high:
            middle = (low + high) // 2
            sql = "SELECT sequence, created_at FROM asyncz_runs WHERE sequence >= ? ORDER BY sequence LIMIT 1"
            found = self._rows(sql, middle)
            # No row: the last runs were deleted meanwhile.
            if not found or self._database.read_time(found[0][1]) >= moment:
                high = middle
            else:
                low = _number(found[0][0]) + 1
        return low

    def running(self, limit: int) -> Sequence[RunRecord]:
        """Return running runs, newest first."""
        return self._list(f"state = 'running' ORDER BY {_UNINDEXED} DESC LIMIT ?", limit)

    def finished(self, since: datetime, limit: int) -> Sequence[RunRecord]:
        """Return the runs that have ended since a time, the last to end first."""
        found: list[RunRecord] = []
        for state in FINAL_RUN_STATES:
            condition = f"state = '{state}' AND finished_at >= ? ORDER BY finished_at DESC LIMIT ?"
            found += self._list(condition, self._database.stored_time(since), limit)
        return sorted(found, key=_finished, reverse=True)[:limit]

    def finished_before(self, moment: datetime, sequence: int, limit: int) -> Sequence[RunRecord]:
        """Return the runs that have ended before a moment, the last to end first.

        Args:
            moment: The moment.
            sequence: Position before which runs are returned that have ended at this moment.
            limit: Maximum number of runs.
        """
        stored, found = self._database.stored_time(moment), list[RunRecord]()
        for state in FINAL_RUN_STATES:
            condition = (
                f"state = '{state}' AND finished_at <= ? AND (finished_at < ? OR sequence < ?)"
                " ORDER BY finished_at DESC, sequence DESC LIMIT ?"
            )
            found += self._list(condition, stored, stored, sequence, limit)
        return sorted(found, key=_finished, reverse=True)[:limit]

    def _list(self, condition: str, *values: object) -> list[RunRecord]:
        rows = self._rows(f"SELECT {_LIST} FROM asyncz_runs WHERE {condition}", *values)  # noqa: S608  # own names
        return [run_of_row(row, LIST_COLUMNS) for row in rows]

    # Actions, nodes and numbers

    def commands_before(self, moment: datetime, sequence: int, limit: int) -> Sequence[CommandRecord]:
        """Return the actions of operators before a moment, the last one first; see `finished_before`."""
        stored = self._database.stored_time(moment)
        condition = (
            "created_at <= ? AND (created_at < ? OR sequence < ?) ORDER BY created_at DESC, sequence DESC LIMIT ?"
        )
        return self._commands(condition, stored, stored, sequence, limit)

    def commands(self, sequences: Sequence[int]) -> Sequence[CommandRecord]:
        """Return actions of operators by their positions."""
        return self._commands(f"sequence IN ({_places(sequences)})", *sequences) if sequences else ()

    def _commands(self, condition: str, *values: object) -> Sequence[CommandRecord]:
        sql = f"SELECT {column_list(COMMAND_COLUMNS)} FROM asyncz_commands WHERE {condition}"  # noqa: S608  # own names
        return [command_of(row) for row in self._rows(sql, *values)]

    def nodes(self) -> Sequence[NodeRecord]:
        """Return the nodes whose lease is valid, sorted by id."""
        return self._database.nodes()

    def totals(self) -> StoreTotals:
        """Return numbers about the store."""
        now = self.now
        tasks = self._rows(
            "SELECT CASE WHEN paused THEN 'paused' ELSE state END, count(*) FROM asyncz_tasks"
            " WHERE NOT removed GROUP BY 1"
        )
        return StoreTotals(
            tasks={f"{state}": _number(count) for state, count in tasks},
            overdue=max(0.0, (now - self._earliest(now)).total_seconds()),
            waiting=self._count("waiting"),
            running=self._count("running"),
            nodes=len(self.nodes()),
        )

    def _count(self, state: str) -> int:
        some = f"SELECT 1 FROM asyncz_runs WHERE state = '{state}' LIMIT {_MAX_COUNTED}"  # noqa: S608  # a constant
        ((count,),) = self._rows(f"SELECT count(*) FROM ({some}) AS counted")  # noqa: S608  # a constant
        return _number(count)

    def _earliest(self, now: datetime) -> datetime:
        """Return the earliest due time that has not become a run, or whose run waits; `now` if there is none."""
        stored, found = self._database.stored_time(now), [now]
        sql = f"SELECT next_due FROM asyncz_tasks WHERE next_due <= ? AND {_CAN_FIRE} ORDER BY next_due LIMIT 1"  # noqa: S608
        found += [self._database.read_time(due) for (due,) in self._rows(sql, stored)]
        for executor in self.waiting_executors():
            sql = (
                "SELECT scheduled_at FROM asyncz_runs WHERE state = 'waiting' AND executor = ? AND"
                " (not_before IS NULL OR not_before <= ?) AND task_id NOT IN (SELECT id FROM asyncz_tasks WHERE paused)"
                " ORDER BY sequence LIMIT 1"
            )
            found += [self._database.read_time(due) for (due,) in self._rows(sql, executor, stored)]
        return min(found)

    def mark(self) -> tuple[object, ...]:
        """Return values that change with tasks, runs and actions."""
        # With the condition of the index, which SQLite does not conclude from `max`.
        newest = "SELECT max(finished_at) FROM asyncz_runs WHERE finished_at IS NOT NULL AND"
        single = [
            "SELECT value FROM asyncz_counters WHERE name = 'revision'",
            "SELECT max(sequence) FROM asyncz_runs",
            *(f"{newest} state = '{state}'" for state in FINAL_RUN_STATES),
            "SELECT max(sequence) FROM asyncz_commands",
            "SELECT max(written_at) FROM asyncz_reports",
        ]
        found = [self._rows(sql)[0][0] for sql in single]
        nodes = self.nodes()
        paused = sum(node.paused for node in nodes)
        return (*found, self._count("running"), self._count("waiting"), len(nodes), paused)

    def _time(self, value: object) -> datetime | None:
        return None if value is None else self._database.read_time(value)

    def _rows(self, sql: str, *values: object) -> Sequence[Sequence[object]]:
        return self._database.query(sql, *values)


def _page(found: Sequence[RunRecord], limit: int) -> FoundRuns:
    return FoundRuns(found[:limit], found[limit - 1].sequence if len(found) > limit else None)


def _showing(runs: Sequence[RunRecord], search: RunSearch) -> list[RunRecord]:
    """Return the runs whose error contains the text of a search as it is shown."""
    text = search.text.casefold()
    return [run for run in runs if not text or text in search.shown(run).casefold()]


def _finished(run: RunRecord) -> tuple[datetime, int]:
    return run.finished_at or utc(0), run.sequence


def _is_between(moment: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    return moment is None or ((since is None or moment >= since) and (until is None or moment < until))


def _chunks(task_ids: Sequence[str]) -> Sequence[Sequence[str]]:
    return [task_ids[start : start + _CHUNK] for start in range(0, len(task_ids), _CHUNK)]


def _places(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _number(value: object) -> int:
    return int(f"{value}")
