"""Every example of the README runs and prints the output that the README shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.slow

README = Path(__file__).parents[3] / "README.md"
TEXT = README.read_text()
_EXAMPLE = re.compile(
    r"(?P<marker><!-- [^\n]* -->\n)?```python\n(?P<code>.*?)```(?:\n\n```text\n(?P<output>.*?)```)?", re.DOTALL
)
_FIGURES = re.compile(r"\d+ GiB")


class Example(NamedTuple):
    """A program of the README, with the output that follows it."""

    code: str
    output: str
    keeps_running: bool


# Files of web frameworks and cells of notebooks are run by `tests.integration.frameworks`.
_RUN_ELSEWHERE = ("<!-- file:", "<!-- cell")

EXAMPLES = [
    Example(found["code"], found["output"] or "", "runs until SIGTERM" in (found["marker"] or ""))
    for found in _EXAMPLE.finditer(TEXT)
    if not (found["marker"] or "").startswith(_RUN_ELSEWHERE)
]


def _prepare(example: Example, folder: Path) -> list[str]:
    """Write the program and the configuration of the README, and return the command."""
    (configuration,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    (folder / "asyncz.toml").write_text(configuration)
    program = folder / "jobs.py"
    program.write_text(example.code)
    return [sys.executable, str(program)]


def _name(example: Example) -> str:
    return example.output.splitlines()[0][:40] if example.output else "without output"


@pytest.mark.parametrize("example", [each for each in EXAMPLES if not each.keeps_running], ids=_name)
def test_example_prints_the_shown_output(example: Example, tmp_path: Path) -> None:
    command = _prepare(example, tmp_path)
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert example.output, "the README shows no output for this example"
    assert result.stdout == example.output


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.keeps_running], ids=_name)
def test_example_runs_until_sigterm(example: Example, tmp_path: Path) -> None:
    command = _prepare(example, tmp_path)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment)
    assert process.stdout is not None
    shown = example.output.splitlines()
    try:
        printed = [process.stdout.readline().rstrip("\n") for _ in shown]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    # The free space depends on the machine.
    assert [_FIGURES.sub("n GiB", line) for line in printed] == [_FIGURES.sub("n GiB", line) for line in shown]
    assert process.returncode == 0


def test_first_screen_shows_a_program_that_keeps_running() -> None:
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
