"""Transaction of a connection of psycopg for the outbox."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime

import psycopg
from psycopg.rows import args_row, kwargs_row
from typing_extensions import TypeIs

from asyncz.clock import in_utc
from asyncz.stores._columns import RUN_COLUMNS, TASK_COLUMNS, column_list
from asyncz.stores._migrations import NO_TABLES, migrations
from asyncz.stores._postgres_hints import CHANNEL
from asyncz.stores.exceptions import StoredTaskConflictError, StoreSchemaError
from asyncz.stores.records import RunRecord, TaskRecord

_GIVEN = [column for column in RUN_COLUMNS if column not in {"sequence", "created_at"}]
_READ_TASK = f"SELECT {column_list(TASK_COLUMNS)} FROM asyncz_tasks WHERE id = %s".encode()  # noqa: S608  # own names
_ADD_RUN = (
    f"INSERT INTO asyncz_runs ({column_list(_GIVEN)}, created_at)"  # noqa: S608  # own names
    f" VALUES ({', '.join(f'%({column})s' for column in _GIVEN)}, clock_timestamp())"
).encode()
_UPDATES = ", ".join(f'"{column}" = excluded."{column}"' for column in TASK_COLUMNS if column != "version")
# One statement. The row of the counter stays locked, so that revisions become visible in their order. The condition is
# checked with the newest row of the task, also if it was committed while this statement waited for the counter.
_ADD_TASK = (
    "WITH next AS (UPDATE asyncz_counters SET value = value + 1 WHERE name = 'revision' RETURNING value)"  # noqa: S608  # own names
    f" INSERT INTO asyncz_tasks ({column_list(TASK_COLUMNS)}) SELECT"
    f" {', '.join('value' if column == 'revision' else f'%({column})s' for column in TASK_COLUMNS)} FROM next"
    f" ON CONFLICT (id) DO UPDATE SET {_UPDATES}, version = asyncz_tasks.version + 1 WHERE asyncz_tasks.removed"
).encode()
_NOTIFY = f"SELECT pg_notify({CHANNEL}, '')".encode()


def is_connection(value: object) -> TypeIs[psycopg.Connection[object]]:
    """Return True for a synchronous connection of psycopg."""
    return isinstance(value, psycopg.Connection)


class PostgresOutboxTransaction:
    """The transaction of a connection; psycopg begins it if the connection does not commit by itself."""

    def __init__(self, connection: psycopg.Connection[object]) -> None:
        self._connection = connection

    def now(self) -> datetime:
        """Return the time of the store."""
        with psycopg.Cursor(self._connection, row_factory=args_row(in_utc)) as cursor:
            (now,) = cursor.execute(b"SELECT clock_timestamp()").fetchall()
        return now

    def task(self, task_id: str) -> TaskRecord | None:
        """Return a stored task, also a removed one."""
        with self._translated(), psycopg.Cursor(self._connection, row_factory=kwargs_row(TaskRecord)) as cursor:
            return cursor.execute(_READ_TASK, [task_id]).fetchone()

    def add_run(self, run: RunRecord) -> None:
        """Insert a waiting run; the commit notifies the nodes."""
        self._write(_ADD_RUN, run.model_dump(include={*_GIVEN}))

    def add_task(self, task: TaskRecord) -> None:
        """Insert a task, or replace a removed one with the next version; the commit notifies the nodes."""
        if not self._write(_ADD_TASK, task.model_copy(update={"version": 1}).model_dump()):
            raise StoredTaskConflictError(task.id)

    def _write(self, sql: bytes, values: dict[str, object]) -> int:
        """Execute a statement, and return the number of written rows."""
        with self._translated(), psycopg.Cursor(self._connection) as cursor:
            written = cursor.execute(sql, values).rowcount
            _ = cursor.execute(_NOTIFY)
        return written

    @contextmanager
    def _translated(self) -> Generator[None, None, None]:
        """Report a database without the tables of this version; other errors of the driver belong to the user."""
        try:
            yield
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            reason = f"{error.diag.message_primary or error}; {NO_TABLES}"
            raise StoreSchemaError("of the connection", 0, migrations("postgres")[-1].number, reason) from error
