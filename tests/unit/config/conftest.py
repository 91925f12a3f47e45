"""Modules and files that configurations refer to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import EXAMPLES

MODULE = """
raise_it = lambda: None
number = 3

def clean(folder: str, *, older_than: float = 3600) -> int:
    return len(folder)

class Kind:
    @staticmethod
    def make(name: str) -> str:
        return name.upper()

class Named:
    def __init__(self, name):
        self.name = name

def outer():
    def inner():
        return 1
    return inner

inner = outer()
"""


@pytest.fixture(autouse=True)
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module that configurations name, and others that cannot be imported."""
    (tmp_path / "some_jobs.py").write_text(MODULE)
    (tmp_path / "leaving_jobs.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "broken_jobs.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    yield
    for name in ("some_jobs", "jobs"):
        sys.modules.pop(name, None)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """A configuration as a file."""

    def write(text: str) -> Path:
        path = tmp_path / "asyncz.toml"
        path.write_text(text)
        return path

    return write
