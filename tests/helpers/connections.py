"""Connections of users to the database of a store."""

from __future__ import annotations

import contextlib
import sqlite3

import psycopg

from asyncz.stores._admin_urls import opened_admin


def connect(url: str) -> sqlite3.Connection | psycopg.Connection[object]:
    if url.startswith("sqlite"):
        return sqlite3.connect(url.removeprefix("sqlite:///"), timeout=5)
    return psycopg.Connection[object].connect(url)


def with_orders(url: str) -> str:
    """Make a store and a table of the user in its database, and return the address."""
    with opened_admin(url, "create") as admin:
        admin.migrate()
    with contextlib.closing(connect(url)) as connection:
        connection.execute("CREATE TABLE orders (id integer)")
        connection.commit()
    return url


def orders(url: str) -> int:
    """Return the number of rows in the table of the user."""
    with contextlib.closing(connect(url)) as connection:
        return len(connection.execute("SELECT id FROM orders").fetchall())
