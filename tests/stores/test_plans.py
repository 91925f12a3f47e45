"""Statements of PostgreSQL find rows by their ids, whatever the planner knows about the tables."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from asyncz.stores.postgres import PostgresStore
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import Firing, NodeRecord, Outcome, RunRecord, TaskRecord
from tests.helpers.postgres import new_schema

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("postgres")]

_ROWS = 3000
_DUE = datetime(2025, 1, 1, tzinfo=UTC)


async def test_postgres_fire_in_new_database_reads_by_id(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    session = await _session(url)
    tasks = await session.declare([_task(number) for number in range(_ROWS)], "update")
    await session.close()
    before = _rows_of_scans(url)
    session = await _session(url)
    for start in range(0, 1000, 100):
        assert len(await session.fire([_firing(task) for task in tasks[start : start + 100]])) == 100
    await session.close()
    # The lease looks at all running runs, once.
    assert _rows_of_scans(url) - before < 2 * _ROWS


async def test_postgres_finish_with_statistics_reads_by_id(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    session = await _session(url)
    runs = await session.submit([_run(f"task-{number}") for number in range(_ROWS)])
    await session.close()
    with psycopg.connect(url, autocommit=True, application_name="asyncz") as connection:
        connection.execute("ANALYZE asyncz_runs")
    before = _rows_of_scans(url)
    session = await _session(url)
    for run in runs[:10]:
        assert await session.finish([_outcome(run)]) == [run.id]
    await session.close()
    # The lease looks at all running runs, once.
    assert _rows_of_scans(url) - before < 2 * _ROWS


async def test_postgres_finish_after_growth_reads_by_id(postgres_server: str) -> None:
    """The plan for a small table, which the server keeps until it analyzes the table, is not used for a large one."""
    url = new_schema(postgres_server)
    session = await _session(url)
    for run in await session.submit([_run(f"first-{number}") for number in range(30)]):
        # The server chooses the plan after some uses, and reads the whole small table.
        assert await session.finish([_outcome(run)]) == [run.id]
    runs = await session.submit([_run(f"task-{number}") for number in range(_ROWS)])
    for run in runs[:20]:
        assert await session.finish([_outcome(run)]) == [run.id]
    await session.close()
    assert _rows_of_scans(url) < 2 * _ROWS


async def test_postgres_fire_after_growth_reads_by_id(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    session = await _session(url)
    for task in await session.declare([_task(-number) for number in range(1, 31)], "update"):
        assert len(await session.fire([_firing(task)])) == 1
    tasks = await session.declare([_task(number) for number in range(_ROWS)], "update")
    for task in tasks[:20]:
        assert len(await session.fire([_firing(task)])) == 1
    await session.close()
    assert _rows_of_scans(url) < 2 * _ROWS


async def _session(url: str) -> StoreSession:
    return await PostgresStore(url, notify=False).connect(NodeRecord(id="node"), timedelta(seconds=60))


def _task(number: int) -> TaskRecord:
    return TaskRecord(id=f"task-{number}", function="jobs:nothing", next_due=_DUE, started_at=_DUE, trigger="{}")


def _firing(task: TaskRecord) -> Firing:
    return Firing(
        task_id=task.id, version=task.version, due=_DUE, next_due=_DUE + timedelta(hours=1), runs=(_run(task.id),)
    )


def _run(task_id: str) -> RunRecord:
    return RunRecord(id=uuid4(), task_id=task_id, scheduled_at=_DUE)


def _outcome(run: RunRecord) -> Outcome:
    return Outcome(run_id=run.id, fence=run.fence, state="executed", finished_at=_DUE)


def _rows_of_scans(url: str) -> int:
    """Return the number of rows that scans of whole tables have read, as the sessions report it when they end."""
    with psycopg.connect(url, autocommit=True) as connection:
        deadline = time.monotonic() + 10
        sessions = "SELECT FROM pg_stat_activity WHERE application_name = 'asyncz'"
        while connection.execute(sessions).fetchone() is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        rows: Sequence[tuple[object, ...]] = connection.execute(
            "SELECT sum(seq_tup_read) FROM pg_stat_user_tables"
            " WHERE schemaname = current_schema() AND relname IN ('asyncz_tasks', 'asyncz_runs')"
        ).fetchall()
    return int(f"{rows[0][0]}")
