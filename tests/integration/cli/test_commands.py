"""Commands with hostile arguments, files and modules: a message and a status, and nothing raw on the terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given, settings, strategies as st
from typer.testing import CliRunner, Result

from asyncz.cli.app import app
from tests.helpers.commands import asyncz_command
from tests.helpers.effort import examples

pytestmark = pytest.mark.slow


class Invoke(Protocol):
    """Runs a command in this process."""

    def __call__(self, *arguments: str) -> Result: ...


def is_printable(text: str) -> bool:
    """Return True if a text has no control characters but line breaks, nor lone surrogates or bidi characters."""
    return all(line.isprintable() for line in text.split("\n"))


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Invoke]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield lambda *arguments: CliRunner().invoke(app, arguments)
    for name in ("own", "raising"):
        sys.modules.pop(name, None)


def test_version_is_printed(invoke: Invoke) -> None:
    assert re.fullmatch(r"asyncz \d+\.\d+\S*\n", invoke("--version").output)


@pytest.mark.parametrize(
    ("words", "completed"), [("asyncz pre", "preview"), ("asyncz run --kill", "--kill-after"), ("asyncz x", "")]
)
def test_shell_completes_commands_and_options(words: str, completed: str) -> None:
    """The script that `--install-completion` writes into the profile of a shell makes these calls."""
    program = Path(sys.executable).with_name("asyncz")
    environment = {"_ASYNCZ_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": f"{words.count(' ')}"}
    result = subprocess.run([program], env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == completed


def test_no_arguments_print_help(invoke: Invoke) -> None:
    result = invoke()
    assert (result.exit_code, "Usage: " in result.output) == (0, True)
    assert "preview" in result.output


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["check", "/dev/zero"], 1),
        (["check", "a\x1b[2J.toml"], 1),
        (["check", "\udcff.toml"], 1),
        (["run", "--config", "/dev/zero"], 1),
        (["run", "own\x1b[31m:x"], 2),
        (["run", "own:\u202ex"], 2),
        (["run", "raising:x"], 2),
        (["verify", "raising:x"], 2),
        (["verify", "\x9b31m:x"], 2),
        (["preview", "\x1b]52;c;eA==\x07"], 2),
        (["preview", "interval", "seconds=" + "9" * 5000], 2),
        (["preview", "interval", "\x1b=3"], 2),
        (["preview", "interval", "seconds=\x1b"], 2),
        (["preview", "@daily", "--tz", "\x1b[31m"], 2),
        (["preview", "@daily", "--from", "\x7f"], 2),
        (["preview", "@daily", "--from", "9999-12-31T23:59:59", "--tz", "Asia/Tokyo"], 0),
        (["preview", "@daily", "-n", "99999999999"], 2),
        (["preview", "interval", "days=900000"], 0),
        (["preview", "raising:trigger"], 2),
        (["preview", "raising:make"], 2),
        (["nothing\x1b[2J"], 2),
        (["check", "a", "\x1b[2J"], 2),
        (["check", "--\x1b"], 2),
        (["run", "--drain-timeout", "nan\x1b", "a:b"], 2),
    ],
)
def test_hostile_argument_ends_with_a_message(
    arguments: list[str], status: int, tmp_path: Path, invoke: Invoke
) -> None:
    (tmp_path / "own.py").write_text("x = 1\n")
    (tmp_path / "raising.py").write_text(
        "class trigger:\n    def next_due_time(self, previous, now): raise ValueError('\\x1b[2J')\n"
        "def make(): raise ValueError('\\x1b[2J\\udcff')\n"
    )
    result = invoke(*arguments)
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit | None)
    assert 0 < len(result.output) < 4000
    assert is_printable(result.output), repr(result.output)


ARGUMENTS = st.lists(
    st.sampled_from(
        ["check", "preview", "schema", "interval", "cron", "date", "calendar", "or", "-n", "3", "--tz", "UTC", "--from",
         "2030-01-01", "seconds=1", "days=1", "months=99999999", "years=9", "run_at=0001-01-01", "* * * * *", "--json",
         "start_at=9999-12-31", "jitter=1e30", "triggers=1", "expression=*", "timezone=Asia/Tokyo", "--help"]
    )
    | st.text(max_size=6),
    max_size=6,
)  # fmt: skip


@given(ARGUMENTS.filter(lambda arguments: not {"run", "demo", "verify"} & {*arguments}))
@settings(max_examples=examples(40), deadline=None)
def test_any_arguments_end_with_a_status(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    assert result.exit_code in {0, 1, 2}
    assert "--help" in arguments or is_printable(result.output)


def test_problems_of_hostile_file_are_printable(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "own.toml").write_text(
        '[tasks."a\\u001b[2J"]\ncall = "os:\\u202e"\nx = "\\u009b"\n'
        '[executors."\\u007f[bold]x"]\ntype = "\\u001b]0;x"\n'
    )
    result = invoke("check", "own.toml")
    assert result.exit_code == 1
    assert is_printable(result.output)
    assert "[bold]x" in result.output
    assert json.loads(invoke("check", "own.toml", "--json").stdout)


def test_check_executes_no_function_of_a_trigger_type(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        '[tasks.one]\ncall = "builtins:abs"\nargs = [-1]\ntrigger = { type = "os:system", command = "touch X" }\n'
    )
    result = asyncz_command("check", "own.toml", folder=tmp_path)
    assert result.returncode == 1
    assert "a class is needed" in result.stderr
    assert not (tmp_path / "X").exists()


def test_check_help_says_that_modules_are_imported(invoke: Invoke) -> None:
    assert "imported" in invoke("check", "--help").output


@pytest.mark.parametrize("name", ["cronsim", "tomllib", "attr", "tzlocal"])
def test_file_of_the_folder_replaces_no_package(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text("open('executed', 'w')\n")
    (tmp_path / "jobs.py").write_text("def run(): ...\n")
    (tmp_path / "own.toml").write_text(
        '[tasks.one]\ncall = "jobs:run"\ntrigger = { type = "cron", expression = "@daily", timezone = "local" }\n'
    )
    program = "import sys; from asyncz.cli import main; sys.argv = ['asyncz', 'check', 'own.toml']; main()"
    # As the installed command does it: without the current folder, which `python -c` puts first.
    result = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path
    )
    assert (result.returncode, result.stdout) == (0, "own.toml is valid: 1 task(s) on 1 executor(s)\n"), result.stderr
    assert not (tmp_path / "executed").exists()
    if name in {"cronsim", "tzlocal"}:
        # As `python -m asyncz` does it, which puts the current folder first.
        command = [sys.executable, "-m", "asyncz", "check", "own.toml"]
        assert subprocess.run(command, capture_output=True, check=False, timeout=60, cwd=tmp_path).returncode == 0
        assert not (tmp_path / "executed").exists()


def test_logs_have_a_level_and_a_format(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import logging, os, signal\nfrom asyncz import AsyncIOScheduler\nscheduler = AsyncIOScheduler()\n"
        "def speak():\n"
        "    logging.getLogger('own').info('a\\x1b[2Jb', extra={'asyncz_task': 'one'})\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "scheduler.add_task(speak)\n"
    )
    result = asyncz_command("run", "own:scheduler", "--log-level", "info", "--log-format", "json", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    (record,) = [found for line in result.stderr.splitlines() if (found := json.loads(line))["logger"] == "own"]
    assert record["level"], record["message"] == ("info", "a\x1b[2Jb")
    assert record["asyncz_task"] == "one"
    result = asyncz_command("run", "own:scheduler", "--log-level", "INFO", folder=tmp_path)
    (line,) = [line for line in result.stderr.splitlines() if " own: " in line]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ INFO     own: a\\x1b\[2Jb", line)
    assert " own: " not in asyncz_command("run", "own:scheduler", folder=tmp_path).stderr


HOSTILE_EVENTS = r"""
import os, signal
from asyncz import AsyncIOScheduler
scheduler = AsyncIOScheduler()

