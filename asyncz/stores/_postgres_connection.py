"""Connections with PostgreSQL, and the migrations of a database."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from typing import TypeAlias

import psycopg
from psycopg.rows import args_row, scalar_row

from asyncz.stores._migrations import FOREIGN_TABLES, SCHEMA_TABLE, Migration, migrations, statements
from asyncz.stores._postgres_network import with_time_limits
from asyncz.stores.exceptions import StoreSchemaError

Connection: TypeAlias = psycopg.Connection[tuple[object, ...]]
"""Connection whose rows are tuples."""

# The key of the advisory lock under which one process at a time applies migrations.
_MIGRATION_LOCK = 0x6173796E637A  # "asyncz"


def connected(url: str, *, prepare: bool) -> Connection:
    """Return a new connection, in which each statement outside of a transaction is one."""
    return psycopg.connect(
        with_time_limits(url),
        autocommit=True,
        prepare_threshold=5 if prepare else None,
        application_name="asyncz",
        row_factory=args_row(_values_of_row),
    )


def interrupt(connection: Connection) -> None:
    """End a connection whose thread waits for the server: it sees the end. `close` would need that thread."""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


def migrate(connection: Connection, description: str) -> Sequence[Migration]:
    """Apply the migrations that the database lacks, each in a transaction and under a lock, and return them.

    Raises:
        StoreSchemaError: The database has a newer schema, or tables that are not those of this package.
    """
    known = migrations("postgres")
    newest, found = known[-1].number, schema_number(connection)
    # The next version of the schema only adds to this one.
    if found > newest + 1:
        raise StoreSchemaError(description, found, newest)
    if found >= newest:
        return ()
    applied: list[Migration] = []
    # A transaction for each: with the locks of several tables, it could wait for a node that fires, and that for it.
    while (migration := _apply_next(connection, description, known)) is not None:
        applied.append(migration)
    return applied


def _apply_next(connection: Connection, description: str, known: Sequence[Migration]) -> Migration | None:
    with connection.transaction():
        _ = connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])
        # Read again: another process may have applied them meanwhile. Without this statement, which updates the catalog
        # cache of the session, `to_regclass` would repeat that there is no table.
        _ = connection.execute(SCHEMA_TABLE)
        found = schema_number(connection)
        if found >= known[-1].number:
            return None
        migration = known[found]
        try:
            for statement in statements(migration):
                _ = connection.execute(statement.encode())
        except psycopg.ProgrammingError as error:
            # The statement is wrong for this database, as if someone had created the tables by hand.
            reason = f"{migration.name} fails: {error.diag.message_primary or error}; {FOREIGN_TABLES}"
            raise StoreSchemaError(description, found, migration.number, reason) from error
    return migration


def _values_of_row(*values: object) -> tuple[object, ...]:
    return values


def schema_number(connection: Connection) -> int:
    """Return the number of the newest migration that was applied, 0 if there is none."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        (table,) = cursor.execute("SELECT to_regclass('asyncz_schema')::text").fetchall()
        if table is None:
            return 0
        (number,) = cursor.execute("SELECT coalesce(max(number), 0) FROM asyncz_schema").fetchall()
        return int(f"{number}")
