"""`asyncz demo`."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from asyncz import AsyncIOScheduler
from asyncz.cli.demo import Demo
from tests.helpers.commands import asyncz_command

pytestmark = pytest.mark.slow


def test_demo_reports_every_submission_once(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text("line\n" * number)
    result = asyncz_command("demo", "--json", "--path", str(tmp_path), folder=tmp_path)
    assert result.returncode == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    submitted = [event["run_id"] for event in events if event["event"] == "TaskSubmitted"]
    ended = [
        event["run_id"]
        for event in events
        if event["event"] in {"TaskExecuted", "TaskError", "TaskMissed", "TaskCancelled"}
    ]
    assert sorted(submitted) == sorted(ended)
    assert len(set(submitted)) == len(submitted) >= 13
    assert {event["event"] for event in events} >= {"TaskMaxInstances", "TaskError"}


def test_demo_without_terminal_prints_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("line\n")
    result = asyncz_command("demo", "--path", str(tmp_path), folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "lost 0, doubled 0" in result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--path", "missing"], "is not a folder"),
        (["run", "module"], "module:name"),
        (["run", "there_is_none:scheduler"], "cannot be imported"),
        (["run", "sys:path"], "an AsyncIOScheduler is"),
    ],
)
def test_command_bad_arguments_reported(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = asyncz_command(*arguments, folder=tmp_path)
    assert result.returncode == 2
    assert message in re.sub(r"[\s│]+", " ", result.stderr)


def test_demo_table_shows_every_executor(tmp_path: Path) -> None:
    scheduler = AsyncIOScheduler(executors={"threads": "threadpool", "inline": "debug"})
    table = Demo(tmp_path, 1, json_lines=False).screen(scheduler)
    with (console := Console(width=80)).capture() as capture:
        console.print(table)
    assert [line.split()[0] for line in capture.get().splitlines() if line.strip()] == [
        "executor",
        "created",
        "created",
        "0",
    ]


def test_demo_without_files_returns_status_two(tmp_path: Path) -> None:
    assert asyncio.run(Demo(tmp_path, 1, json_lines=False).run()) == 2
