"""Maintenance of a PostgreSQL database."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from uuid import UUID

from typing_extensions import override

from asyncz.clock import in_utc
from asyncz.stores._admin import Access, StoreAdmin
from asyncz.stores._migrations import Dialect, Migration
from asyncz.stores._postgres_connection import Connection, connected, interrupt
from asyncz.stores._postgres_errors import translated
from asyncz.stores._postgres_hints import CHANNEL
from asyncz.stores._postgres_migrations import migrate, schema_number
from asyncz.stores._postgres_network import describe


class PostgresAdmin(StoreAdmin):
    """Maintenance over a connection of its own.

    Args:
        url: Connection string.
        access: How the database is used; with `read`, the server rejects each change.

    Raises:
        InvalidInputError: The connection string is not valid.
        StoreConnectionError: The database cannot be reached.
    """

    dialect: Dialect = "postgres"

    def __init__(self, url: str, access: Access) -> None:
        self.description = describe(url)
        with translated(self.description):
            self._connection: Connection = connected(url, prepare=False)
        # Not a setting of the session: a pooler would hand that on to the next client.
        self._is_read_only: bool = access == "read"
        self._connection.read_only = self._is_read_only or None

    @override
    def migrate(self) -> Sequence[Migration]:
        with translated(self.description):
            return migrate(self._connection, self.description)

    @override
    def close(self) -> None:
        self._connection.close()

    @override
    def interrupt(self) -> None:
        interrupt(self._connection)

    @override
    def _rows(self, sql: str, *values: object) -> Sequence[Sequence[object]]:
        with self._reading():
            return self._connection.execute(sql.replace("?", "%s").encode(), values).fetchall()

    @contextmanager
    def _reading(self) -> Generator[None]:
        """Execute a statement by itself. Only the begin of a transaction can say that it is read-only."""
        with translated(self.description), self._connection.transaction() if self._is_read_only else nullcontext():
            yield

    @override
    def _schema(self) -> int:
        with self._reading():
            return schema_number(self._connection)

    @override
    def _columns(self, table: str) -> Collection[str]:
        sql = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped"
        return [str(name) for (name,) in self._rows(sql, table)]

    @override
    @contextmanager
    def transaction(self) -> Generator[None]:
        with translated(self.description), self._connection.transaction():
            yield

    @override
    def notify(self) -> None:
        _ = self._rows(f"SELECT pg_notify({CHANNEL}, '')")  # a constant expression

    @override
    def now(self) -> datetime:
        ((now,),) = self._rows("SELECT clock_timestamp()")
        return self.read_time(now)

    @override
    def stored_time(self, moment: datetime) -> object:
        return moment

    @override
    def stored_id(self, run_id: UUID) -> object:
        return run_id

    @override
    def read_time(self, value: object) -> datetime:
        assert isinstance(value, datetime)
        return in_utc(value)

    @override
    def _delete(self, sequences: Sequence[int]) -> int:
        sql = b"DELETE FROM asyncz_runs WHERE sequence = ANY (%s)"
        with translated(self.description):
            return self._connection.execute(sql, [[*sequences]]).rowcount
