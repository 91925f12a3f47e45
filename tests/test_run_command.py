"""`asyncz run`, `check` and `schema`, as processes: on a terminal, into files, with signals and with bad input."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

import jsonschema_rs
import pytest
from rich.console import Console
from typer.testing import CliRunner

from asyncz import (
    AsyncIOScheduler,
    Event,
    IntervalTrigger,
    RunDetails,
    SchedulerConfig,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskNotification,
    TaskRetrying,
    Worker,
    events,
)
from asyncz.cli._events import as_line, fields_of
from asyncz.cli._live_table import due_text, outcome_text, overview
from asyncz.cli.app import app
from asyncz.states import TaskState

EXAMPLES = Path(__file__).parent / "examples"
PATIENCE = 60.0

MODULE = """
import os, signal, time
from pathlib import Path

def wait_for_gate():
    Path("waiting").touch()
    while not Path("gate").exists():
        time.sleep(0.01)

def speak(text):
    os.write(1, f"{text}\\n".encode())
    # In one piece: the end of the line would be one of its own, which other threads may come before.
    print(text + "\\n", end="")

def fail():
    raise OSError("no route")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the example, and with a module of functions."""
    for name in ("asyncz.toml", "jobs.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    (tmp_path / "module.py").write_text(MODULE)
    return tmp_path


class Running:
    """A command that runs, and what it has written so far."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        with (folder / "output").open("w") as output, (folder / "errors").open("w") as errors:
            command = [sys.executable, "-m", "asyncz", *arguments]
            self.process = subprocess.Popen(command, stdout=output, stderr=errors, cwd=folder)

    @property
    def lines(self) -> list[str]:
        # The last one may be half written.
        return (self.folder / "output").read_text().split("\n")[:-1]

    @property
    def errors(self) -> str:
        return (self.folder / "errors").read_text()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the command brings about; where it does not, the test fails."""
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


class Finished(NamedTuple):
    """A command that has come to its end."""

    status: int
    output: str
    errors: str


class Invoke(Protocol):
    """Runs a command to its end."""

    def __call__(self, *arguments: str) -> Finished: ...


@pytest.fixture
def command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Invoke]:
    """Run a command to its end in the folder, in this process: what only looks at something needs none of its own."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def invoke(*arguments: str) -> Finished:
        result = CliRunner().invoke(app, arguments)
        return Finished(result.exit_code, result.stdout, result.stderr)

    yield invoke
    for name in ("jobs", "module", "printing"):
        sys.modules.pop(name, None)


def events_in(lines: Sequence[str]) -> Counter[tuple[str, str]]:
    """How often each event of each task is told in lines of `name=value`."""
    fields = [dict(field.split("=", 1) for field in shlex.split(line)) for line in lines if line.startswith("time=")]
    return Counter((each["event"], each.get("task_id", "")) for each in fields)


# A configuration that runs


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_configuration_runs_until_a_signal_and_tells_of_each_event(number: int, run: Start) -> None:
    running = run("run", "--config", "asyncz.toml")
    running.until(lambda: events_in(running.lines)["TaskExecuted", "heartbeat"] >= 2)
    running.until(lambda: events_in(running.lines)["TaskExecuted", "checksum"] == 1)
    assert running.end(number) == 0
    told = events_in(running.lines)
    assert told["SchedulerStarted", ""] == told["SchedulerShutdown", ""] == told["TaskRemoved", "checksum"] == 1
    assert running.lines[-1].split()[1] == "event=SchedulerShutdown"
    assert told["TaskAdded", "clean-up"] == 1
    assert "result=\"'the example is alive'\"" in "".join(running.lines)


