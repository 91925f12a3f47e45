"""Dashboards in the apps of several frameworks, served by uvicorn."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from asyncz.stores._admin_urls import opened_admin
from tests.helpers.forked import Program
from tests.helpers.paths import PROJECT
from tests.helpers.postgres import new_schema, running_server

pytestmark = pytest.mark.slow

# A stream ends by itself after 25 s.
_MOST_DELAY = 1.0


class Server:
    """App in a process of uvicorn."""

    def __init__(self, app: str, folder: Path, prefix: str) -> None:
        self.prefix = prefix
        self._log = folder / "log"
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.address: tuple[str, int] = listening.getsockname()
            self.url = f"http://127.0.0.1:{self.address[1]}{prefix}"
            number = listening.fileno()
            with self._log.open("w") as log:
                # It inherits its standard streams only.
                command = ["-m", "uvicorn", app, "--fd", "0"]
                self.process = Program(command, cwd=PROJECT, stdin=number, stdout=log, stderr=log)

    def open_stream(self) -> socket.socket:
        """Open a stream of changes, as a tab of a browser does, and wait for its first bytes."""
        connection = socket.create_connection(self.address, timeout=30)
        connection.sendall(f"GET {self.prefix}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert b"200" in connection.recv(1000)
        return connection

    def seconds_to_end(self) -> float:
        """Send SIGTERM, and return the seconds until the process has ended."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        return time.monotonic() - began

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def serving(app: str, folder: Path, prefix: str = "/jobs") -> Iterator[Server]:
    server = Server(app, folder, prefix)
    try:
        httpx.get(f"{server.url}/api/info", timeout=60)
        yield server
    finally:
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize(
    ("app", "prefix"),
    [("starlette_app", "/jobs"), ("fastapi_app", "/jobs"), ("litestar_app", "/jobs"), ("alone", "")],
)
def test_dashboard_works_in_framework(app: str, prefix: str, tmp_path: Path) -> None:
    with serving(f"tests.dashboard.apps:{app}", tmp_path, prefix) as server:
        with httpx.Client(base_url=server.url, timeout=60, follow_redirects=True) as client:
            start = client.get("/")
            assert (start.status_code, start.url.path) == (200, f"{prefix}/tasks")
            assert client.get("/static/dashboard.js").status_code == 200
            assert client.get("/task", params={"id": "a/b/../ü"}).status_code == 200
            assert client.get("/nothing").status_code == 404
            answer = client.post("/api/actions", json={"action": "pause", "task_ids": ["double"]})
            assert answer.json()["done"] == ["double"]
        server.seconds_to_end()
        assert "Traceback" not in server.log, server.log


def test_open_tabs_do_not_delay_end(tmp_path: Path) -> None:
    check_ends("tests.dashboard.apps:alone", tmp_path)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_open_tabs_do_not_delay_end_with_store(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.ExitStack() as opened:
        if database == "sqlite":
            url = f"sqlite:///{tmp_path}/jobs.db"
        else:
            url = new_schema(opened.enter_context(running_server()))
        with opened_admin(url, "create") as admin:
            admin.migrate()
        monkeypatch.setenv("ASYNCZ_TEST_STORE", url)
        check_ends("tests.dashboard.store_apps:app", tmp_path)


def check_ends(app: str, folder: Path) -> None:
    """Check that open tabs do not delay the end of a server.

    On a busy machine a single end may take any time: the shortest of some shows what the server waits for.
    """
    shortest = {0: float("inf"), 3: float("inf")}
    for number in range(4):
        for tabs, before in shortest.items():
            own = folder / f"{number}-{tabs}"
            own.mkdir()
            shortest[tabs] = min(before, seconds_to_end(app, own, tabs))
        if shortest[3] - shortest[0] < _MOST_DELAY:
            break
    print(f"end without tabs: {shortest[0]:.2f} s, with three tabs: {shortest[3]:.2f} s")
    assert shortest[3] - shortest[0] < _MOST_DELAY


def seconds_to_end(app: str, folder: Path, tabs: int) -> float:
    """Return the seconds from SIGTERM to the end of a server with open streams, which the clients do not read."""
    with serving(app, folder, "") as server:
        streams = [server.open_stream() for _ in range(tabs)]
        seconds = server.seconds_to_end()
        for stream in streams:
            stream.close()
        assert server.process.returncode is not None
        assert "Finished server process" in server.log
        assert "Traceback" not in server.log, server.log
        return seconds
