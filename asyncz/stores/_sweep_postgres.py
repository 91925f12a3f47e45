"""Programs and removal of tasks in PostgreSQL. For holders of a connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg.rows import args_row, kwargs_row

from asyncz.stores._columns import TASK_COLUMNS, column_list
from asyncz.stores._sweep import IDS, Program
from asyncz.stores.records import TaskRecord

_ANNOUNCE = b"""
INSERT INTO asyncz_programs (node, task_ids) VALUES (%(node)s, %(ids)s)
ON CONFLICT (node) DO UPDATE SET task_ids = excluded.task_ids, closed_at = NULL
"""
_TASKS = column_list(TASK_COLUMNS)
_FINISHED = """
next_due IS NULL AND "trigger" IS NOT NULL AND NOT removed AND NOT paused AND state = 'active'
    AND (started_at < %(before)s
        OR started_at IS NULL AND EXISTS (SELECT FROM asyncz_runs WHERE task_id = asyncz_tasks.id))
    AND id <> ALL (%(announced)s::text[])
    AND NOT EXISTS (
        SELECT FROM asyncz_runs WHERE task_id = asyncz_tasks.id
            AND (asyncz_runs.state IN ('waiting', 'running') OR finished_at >= %(before)s)
    )
LIMIT %(limit)s
"""


class _ProgramRow(NamedTuple):
    node: str
    task_ids: str
    gone_at: datetime | None


def announce(database: psycopg.Connection[tuple[object, ...]], node: str, task_ids: Sequence[str]) -> None:
    """Note the tasks that the program of a node declares."""
    if task_ids:
        _ = database.execute(_ANNOUNCE, {"node": node, "ids": json.dumps([*task_ids])})
    else:
        _ = database.execute(b"DELETE FROM asyncz_programs WHERE node = %(node)s", {"node": node})


def close_program(database: psycopg.Connection[tuple[object, ...]], node: str, now: datetime) -> None:
    """Note that the node of a program has closed its session."""
    sql = b"UPDATE asyncz_programs SET closed_at = %(now)s WHERE node = %(node)s"
    _ = database.execute(sql, {"node": node, "now": now})


class PostgresSweepQueries:
    """Queries of a sweep, in a transaction that has locked the revisions.

    Args:
        database: Connection.
        write: Writes tasks with their next versions.
    """

    def __init__(
        self,
        database: psycopg.Connection[tuple[object, ...]],
        write: Callable[[Sequence[TaskRecord]], object],
    ) -> None:
        self._database = database
        self._write = write

    def programs(self) -> Sequence[Program]:
        """Return the programs of all nodes."""
        sql = (
            b"SELECT node, task_ids, coalesce(closed_at, lease_until) AS gone_at FROM asyncz_programs"
            b" LEFT JOIN asyncz_nodes ON asyncz_nodes.id = node ORDER BY node"
        )
        with self._database.cursor(row_factory=args_row(_ProgramRow)) as cursor:
            rows = cursor.execute(sql).fetchall()
        return [Program(row.node, IDS.validate_json(row.task_ids), row.gone_at) for row in rows]

    def keep_program(self, node: str, task_ids: Sequence[str], /) -> None:
        """Note the tasks of a program, or forget it if there are none."""
        if task_ids:
            sql = b"UPDATE asyncz_programs SET task_ids = %(ids)s WHERE node = %(node)s"
            _ = self._database.execute(sql, {"node": node, "ids": json.dumps([*task_ids])})
        else:
            announce(self._database, node, ())

    def known(self, task_ids: Sequence[str], /) -> Sequence[TaskRecord]:
        """Return the tasks with some ids."""
        return self._tasks("id = ANY (%(ids)s)", {"ids": [*task_ids]})

    def undeclared(self, before: datetime, limit: int, /) -> Sequence[TaskRecord]:
        """Return tasks that are undeclared since a time before."""
        condition = "state = 'undeclared' AND NOT removed AND inactive_since < %(before)s LIMIT %(limit)s"
        return self._tasks(condition, {"before": before, "limit": limit})

    def finished(self, before: datetime, announced: Collection[str], limit: int, /) -> Sequence[TaskRecord]:
        """Return tasks that are not due again, were idle since a time before, and are not announced."""
        return self._tasks(_FINISHED, {"before": before, "announced": [*announced], "limit": limit})

    def write(self, tasks: Sequence[TaskRecord], /) -> None:
        """Write tasks with their next versions."""
        _ = self._write(tasks)

    def forget_removed(self, before: datetime, limit: int, /) -> None:
        """Delete tombstones of tasks that were removed before a time."""
        sql = (
            b"DELETE FROM asyncz_tasks WHERE id = ANY (ARRAY("
            b"SELECT id FROM asyncz_tasks WHERE removed AND inactive_since < %(before)s LIMIT %(limit)s))"
        )
        _ = self._database.execute(sql, {"before": before, "limit": limit})

    def _tasks(self, condition: str, values: Mapping[str, object]) -> list[TaskRecord]:
        sql = f"SELECT {_TASKS} FROM asyncz_tasks WHERE {condition}"  # noqa: S608  # own names
        with self._database.cursor(row_factory=kwargs_row(TaskRecord)) as cursor:
            return cursor.execute(sql.encode(), values).fetchall()