class Odd(Exception):
    def __str__(self):
        raise RuntimeError

class Value:
    def __repr__(self):
        raise RuntimeError

def odd():
    raise Odd

def escape():
    raise ValueError("\x1b[2J\udcff\x9b\x7f\u202e")

scheduler.add_task(odd, id="\x1b]0;x\x07")
scheduler.add_task(escape, id="lone \udcff")
scheduler.add_task(Value, id="[bold]x[/y]")
scheduler.add_task(str, "\x1b]52;c;eA==\x07" * 100, id="text")

scheduler.add_task(os.kill, os.getpid(), signal.SIGTERM, id="end")
"""


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_hostile_events_are_printable_and_complete(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(HOSTILE_EVENTS)
    result = asyncz_command("run", "own:scheduler", "--log-level", "critical", *options, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert is_printable(result.stdout)
    assert len(re.findall("TaskExecuted", result.stdout)) == 3
    assert len(re.findall("TaskError", result.stdout)) == 2
    assert all(len(line) < 1000 for line in result.stdout.splitlines())
    assert "str() raised RuntimeError" in result.stdout
    if options:
        ids = {json.loads(line).get("task_id") for line in result.stdout.splitlines()}
        assert {"\x1b]0;x\x07", "lone \udcff"} <= ids


def test_traceback_shows_no_local_variables(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("password = 'swordfish'\nclass Scheduler: ...\n")
    program = (
        "import sys, asyncz.cli.app as app\n"
        "def fail(*args, **kwargs):\n    password = 'sword' + 'fish'\n    raise RuntimeError('a defect')\n"
        "app.preview_trigger = fail\nsys.argv = ['asyncz', 'preview', '@daily']\napp.app()"
    )
    environment = {**os.environ, "COLUMNS": "200"}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    assert result.returncode == 1
    assert "a defect" in result.stderr
    assert "swordfish" not in result.stderr


def test_interrupt_during_the_imports_is_silent() -> None:
    code = """
import sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == "asyncz.cli.app":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from asyncz.cli import main
main()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
