"""Connections with PostgreSQL, and the migrations of a database."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time
from collections.abc import Sequence
from typing import TypeAlias

import psycopg
from psycopg.rows import args_row, scalar_row

from asyncz.stores._migrations import FOREIGN_TABLES, SCHEMA_TABLE, Migration, migrations, statements
from asyncz.stores._postgres_network import with_time_limits
from asyncz.stores.exceptions import StoreConnectionError, StoreSchemaError

Connection: TypeAlias = psycopg.Connection[tuple[object, ...]]
"""Connection whose rows are tuples."""

# The key of the advisory lock under which one process at a time applies migrations.
_MIGRATION_LOCK = 0x6173796E637A  # "asyncz"
# Seconds for which a migration waits for the locks of tables: all later statements of other nodes queue behind it.
_LOCK_TIMEOUT = 2.0
# Seconds until the next try, in which the other nodes work. All tries end before a call is interrupted.
_LOCK_PAUSE = 2.0
_LOCK_TRIES = 10


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
        StoreConnectionError: A long transaction has the locks that a migration needs.
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
            _apply(connection, description, migration)
        except psycopg.ProgrammingError as error:
            # The statement is wrong for this database, as if someone had created the tables by hand.
            reason = f"{migration.name} fails: {error.diag.message_primary or error}; {FOREIGN_TABLES}"
            raise StoreSchemaError(description, found, migration.number, reason) from error
    return migration


def _apply(connection: Connection, description: str, migration: Migration) -> None:
    """Execute the statements of a migration, in several tries if a long transaction has the locks that they need.

    Each try is a savepoint, whose end releases the locks of tables. The lock of the migrations is kept, so that one
    process at a time tries.

    Raises:
        StoreConnectionError: The locks were not available in any try.
    """
    for number in range(1, _LOCK_TRIES + 1):
        try:
            with connection.transaction():
                _ = connection.execute(f"SET LOCAL lock_timeout = {round(_LOCK_TIMEOUT * 1000)}".encode())
                for statement in statements(migration):
                    _ = connection.execute(statement.encode())
        except psycopg.errors.LockNotAvailable as error:
            if number == _LOCK_TRIES:
                reason = (
                    f"{migration.name} waits for a lock that a long transaction has; end that, see pg_stat_activity,"
                    " and try again"
                )
                raise StoreConnectionError(description, reason) from error
            time.sleep(_LOCK_PAUSE * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
        else:
            return


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
