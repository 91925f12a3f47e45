"""Type checkers that are replaced by a program."""

from __future__ import annotations

import sys

import pytest

from typecheck.runner import CHECKERS, Checker


def behave(monkeypatch: pytest.MonkeyPatch, name: str, program: str) -> None:
    monkeypatch.setitem(CHECKERS, name, Checker((sys.executable, "-c", program), CHECKERS["mypy"].read))
