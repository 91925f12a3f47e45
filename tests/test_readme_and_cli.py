"""What the README shows runs, and the command line accounts for every run."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from asyncz import AsyncIOScheduler
from asyncz.cli.demo import Demo
from tests.fresh_python import output_of


def asyncz_command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "asyncz", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, cwd=folder)


def test_the_demo_notifies_every_submission_once(tmp_path: Path) -> None:
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


def test_the_demo_without_a_terminal_prints_plain_lines_and_a_sum(tmp_path: Path) -> None:
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
def test_bad_arguments_are_told(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = asyncz_command(*arguments, folder=tmp_path)
    assert result.returncode == 2
    assert message in re.sub(r"[\s│]+", " ", result.stderr)


def test_run_runs_a_scheduler_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import os, signal\nfrom asyncz import AsyncIOScheduler\nscheduler = AsyncIOScheduler()\n"
        "scheduler.add_task(print, 'it ran')\nscheduler.add_task(os.kill, os.getpid(), signal.SIGTERM)\n"
    )
    result = asyncz_command("run", "own:scheduler", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "it ran" in result.stdout.splitlines()


def test_a_missing_main_guard_is_told_and_does_not_hang(tmp_path: Path) -> None:
    program = tmp_path / "unguarded.py"
    program.write_text(
        "import asyncio\nfrom asyncz import AsyncIOScheduler\n"
        "async def main():\n"
        "    async with AsyncIOScheduler(executors={'cpu': 'processpool'}) as scheduler:\n"
        "        await scheduler.add_task(abs, -1, executor='cpu').result()\n"
        "asyncio.run(main())\n"
    )
    result = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 1
    assert "WorkerStartError" in result.stderr
    assert "__main__" in result.stderr


def test_a_forgotten_scheduler_does_not_hang_the_exit(tmp_path: Path) -> None:
    program = tmp_path / "forgotten.py"
    program.write_text(
        "import asyncio, time\nfrom asyncz import AsyncIOScheduler\n"
        "async def main():\n"
        "    scheduler = AsyncIOScheduler(executors={'cpu': 'processpool'})\n"
        "    await scheduler.start()\n"
        "    scheduler.add_task(time.sleep, 600, executor='cpu')\n"
        "    await scheduler.add_task(abs, -1, executor='cpu').result()\n"
        "if __name__ == '__main__':\n    asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, program], capture_output=True, text=True, check=True, timeout=60)


def test_the_table_of_the_demo_shows_every_executor(tmp_path: Path) -> None:
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


def test_the_demo_says_where_there_is_no_file(tmp_path: Path) -> None:
    assert asyncio.run(Demo(tmp_path, 1, json_lines=False).run()) == 2


@pytest.mark.parametrize(
    "statement", ["import asyncz", "from asyncz import AsyncIOScheduler, IntervalTrigger, ThreadPoolExecutor"]
)
def test_an_import_loads_nothing_heavy(statement: str) -> None:
    heavy = {"multiprocessing", "distributed", "rich", "typer", "pydantic"}
    code = f"{statement}; import sys; print({heavy} & set(sys.modules))"
    assert output_of("-c", code).strip() == "set()"
