"""`asyncz verify` reports type errors of the class and of its module, and names missing members."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asyncz.cli._mypy import check_types
from asyncz.cli.app import app

MODULE = """
from datetime import datetime


class Wrong:
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return "noon"


class Right:
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return None


class OnlyStarts:
    async def start(self, notifier: object, alias: str, /) -> None: ...
    def submit(self, run: object, /) -> None: ...


def elsewhere() -> int:
    return "text"
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "verified_module"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


@pytest.mark.slow
@pytest.mark.xdist_group("mypy")
@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
def test_errors_of_class_and_of_module_are_separate(module: str) -> None:
    classes = vars(__import__(module))
    wrong = check_types(classes["Wrong"], "Trigger", "next_due_time", "datetime")
    assert wrong.verdict == "broken"
    assert 'got "str", expected "datetime | None"' in wrong.message
    assert len(wrong.module_errors) == 1
    right = check_types(classes["Right"], "Trigger", "next_due_time", "datetime")
    assert (right.verdict, right.message) == ("kept", "")
    assert [re.sub(r".*error: ", "", each) for each in right.module_errors] == [
        'Incompatible return value type (got "str", expected "datetime | None")  [return-value]',
        'Incompatible return value type (got "str", expected "int")  [return-value]',
    ]


def test_missing_members_are_named(module: str) -> None:
    result = CliRunner().invoke(app, ["verify", f"{module}:OnlyStarts"])
    assert result.exit_code == 2
    assert "missing executor members: state, shutdown;" in result.output
