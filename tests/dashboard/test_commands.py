"""Commands for a running scheduler, against `asyncz dashboard` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from asyncz.cli import _client
from asyncz.cli._client import ApiClient, RemoteCommandError
from asyncz.dashboard.states import ActionReport, RunDetail, RunPage, SchedulerInfo, TaskPage
from tests.helpers.forked import Program, run_program
from tests.helpers.paths import PROJECT

pytestmark = pytest.mark.slow

PASSWORD = "hunter2"  # not a secret
TOKEN = "token-for-tests"  # not a secret


class Served:
    """A process of `asyncz dashboard`."""

    def __init__(self) -> None:
        command = ["-m", "asyncz", "dashboard", "tests.dashboard.apps:scheduler"]
        environment = {**os.environ, "ASYNCZ_TOKEN": TOKEN}
        self.process = Program(command, stderr=2, cwd=PROJECT, env=environment)
        assert self.process.stdout is not None
        self.link = self.process.stdout.readline().removeprefix("Dashboard: ").strip()
        self.url = self.link.partition("/login")[0]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def command(self, *arguments: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "ASYNCZ_TOKEN": token, "COLUMNS": "160"}
        return run_program("-m", "asyncz", *arguments, cwd=PROJECT, env=environment)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    found = Served()
    try:
        yield found
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(60) == 0
    finally:
        found.end()


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


def test_ps_names_tasks_beyond_limit(served: Served) -> None:
    page = TaskPage.model_validate_json(served.command("ps", served.url, "--json").stdout)
    assert (page.total, page.matching, page.next_key) == (len(page.tasks), len(page.tasks), None)
    first = TaskPage.model_validate_json(served.command("ps", served.url, "-n", "1", "--json").stdout)
    assert (first.total, first.matching, len(first.tasks)) == (page.total, page.matching, 1)
    assert first.next_key is not None
    shown = served.command("ps", served.url, "-n", "1")
    assert shown.stderr == f"the first 1 of {page.matching} tasks; pass --limit for more, or --search\n"
    assert "first" not in served.command("ps", served.url).stderr


def test_actions_change_tasks(served: Served) -> None:
    paused = served.command("pause", served.url, "double", "missing", "--json")
    assert paused.returncode == 1
    report = ActionReport.model_validate_json(paused.stdout)
    assert (report.done, [each.task_id for each in report.failed]) == (("double",), ["missing"])
    resumed = served.command("resume", served.url, "double")
    assert (resumed.returncode, resumed.stdout) == (0, "double: resume\n")
    cancelled = served.command("cancel", served.url, "double")
    assert (cancelled.returncode, cancelled.stderr) == (1, "double: no run of it is in progress\n")
    assert served.command("pause", served.url, "--all").stdout == "scheduler: pause\n"
    assert served.command("resume", served.url, "--all").stdout == "scheduler: resume\n"


def test_tasks_are_rescheduled_and_removed(served: Served) -> None:
    answer = served.command("reschedule", served.url, "spare", "--every", "15m", "--json")
    assert ActionReport.model_validate_json(answer.stdout).done == ("spare",)
    page = TaskPage.model_validate_json(served.command("ps", served.url, "--search", "spare", "--json").stdout)
    assert [task.trigger for task in page.tasks] == ["every 15 minutes"]
    wrong = served.command("reschedule", served.url, "spare", "--cron", "61 * * * *")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "61" in wrong.stderr
    assert served.command("remove", served.url, "spare").stdout == "spare: remove\n"
    assert served.command("remove", served.url, "spare").returncode == 1


def test_logs_show_failed_run(served: Served) -> None:
    assert served.command("run-now", served.url, "fail").returncode == 0
    shown = served.command("logs", served.url, "fail")
    assert "Traceback" in shown.stdout
    assert "hunter2" not in shown.stdout
    (line,) = served.command("logs", served.url, "fail", "-n", "1", "--json").stdout.splitlines()
    assert RunDetail.model_validate_json(line).run.outcome == "error"


def test_logs_of_unknown_task_fail(served: Served) -> None:
    for name in ("nope", f"{uuid4()}"):
        answer = served.command("logs", served.url, name)
        assert (answer.returncode, answer.stdout) == (1, "")
        assert f"no task or run with the id '{name}' is known" in answer.stderr


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
        ("file:///etc/passwd", 2, "is neither the address of a dashboard"),
        ("127.0.0.1:8000", 2, "is neither the address of a dashboard"),
        ("http://[", 2, "is neither the address of a dashboard"),
        ("http://127.0.0.1:x", 2, "is neither the address of a dashboard"),
        ("http://127.0.0.1:1/ü", 1, "wrong character"),
        ("http://127.0.0.1:1/?a=b", 2, "the signs ? and #"),
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


@pytest.mark.parametrize("url", ["http://app:{}@127.0.0.1:1", "http://app:a/{}@127.0.0.1", "http://[app:{}@"])
def test_address_with_password_is_not_shown(served: Served, url: str) -> None:
    answer = served.command("ps", url.format(PASSWORD))
    assert answer.returncode == 2
    assert PASSWORD not in answer.stderr
    assert "must not contain a user or password" in " ".join(answer.stderr.split())


def test_token_with_line_break_is_accepted(served: Served) -> None:
    assert served.command("ps", served.url, token=f" {TOKEN}\n").returncode == 0


@pytest.mark.parametrize("token", [f"{PASSWORD}\nx", f"{PASSWORD} x", f"{PASSWORD}\u0142", f"{PASSWORD}\x7f"])
def test_wrong_token_is_not_shown(served: Served, token: str) -> None:
    for arguments in (("ps", served.url), ("dashboard", "tests.dashboard.apps:scheduler")):
        answer = served.command(*arguments, token=token)
        assert answer.returncode in {1, 2}
        assert PASSWORD not in answer.stdout + answer.stderr
        assert "not visible ASCII" in " ".join(answer.stderr.replace("│", "").split())
        assert "Traceback" not in answer.stderr


def test_wrong_header_is_explained(served: Served) -> None:
    for header in ("a b: c", f"X-Key: {PASSWORD}\u0142"):
        answer = served.command("ps", served.url, "--header", header)
        assert answer.returncode in {1, 2}
        assert PASSWORD not in answer.stderr
        assert "Traceback" not in answer.stderr


def test_token_is_not_sent_without_encryption(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCZ_TOKEN", TOKEN)
    with pytest.raises(RemoteCommandError, match=r"jobs\.example without encryption"):
        ApiClient("http://jobs.example", {})
    for url, insecure in (("https://jobs.example", False), ("http://jobs.example", True), ("http://[::1]:1", False)):
        ApiClient(url, {}, insecure=insecure)
    monkeypatch.delenv("ASYNCZ_TOKEN")
    ApiClient("http://jobs.example", {})
    with pytest.raises(RemoteCommandError, match="without encryption"):
        ApiClient("http://jobs.example", {"Authorization": TOKEN})


def test_argument_that_is_not_utf8_is_explained() -> None:
    with pytest.raises(RemoteCommandError, match=r"argument '\\udcff' is not UTF-8"):
        ApiClient("http://127.0.0.1:1", {}).get("runs", RunPage, task="\udcff", limit=5)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_proxy_gets_no_request_for_this_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("ASYNCZ_TOKEN", TOKEN)
        monkeypatch.setattr(_client, "_TIMEOUT", 5.0)
        with pytest.raises(RemoteCommandError, match="cannot be reached"):
            ApiClient(f"http://{host}:1", {}).get("info", SchedulerInfo)
        with pytest.raises(BlockingIOError):
            proxy.accept()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_is_normal_end(number: signal.Signals) -> None:
    served = Served()
    try:
        served.process.send_signal(number)
        assert served.process.wait(60) == 0
    finally:
        served.end()


def test_scheduler_that_cannot_start_has_status_1(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from asyncz import AsyncIOScheduler\n"
        "from asyncz.stores.sqlite import SqliteStore\n"
        f"scheduler = AsyncIOScheduler(store=SqliteStore({f'{tmp_path}/missing/jobs.db'!r}))\n"
    )
    answer = run_program("-m", "asyncz", "dashboard", "broken:scheduler", cwd=tmp_path)
    assert answer.returncode == 1, answer.stderr
    assert "cannot be started" in answer.stderr
