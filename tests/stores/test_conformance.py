"""Every store keeps every rule."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asyncz.stores import MemoryStore, SqliteStore, Store
from asyncz.testing.stores import StoreConformance


class TestMemoryStore(StoreConformance):
    def make_store(self, now: Callable[[], float], /) -> Store:
        return MemoryStore(now=now)


class TestSqliteStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def folder(self) -> Iterator[None]:
        with tempfile.TemporaryDirectory() as folder:
            self._folder = Path(folder)
            yield

    def make_store(self, now: Callable[[], float], /) -> Store:
        return SqliteStore(self._folder / "store.db", now=now, poll_interval=0.01)
