"""The mutations that prove the tests of the rules still find what they change, and name tests that there are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import asyncz
from tests.rule_mutations import MUTATIONS, RuleMutation, Verdict, main, run_tests
from typecheck.mutations import mutate

LIBRARY = Path(asyncz.__file__).parent
TESTS = Path(__file__).parent
# So long that pytest leaves no room for why it failed.
WRONG = f"test_wrong_{'_and_wrong' * 20}"


@pytest.mark.parametrize("each", MUTATIONS, ids=lambda each: each.mutation.name)
def test_every_mutation_finds_what_it_changes_exactly_once(each: RuleMutation, tmp_path: Path) -> None:
    copy = tmp_path / each.mutation.file
    copy.parent.mkdir(parents=True)
    source = (LIBRARY.parent / each.mutation.file).read_text()
    copy.write_text(source)
    mutate(each.mutation, tmp_path, once=True)
    assert copy.read_text() != source
    compile(copy.read_text(), each.mutation.file, "exec")


def test_every_rule_is_broken_and_every_mutation_has_its_name() -> None:
    assert {each.rule for each in MUTATIONS} >= {str(number) for number in range(1, 14)}
    assert len({each.mutation.name for each in MUTATIONS}) == len(MUTATIONS)


def test_every_test_that_has_to_notice_is_there() -> None:
    defined: dict[str, set[str]] = {}
    for each in MUTATIONS:
        for test in each.tests:
            module, *names = test.partition("[")[0].split("::")
            if module not in defined:
                tree = ast.parse((TESTS / f"{module}.py").read_text())
                defined[module] = {
                    node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)
                }
            assert set(names[:1]) <= defined[module], test


def test_the_first_test_that_fails_is_who_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_example.py").write_text(
        f"import os\ndef test_right():\n    pass\ndef {WRONG}():\n    assert False\ndef test_gone():\n    os._exit(3)\n"
    )
    assert run_tests(tmp_path, ["test_example::test_right"]) == Verdict(None)
    assert run_tests(tmp_path, ["test_example"]) == Verdict(f"test_example::{WRONG}")
    assert run_tests(tmp_path, ["test_example::test_gone"]).trouble.startswith("pytest ended with 3")
    assert run_tests(tmp_path, ["test_example::test_missing"]).trouble.startswith("pytest ended with 4")


def test_a_name_that_no_mutation_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["no such mutation"])
    assert "there is no such mutation" in capsys.readouterr().err
