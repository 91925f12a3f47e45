"""The matrix of type checkers fails where a checker and the marks disagree, and where a checker does not answer."""

from __future__ import annotations

import fnmatch
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
from asyncz.schedulers import asyncio as scheduler_module
from asyncz.triggers import date
from typecheck import mutations
from typecheck.__main__ import main
from typecheck.accept import package
from typecheck.completeness import unlisted_classes
from typecheck.mutations import SURVIVORS, Mutation, mutations_of, sample_of
from typecheck.runner import CHECKERS, PROJECT, Checker

LIBRARY = Path(asyncz.__file__).parent
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


def project_of(tmp_path: Path, source: str) -> str:
    folder = tmp_path / "typecheck" / "reject"
    folder.mkdir(parents=True)
    (folder / "example.py").write_text(source)
    return f"--project={tmp_path}"


@pytest.fixture(autouse=True)
def rejecting_checkers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces two checkers; the real ones are run by the matrix itself."""
    for name in ("mypy", "ty"):
        behave(monkeypatch, name, REFUSING)


def behave(monkeypatch: pytest.MonkeyPatch, name: str, program: str) -> None:
    monkeypatch.setitem(CHECKERS, name, Checker((sys.executable, "-c", program), CHECKERS["mypy"].read))


def test_marks_that_every_checker_obeys_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
def test_a_stale_or_missing_mark_fails(
    source: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([project_of(tmp_path, source), "mypy"]) == 1
    out = capsys.readouterr().out
    assert complaint in out
    assert "1 WRONG" in out


def test_a_mark_holds_for_the_checkers_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behave(monkeypatch, "ty", "")
    project = project_of(tmp_path, "wrong()  # E[mypy]: why\nwrong()  # E[-ty]: why\n")
    assert main([project, "mypy", "ty"]) == 0
    assert "2 name the checkers that disagree" in capsys.readouterr().out


@pytest.mark.parametrize("mark", ["# E[mypy]", "# E[mypy]: ", "# E[mpyy]: why", "# E[-mpyy]: why", "# E: why", "#E"])
def test_what_looks_like_a_mark_and_is_none_fails(
    mark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
def test_a_checker_that_gives_no_answer_fails(
    program: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behave(monkeypatch, "mypy", program)
    assert main([project_of(tmp_path, "right()\n"), "mypy", "ty"]) == 1
    out = capsys.readouterr().out
    assert complaint in out
    assert "no answer" in out


def test_a_checker_that_is_not_there_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CHECKERS, "mypy", Checker((str(tmp_path / "mypy"),), CHECKERS["mypy"].read))
    assert main([project_of(tmp_path, "right()\n"), "mypy"]) == 1
    assert "no answer" in capsys.readouterr().out


def test_pyright_that_has_not_read_all_files_fails(
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


class StrayNotifier(asyncz.AsyncIOScheduler):
    """A scheduler that nobody has checked against the protocol."""


@pytest.mark.parametrize(
    ("module", "stray", "protocols"),
    [
        (debug, StrayExecutor, {"Executor", "SupportsCancel"}),
        (date, StrayTrigger, {"Trigger"}),
        (clock, StrayClock, {"Clock"}),
        (scheduler_module, StrayNotifier, {"Notifier"}),
    ],
)
def test_a_class_that_is_not_checked_against_its_protocol_fails(
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


def test_a_class_that_is_not_checked_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behave(monkeypatch, "mypy", "")
    monkeypatch.setattr("typecheck.__main__.check", lambda *_: {})
    assert main(["mypy"]) == 0
    monkeypatch.setattr(StrayExecutor, "__module__", debug.__name__)
    monkeypatch.setattr(debug, "StrayExecutor", StrayExecutor, raising=False)
    assert main(["mypy"]) == 1
    assert "StrayExecutor is not checked against Executor" in capsys.readouterr().out


def test_every_public_name_is_imported_by_an_accepted_file() -> None:
    assert {name for name in vars(package) if name in asyncz.__all__} == set(asyncz.__all__)


def test_every_accepted_file_has_one_of_mistakes() -> None:
    accepted, rejected = (
        {file.name for file in (PROJECT / "typecheck" / name).glob("*.py")} for name in ("accept", "reject")
    )
    assert accepted - {"functions.py"} == rejected


def test_every_public_class_is_used_wrongly_somewhere() -> None:
    mistakes = "\n".join(file.read_text() for file in (PROJECT / "typecheck" / "reject").glob("*.py"))
    public = {name for name in asyncz.__all__ if isinstance(getattr(asyncz, name), type)}
    assert {name for name in public if not re.search(rf"\b{name}\b", mistakes)} == set()


def test_mutations_cover_what_users_can_name() -> None:
    names = {mutation.name for mutation in mutations_of(PROJECT)}
    assert len(names) > 500
    assert {
        "asyncz:RunHandle",
        "asyncz.executors:DebugExecutor",
        "asyncz.tasks.Task.run()",
        "asyncz.schedulers.asyncio.AsyncIOScheduler.add_task[1](fn)",
        "asyncz.protocols.Executor.submit(run)",
        "asyncz.events.TaskModified.fields",
    } <= names


def test_mutation_leaves_code_that_compiles(tmp_path: Path) -> None:
    for mutation in sample_of(mutations_of(PROJECT), 40):
        copy = tmp_path / mutation.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        source = (PROJECT / mutation.file).read_text()
        copy.write_text(source)
        mutation.apply(tmp_path)
        assert copy.read_text() != source
        compile(copy.read_text(), mutation.file, "exec")


def test_every_explained_survivor_is_a_mutation() -> None:
    names = [mutation.name for mutation in mutations_of(PROJECT)]
    assert [pattern for pattern in SURVIVORS if not fnmatch.filter(names, pattern)] == []


MUTABLE = """\
from typing import TypeAlias, overload
Number: TypeAlias = int | float
Hidden: TypeAlias = int
class Queue:
    size: int = 0
    _private: int
    @overload
    def put(self, item: str) -> int: ...
    @overload
    def put(self, item: bytes, *more: object) -> None: ...
    def put(self, item: str | bytes, *more: object) -> int | None: return 0
    def __repr__(self) -> str: return ""
