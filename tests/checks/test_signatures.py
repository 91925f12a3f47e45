"""Exact types for 200 generated signatures, in every way of scheduling."""

from __future__ import annotations

import pytest

from typecheck.runner import Place, Report
from typecheck.signatures import COUNT, GAPS, WAYS, check_signatures, differences, signatures, source


def test_signatures_are_distinct() -> None:
    made = [(each.kind, each.result, each.parameters) for each in signatures()]
    assert len(set(made)) == len(made) == COUNT


def test_every_way_asserts_types_of_many_signatures() -> None:
    for way in WAYS:
        assert source(way).count("assert_type(") >= COUNT / 2


def test_gaps_are_of_add_task_and_then_and_of_ty() -> None:
    assert {way for way, name in GAPS if name != "ty"} == {"add_task", "then"}
    assert not {way for way, _ in GAPS} & {"call", "decorator", "then_call", "tasks_of"}


def test_lost_type_and_closed_gap_are_differences() -> None:
    line = next(number for number, text in enumerate(source("call").splitlines(), 1) if "assert_type(s.call" in text)
    report = Report(0, {Place("typecheck/accept/signatures_call.py", line): "Task[Any]"})
    assert len(differences("pyright", report)) == 1
    assert any("has disappeared" in each for each in differences("mypy", Report(0, {})))
    assert differences("ty", Report(0, {}, failure="no answer")) == ["no answer"]


# The other checkers take 10 seconds each: `python -m typecheck.signatures` runs all of them.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["pyrefly", "ty"])
def test_checker_infers_exact_types(name: str) -> None:
    assert differences(name, check_signatures([name])[name]) == []
