"""A folder with a configuration for the command line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.commands import build_commands_once
from tests.helpers.paths import EXAMPLES

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


@pytest.fixture(scope="package", autouse=True)
def commands() -> Iterator[None]:
    """Build the commands once, not for each call."""
    with pytest.MonkeyPatch.context() as patch:
        build_commands_once(patch)
        yield
