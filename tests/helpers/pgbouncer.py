"""PgBouncer in front of a PostgreSQL server, for tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.helpers.proxy import with_options

BINARY = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
"""Path of the program; None if it is not installed."""

_PORT = 6432


@contextmanager
def pgbouncer(server: str, *, pool_mode: str = "transaction") -> Iterator[str]:
    """Run PgBouncer with two connections to a server, and provide the connection string of its clients."""
    assert BINARY is not None
    parts = conninfo_to_dict(server)
    with tempfile.TemporaryDirectory(prefix="asyncz-pgbouncer-") as name:
        folder = Path(name)
        settings = {
            "listen_addr": "",
            "unix_socket_dir": name,
            "listen_port": f"{_PORT}",
            "auth_type": "any",
            "pool_mode": pool_mode,
            "default_pool_size": "2",
            "ignore_startup_parameters": "options,extra_float_digits",
            "logfile": f"{folder / 'log'}",
            "pidfile": f"{folder / 'pid'}",
        }
        target = f"host={parts['host']} port={parts.get('port') or 5432} dbname={parts['dbname']} user={parts['user']}"
        lines = [
            "[databases]",
            f"jobs = {target}",
            "[pgbouncer]",
            *(f"{key} = {each}" for key, each in settings.items()),
        ]
        (folder / "pgbouncer.ini").write_text("\n".join(lines))
        command = [BINARY, f"{folder / 'pgbouncer.ini'}"]
        if os.geteuid() == 0:
            # It does not run as root. The owner of the socket of the server may use that.
            owner = Path(f"{parts['host']}").owner()
            command += ["-u", owner]
            shutil.chown(folder, owner)
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            url = with_options(server, host=name, port=f"{_PORT}", dbname="jobs")
            _wait_for(url, process)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with psycopg.connect(url):
                return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
