"""Problems of a configuration, with file, line and key."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncz import AsyncIOScheduler, ConfigurationError, ConfigurationProblem, InvalidInputError
from tests.unit.config.mistakes import WRONG, Wrong


def problems_of(source: Path | dict[str, object]) -> tuple[ConfigurationProblem, ...]:
    with pytest.raises(ConfigurationError) as caught:
        AsyncIOScheduler.from_config(source)
    return caught.value.problems


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.key}-{wrong.explanation}"[:60])
def test_problem_has_key_line_and_explanation(wrong: Wrong, written: Callable[[str], Path]) -> None:
    path = written(wrong.text)
    problems = problems_of(path)
    (problem,) = [each for each in problems if each.key == wrong.key]
    assert (problem.file, problem.line) == (str(path), wrong.line)
    assert wrong.explanation in problem.explanation
    assert str(problem).startswith(f"{path}:{wrong.line}: {wrong.key}")


def test_problems_reported_together_in_file_order(written: Callable[[str], Path]) -> None:
    path = written(
        textwrap.dedent("""\
            [executors.io]
            type = "threadpool"
            max_wrkers = 3

            [tasks.one]
            call = "no_jobs:outer"
            executor = "io"
            timeout = -1

            [defaults]
            coalesce = "yes"

            [tasks."number two"]
            call = "some_jobs:clean"
            kwargs = { older = 3 }
            trigger = { type = "intervl" }
            executor = "threadz"
        """)
    )
    with pytest.raises(ConfigurationError) as caught:
        AsyncIOScheduler.from_config(path)
    assert [(problem.line, problem.key) for problem in caught.value.problems] == [
        (3, "executors.io.max_wrkers"),
        (6, "tasks.one.call"),
        (8, "tasks.one.timeout"),
        (11, "defaults.coalesce"),
        (15, 'tasks."number two".kwargs.older'),
        (16, 'tasks."number two".trigger.type'),
        (17, 'tasks."number two".executor'),
    ]
    lines = str(caught.value).splitlines()
    assert lines[0] == "the configuration has 7 problems:"
    assert lines[1:] == [str(problem) for problem in caught.value.problems]


def test_problem_in_dict_has_no_line() -> None:
    (problem,) = problems_of({"tasks": {"one": {"call": "some_jobs:outer", "timeout": -1}}})
    assert str(problem) == "tasks.one.timeout cannot be -1: it must be more than 0"


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (None, None, "it cannot be read: "),
        (b"\xff\xfe", None, "it is not UTF-8 text: 'utf-8' codec"),
        (b"[tasks.one]\ncall = some_jobs", 2, "it is not valid TOML: Invalid value (at line 2"),
        (b"a = 1\na = 2\n", 2, "it is not valid TOML: Cannot overwrite a value"),
        (b"[tasks", None, "it is not valid TOML: Expected ']'"),
    ],
)
def test_unreadable_file_reported(content: bytes | None, line: int | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "asyncz.toml"
    if content is not None:
        path.write_bytes(content)
    (problem,) = problems_of(path)
    assert problem.reason.startswith(reason)
    assert (problem.file, problem.line) == (str(path), line)


def test_from_config_wrong_source_rejected() -> None:
    with pytest.raises(InvalidInputError, match="a path, a dict or a SchedulerConfig"):
        AsyncIOScheduler.from_config(3)  # type: ignore[arg-type]  # wrong on purpose
