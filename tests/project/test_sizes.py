"""Modules, classes and functions of the package keep within their limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sizes import PACKAGE, main, measure

MODULE = '''\
"""A module."""


class Queue:
    """A queue."""

    def put(self) -> None:
        """Put.

        With a long docstring.
        """
        first = [
            1,
            # A comment.

            2,
        ]
        print(first)

    def get(self) -> None:
        """Get."""
        raise NotImplementedError

    def peek(self) -> None: ...
'''


@pytest.mark.slow
def test_package_sizes_within_limits() -> None:
    assert measure(PACKAGE).violations() == []


def test_every_complex_function_states_a_reason() -> None:
    """Ruff limits the complexity of functions; an exception needs a reason behind a second `#`."""
    silenced = [
        f"{file.name}: {line.strip()}"
        for file in PACKAGE.rglob("*.py")
        for line in file.read_text().splitlines()
        if re.search(r"noqa:.*\bC901\b", line) and not re.search(r"noqa:[^#]*#\s*\w+ \w+", line)
    ]
    assert silenced == []


def test_measure_counts_code_lines_only(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(MODULE)
    sizes = measure(tmp_path)
    name = tmp_path.name
    assert sizes.modules == {f"{name}.module": 24}
    assert sizes.classes == {f"{name}.module:Queue": 3}
    assert sizes.functions == {f"{name}.module:Queue.put": 5}


def test_each_limit_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = "".join(f"    def m{number}(self) -> None:\n{'        print()' + chr(10):s}" for number in range(41))
    long = "".join(f"def f{number}() -> None:\n" + "    print()\n" * 16 for number in range(41))
    (tmp_path / "module.py").write_text(f"class Big:\n{methods}{long}")
    assert [each.partition(":")[0] for each in measure(tmp_path).violations()] == [
        f"{tmp_path.name}.module",
        f"{tmp_path.name}.module",
        "90th percentile of function length",
    ]
    assert main([str(tmp_path)]) == 1
    assert "limit is 40" in capsys.readouterr().out