def test_json_lines_are_the_only_output_whoever_else_prints(folder: Path, run: Start) -> None:
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
def test_a_run_in_flight_at_a_signal(
    arguments: list[str], numbers: list[int], outcome: str, folder: Path, run: Start
) -> None:
    (folder / "own.toml").write_text('[tasks.waiting]\ncall = "module:wait_for_gate"\nexecutor = "threadpool"\n')
    running = run("run", "--config", "own.toml", *arguments)
    running.until((folder / "waiting").exists)
    for number in numbers:
        # In whichever order they arrive, the second one cuts short what the first one waits for.
        running.process.send_signal(number)
    if outcome == "TaskExecuted":
        (folder / "gate").touch()
    running.until(lambda: events_in(running.lines)[outcome, "waiting"] == 1)
    # A thread cannot be cancelled: its function goes on, and has to return.
    (folder / "gate").touch()
    assert running.process.wait(timeout=PATIENCE) == 0
    ends = {"TaskExecuted", "TaskError", "TaskMissed", "TaskCancelled"}
    assert [name for name, _ in events_in(running.lines) if name in ends] == [outcome]


def test_a_reader_that_goes_away_does_not_end_the_tasks(folder: Path) -> None:
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
        # What functions print goes on to arrive.
        for _ in range(10):
            assert process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
        assert (process.returncode, b"A listener raised" in errors) == (0, False)
    finally:
        process.kill()
        process.wait()


# The terminal


