"""A scheduler in the apps of several frameworks, served by uvicorn."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from asyncz import SchedulerState
from tests.helpers.paths import PROJECT

pytestmark = pytest.mark.slow


class Server:
    """An app in a process of uvicorn, on a free port."""

    def __init__(self, app: str, folder: Path, drain_timeout: float | None) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            number = listening.fileno()
            with (folder / "log").open("w") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "uvicorn", app, "--fd", str(number)],
                    stdout=log,
                    stderr=log,
                    pass_fds=[number],
                    cwd=PROJECT,
                    env={
                        **os.environ,
                        "ASYNCZ_TEST_FOLDER": str(folder),
                        "ASYNCZ_TEST_DRAIN_TIMEOUT": json.dumps(drain_timeout),
                    },
                )

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def events(self) -> list[tuple[str, int]]:
        """Return the records of runs so far."""
        file = self.folder / "events"
        return [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the server brings about; one that does not fails the test."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.log
            assert self.process.poll() is None, self.log
            time.sleep(0.01)

    def state(self) -> SchedulerState:
        answer = httpx.get(f"{self.url}/state", timeout=60)
        assert answer.headers["content-type"].startswith("application/json")
        return SchedulerState.model_validate_json(answer.content)

    def terminate(self) -> None:
        """Send SIGTERM, and wait until the server has begun to shut its app down."""
        self.process.send_signal(signal.SIGTERM)
        self.until(lambda: "Waiting for application shutdown" in self.log)


@contextmanager
def served(app: str, folder: Path, drain_timeout: float | None = None) -> Iterator[Server]:
    server = Server(app, folder, drain_timeout)
    try:
        yield server
    finally:
        (folder / "gate").touch()
        server.process.kill()
        server.process.wait()


@pytest.mark.parametrize("app", ["starlette_app", "fastapi_app", "litestar_app", "wrapped_app"])
def test_app_sigterm_drains_runs_in_flight(app: str, tmp_path: Path) -> None:
    """Drain the runs in flight after SIGTERM, with every framework."""
    with served(f"tests.helpers.asgi_apps:{app}", tmp_path) as server:
        server.until(lambda: server.state().submitted == 3)
        assert server.state().status == "running"
        server.terminate()
        assert {name for name, _ in server.events} == {"TaskSubmitted"}
        (tmp_path / "gate").touch()
        assert server.process.wait(timeout=60) in {0, -signal.SIGTERM}
        assert "Application shutdown complete" in server.log
        submitted = sorted(number for name, number in server.events if name == "TaskSubmitted")
        assert sorted(number for name, number in server.events if name == "TaskExecuted") == submitted
        assert len(server.events) == 6


@pytest.mark.parametrize("app", ["starlette_app", "wrapped_app"])
def test_app_drain_timeout_cancels_runs(app: str, tmp_path: Path) -> None:
    """Cancel the runs that exceed the drain timeout after SIGTERM."""
    with served(f"tests.helpers.asgi_apps:{app}", tmp_path, drain_timeout=0.1) as server:
        server.until(lambda: server.state().submitted == 3)
        server.terminate()
        # Nothing lets the runs go on: only the time limit of the drain ends them.
        server.until(lambda: len(server.events) == 6)
        (tmp_path / "gate").touch()
        assert server.process.wait(timeout=60) in {0, -signal.SIGTERM}
        assert Counter(name for name, _ in server.events) == {"TaskSubmitted": 3, "TaskCancelled": 3}
        assert len({number for _, number in server.events}) == 3


def test_example_state_endpoint_reports_runs(tmp_path: Path) -> None:
    with served("tests.examples.web:app", tmp_path) as server:
        server.until(lambda: "startup complete" in server.log)
        started = httpx.post(f"{server.url}/tasks/sum/runs", timeout=60)
        assert started.status_code == 202
        run = f"{server.url}/runs/{started.json()['run_id']}"
        server.until(lambda: httpx.get(run, timeout=60).json()["outcome"] == "executed")
        state = server.state()
        assert (state.executed, [task.task_id for task in state.tasks]) == (1, ["disk", "collect", "sum"])
        server.terminate()
        assert server.process.wait(timeout=60) in {0, -signal.SIGTERM}
