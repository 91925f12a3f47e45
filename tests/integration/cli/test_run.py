"""`asyncz run` in a process of its own."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from tests.helpers.commands import PATIENCE, asyncz_command
from tests.helpers.forked import Program

pytestmark = pytest.mark.slow


def test_run_command_runs_own_scheduler(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import os, signal\nfrom asyncz import AsyncIOScheduler\nscheduler = AsyncIOScheduler()\n"
        "scheduler.add_task(print, 'it ran')\nscheduler.add_task(os.kill, os.getpid(), signal.SIGTERM)\n"
    )
    result = asyncz_command("run", "own:scheduler", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "it ran" in result.stdout.splitlines()


class Running:
    """A running command and its output so far."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        with (folder / "output").open("w") as output, (folder / "errors").open("w") as errors:
            self.process = Program(["-m", "asyncz", *arguments], stdout=output, stderr=errors, cwd=folder)

    @property
    def lines(self) -> list[str]:
        # The last one may be half written.
        return (self.folder / "output").read_text().split("\n")[:-1]

    @property
    def errors(self) -> str:
        return (self.folder / "errors").read_text()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for an effect of the command; the test fails without it."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.errors
            assert self.process.poll() is None, self.errors
            time.sleep(0.01)

    def end(self, *numbers: int) -> int:
        for number in numbers:
            self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE)


class Start(Protocol):
    """Starts a command, such as `start("run", "module:name")`."""

    def __call__(self, *arguments: str) -> Running: ...


@pytest.fixture
def run(folder: Path) -> Iterator[Start]:
    """Start a command in the folder; it is gone after the test."""
    started: list[Running] = []

    def start(*arguments: str) -> Running:
        started.append(Running(folder, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


def events_in(lines: Sequence[str]) -> Counter[tuple[str, str]]:
    """Return the number of lines of each event and task in the format `name=value`."""
    fields = [dict(field.split("=", 1) for field in shlex.split(line)) for line in lines if line.startswith("time=")]
    return Counter((each["event"], each.get("task_id", "")) for each in fields)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_config_reports_events_until_signal(number: int, run: Start) -> None:
    running = run("run", "--config", "asyncz.toml")
    running.until(lambda: events_in(running.lines)["TaskExecuted", "heartbeat"] >= 2)
    running.until(lambda: events_in(running.lines)["TaskExecuted", "checksum"] == 1)
    assert running.end(number) == 0
    told = events_in(running.lines)
    assert told["SchedulerStarted", ""] == told["SchedulerShutdown", ""] == told["TaskRemoved", "checksum"] == 1
    assert running.lines[-1].split()[1] == "event=SchedulerShutdown"
    assert told["TaskAdded", "clean-up"] == 1
    assert "result=\"'the example is alive'\"" in "".join(running.lines)


def test_run_json_lines_are_only_output(folder: Path, run: Start) -> None:
    (folder / "own.toml").write_text(
        "".join(
            f'[tasks.{executor}]\ncall = "module:speak"\nargs = ["from {executor}"]\nexecutor = "{executor}"\n'
            for executor in ("threadpool", "processpool", "debug")
        )
        + '[tasks.failing]\ncall = "module:fail"\nretry = { attempts = 2 }\n'
    )
    running = run("run", "--config", "own.toml", "--json")
    running.until(lambda: sum('"event": "TaskRemoved"' in line for line in running.lines) == 4)
    assert running.end(signal.SIGTERM) == 0
    told = [json.loads(line) for line in running.lines]
    assert Counter(each["event"] for each in told) == {
        "SchedulerStarted": 1,
        "ExecutorAdded": 4,
        "TaskAdded": 4,
        "TaskExecuted": 3,
        "TaskRetrying": 1,
        "TaskError": 1,
        "TaskRemoved": 4,
        "SchedulerShutdown": 1,
    }
    (failure,) = [each for each in told if each["event"] == "TaskError"]
    assert (failure["task_id"], failure["attempt"], failure["error"]) == ("failing", 2, "OSError: no route")
    assert all(running.errors.count(f"from {name}\n") == 2 for name in ("threadpool", "processpool", "debug"))


@pytest.mark.parametrize(
    ("arguments", "numbers", "outcome"),
    [
        ([], [signal.SIGTERM], "TaskExecuted"),
        (["--drain-timeout", "0.1"], [signal.SIGTERM], "TaskCancelled"),
        ([], [signal.SIGTERM, signal.SIGINT], "TaskCancelled"),
    ],
)
def test_run_signal_with_run_in_flight(
    arguments: list[str], numbers: list[int], outcome: str, folder: Path, run: Start
) -> None:
    (folder / "own.toml").write_text('[tasks.waiting]\ncall = "module:wait_for_gate"\nexecutor = "threadpool"\n')
    running = run("run", "--config", "own.toml", *arguments)
    running.until((folder / "waiting").exists)
    for number in numbers:
        # In any order: the second signal ends the wait of the first one.
        running.process.send_signal(number)
    if outcome == "TaskExecuted":
        (folder / "gate").touch()
    running.until(lambda: events_in(running.lines)[outcome, "waiting"] == 1)
    # A thread cannot be cancelled: its function goes on, and has to return.
    (folder / "gate").touch()
    assert running.process.wait(timeout=PATIENCE) == 0
    ends = {"TaskExecuted", "TaskError", "TaskMissed", "TaskCancelled"}
    assert [name for name, _ in events_in(running.lines) if name in ends] == [outcome]


def test_run_survives_closed_output(folder: Path) -> None:
    (folder / "own.toml").write_text(
        '[tasks.beat]\ncall = "module:speak"\nargs = [""]\ntrigger = { type = "interval", seconds = 0.05 }\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "asyncz", "run", "--config", "own.toml", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        # The output of functions still arrives.
        for _ in range(10):
            assert process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
        assert (process.returncode, b"A listener raised" in errors) == (0, False)
    finally:
        process.kill()
        process.wait()
