"""The table and the event lines of `asyncz run`."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import select
import shlex
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from rich.console import Console, RenderableType

from asyncz import (
    AsyncIOScheduler,
    Event,
    IntervalTrigger,
    RunDetails,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskNotification,
    TaskRetrying,
    Worker,
    current_run,
    events,
)
from asyncz.cli._events import as_line, fields_of
from asyncz.cli._live_table import due_text, outcome_text, overview, progress_text
from asyncz.states import RunProgress, TaskState
from tests.helpers.commands import PATIENCE
from tests.helpers.forked import Program


class Terminal:
    """A command on a terminal of its own, of a known size."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.screen = ""
        environment = {**os.environ, "COLUMNS": "150", "LINES": "40", "TERM": "xterm-256color"}
        master, slave = pty.openpty()
        command = ["-m", "asyncz", *arguments]
        self.process = Program(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=environment, new_session=True
        )
        os.close(slave)
        self.master = master

    def read(self) -> bool:
        """Read the available output; return False at its end."""
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


@pytest.mark.slow
def test_monitor_table_updates_on_terminal(folder: Path) -> None:
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


def test_monitor_table_shows_soonest_tasks() -> None:
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


def test_monitor_next_run_column() -> None:
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
    run_id=UUID(int=7), attempt=2, scheduled=1e9, started=1e9, finished=1e9 + 0.25, worker=Worker(pid=12, thread="a b")
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
def test_monitor_last_outcome_column(notification: TaskNotification[object] | None, text: str) -> None:
    assert outcome_text(notification, datetime.fromtimestamp(1e9 + 5.25, UTC)).plain == text


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (
            TaskExecuted("one", "a" * 1000, details=DETAILS),
            {"run_id": f"{UUID(int=7)}", "attempt": 2, "duration": 0.25},
        ),
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
def test_event_fields_are_json(event: Event, fields: dict[str, object]) -> None:
    told = fields_of(event)
    assert json.loads(json.dumps(told)) == told
    assert told["event"] == type(event).__name__
    assert {name: told[name] for name in fields} == fields
    assert all(value is not None and len(str(value)) < 200 for value in told.values())
    assert dict(field.split("=", 1) for field in shlex.split(as_line(told))) == {
        name: str(value) for name, value in told.items()
    }


@pytest.mark.parametrize("value", ["", "a b", 'a"b', "a=b", "two\nlines", "'", "a\\b", "ü"])
def test_event_line_quotes_values(value: str) -> None:
    line = as_line({"event": value, "task_id": "one"})
    assert "\n" not in line
    name, _, rest = line.removesuffix(" task_id=one").partition("=")
    assert (name, json.loads(rest) if rest.startswith('"') else rest) == ("event", value)


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (None, ""),
        (RunProgress(run_id=UUID(int=1), done=3, total=10, message="page 3", fraction=0.3), "━━──────  30 % page 3"),
        (RunProgress(run_id=UUID(int=1), done=10, total=10, fraction=1), "━━━━━━━━ 100 %"),
        (RunProgress(run_id=UUID(int=1), done=12, message="a\x1b[0mb"), r"12 a\x1b[0mb"),
    ],
)
def test_progress_text(progress: RunProgress | None, text: str) -> None:
    assert progress_text(TaskState(task_id="", function="", executor="", progress=progress)).plain == text


@pytest.mark.anyio
async def test_table_shows_progress_of_running_tasks_only() -> None:
    end = asyncio.Event()

    async def work() -> None:
        current_run().report(2, 4, "half")
        await end.wait()

    async with AsyncIOScheduler() as scheduler:
        handle = scheduler.add_task(work, trigger=None, id="work").run()
        while scheduler.get_task("work").state.progress is None:
            await asyncio.sleep(0)
        assert "━━━━────  50 % half" in shown_in(overview(scheduler, 120, 20))
        end.set()
        await handle
        assert "  progress  " not in shown_in(overview(scheduler, 120, 20))


def shown_in(table: RenderableType) -> str:
    console = Console(width=120, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_progress_event_as_fields() -> None:
    fields = fields_of(events.TaskProgress("work", 1, 2, "half", details=RunDetails(run_id=UUID(int=3))))
    assert {name: fields[name] for name in ("event", "task_id", "run_id", "done", "total", "message")} == {
        "event": "TaskProgress",
        "task_id": "work",
        "run_id": f"{UUID(int=3)}",
        "done": 1,
        "total": 2,
        "message": "half",
    }
