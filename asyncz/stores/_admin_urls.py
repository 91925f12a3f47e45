"""Maintenance of a database by its URL."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, contextmanager

from asyncz.stores._admin import Access, StoreAdmin
from asyncz.stores._urls import sqlite_path


@contextmanager
def opened_admin(url: str, access: Access) -> Generator[StoreAdmin, None, None]:
    """Provide the maintenance of a database by its URL.

    Raises:
        InvalidInputError: The URL is not one of a database.
        MissingExtraError: The extra `postgres` is not installed.
        StoreConnectionError: The database cannot be opened.
    """
    path = sqlite_path(url)
    if path is not None:
        from asyncz.stores._admin_sqlite import SqliteAdmin

        admin: StoreAdmin = SqliteAdmin(path, access)
    else:
        from asyncz.stores._admin_postgres import PostgresAdmin

        admin = PostgresAdmin(url, access)
    with closing(admin):
        yield admin
