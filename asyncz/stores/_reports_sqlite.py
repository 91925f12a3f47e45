"""Reports of runs in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from asyncz.stores._columns import SqlValue, microseconds, report_of_row
from asyncz.stores.records import RunReport

# The fence alone decides, as each transition of a run increments it.
_REPORT = (
    "INSERT INTO asyncz_reports (run_id, fence, node, progress, details, written_at)"
    " SELECT id, fence, node, ?, ?, ? FROM asyncz_runs WHERE id = ? AND fence = ?"
    " ON CONFLICT (run_id, fence) DO UPDATE SET progress = coalesce(excluded.progress, progress),"
    " details = coalesce(excluded.details, details), written_at = excluded.written_at"
)


def report(database: sqlite3.Connection, reports: Sequence[RunReport], now: datetime) -> Sequence[UUID]:
    """Store reports, and return the ids of the runs with the current fence."""
    accepted: list[UUID] = []
    for each in reports:
        values = (each.progress, each.details, microseconds(now), each.run_id.bytes, each.fence)
        if database.execute(_REPORT, values).rowcount == 1:
            accepted.append(each.run_id)
    return accepted


def reports_of(database: sqlite3.Connection, run_id: UUID) -> Sequence[RunReport]:
    """Return the reports of a run, one of each owner."""
    sql = "SELECT run_id, fence, node, progress, details FROM asyncz_reports WHERE run_id = ? ORDER BY fence"
    rows: list[tuple[SqlValue, ...]] = database.execute(sql, (run_id.bytes,)).fetchall()
    return [report_of_row(row) for row in rows]
