"""Outcomes by number, programs and removal of tasks in SQLite. For holders of a transaction."""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from asyncz.stores._columns import TASK_COLUMNS, SqlValue, column_list, from_microseconds, microseconds, task_of_row
from asyncz.stores._sweep import IDS, Program
from asyncz.stores.records import TaskRecord

_TASKS = column_list(TASK_COLUMNS)
_FINISHED = (
    "next_due IS NULL AND \"trigger\" IS NOT NULL AND NOT removed AND NOT paused AND state = 'active'"
    " AND (started_at < ? OR started_at IS NULL AND EXISTS (SELECT 1 FROM asyncz_runs WHERE task_id = asyncz_tasks.id))"
    " AND NOT EXISTS (SELECT 1 FROM asyncz_runs WHERE task_id = asyncz_tasks.id"
    " AND (state IN ('waiting', 'running') OR finished_at >= ?))"
    " AND id NOT IN (SELECT value FROM json_each(?)) LIMIT ?"
)


class OutcomeNumbers:
    """Numbers of outcomes, which are taken from the counter if a node listens.

    Args:
        database: Connection in a transaction that writes, or a cursor of it.
    """

    def __init__(self, database: sqlite3.Connection | sqlite3.Cursor) -> None:
        self._database = database
        self._taken = 0

    @functools.cached_property
    def _last(self) -> int | None:
        """Number before the first one; None if no node listens. Read with the first outcome only."""
        cursor = self._database.execute(
            "SELECT value FROM asyncz_counters WHERE name = 'outcomes'"
            " AND EXISTS (SELECT 1 FROM asyncz_nodes WHERE listens)"
        )
        found: tuple[int] | None = cursor.fetchone()
        return None if found is None else found[0]

    @property
    def next(self) -> int:
        """Number of the next outcome; 0 if no node listens."""
        last = self._last
        return 0 if last is None else last + self._taken + 1

    def take(self) -> None:
        """Note that the next number was used."""
        self._taken += 1

    def save(self) -> None:
        """Write the counter."""
        if self._taken and self._last is not None:
            _ = self._database.execute(
                "UPDATE asyncz_counters SET value = value + ? WHERE name = 'outcomes'", (self._taken,)
            )


def listen(database: sqlite3.Connection, node: str) -> int:
    """Number outcomes from now on, and return the last number."""
    _ = database.execute("UPDATE asyncz_nodes SET listens = 1 WHERE id = ?", (node,))
    found: tuple[int] = database.execute("SELECT value FROM asyncz_counters WHERE name = 'outcomes'").fetchone()
    return found[0]


def announce(database: sqlite3.Connection, node: str, task_ids: Sequence[str]) -> None:
    """Note the tasks that the program of a node declares."""
    if not task_ids:
        _ = database.execute("DELETE FROM asyncz_programs WHERE node = ?", (node,))
        return
    _ = database.execute(
        "INSERT OR REPLACE INTO asyncz_programs (node, task_ids, closed_at) VALUES (?, ?, NULL)",
        (node, json.dumps([*task_ids])),
    )


def close_program(database: sqlite3.Connection, node: str, now: datetime) -> None:
    """Note that the node of a program has closed its session."""
    _ = database.execute("UPDATE asyncz_programs SET closed_at = ? WHERE node = ?", (microseconds(now), node))


class SqliteSweepQueries:
    """Queries of a sweep in a transaction that writes.

    Args:
        database: Connection.
        write: Writes a task with its next version.
    """

    def __init__(self, database: sqlite3.Connection, write: Callable[[TaskRecord], object]) -> None:
        self._database = database
        self._write = write

    def programs(self) -> Sequence[Program]:
        """Return the programs of all nodes."""
        rows: list[tuple[str, str, int | None]] = self._database.execute(
            "SELECT node, task_ids, coalesce(closed_at, lease_until) FROM asyncz_programs"
            " LEFT JOIN asyncz_nodes ON asyncz_nodes.id = node ORDER BY node"
        ).fetchall()
        return [
            Program(node, IDS.validate_json(task_ids), None if gone_at is None else from_microseconds(gone_at))
            for node, task_ids, gone_at in rows
        ]

    def keep_program(self, node: str, task_ids: Sequence[str], /) -> None:
        """Note the tasks of a program, or forget it if there are none."""
        if task_ids:
            values = (json.dumps([*task_ids]), node)
            _ = self._database.execute("UPDATE asyncz_programs SET task_ids = ? WHERE node = ?", values)
        else:
            announce(self._database, node, ())

    def known(self, task_ids: Sequence[str], /) -> Sequence[TaskRecord]:
        """Return the tasks with some ids."""
        return self._tasks("id IN (SELECT value FROM json_each(?))", json.dumps([*task_ids]))

    def undeclared(self, before: datetime, limit: int, /) -> Sequence[TaskRecord]:
        """Return tasks that are undeclared since a time before."""
        condition = "state = 'undeclared' AND NOT removed AND inactive_since < ? ORDER BY inactive_since LIMIT ?"
        return self._tasks(condition, microseconds(before), limit)

    def finished(self, before: datetime, announced: Collection[str], limit: int, /) -> Sequence[TaskRecord]:
        """Return tasks that are not due again, were idle since a time before, and are not announced."""
        time = microseconds(before)
        return self._tasks(_FINISHED, time, time, json.dumps([*announced]), limit)

    def write(self, tasks: Sequence[TaskRecord], /) -> None:
        """Write tasks with their next versions."""
        for task in tasks:
            _ = self._write(task)

    def forget_removed(self, before: datetime, limit: int, /) -> None:
        """Delete tombstones of tasks that were removed before a time."""
        _ = self._database.execute(
            "DELETE FROM asyncz_tasks WHERE id IN"
            " (SELECT id FROM asyncz_tasks WHERE removed AND inactive_since < ? LIMIT ?)",
            (microseconds(before), limit),
        )

    def _tasks(self, condition: str, *values: SqlValue) -> list[TaskRecord]:
        sql = f"SELECT {_TASKS} FROM asyncz_tasks WHERE {condition}"  # noqa: S608  # own names
        rows: list[tuple[SqlValue, ...]] = self._database.execute(sql, values).fetchall()
        return [task_of_row(row) for row in rows]
