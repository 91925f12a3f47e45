"""Maintenance of an SQLite file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from uuid import UUID

from typing_extensions import override

from asyncz.clock import utc
from asyncz.stores._admin import Access, StoreAdmin
from asyncz.stores._columns import SqlValue, from_microseconds, microseconds
from asyncz.stores._migrations import Dialect, Migration
from asyncz.stores._sqlite_errors import store_error
from asyncz.stores.exceptions import StoreConnectionError
from asyncz.stores.sqlite import migrate, schema_number, transaction


class SqliteAdmin(StoreAdmin):
    """Maintenance of an SQLite file.

    Args:
        path: Path of the file.
        access: How the file is opened.

    Raises:
        StoreConnectionError: The file cannot be opened.
    """

    dialect: Dialect = "sqlite"

    def __init__(self, path: str, access: Access) -> None:
        file = Path(path).absolute()
        self._path = str(file)
        self.description = repr(self._path)
        if access != "create" and not file.is_file():
            raise StoreConnectionError(self.description, "there is no such file")
        mode = {"read": "ro", "write": "rw", "create": "rwc"}[access]
        with self._translated():
            self._connection: sqlite3.Connection = sqlite3.connect(
                f"{file.as_uri()}?mode={mode}", uri=True, timeout=30.0, isolation_level=None, check_same_thread=False
            )

    @contextmanager
    def _translated(self) -> Generator[None, None, None]:
        try:
            yield
        except sqlite3.Error as error:
            raise store_error(error, self.description) from error

    @override
    def migrate(self) -> Sequence[Migration]:
        with self._translated():
            return migrate(self._connection, self._path)

    @override
    def close(self) -> None:
        self._connection.close()

    @override
    def interrupt(self) -> None:
        """Do nothing: a file answers."""

    @override
    def _rows(self, sql: str, *values: object) -> Sequence[Sequence[object]]:
        with self._translated():
            rows: list[tuple[SqlValue, ...]] = self._connection.execute(sql, values).fetchall()
        return rows

    @override
    def _schema(self) -> int:
        with self._translated():
            return schema_number(self._connection)

    @override
    def _columns(self, table: str) -> Collection[str]:
        return [str(name) for (name,) in self._rows("SELECT name FROM pragma_table_info(?)", table)]

    @override
    @contextmanager
    def transaction(self) -> Generator[None]:
        with self._translated(), transaction(self._connection, "BEGIN IMMEDIATE"):
            yield

    @override
    def notify(self) -> None:
        """Do nothing: nodes poll the file."""

    @override
    def now(self) -> datetime:
        return utc(time.time())

    @override
    def stored_time(self, moment: datetime) -> object:
        return microseconds(moment)

    @override
    def stored_id(self, run_id: UUID) -> object:
        return run_id.bytes

    @override
    def read_time(self, value: object) -> datetime:
        return from_microseconds(int(str(value)))

    @override
    def _delete(self, sequences: Sequence[int]) -> int:
        places = ", ".join("?" * len(sequences))
        with self._translated():
            return self._connection.execute(
                f"DELETE FROM asyncz_runs WHERE sequence IN ({places})",  # noqa: S608  # question marks
                sequences,
            ).rowcount
