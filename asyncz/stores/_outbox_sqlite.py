"""Transaction of a connection of `sqlite3` for the outbox."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime

from asyncz.clock import utc
from asyncz.exceptions import InvalidInputError
from asyncz.stores._columns import (
    RUN_COLUMNS,
    TASK_COLUMNS,
    WRITE_TASK,
    SqlValue,
    column_list,
    sqlite_value,
    task_of_row,
    task_row,
)
from asyncz.stores._found_run import FoundRun
from asyncz.stores._migrations import NO_TABLES, migrations
from asyncz.stores._outcomes_sqlite import add_runs, finish_run, is_alive, was_finished_so
from asyncz.stores._sweep_sqlite import OutcomeNumbers
from asyncz.stores.exceptions import StoredTaskConflictError, StoreSchemaError
from asyncz.stores.records import Outcome, RunRecord, TaskRecord

_READ_TASK = f"SELECT {column_list(TASK_COLUMNS)} FROM asyncz_tasks WHERE id = ?"  # noqa: S608  # own names
_ADD_RUN = f"INSERT INTO asyncz_runs ({column_list(RUN_COLUMNS)}) VALUES ({', '.join('?' * len(RUN_COLUMNS))})"  # noqa: S608  # own names
_NEXT_REVISION = "UPDATE asyncz_counters SET value = value + 1 WHERE name = 'revision' RETURNING value"
_LOCK = "UPDATE asyncz_counters SET value = value WHERE name = 'revision'"
_READ_BEFORE = "Others write meanwhile; if the transaction has read before, begin it with BEGIN IMMEDIATE"
# `sqlite3.LEGACY_TRANSACTION_CONTROL`, since Python 3.12: the driver begins transactions as `isolation_level` says.
_LEGACY = -1


class SqliteOutboxTransaction:
    """The transaction of a connection, which is begun if the connection is in none and does not commit by itself."""

    locks_rows: bool = False

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # The user's rows may have another form.
        self._cursor = connection.cursor()
        self._cursor.row_factory = None

    def now(self) -> datetime:
        """Return the time of the store."""
        return utc(time.time())

    def task(self, task_id: str) -> TaskRecord | None:
        """Return a stored task, also a removed one."""
        with self._translated():
            row: tuple[SqlValue, ...] | None = self._cursor.execute(_READ_TASK, (task_id,)).fetchone()
        return None if row is None else task_of_row(row)

    def add_run(self, run: RunRecord) -> None:
        """Insert a waiting run."""
        record = run.model_copy(update={"created_at": self.now()})
        row = [sqlite_value(getattr(record, column)) for column in RUN_COLUMNS]
        # SQLite chooses the sequence.
        row[RUN_COLUMNS.index("sequence")] = None
        with self._translated(), self._atomic():
            _ = self._cursor.execute(_ADD_RUN, row)

    def add_task(self, task: TaskRecord) -> None:
        """Insert a task, or replace a removed one with the next version."""
        with self._translated(), self._atomic():
            # The write comes first: it locks the database, so that no other transaction adds the task after the read.
            (revision,) = self._cursor.execute(_NEXT_REVISION).fetchone()
            known = self.task(task.id)
            if known is not None and not known.removed:
                raise StoredTaskConflictError(task.id)
            version = 1 if known is None else known.version + 1
            written = task.model_copy(update={"version": version, "revision": revision})
            _ = self._cursor.execute(WRITE_TASK, task_row(written))

    def finish(self, node: str, submission: RunRecord | None, outcome: Outcome) -> bool:
        """Store an outcome and the runs that receive its result; see `OutboxTransaction.finish`."""
        if not self._connection.in_transaction and not self._begins_transactions():
            raise InvalidInputError("connection", "in autocommit mode", "begin a transaction before")
        with self._translated(), self._atomic():
            # The write comes first: after a read, SQLite would not wait for another writer.
            _ = self._cursor.execute(_LOCK)
            # Another database does not have the node.
            if submission is not None and is_alive(self._cursor, node, self.now()):
                _ = add_runs(self._cursor, node, [submission], self.now())
            numbers = OutcomeNumbers(self._cursor)
            finished = finish_run(self._cursor, node, outcome, numbers, self.now)
            numbers.save()
        return finished

    def rejection_of(self, outcome: Outcome, written: Outcome | None) -> FoundRun:
        """Return the state of a run whose outcome was rejected."""
        sql = "SELECT fence FROM asyncz_runs WHERE id = ?"
        row: tuple[int] | None = self._cursor.execute(sql, (outcome.run_id.bytes,)).fetchone()
        if row is None:
            return FoundRun(None)
        return FoundRun(row[0], written is not None and was_finished_so(self._cursor, written))

    @contextmanager
    def _atomic(self) -> Generator[None, None, None]:
        """Write everything or nothing of a block, within the transaction of the user."""
        # A savepoint outside of a transaction would commit at its release; `sqlite3` begins none for savepoints.
        if self._begins_transactions() and not self._connection.in_transaction:
            _ = self._cursor.execute("BEGIN")
        _ = self._cursor.execute("SAVEPOINT asyncz_outbox")
        try:
            yield
        except BaseException:
            if self._connection.in_transaction:
                _ = self._cursor.execute("ROLLBACK TO asyncz_outbox")
                _ = self._cursor.execute("RELEASE asyncz_outbox")
            raise
        _ = self._cursor.execute("RELEASE asyncz_outbox")

    def _begins_transactions(self) -> bool:
        """Return True if the driver begins transactions, and the user ends them."""
        # With `autocommit=True`, `isolation_level` is not None either, but has no effect.
        control: object = getattr(self._connection, "autocommit", _LEGACY)
        return control == _LEGACY and self._connection.isolation_level is not None

    @contextmanager
    def _translated(self) -> Generator[None, None, None]:
        """Report a database without the tables of this version; other errors of the driver belong to the user."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname.startswith("SQLITE_BUSY"):
                error.add_note(_READ_BEFORE)
            if not any(each in f"{error}" for each in ("no such table", "no such column", "has no column")):
                raise
            reason = f"{error}; {NO_TABLES}"
            raise StoreSchemaError("of the connection", 0, migrations("sqlite")[-1].number, reason) from error