async def drain(é: int = 0, *, queue: Queue) -> list[
    int
]: return []
def _hidden(x: int) -> int: return x
"""


def test_annotations_and_reexports_are_mutated(tmp_path: Path) -> None:
    package = tmp_path / "asyncz"
    package.mkdir()
    (package / "__init__.py").write_text("from asyncz.queues import Queue as Queue, drain as drain, Number as Number\n")
    (package / "queues.py").write_text(MUTABLE)
    found: dict[str, str] = {}
    for mutation in mutations_of(tmp_path):
        file = tmp_path / mutation.file
        original = file.read_text()
        mutation.apply(tmp_path)
        before, after = original.splitlines(), file.read_text().splitlines()
        found[mutation.name] = next(new for old, new in zip(before, after, strict=False) if old != new).strip()
        file.write_text(original)
    assert found == {
        "asyncz:Queue": "from asyncz.queues import Queue as _, drain as drain, Number as Number",
        "asyncz:drain": "from asyncz.queues import Queue as Queue, drain as _, Number as Number",
        "asyncz:Number": "from asyncz.queues import Queue as Queue, drain as drain, Number as _",
        "asyncz.queues.Number": "Number: TypeAlias = object",
        "asyncz.queues.Queue.size": "size: object = 0",
        "asyncz.queues.Queue.put[0](item)": "def put(self, item: object) -> int: ...",
        "asyncz.queues.Queue.put[0]()": "def put(self, item: str) -> object: ...",
        "asyncz.queues.Queue.put[1](item)": "def put(self, item: object, *more: object) -> None: ...",
        "asyncz.queues.drain(é)": "async def drain(é: object = 0, *, queue: Queue) -> list[",
        "asyncz.queues.drain(queue)": "async def drain(é: int = 0, *, queue: object) -> list[",
        "asyncz.queues.drain()": "async def drain(é: int = 0, *, queue: Queue) -> object: return []",
    }


def test_sample_is_spread_evenly() -> None:
    all_of_them = [Mutation(str(number), "", (0, 0), (0, 0), "") for number in range(10)]
    assert [each.name for each in sample_of(all_of_them, 3)] == ["0", "3", "6"]
    assert sample_of(all_of_them, 99) == all_of_them


def test_survivor_without_reason_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notices = (
        "import json, pathlib, sys\n"
        "text = pathlib.Path('asyncz/clock.py').read_text()\n"
        "if '-> object:' not in text and 'callback: object' not in text: sys.exit(0)\n"
        "print(json.dumps({'file': sys.argv[1], 'line': 1, 'severity': 'error', 'message': 'wrong'}))\n"
        "sys.exit(1)\n"
    )
    monkeypatch.setattr("typecheck.runner._marks_in", lambda *_: [])
    behave(monkeypatch, "mypy", notices)
    arguments = ["--checkers", "mypy", "--only", "clock.SystemClock", "--sample", "2", "--verbose"]
    assert mutations.main(arguments) == 0
    assert "2 noticed, 0 explained, 0 survive" in capsys.readouterr().out
    behave(monkeypatch, "mypy", "")
    assert mutations.main(arguments) == 1
    assert "asyncz.clock.SystemClock.now(): SURVIVES" in capsys.readouterr().out
    monkeypatch.setattr(mutations, "SURVIVORS", {"asyncz.clock.*": "users read no clock"})
    assert mutations.main(arguments) == 0
    assert "survives: users read no clock" in capsys.readouterr().out
