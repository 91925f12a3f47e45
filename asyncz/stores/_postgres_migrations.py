"""Migrations of a PostgreSQL database."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg.rows import args_row, scalar_row
from typing_extensions import override

from asyncz.clock import in_utc
from asyncz.stores._migrations import FOREIGN_TABLES, SCHEMA_TABLE, Migration, migrations, statements
from asyncz.stores._postgres_connection import Connection
from asyncz.stores._postgres_errors import message_of
from asyncz.stores.exceptions import StoreSchemaError, StoreUnavailableError

# The key of the advisory lock under which one process at a time applies migrations.
_MIGRATION_LOCK = 0x6173796E637A  # "asyncz"
# Seconds of one try to lock a table: all later statements of other nodes queue behind it.
_LOCK_TIMEOUT = 2.0
# Seconds until the next try, in which the other nodes work.
_LOCK_PAUSE = 2.0
# Seconds for all tries of one node. They end before a call is interrupted.
_LOCK_WAIT = 40.0

# Limits of a user are for short statements: the transaction of a migration waits for locks, and may make an index.
_NO_LIMITS = """
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout') AND setting <> '0'
"""

# New tables are made beside the others: a newer schema may be searched first, such as the one of the role.
_SCHEMA_OF_TABLES = """
SELECT set_config('search_path', relnamespace::regnamespace || ', ' || current_setting('search_path'), true)
FROM pg_class WHERE oid = to_regclass('asyncz_schema')
"""

# A node that migrates keeps the lock during its pauses, in which it waits for nobody: `pg_blocking_pids` would not name
# those that it has to wait for. A transaction comes last if its begin is not known: it may have ended meanwhile.
_HOLDERS = """
SELECT locks.pid, coalesce(application_name, ''), coalesce(usename, ''), min(xact_start), bool_or(locktype = 'advisory')
FROM pg_locks AS locks LEFT JOIN pg_stat_activity AS activity ON activity.pid = locks.pid
WHERE granted AND locks.pid IS DISTINCT FROM pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (
        locktype = 'advisory' AND objsubid = 1 AND (classid::bigint << 32) + objid::bigint = %(key)s
        OR locktype = 'relation' AND relation IN (
            SELECT oid FROM pg_class WHERE relname LIKE 'asyncz\\_%%' AND pg_table_is_visible(oid)
        )
    )
GROUP BY 1, 2, 3 ORDER BY 5 DESC, 4 LIMIT 4
"""

_NOT_ALLOWED = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.ReadOnlySqlTransaction,
)
_MIGRATE = (
    "the database lacks migrations, which this role cannot apply here; run `asyncz store migrate` with a role that owns"
    " the tables, or may CREATE them in the schema, on a server that is not read-only"
)


def migrate(connection: Connection, description: str) -> Sequence[Migration]:
    """Apply the migrations that the database lacks, each in a transaction and under a lock, and return them.

    Raises:
        StoreUnavailableError: A long transaction has the locks that a migration needs, another node migrates, or the
            role cannot apply migrations.
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
    deadline = time.monotonic() + _LOCK_WAIT
    # A transaction for each: with the locks of several tables, it could wait for a node that fires, and that for it.
    try:
        while (migration := _apply_next(connection, description, known, deadline)) is not None:
            applied.append(migration)
    except _NOT_ALLOWED as error:
        raise StoreUnavailableError(description, f"{message_of(error)}; {_MIGRATE}") from error
    return applied


def _apply_next(
    connection: Connection, description: str, known: Sequence[Migration], deadline: float
) -> Migration | None:
    with connection.transaction():
        _ = connection.execute(_NO_LIMITS.encode())
        _ = connection.execute(_SCHEMA_OF_TABLES.encode())
        # All nodes wait at the same time, and give up at their own deadline: the one that has the lock keeps it while
        # it tries to lock tables, so that those of the tables are not queued for without a pause.
        if not _in_tries(connection, lambda: _lock_migrations(connection), deadline, pause=0):
            reason = f"another node applies migrations{_holders(connection)}"
            raise StoreUnavailableError(description, reason)
        # Read again: another process may have applied them meanwhile. Without this statement, which updates the catalog
        # cache of the session, `to_regclass` would repeat that there is no table.
        _ = connection.execute(SCHEMA_TABLE)
        found = schema_number(connection)
        if found >= known[-1].number:
            return None
        migration = known[found]
        try:
            done = _in_tries(connection, lambda: _apply(connection, migration), deadline, pause=_LOCK_PAUSE)
        except _NOT_ALLOWED:
            raise
        except psycopg.ProgrammingError as error:
            # The statement is wrong for this database, as if someone had created the tables by hand.
            reason = f"{migration.name} fails: {error.diag.message_primary or error}; {FOREIGN_TABLES}"
            raise StoreSchemaError(description, found, migration.number, reason) from error
        if not done:
            reason = f"{migration.name} waits for the locks of another transaction{_holders(connection)}"
            raise StoreUnavailableError(description, reason)
    return migration


def _in_tries(connection: Connection, action: Callable[[], object], deadline: float, *, pause: float) -> bool:
    """Execute statements that wait for locks, in short tries, and return False if there was no lock until a deadline.

    Each try is a savepoint, whose end releases the locks of tables.
    """
    while True:
        left = max(0.001, min(_LOCK_TIMEOUT, deadline - time.monotonic()))
        try:
            with connection.transaction():
                _ = connection.execute(f"SET LOCAL lock_timeout = {round(left * 1000)}".encode())
                _ = action()
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() + pause >= deadline:
                return False
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
        else:
            return True


def _lock_migrations(connection: Connection) -> None:
    _ = connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])


def _apply(connection: Connection, migration: Migration) -> None:
    for statement in statements(migration):
        _ = connection.execute(statement.encode())


def _holders(connection: Connection) -> str:
    """Return the transactions that have locks which a migration needs, and advice, as the end of a sentence."""
    with connection.cursor(row_factory=args_row(_Holder)) as cursor:
        holders = cursor.execute(_HOLDERS.encode(), {"key": _MIGRATION_LOCK}).fetchall()
    if not holders:
        # The transaction has ended meanwhile.
        return "; try again"
    shown = ", ".join(f"{each}" for each in holders)
    ends = [f"SELECT pg_terminate_backend({each.pid})" for each in holders if not each.is_migrating]
    advice = f"wait for the end of the transaction, or end it with {ends[0]}," if ends else "wait for its end"
    return f": {shown}; {advice} and try again"


class _Holder(NamedTuple):
    pid: int
    program: str
    user: str
    since: datetime | None
    is_migrating: bool

    @override
    def __str__(self) -> str:
        details = [
            *(["a node that migrates"] if self.is_migrating else []),
            *([f"program {self.program!r}"] if self.program else []),
            *([f"user {self.user!r}"] if self.user else []),
            *([f"since {in_utc(self.since):%Y-%m-%d %H:%M:%S} UTC"] if self.since is not None else []),
        ]
        return f"process {self.pid}" + (f" ({', '.join(details)})" if details else "")


def schema_number(connection: Connection) -> int:
    """Return the number of the newest migration that was applied, 0 if there is none."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        (table,) = cursor.execute("SELECT to_regclass('asyncz_schema')::text").fetchall()
        if table is None:
            return 0
        (number,) = cursor.execute("SELECT coalesce(max(number), 0) FROM asyncz_schema").fetchall()
        return int(f"{number}")
