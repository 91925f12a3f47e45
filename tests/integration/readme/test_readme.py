"""Every example of the README runs and prints the output that the README shows."""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import shlex
import signal
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from asyncz.cli.app import app
from tests.helpers.commands import asyncz_command
from tests.helpers.forked import Program, run_program

pytestmark = pytest.mark.slow

README = Path(__file__).parents[3] / "README.md"
TEXT = README.read_text()
_EXAMPLE = re.compile(
    r"(?P<marker><!-- [^\n]* -->\n)?```python\n(?P<code>.*?)```(?:\n\n```text\n(?P<output>.*?)```)?", re.DOTALL
)
# The free space, durations and lateness depend on the machine, and ids on the process.
_FIGURES = re.compile(r"\d+ GiB|, \d+\.\d+ m?s late|\d+\.\d+ m?s\b|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Example(NamedTuple):
    """A program of the README, with the output that follows it."""

    code: str
    output: str
    keeps_running: bool


# The configuration of the program, and the table of a store, which can be added to it.
_CONFIGURATIONS: list[str] = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)

# Files of web frameworks and cells of notebooks are run by `tests.integration.frameworks`.
_RUN_ELSEWHERE = ("<!-- file:", "<!-- cell")

EXAMPLES = [
    Example(found["code"], found["output"] or "", "runs until SIGTERM" in (found["marker"] or ""))
    for found in _EXAMPLE.finditer(TEXT)
    if not (found["marker"] or "").startswith(_RUN_ELSEWHERE)
]


def _prepare(example: Example, folder: Path) -> list[str]:
    """Write the program and the configuration of the README, and return the command."""
    (folder / "asyncz.toml").write_text(_CONFIGURATIONS[0])
    program = folder / "jobs.py"
    program.write_text(example.code)
    return [str(program)]


def _without_figures(text: str) -> str:
    return _FIGURES.sub(lambda found: "" if "late" in found[0] else "n", text)


def _name(example: Example) -> str:
    return example.output.splitlines()[0][:40] if example.output else "without output"


@pytest.mark.parametrize("example", [each for each in EXAMPLES if not each.keeps_running], ids=_name)
def test_example_prints_the_shown_output(example: Example, tmp_path: Path) -> None:
    command = _prepare(example, tmp_path)
    result = run_program(*command, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert example.output, "the README shows no output for this example"
    assert _without_figures(result.stdout) == _without_figures(example.output)


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.keeps_running], ids=_name)
def test_example_runs_until_sigterm(example: Example, tmp_path: Path) -> None:
    command = _prepare(example, tmp_path)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = Program(command, stderr=2, cwd=tmp_path, env=environment)
    assert process.stdout is not None
    shown = example.output.splitlines()
    try:
        printed = [process.stdout.readline().rstrip("\n") for _ in shown]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert list(map(_without_figures, printed)) == list(map(_without_figures, shown))
    assert process.returncode == 0


def test_first_screen_shows_program_that_keeps_running() -> None:
    first_screen = "\n".join(TEXT.splitlines()[:60])
    assert "runs until SIGTERM" in first_screen
    assert "run-command" in TEXT
    assert "test-command" in TEXT


def test_links_to_sections_have_their_sections() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line[3:].lower()).replace(" ", "-")
        for line in TEXT.splitlines()
        if line.startswith("## ")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings


def test_every_python_block_is_executed() -> None:
    elsewhere = len(re.findall(r"^<!-- (?:file: \S+|cell) -->$", TEXT, re.MULTILINE))
    assert TEXT.count("```python\n") == len(EXAMPLES) + elsewhere


def _commands() -> Iterator[list[str]]:
    """Return each command line of asyncz that the README shows."""
    for block in re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL):
        parser = ConfigParser()
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # as the documentation of ConfigParser says
        parser.read_string(block)
        yield shlex.split(parser["Service"]["ExecStart"])
    for command in re.findall(r"^(?:CMD| *command:) (\[.*\])$", TEXT, re.MULTILINE):
        yield json.loads(command)
    for command in re.findall(r"`(asyncz [^`]+)`", TEXT):
        yield shlex.split(command)
    for command in re.findall(r"^\| `(asyncz .*?)` \|", TEXT, re.MULTILINE):
        yield from (shlex.split(each) for each in command.split("`, `"))


def test_shown_commands_and_options_exist() -> None:
    commands = list(_commands())
    assert len(commands) > 10
    help_texts: dict[str, str] = {}
    for _, *arguments in commands:
        # The commands of `asyncz store` have a help of their own.
        name = " ".join(itertools.takewhile(lambda word: word[0].islower(), arguments[: 1 + (arguments[0] == "store")]))
        if name not in help_texts:
            result = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200"})
            assert result.exit_code == 0, (arguments, result.output)
            help_texts[name] = result.output
        for option in arguments:
            if option.startswith("--"):
                assert option in help_texts[name], arguments


def test_messages_of_the_troubleshooting_exist() -> None:
    modules = [ast.parse(path.read_text()) for path in (README.parent / "asyncz").rglob("*.py")]
    nodes = [node for module in modules for node in ast.walk(module)]
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    section = TEXT[TEXT.index("## Troubleshooting") : TEXT.index("## Coming from APScheduler 3")]
    messages = re.findall(r"^\| `(.+?)` \|", section, re.MULTILINE)
    assert len(messages) > 30
    for message in messages:
        for part in message.split("…"):
            assert any(part in text for text in texts), message


def test_configuration_with_store_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of the README is a part of the configuration of the README."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "asyncz.toml"
    file.write_text("".join(_CONFIGURATIONS))
    (tmp_path / "jobs.py").write_text("def count_lines(path: str) -> int:\n    return 3\n")
    checked = asyncz_command("check", str(file), folder=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
