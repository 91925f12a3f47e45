"""Mutations that the type checkers have to notice."""

from __future__ import annotations

import fnmatch
import functools
from pathlib import Path

import pytest

from tests.helpers.typecheck import behave
from typecheck import mutations
from typecheck.mutations import SURVIVORS, Mutation, mutations_of, sample_of
from typecheck.runner import PROJECT

# To parse the library takes a second.
all_mutations = functools.cache(mutations_of)


@pytest.mark.slow
def test_mutations_cover_public_names() -> None:
    names = {mutation.name for mutation in all_mutations(PROJECT)}
    assert len(names) > 500
    assert {
        "asyncz:RunHandle",
        "asyncz.executors:DebugExecutor",
        "asyncz.tasks.Task.run()",
        "asyncz.calls.BoundCall.add[0](executor)",
        "asyncz.protocols.Executor.submit(run)",
        "asyncz.events.TaskModified.fields",
    } <= names


@pytest.mark.slow
def test_mutation_leaves_code_that_compiles(tmp_path: Path) -> None:
    for mutation in sample_of(all_mutations(PROJECT), 40):
        copy = tmp_path / mutation.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        source = (PROJECT / mutation.file).read_text()
        copy.write_text(source)
        mutation.apply(tmp_path)
        assert copy.read_text() != source
        compile(copy.read_text(), mutation.file, "exec")


@pytest.mark.slow
def test_explained_survivor_is_mutation() -> None:
    names = [mutation.name for mutation in all_mutations(PROJECT)]
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


@pytest.mark.slow
def test_survivor_without_reason_fails_command(
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
    monkeypatch.setattr(mutations, "mutations_of", all_mutations)
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
