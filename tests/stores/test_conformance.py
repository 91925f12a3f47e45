"""Every store keeps every rule."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from typing_extensions import override

from asyncz.stores import MemoryStore, SqliteStore, Store
from asyncz.stores._admin_urls import opened_admin
from asyncz.stores._migrations import Dialect, migrations, statements
from asyncz.stores.postgres import PostgresStore
from asyncz.testing.stores import StoreConformance
from tests.helpers.postgres import new_schema


class TestMemoryStore(StoreConformance):
    @override
    def make_store(self, now: Callable[[], float], /) -> Store:
        return MemoryStore(now=now)


class TestSqliteStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def folder(self) -> Iterator[None]:
        with tempfile.TemporaryDirectory() as folder:
            self._folder = Path(folder)
            yield

    @override
    def make_store(self, now: Callable[[], float], /) -> Store:
        return SqliteStore(self._folder / "store.db", now=now, poll_interval=0.01)


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
class TestPostgresStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def server(self, postgres_server: str) -> None:
        self._server = postgres_server

    @override
    def make_store(self, now: Callable[[], float], /) -> Store:
        return PostgresStore(new_schema(self._server), now=now, poll_interval=0.01)


def migrated(url: str) -> int:
    """Give an empty database the schema of this version, and return its number."""
    with opened_admin(url, "create") as admin:
        return admin.migrate()[-1].number


def next_schema(number: int) -> Iterator[str]:
    """Yield statements of a migration that a later version could have."""
    for table in ("tasks", "runs", "nodes", "counters", "programs", "commands", "reports"):
        yield f"ALTER TABLE asyncz_{table} ADD COLUMN of_next_version text"
        yield f"ALTER TABLE asyncz_{table} ADD COLUMN number_of_next_version integer NOT NULL DEFAULT 7"
    yield "INSERT INTO asyncz_counters (name, value) VALUES ('of the next version', 0)"
    yield f"INSERT INTO asyncz_schema (number) VALUES ({number})"


class TestSqliteStoreOnNextSchema(TestSqliteStore):
    """An old node beside new ones in a rolling deploy."""

    @override
    def make_store(self, now: Callable[[], float], /) -> Store:
        path = self._folder / "store.db"
        number = migrated(f"sqlite:///{path}")
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            for statement in next_schema(number + 1):
                database.execute(statement)
        return super().make_store(now)


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
class TestPostgresStoreOnNextSchema(TestPostgresStore):
    """An old node beside new ones in a rolling deploy."""

    @override
    def make_store(self, now: Callable[[], float], /) -> Store:
        url = new_schema(self._server)
        number = migrated(url)
        with psycopg.connect(url) as database:
            for statement in next_schema(number + 1):
                database.execute(statement.encode())
        return PostgresStore(url, now=now, poll_interval=0.01)


_ADDITIONS = (
    r"CREATE TABLE asyncz_\w+ \(.*\)( STRICT)?(, WITHOUT ROWID)?",
    r"CREATE INDEX asyncz_\w+ ON .*",
    r"ALTER TABLE asyncz_\w+ ADD COLUMN \w+ \w+( NOT NULL DEFAULT \S+)?",
    r"CREATE TRIGGER asyncz_\w+ AFTER DELETE ON .*",
    r"INSERT INTO asyncz_(counters|schema) .*",
)


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_migrations_only_add(dialect: Dialect) -> None:
    """Nodes of the version before go on with a migrated database, in a rolling deploy."""
    for migration in migrations(dialect)[1:]:
        for statement in statements(migration):
            assert any(re.fullmatch(each, statement, re.DOTALL) for each in _ADDITIONS), (migration.name, statement)
