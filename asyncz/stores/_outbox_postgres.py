"""Transaction of a connection of psycopg for the outbox."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import args_row, kwargs_row, scalar_row
from typing_extensions import TypeIs

from asyncz.clock import in_utc
from asyncz.exceptions import InvalidInputError
from asyncz.stores._columns import RUN_COLUMNS, TASK_COLUMNS, column_list
from asyncz.stores._found_run import FoundRun
from asyncz.stores._migrations import NO_TABLES, migrations
from asyncz.stores._outcomes_postgres import (
    Statement,
    finish_without_number_statement,
    finished_before_statement,
    submit_statement,
)
from asyncz.stores._postgres_hints import CHANNEL
from asyncz.stores.exceptions import StoredTaskConflictError, StoreSchemaError
from asyncz.stores.records import Outcome, RunRecord, TaskRecord

_GIVEN = [column for column in RUN_COLUMNS if column not in {"sequence", "created_at"}]
_READ_TASK = f"SELECT {column_list(TASK_COLUMNS)} FROM asyncz_tasks WHERE id = %s".encode()  # noqa: S608  # own names
_ADD_RUN = (
    f"INSERT INTO asyncz_runs ({column_list(_GIVEN)}, created_at)"  # noqa: S608  # own names
    f" VALUES ({', '.join(f'%({column})s' for column in _GIVEN)}, clock_timestamp()) RETURNING id"
).encode()
_UPDATES = ", ".join(f'"{column}" = excluded."{column}"' for column in TASK_COLUMNS if column != "version")
# One statement. The row of the counter stays locked, so that revisions become visible in their order. The condition is
# checked with the newest row of the task, also if it was committed while this statement waited for the counter.
_ADD_TASK = (
    "WITH next AS (UPDATE asyncz_counters SET value = value + 1 WHERE name = 'revision' RETURNING value)"  # noqa: S608  # own names
    f" INSERT INTO asyncz_tasks ({column_list(TASK_COLUMNS)}) SELECT"
    f" {', '.join('value' if column == 'revision' else f'%({column})s' for column in TASK_COLUMNS)} FROM next"
    f" ON CONFLICT (id) DO UPDATE SET {_UPDATES}, version = asyncz_tasks.version + 1 WHERE asyncz_tasks.removed"
    " RETURNING id"
).encode()
_NOTIFY = f"SELECT pg_notify({CHANNEL}, '')".encode()
_READ_FENCE = b"SELECT fence FROM asyncz_runs WHERE id = %(id)s"
_READ_ISOLATION = b"SELECT current_setting('transaction_isolation')"
_HIDDEN_CHANGES = (
    "The isolation of the transaction hides changes of the run since its begin; use READ COMMITTED, or begin another"
    " transaction"
)


def is_connection(value: object) -> TypeIs[psycopg.Connection[object]]:
    """Return True for a synchronous connection of psycopg."""
    return isinstance(value, psycopg.Connection)


def is_async_connection(value: object) -> TypeIs[psycopg.AsyncConnection[object]]:
    """Return True for an asynchronous connection of psycopg."""
    return isinstance(value, psycopg.AsyncConnection)


class PostgresOutboxTransaction:
    """The transaction of a connection; psycopg begins it if the connection does not commit by itself."""

    locks_rows: bool = True

    def __init__(self, connection: psycopg.Connection[object]) -> None:
        self._connection = connection

    def now(self) -> datetime:
        """Return the time of the store."""
        with psycopg.Cursor(self._connection, row_factory=args_row(in_utc)) as cursor:
            (now,) = cursor.execute(b"SELECT clock_timestamp()").fetchall()
        return now

    def task(self, task_id: str) -> TaskRecord | None:
        """Return a stored task, also a removed one."""
        with _translated(), psycopg.Cursor(self._connection, row_factory=kwargs_row(TaskRecord)) as cursor:
            return cursor.execute(_READ_TASK, [task_id]).fetchone()

    def add_run(self, run: RunRecord) -> None:
        """Insert a waiting run; the commit notifies the nodes."""
        self._write(_ADD_RUN, run.model_dump(include={*_GIVEN}))

    def add_task(self, task: TaskRecord) -> None:
        """Insert a task, or replace a removed one with the next version; the commit notifies the nodes."""
        if not self._write(_ADD_TASK, task.model_copy(update={"version": 1}).model_dump()):
            raise StoredTaskConflictError(task.id)

    def finish(self, node: str, submission: RunRecord | None, outcome: Outcome) -> bool:
        """Store an outcome and the runs that receive its result; see `OutboxTransaction.finish`."""
        _check_transaction(self._connection)
        finished = 0
        with _translated(), psycopg.Cursor(self._connection) as cursor:
            for statement in _finish_statements(node, submission, outcome):
                # Rows, and not their number, which a pipeline does not know yet.
                finished = len(cursor.execute(*statement).fetchall())
            if outcome.then and finished:
                _ = cursor.execute(_NOTIFY)
        return finished == 1

    def rejection_of(self, outcome: Outcome, written: Outcome | None) -> FoundRun:
        """Return the state of a run whose outcome was rejected."""
        with psycopg.Cursor(self._connection, row_factory=scalar_row) as cursor:
            answers = [cursor.execute(*each).fetchall() for each in _rejection_statements(outcome, written)]
        return _found_run(*answers)

    def _write(self, sql: bytes, values: dict[str, object]) -> int:
        """Execute a statement, and return the number of written rows."""
        with _translated(), psycopg.Cursor(self._connection) as cursor:
            written = len(cursor.execute(sql, values).fetchall())
            _ = cursor.execute(_NOTIFY)
        return written


class PostgresAsyncTransaction:
    """The transaction of an asynchronous connection; psycopg begins it if the connection does not commit by itself."""

    def __init__(self, connection: psycopg.AsyncConnection[object]) -> None:
        self._connection = connection

    async def finish(self, node: str, submission: RunRecord | None, outcome: Outcome) -> bool:
        """Store an outcome and the runs that receive its result; see `OutboxTransaction.finish`."""
        _check_transaction(self._connection)
        finished = 0
        with _translated():
            async with psycopg.AsyncCursor(self._connection) as cursor:
                for statement in _finish_statements(node, submission, outcome):
                    finished = len(await (await cursor.execute(*statement)).fetchall())
                if outcome.then and finished:
                    _ = await cursor.execute(_NOTIFY)
        return finished == 1

    async def rejection_of(self, outcome: Outcome, written: Outcome | None) -> FoundRun:
        """Return the state of a run whose outcome was rejected."""
        async with psycopg.AsyncCursor(self._connection, row_factory=scalar_row) as cursor:
            statements = _rejection_statements(outcome, written)
            answers = [await (await cursor.execute(*each)).fetchall() for each in statements]
        return _found_run(*answers)


def _check_transaction(connection: psycopg.Connection[object] | psycopg.AsyncConnection[object]) -> None:
    if connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE:
        raise InvalidInputError("connection", "in autocommit mode", "begin a transaction before")


def _finish_statements(node: str, submission: RunRecord | None, outcome: Outcome) -> Sequence[Statement]:
    values = {"node": node, "now": None}
    finish = finish_without_number_statement(outcome, values)
    return [finish] if submission is None else [submit_statement([submission], values), finish]


def _rejection_statements(outcome: Outcome, written: Outcome | None) -> Sequence[Statement]:
    fence: Statement = _READ_FENCE, {"id": outcome.run_id}
    return [fence, (_READ_ISOLATION, {}), finished_before_statement([] if written is None else [written])]


def _found_run(fences: Sequence[object], isolations: Sequence[object], written: Sequence[object]) -> FoundRun:
    return FoundRun(int(f"{fences[0]}") if fences else None, bool(written), f"{isolations[0]}")


@contextmanager
def _translated() -> Generator[None, None, None]:
    """Report a database without the tables of this version; other errors of the driver belong to the user."""
    try:
        yield
    except psycopg.errors.SerializationFailure as error:
        error.add_note(_HIDDEN_CHANGES)
        raise
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        reason = f"{error.diag.message_primary or error}; {NO_TABLES}"
        raise StoreSchemaError("of the connection", 0, migrations("postgres")[-1].number, reason) from error
