"""The prose of the package and of its tests keeps within its word rates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.prose import LIMITS, PACKAGE, crowded_modules, main, read_prose

TESTS = PACKAGE.parent / "tests"

PLAIN = '''\
"""Run queue of an executor.

If the queue is full, a run is rejected when it is submitted. If not, it waits.
"""
'''


def write(folder: Path, source: str) -> Path:
    """Write a module."""
    file = folder / "module.py"
    file.write_text(source)
    return file


@pytest.mark.slow
def test_package_word_rates_within_limits() -> None:
    assert read_prose(PACKAGE.rglob("*.py")).violations() == []


@pytest.mark.slow
def test_no_module_repeats_a_limited_word() -> None:
    assert crowded_modules(sorted(PACKAGE.rglob("*.py"))) == []


@pytest.mark.slow
def test_word_rates_of_tests_within_limits() -> None:
    prose = read_prose(TESTS.rglob("*.py"))
    # Tests state facts; the conditions are in the names.
    others = ("if/when:", "what:", "whose:")
    assert [each for each in prose.violations() if not each.startswith(others)] == []
    assert prose.rates()["what"] < 2
    assert prose.rates()["whose"] < 4


def test_names_of_tests_have_at_most_50_characters() -> None:
    names = [name for file in TESTS.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())]
    assert len(names) > 900
    assert [name for name in names if len(name) > 50] == []


def test_plain_prose_has_no_violations(tmp_path: Path) -> None:
    assert read_prose([write(tmp_path, PLAIN)]).violations() == []


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("Do what is due.", "what"),
        ("Where it is due.", "where"),
        ("It told the listener.", "tell"),
        ("Runs whose task is gone.", "whose"),
        ("Whoever waits is notified.", "who"),
        ("Nobody waits.", "who"),
        ("It is no list.", "is no"),
        ("There is none.", "is no"),
    ],
)
def test_word_in_comment_or_docstring_is_counted(tmp_path: Path, sentence: str, name: str) -> None:
    in_comment = read_prose([write(tmp_path, f"{PLAIN}# {sentence}\n")])
    assert [each for each in LIMITS if in_comment.rates()[each] > 0] == [*sorted({name} - {"if/when"}), "if/when"]
    assert [each.partition(":")[0] for each in in_comment.violations()] == [name]
    in_docstring = read_prose([write(tmp_path, f'{PLAIN}def f() -> None:\n    """Return. {sentence}"""\n')])
    assert [each.partition(":")[0] for each in in_docstring.violations()] == [name]


@pytest.mark.parametrize("code", ["x = 'what'", "# It is `what` it is no longer.", "y = 1  # noqa: E501"])
def test_code_and_directives_do_not_count(tmp_path: Path, code: str) -> None:
    assert read_prose([write(tmp_path, f"{PLAIN}{code}\n")]).violations() == []


def test_reason_behind_directive_counts(tmp_path: Path) -> None:
    found = read_prose([write(tmp_path, f"{PLAIN}x = 1  # noqa: E501  # what it is\n")]).violations()
    assert [each.partition(":")[0] for each in found] == ["what"]


def test_question_word_as_opener_is_reported(tmp_path: Path) -> None:
    prose = read_prose([write(tmp_path, f'{PLAIN}def f() -> bool:\n    """Whether it is due."""\n')])
    assert prose.opener_share() == 50
    assert [each.partition(":")[0] for each in prose.violations()] == ["openers"]


def test_too_few_conditions_are_reported(tmp_path: Path) -> None:
    found = read_prose([write(tmp_path, '"""Queue of runs."""\n')]).violations()
    assert [each.partition(":")[0] for each in found] == ["if/when"]


def test_command_prints_folders_and_fails_on_violation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, f"{PLAIN}# What is due.\n")
    assert main([str(tmp_path), "--lines"]) == 1
    printed = capsys.readouterr().out
    assert "module.py:5: [what] What is due." in printed
    assert "what: " in printed
    write(tmp_path, PLAIN)
    assert main([str(tmp_path)]) == 0
