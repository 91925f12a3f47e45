"""Connections with PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TypeAlias

import psycopg
from psycopg.rows import args_row

from asyncz.stores._postgres_network import with_time_limits

Connection: TypeAlias = psycopg.Connection[tuple[object, ...]]
"""Connection whose rows are tuples."""


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


def _values_of_row(*values: object) -> tuple[object, ...]:
    return values
