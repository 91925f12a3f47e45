"""Access of operators to a store, without a node: the reads and writes of dashboards and commands.

A console has no lease, fires nothing and imports no code of users. Its calls run in one thread, which opens the
database with the first call, and again after an error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from urllib.parse import quote

from typing_extensions import TypeVar

from asyncz.stores._admin import StoreAdmin
from asyncz.stores._admin_urls import opened_admin
from asyncz.stores._thread import ConnectionThread
from asyncz.stores._urls import sqlite_path
from asyncz.stores.exceptions import StoreClosedError, StoreError

ResultT = TypeVar("ResultT")


class StoreConsole:
    """Connection of operators to a database that schedulers use as their store. For any event loop.

    Args:
        url: URL of the database.
        description: Description of the database for users: without host, folders and passwords.
    """

    def __init__(self, url: str, description: str) -> None:
        self._url = url
        self.description: str = description
        self._thread: ConnectionThread | None = None
        self._closed = False
        # For the thread.
        self._opened: AbstractContextManager[StoreAdmin] | None = None
        self._admin: StoreAdmin | None = None

    async def call(self, call: Callable[[StoreAdmin], ResultT]) -> ResultT:
        """Make a call with the database in the thread of the console, and return its result.

        Raises:
            StoreClosedError: The console was closed.
            StoreConnectionError: The database cannot be reached, or has not answered.
            StoreSchemaError: The database has another schema than this version.
        """
        if self._closed:
            raise StoreClosedError(self.description)
        if self._thread is None:
            self._thread = ConnectionThread(f"asyncz-console {self.description}")
        return await self._thread.call(lambda: self._call(call), self._interrupt)

    def close(self) -> None:
        """Disconnect after the calls that were made before. Does not wait for them. Idempotent."""
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.post(self._disconnect)
            thread.stop()

    def _interrupt(self) -> None:
        # The attribute is read once: the thread of the console may disconnect at any time.
        admin = self._admin
        if admin is not None:
            admin.interrupt()

    def _call(self, call: Callable[[StoreAdmin], ResultT]) -> ResultT:
        try:
            return call(self._connected())
        except StoreError:
            # Only a new connection is known to be in order.
            self._disconnect()
            raise

    def _connected(self) -> StoreAdmin:
        if self._admin is None:
            opened = opened_admin(self._url, "write")
            # Assigned first, so that a check of the schema that gets no answer can be interrupted.
            admin = self._admin = opened.__enter__()
            self._opened = opened
            try:
                admin.require_schema()
            except BaseException:
                self._disconnect()
                raise
        return self._admin

    def _disconnect(self) -> None:
        opened, self._opened, self._admin = self._opened, None, None
        if opened is not None:
            with suppress(Exception):
                opened.__exit__(None, None, None)


def console_of_url(url: str) -> StoreConsole:
    """Return the console of a database by its URL; nothing is opened yet.

    Raises:
        InvalidInputError: The URL is not one of a database.
        MissingExtraError: The extra `postgres` is not installed.
    """
    path = sqlite_path(url)
    if path is not None:
        return StoreConsole(url, f"{Path(path).name} (SQLite)")
    from asyncz.stores._postgres_network import describe

    return StoreConsole(url, f"{describe(url).rpartition('/')[2] or 'the default database'} (PostgreSQL)")


def console_of(store: object) -> StoreConsole | None:
    """Return the console of a store; None if the store is not a database of this package."""
    if "asyncz.stores.sqlite" in sys.modules:
        from asyncz.stores.sqlite import SqliteStore

        if isinstance(store, SqliteStore):
            return console_of_url(f"sqlite:///{quote(store._path)}")
    if "asyncz.stores.postgres" in sys.modules:
        from asyncz.stores.postgres import PostgresStore

        if isinstance(store, PostgresStore):
            return console_of_url(store._url)
    return None
