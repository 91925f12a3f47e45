"""The runner of mutmut explains survivors, and fails if one is not explained."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import filter as filter_names
from pathlib import Path

import pytest

from tests.mutation import __main__ as mutation
from tests.mutation.__main__ import AREAS, Explanation, Survivor, explanations, parse_diff, report
from tests.mutation.rules import LIMIT, Bite, bites

DIFF = """\
--- asyncz/triggers/interval.py
+++ asyncz/triggers/interval.py
@@ -1,5 +1,5 @@
 def _in_one_unit(interval: timedelta) -> dict[str, float]:
-        if not interval % length:
+        if not interval / length:
"""
MUTANT = "asyncz.triggers.interval.xǁIntervalTriggerǁ__init____mutmut_20"


def test_diff_gives_changed_lines() -> None:
    assert parse_diff(DIFF) == (("if not interval % length:",), ("if not interval / length:",))


@pytest.mark.parametrize(
    ("mutant", "function"),
    [
        (MUTANT, "asyncz.triggers.interval:IntervalTrigger.__init__"),
        ("asyncz.triggers.interval.x__in_one_unit__mutmut_2", "asyncz.triggers.interval:_in_one_unit"),
    ],
)
def test_function_of_mutant_is_qualified(mutant: str, function: str) -> None:
    assert Survivor(mutant, "survived", (), ()).function == function


def test_unexplained_survivor_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    survivor = Survivor(MUTANT, "survived", *parse_diff(DIFF))
    monkeypatch.setattr(mutation, "explanations", list)
    assert report([survivor], run=2) == 1
    assert "SURVIVES | asyncz.triggers.interval:IntervalTrigger.__init__: if not" in capsys.readouterr().out
    reason = Explanation(function="asyncz.triggers.*:Interval*", change="*interval / length*", reason="it is equal")
    monkeypatch.setattr(mutation, "explanations", lambda: [reason])
    assert report([survivor], run=2) == 0
    assert "2 mutations: 1 noticed, 1 explained, 0 survive" in capsys.readouterr().out


with_source = pytest.mark.skipif(
    not (mutation.ROOT / "asyncz").exists(), reason="the tests of an installed package are beside no source"
)


@with_source
def test_every_area_has_modules_and_tests() -> None:
    for area in AREAS.values():
        assert any(file for pattern in area.modules for file in mutation.ROOT.glob(pattern))
        assert any((mutation.ROOT / each).exists() for each in area.tests)
    assert all(each.reason for each in explanations())


@pytest.mark.slow
@with_source
def test_every_explanation_names_a_function() -> None:
    functions = set(functions_of(mutation.ROOT / "asyncz"))
    assert "asyncz.triggers.interval:IntervalTrigger.__init__" in functions
    unknown = [each.function for each in explanations() if not filter_names(functions, each.function)]
    assert unknown == []


def functions_of(package: Path) -> Iterator[str]:
    """Return the functions of a package, as `module:qualname`."""
    for path in package.rglob("*.py"):
        module = ".".join(path.relative_to(package.parent).with_suffix("").parts)
        yield from (f"{module}:{name}" for name in _qualnames(ast.parse(path.read_text())))


def _qualnames(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child.name
        elif isinstance(child, ast.ClassDef):
            yield from (f"{child.name}.{name}" for name in _qualnames(child))
        else:
            yield from _qualnames(child)


@with_source
def test_every_bite_finds_its_statement() -> None:
    found = list(bites())
    assert 0 < len(found) <= LIMIT
    for bite in found:
        source = (mutation.ROOT / bite.file).read_text()
        mutated = bite.mutated(source)
        assert mutated != source
        compile(mutated, bite.file, "exec")


FUNCTION = """\
class Queue:
    def put(self, item: int) -> None:
        with self.lock:
            self.items.append(
                item,
            )
        self.wake()
"""


def test_bite_replaces_statement_whatever_its_format() -> None:
    bite = Bite("test", "queues:Queue.put", "self.items.append(item)", "pass")
    assert bite.mutated(FUNCTION) == FUNCTION.replace(
        "self.items.append(\n                item,\n            )", "pass"
    )


@pytest.mark.parametrize(
    ("function", "statement"), [("queues:Queue.put", "other()"), ("queues:Queue.get", "self.wake()")]
)
def test_bite_without_its_statement_is_an_error(function: str, statement: str) -> None:
    with pytest.raises(LookupError):
        Bite("test", function, statement, "pass").mutated(FUNCTION)
