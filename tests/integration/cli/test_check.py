"""`asyncz check` and `asyncz schema`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from asyncz import SchedulerConfig
from asyncz.cli.app import app


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
    """Run a command in the folder, in this process: commands that only read need no process of their own."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def invoke(*arguments: str) -> Finished:
        result = CliRunner().invoke(app, arguments)
        return Finished(result.exit_code, result.stdout, result.stderr)

    yield invoke
    for name in ("jobs", "module", "printing"):
        sys.modules.pop(name, None)


def test_check_valid_configuration(command: Invoke) -> None:
    result = command("check", "asyncz.toml")
    assert (result.status, result.output) == (0, "asyncz.toml is valid: 4 task(s) on 3 executor(s)\n")
    assert command("check", "asyncz.toml", "--json").output == "[]\n"


def test_check_reports_problems_without_running(folder: Path, command: Invoke) -> None:
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


def test_schema_command_prints_valid_schema(command: Invoke) -> None:
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
def test_invalid_command_line_reported(arguments: list[str], status: int, message: str, command: Invoke) -> None:
    result = command(*arguments)
    assert (result.status, result.output) == (status, "")
    assert message in re.sub(r"[\s│]+", " ", result.errors)
