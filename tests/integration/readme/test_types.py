"""Every example of the README passes type checkers, as a user runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.readme.test_readme import EXAMPLES

pytest.importorskip("mypy", reason="mypy comes with the extra `dev`, which is not installed")
pytest.importorskip("pyright", reason="pyright comes with the extra `dev`, which is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mypy")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the examples, and with a file that no checker accepts."""
    folder = tmp_path_factory.mktemp("examples")
    for number, example in enumerate(EXAMPLES):
        (folder / f"example_{number}.py").write_text(example.code)
    wrong = "from asyncz import AsyncIOScheduler\n\nscheduler: int = AsyncIOScheduler()\n"
    (folder / "wrong.py").write_text(wrong)
    return folder


COMMANDS = {
    # The options of `asyncz verify`, whose tests have put the library into the cache.
    "mypy": ["mypy", "--strict", "--config-file=", "--follow-imports=silent"],
    "pyright": ["pyright", "--pythonpath", sys.executable],
}


@pytest.mark.parametrize("checker", COMMANDS)
def test_examples_have_no_type_errors(checker: str, folder: Path) -> None:
    files = sorted(file.name for file in folder.glob("*.py"))
    command = [sys.executable, "-m", *COMMANDS[checker], *files]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    errors = [line.strip() for line in done.stdout.splitlines() if "error: " in line]
    assert [line for line in errors if "wrong.py" not in line] == []
    assert len(errors) == 1, done.stdout + done.stderr
