"""Reports of runs in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from psycopg.rows import scalar_row
from pydantic import ConfigDict, TypeAdapter

from asyncz.stores._columns import report_of_row
from asyncz.stores._postgres_connection import Connection
from asyncz.stores.records import RunReport

# The fence alone decides, as each transition of a run increments it. All writers lock the rows in one order.
_REPORT = b"""
INSERT INTO asyncz_reports AS stored (run_id, fence, node, progress, details, written_at)
SELECT asyncz_runs.id, asyncz_runs.fence, asyncz_runs.node, given.progress, given.details,
    coalesce(%(now)s::timestamptz, clock_timestamp())
FROM json_to_recordset(%(reports)s::json) AS given (run_id uuid, fence int, progress text, details text)
    JOIN asyncz_runs ON asyncz_runs.id = given.run_id AND asyncz_runs.fence = given.fence
ORDER BY asyncz_runs.id
ON CONFLICT (run_id, fence) DO UPDATE SET progress = coalesce(excluded.progress, stored.progress),
    details = coalesce(excluded.details, stored.details), written_at = excluded.written_at
RETURNING run_id
"""
_REPORT_LIST: TypeAdapter[Sequence[RunReport]] = TypeAdapter(Sequence[RunReport], config=ConfigDict(defer_build=True))


def report(database: Connection, reports: Sequence[RunReport], now: object) -> Sequence[UUID]:
    """Store reports, and return the ids of the runs with the current fence.

    Args:
        database: Connection.
        reports: Reports, at most one of each run.
        now: Time of the store; None for that of the server.
    """
    with database.cursor(row_factory=scalar_row) as cursor:
        values = {"reports": _REPORT_LIST.dump_json(reports).decode(), "now": now}
        accepted = cursor.execute(_REPORT, values).fetchall()
        return [UUID(f"{run_id}") for run_id in accepted]


def reports_of(database: Connection, run_id: UUID) -> Sequence[RunReport]:
    """Return the reports of a run, one of each owner."""
    sql = b"SELECT run_id, fence, node, progress, details FROM asyncz_reports WHERE run_id = %s ORDER BY fence"
    return [report_of_row(row) for row in database.execute(sql, (run_id,)).fetchall()]