class Terminal:
    """A command on a terminal of its own, of a known size."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.screen = ""
        environment = {**os.environ, "COLUMNS": "150", "LINES": "40", "TERM": "xterm-256color"}
        master, slave = pty.openpty()
        command = [sys.executable, "-m", "asyncz", *arguments]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=environment, start_new_session=True
        )
        os.close(slave)
        self.master = master

    def read(self) -> bool:
        """Take in what is there; False where nothing can come any more."""
        if not select.select([self.master], [], [], 0.05)[0]:
            return True
        try:
            self.screen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", os.read(self.master, 1 << 16).decode(errors="replace"))
        except OSError:
            return False
        return True

    def until(self, pattern: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, self.screen):
            assert time.monotonic() < deadline, self.screen
            assert self.read(), self.screen


def test_a_terminal_shows_a_table_that_lives(folder: Path) -> None:
    (folder / "own.toml").write_text(
        (folder / "asyncz.toml").read_text()
        + '[tasks.speaking]\ncall = "module:speak"\nargs = ["said by a function"]\nexecutor = "files"\n'
        + '[tasks.failing]\ncall = "module:fail"\ntrigger = { type = "interval", seconds = 0.3 }\nretry.attempts = 1\n'
    )
    terminal = Terminal(folder, "run", "--config", "own.toml")
    try:
        terminal.until(r"task +next run +executor +running +backlog +executed +errors +last outcome")
        terminal.until(r"said by a function")
        terminal.until(r"heartbeat +in \d+ s +asyncio +\d+ +0 +[2-9] +0 +executed in <?\d+ ms, (just now|\d s ago)")
        terminal.until(r"failing .* [1-9]\d* +OSError: no route, (just now|\d s ago)")
        terminal.until(r"clean-up +20\d\d-\d\d-\d\d \d\d:\d\d \S+ +files +0 +0 +0 +0 +-")
        terminal.until(r"checksum-on-demand +- +cpu")
        terminal.until(r"executor +status +running +queued +workers")
        terminal.until(r"cpu +running +0 +0 +[12] ")
        terminal.until(r"running: submitted \d+, executed \d+, errors \d+, missed 0, cancelled 0, rejected 0")
        terminal.process.send_signal(signal.SIGINT)
        terminal.until(r"stopped: submitted")
        while terminal.read() and terminal.process.poll() is None:
            pass
        assert terminal.process.wait(timeout=PATIENCE) == 0
        # Failed runs are logged above the table, with their traceback.
        assert 'raise OSError("no route")' in terminal.screen
        assert "time=" not in terminal.screen
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.master)


def test_the_table_shows_the_soonest_tasks_where_not_all_fit() -> None:
    scheduler = AsyncIOScheduler(executors={"threads": "threadpool"})
    for number in range(30, 0, -1):
        scheduler.add_task(abs, -1, trigger=IntervalTrigger(minutes=number), id=f"task-{number}")
    scheduler.add_task(abs, -1, trigger=None, id="on-demand")
    console = Console(width=120, height=20)
    with console.capture() as capture:
        console.print(overview(scheduler, console.width, console.height))
    lines = [line.rstrip() for line in capture.get().splitlines()]
    assert len(lines) < 20
    shown = [line.split()[0] for line in lines if "task-" in line]
    assert shown == [f"task-{number}" for number in range(len(shown), 0, -1)]
    assert f"and {31 - len(shown)} more tasks" in lines


def test_a_task_is_due_at_a_time_or_soon_or_never() -> None:
    now = datetime(2030, 1, 1, 12, tzinfo=UTC)

    def due(after: float | None, *, paused: bool = False) -> str:
        at = None if after is None else now + timedelta(seconds=after)
        return due_text(TaskState(task_id="", function="", executor="", next_run_at=at, paused=paused), now)

    assert due(None) == "-"
    assert due(5, paused=True) == "paused"
    assert due(-3) == "in 0 s"
    assert due(99.4) == "in 99 s"
    assert re.fullmatch(r"\d\d:\d\d:00 \S+", due(120))
    assert re.fullmatch(r"2030-01-\d\d \d\d:00 \S+", due(86400 * 3))


DETAILS = RunDetails(
    run_id=7, attempt=2, scheduled=1e9, started=1e9, finished=1e9 + 0.25, worker=Worker(pid=12, thread="a b")
)


@pytest.mark.parametrize(
    ("notification", "text"),
    [
        (None, "-"),
        (TaskExecuted("one", 3, details=DETAILS), "executed in 250 ms, 5 s ago"),
        (TaskExecuted("one", 3), "executed"),
        (TaskError("one", ValueError(), details=DETAILS), "ValueError, 5 s ago"),
        (TaskMissed("one", details=DETAILS), "missed 5 s ago"),
        (TaskCancelled("one", details=DETAILS), "cancelled 5 s ago"),
    ],
)
def test_the_last_outcome_is_told(notification: TaskNotification[object] | None, text: str) -> None:
    assert outcome_text(notification, datetime.fromtimestamp(1e9 + 5.25, UTC)).plain == text


# Lines


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (TaskExecuted("one", "a" * 1000, details=DETAILS), {"run_id": 7, "attempt": 2, "duration": 0.25}),
        (TaskExecuted("one", 3, details=DETAILS), {"worker": "a b process 12", "result": "3"}),
        (TaskError("one", OSError("no route")), {"error": "OSError: no route"}),
        (TaskError("one", KeyboardInterrupt()), {"error": "KeyboardInterrupt"}),
        (TaskRetrying("one", OSError("no route"), 1.5), {"error": "OSError: no route", "delay": 1.5}),
        (TaskMissed("one", details=DETAILS), {"scheduled_at": "2001-09-09T01:46:40.000+00:00"}),
        (TaskCancelled("one"), {"task_id": "one"}),
        (events.TaskMaxInstances("one"), {"task_id": "one"}),
        (events.TaskQueueFull("one"), {"task_id": "one"}),
        (events.TaskAdded("one"), {"task_id": "one"}),
        (events.TaskModified("one", "stopped", ValueError("x")), {"change": "stopped", "error": "ValueError: x"}),
        (events.TaskRemoved("one"), {"task_id": "one"}),
        (events.ExecutorAdded("io"), {"executor": "io"}),
        (events.ExecutorRemoved("io"), {"executor": "io"}),
        (events.SchedulerShutdown(finished=1, cancelled=2), {"finished": 1, "cancelled": 2, "abandoned": 0}),
        (events.SchedulerPaused(), {"event": "SchedulerPaused"}),
        (events.SchedulerResumed(), {"event": "SchedulerResumed"}),
    ],
)
def test_an_event_is_told_by_fields_that_json_has(event: Event, fields: dict[str, object]) -> None:
    told = fields_of(event)
    assert json.loads(json.dumps(told)) == told
    assert told["event"] == type(event).__name__
    assert {name: told[name] for name in fields} == fields
    assert all(value is not None and len(str(value)) < 200 for value in told.values())
    assert dict(field.split("=", 1) for field in shlex.split(as_line(told))) == {
        name: str(value) for name, value in told.items()
    }


@pytest.mark.parametrize("value", ["", "a b", 'a"b', "a=b", "two\nlines", "'", "a\\b", "ü"])
def test_a_value_that_needs_it_is_quoted_in_a_line(value: str) -> None:
    line = as_line({"event": value, "task_id": "one"})
    assert "\n" not in line
    name, _, rest = line.removesuffix(" task_id=one").partition("=")
    assert (name, json.loads(rest) if rest.startswith('"') else rest) == ("event", value)


# Checking


def test_a_right_configuration_is_told(command: Invoke) -> None:
    result = command("check", "asyncz.toml")
    assert (result.status, result.output) == (0, "asyncz.toml is valid: 4 task(s) on 3 executor(s)\n")
    assert command("check", "asyncz.toml", "--json").output == "[]\n"


def test_all_that_is_wrong_is_told_and_nothing_runs(folder: Path, command: Invoke) -> None:
    (folder / "printing.py").write_text("print('imported')\ndef touch(): open('touched', 'w')\n")
    (folder / "own.toml").write_text(
        '[tasks.one]\ncall = "printing:touch"\ntimeout = -1\n[tasks.two]\ncall = "jobs:x"\n'
    )
    result = command("check", "own.toml")
    assert result.status == 1
    assert result.errors.splitlines() == [
        "imported",
        "own.toml:3: tasks.one.timeout cannot be -1: it must be more than 0",
        "own.toml:5: tasks.two.call cannot be 'jobs:x': the module jobs has no 'x'",
    ]
    told = json.loads(command("check", "own.toml", "--json").output)
    assert [(each["file"], each["line"], each["key"]) for each in told] == [
        ("own.toml", 3, "tasks.one.timeout"),
        ("own.toml", 5, "tasks.two.call"),
    ]
    assert command("run", "--config", "own.toml").status == 1
    assert not (folder / "touched").exists()


def test_the_schema_is_one_that_an_editor_can_use(command: Invoke) -> None:
    schema = json.loads(command("schema").output)
    assert schema.pop("$schema") == "https://json-schema.org/draft/2020-12/schema"
    assert schema == SchedulerConfig.model_json_schema()
    jsonschema_rs.meta.validate(schema)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["run"], 2, "name either a scheduler, as module:name, or --config FILE"),
        (["run", "module:name", "--config", "asyncz.toml"], 2, "name either a scheduler"),
        (["run", "module"], 2, "'module' cannot be used: it must have the form"),
        (["run", "no_module:name"], 2, "the module cannot be imported: ModuleNotFoundError"),
        (["run", "module:speek"], 2, "the module module has no 'speek'; did you mean 'speak'?"),
        (["run", "module:speak"], 2, "is of the type function; an AsyncIOScheduler is needed"),
        (["run", "--config", "missing.toml"], 1, "missing.toml: it cannot be read: No such file"),
        (["run", "--config", "jobs.py"], 1, "jobs.py:1: it is not valid TOML: "),
        (["run", "--config"], 2, "Option '--config' requires an argument"),
        (["run", "--conf", "asyncz.toml"], 2, "No such option: --conf"),
        (["run", "--config", "asyncz.toml", "--drain-timeout", "-1"], 2, "--drain-timeout"),
        (["run", "--config", "asyncz.toml", "--drain-timeout", "long"], 2, "--drain-timeout"),
        (["run", "--config", "asyncz.toml", "--jsn"], 2, "No such option: --jsn"),
        (["check"], 2, "Missing argument"),
        (["check", "missing.toml"], 1, "missing.toml: it cannot be read: No such file"),
        (["check", "."], 1, "it is not a regular file"),
        (["check", "jobs.py"], 1, "jobs.py:1: it is not valid TOML: "),
        (["check", "asyncz.toml", "more.toml"], 2, "(more.toml)"),
        (["schema", "asyncz.toml"], 2, "(asyncz.toml)"),
        (["rnu"], 2, "No such command 'rnu'"),
    ],
)
def test_bad_input_is_told(arguments: list[str], status: int, message: str, command: Invoke) -> None:
    result = command(*arguments)
    assert (result.status, result.output) == (status, "")
    assert message in re.sub(r"[\s│]+", " ", result.errors)
