"""The matrix of type checkers."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from pathlib import Path

import pytest

import asyncz
from asyncz import clock
from asyncz.clock import SystemClock
from asyncz.executors import debug
from asyncz.executors.debug import DebugExecutor
from asyncz.testing import recorder
from asyncz.triggers import date
from tests.helpers.typecheck import behave
from typecheck.__main__ import main
from typecheck.completeness import unlisted_classes
from typecheck.runner import CHECKERS, PROJECT, Checker

# Rejects each line that says `wrong()`, in the words of mypy.
REFUSING = """
import json, pathlib, sys
status = 0
for file in sys.argv[1:]:
    for number, line in enumerate(pathlib.Path(file).read_text().splitlines(), 1):
        if line.startswith("wrong()"):
            print(json.dumps({"file": file, "line": number, "severity": "error", "message": "it is wrong"}))
            status = 1
sys.exit(status)
"""


@pytest.fixture(autouse=True)
def rejecting_checkers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces two checkers; the real ones are run by the matrix itself."""
    for name in ("mypy", "ty"):
        behave(monkeypatch, name, REFUSING)


def project_of(tmp_path: Path, source: str) -> str:
    folder = tmp_path / "typecheck" / "reject"
    folder.mkdir(parents=True)
    (folder / "example.py").write_text(source)
    return f"--project={tmp_path}"


def test_obeyed_marks_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([project_of(tmp_path, "wrong()  # E\nright()\n"), "mypy", "ty"]) == 0
    assert "typecheck/reject/example.py" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("right()\nright()  # E\n", "example.py:2: mypy says nothing"),
        ("right()\nwrong()\n", "example.py:2: mypy says, and no mark does: it is wrong"),
        ("wrong()  # E[-mypy]: why\n", "example.py:1: mypy says, and no mark does"),
        ("wrong()  # E[ty]: why\n", "example.py:1: mypy says, and no mark does"),
        ("right()  # E[mypy]: why\n", "example.py:1: mypy says nothing"),
        ("right()  # E[-ty, pyright]: why\n", "example.py:1: mypy says nothing"),
        ('right("wrong()  # E")\nwrong()\n', "example.py:2: mypy says, and no mark does"),
    ],
)
def test_stale_or_missing_mark_fails(
    source: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([project_of(tmp_path, source), "mypy"]) == 1
    out = capsys.readouterr().out
    assert complaint in out
    assert "1 WRONG" in out


def test_mark_applies_to_named_checkers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behave(monkeypatch, "ty", "")
    project = project_of(tmp_path, "wrong()  # E[mypy]: why\nwrong()  # E[-ty]: why\n")
    assert main([project, "mypy", "ty"]) == 0
    assert "2 name the checkers that disagree" in capsys.readouterr().out


@pytest.mark.parametrize("mark", ["# E[mypy]", "# E[mypy]: ", "# E[mpyy]: why", "# E[-mpyy]: why", "# E: why", "#E"])
def test_malformed_mark_fails(mark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([project_of(tmp_path, f"right()\nwrong()  {mark}\n"), "mypy"]) == 1
    assert "example.py:2" in capsys.readouterr().out


ENTRY = '{"file": "typecheck/reject/example.py", "line": 1, "severity": "error", "message": "wrong"}'


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        ("import sys; sys.exit(2)", "mypy ended with 2"),
        ("import os; os.kill(os.getpid(), 9)", "mypy ended with -9"),
        (f"print('{ENTRY}'); raise SystemExit(2)", "mypy ended with 2"),
        ("print('it is all fine'); raise SystemExit(1)", "mypy gave no report that can be read"),
        ("print('{}'); raise SystemExit(1)", "mypy gave no report that can be read"),
        (f"print('{ENTRY}')", "mypy ended with 0 and reported 1 errors"),
        ("raise SystemExit(1)", "mypy ended with 1 and reported 0 errors"),
    ],
)
def test_checker_without_answer_fails(
    program: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behave(monkeypatch, "mypy", program)
    assert main([project_of(tmp_path, "right()\n"), "mypy", "ty"]) == 1
    out = capsys.readouterr().out
    assert complaint in out
    assert "no answer" in out


def test_missing_checker_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CHECKERS, "mypy", Checker((str(tmp_path / "mypy"),), CHECKERS["mypy"].read))
    assert main([project_of(tmp_path, "right()\n"), "mypy"]) == 1
    assert "no answer" in capsys.readouterr().out


def test_pyright_with_unread_files_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = '{"generalDiagnostics": [], "summary": {"filesAnalyzed": 0}}'
    program = (sys.executable, "-c", f"print('{report}')")
    monkeypatch.setitem(CHECKERS, "pyright", Checker(program, CHECKERS["pyright"].read))
    assert main([project_of(tmp_path, "right()\n"), "pyright"]) == 1
    assert "it read 0 of 1 files" in capsys.readouterr().out


class StrayExecutor(DebugExecutor):
    """An executor that nobody has checked against the protocols."""


class StrayTrigger:
    """A trigger that nobody has checked against the protocol."""

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return previous


class StrayClock(SystemClock):
    """A clock that nobody has checked against the protocol."""


class StrayNotifier(recorder.RecordingNotifier):
    """A notifier that is not checked against the protocol."""


@pytest.mark.parametrize(
    ("module", "stray", "protocols"),
    [
        (debug, StrayExecutor, {"Executor", "SupportsCancel"}),
        (date, StrayTrigger, {"Trigger"}),
        (clock, StrayClock, {"Clock"}),
        (recorder, StrayNotifier, {"Notifier"}),
    ],
)
def test_unchecked_class_fails(
    module: object, stray: type[object], protocols: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unlisted_classes() == []
    name = getattr(module, "__name__", "")
    monkeypatch.setattr(stray, "__module__", name)
    monkeypatch.setattr(module, stray.__name__, stray, raising=False)
    assert unlisted_classes() == [
        f"typecheck/conformance.py: {name}.{stray.__name__} is not checked against {protocol}"
        for protocol in sorted(protocols)
    ]


def test_unchecked_class_fails_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    behave(monkeypatch, "mypy", "")
    monkeypatch.setattr("typecheck.__main__.check", lambda *_: {})
    assert main(["mypy"]) == 0
    monkeypatch.setattr(StrayExecutor, "__module__", debug.__name__)
    monkeypatch.setattr(debug, "StrayExecutor", StrayExecutor, raising=False)
    assert main(["mypy"]) == 1
    assert "StrayExecutor is not checked against Executor" in capsys.readouterr().out


def test_accepted_files_import_every_public_name() -> None:
    from typecheck.accept import package  # it runs everything that it shows

    assert {name for name in vars(package) if name in asyncz.__all__} == set(asyncz.__all__)


def test_accepted_files_have_rejected_counterparts() -> None:
    accepted, rejected = (
        {file.name for file in (PROJECT / "typecheck" / name).glob("*.py")} for name in ("accept", "reject")
    )
    assert accepted - {"functions.py"} == rejected - {"options.py"}


def test_rejected_files_use_every_public_class() -> None:
    mistakes = "\n".join(file.read_text() for file in (PROJECT / "typecheck" / "reject").glob("*.py"))
    public = {name for name in asyncz.__all__ if isinstance(getattr(asyncz, name), type)}
    assert {name for name in public if not re.search(rf"\b{name}\b", mistakes)} == set()
