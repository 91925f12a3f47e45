"""Every store keeps every rule."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from asyncz.stores import MemoryStore, SqliteStore, Store
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
