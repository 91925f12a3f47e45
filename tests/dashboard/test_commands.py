"""Commands for a running scheduler, against `asyncz dashboard` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from asyncz.dashboard.states import ActionReport, RunDetail, TaskPage
from tests.helpers.paths import PROJECT

pytestmark = pytest.mark.slow

TOKEN = "token-for-tests"  # not a secret


class Served:
    """A process of `asyncz dashboard`."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "asyncz", "dashboard", "tests.dashboard.apps:scheduler"]
        environment = {**os.environ, "ASYNCZ_TOKEN": TOKEN}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT, env=environment)
        assert self.process.stdout is not None
        self.link = self.process.stdout.readline().removeprefix("Dashboard: ").strip()
        self.url = self.link.partition("/login")[0]

    def command(self, *arguments: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "asyncz", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            cwd=PROJECT,
            env={**os.environ, "ASYNCZ_TOKEN": token, "COLUMNS": "160"},
        )


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    found = Served()
    try:
        yield found
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(60) in {0, -signal.SIGTERM}
    finally:
        found.process.kill()
        found.process.wait()
        assert found.process.stdout is not None
        found.process.stdout.close()


def test_link_opens_dashboard(served: Served) -> None:
    assert served.url.startswith("http://127.0.0.1:")
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        answer = browser.get(served.link)
        assert (answer.status_code, answer.url.path) == (200, "/tasks")
        assert httpx.get(served.link, timeout=60).status_code == 403


def test_ps_lists_tasks(served: Served) -> None:
    text = served.command("ps", served.url)
    assert text.returncode == 0, text.stderr
    assert "double" in text.stdout
    assert "every 1 hour" in text.stdout
    page = TaskPage.model_validate_json(served.command("ps", served.url, "--search", "fail", "--json").stdout)
    assert [task.task_id for task in page.tasks] == ["fail"]


def test_actions_change_tasks(served: Served) -> None:
    paused = served.command("pause", served.url, "double", "missing", "--json")
    assert paused.returncode == 1
    report = ActionReport.model_validate_json(paused.stdout)
    assert (report.done, [each.task_id for each in report.failed]) == (("double",), ["missing"])
    resumed = served.command("resume", served.url, "double")
    assert (resumed.returncode, resumed.stdout) == (0, "double: resume\n")
    assert served.command("cancel", served.url, "double").returncode == 0


def test_logs_show_failed_run(served: Served) -> None:
    assert served.command("run-now", served.url, "fail").returncode == 0
    shown = served.command("logs", served.url, "fail")
    assert "Traceback" in shown.stdout
    assert "hunter2" not in shown.stdout
    (line,) = served.command("logs", served.url, "fail", "-n", "1", "--json").stdout.splitlines()
    assert RunDetail.model_validate_json(line).run.outcome == "error"


def test_top_shows_tasks_due_next(served: Served) -> None:
    shown = served.command("top", served.url, "--updates", "1")
    assert shown.returncode == 0, shown.stderr
    assert "double" in shown.stdout
    lines = served.command("top", served.url, "--updates", "2", "--interval", "0.2", "--json").stdout.splitlines()
    assert [json.loads(line)["total"] for line in lines] == [json.loads(lines[0])["total"]] * 2


@pytest.mark.parametrize(
    ("url", "status", "message"),
    [
        ("http://127.0.0.1:1", 1, "cannot be reached"),
        ("file:///etc/passwd", 2, "is not the address of a dashboard"),
        ("127.0.0.1:8000", 2, "is not the address of a dashboard"),
    ],
)
def test_wrong_address_is_explained(served: Served, url: str, status: int, message: str) -> None:
    answer = served.command("ps", url)
    assert answer.returncode == status
    assert message in " ".join(answer.stderr.split())
    assert "Traceback" not in answer.stderr


def test_wrong_token_is_explained(served: Served) -> None:
    answer = served.command("ps", served.url, token="wrong")  # not a secret
    assert answer.returncode == 1
    assert "403" in answer.stderr
    assert "ASYNCZ_TOKEN" in answer.stderr
