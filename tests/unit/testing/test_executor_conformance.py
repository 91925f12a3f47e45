"""Conformance suite for executors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typing_extensions import override

from asyncz import Executor, ThreadPoolExecutor, UniversalExecutor
from asyncz.testing import RULES, ExecutorConformance, RestrictedExecutorConformance, executors, rules
from tests.helpers.broken_executors import BROKEN, Broken, ThreadPerRun

pytestmark = pytest.mark.slow


class Suite(ExecutorConformance):
    """Suite for executors that are broken on purpose; pytest does not collect it."""

    __test__ = False
    # Checks of executors that hang take so long. One that starts a thousand threads must not on a busy machine.
    hang_timeout = 5.0

    def __init__(self, broken: Broken) -> None:
        self.make = broken.make
        self.runs_inline = broken.runs_inline
        self.runs_in_another_process = broken.runs_in_another_process
        self.limits_time = not broken.runs_inline

    @override
    def make_executor(self) -> UniversalExecutor:
        return self.make()


@pytest.fixture(autouse=True)
def fewer_queued_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queue fewer runs: most of these executors start a thread for each. The bounded queue has room for 100."""
    monkeypatch.setattr(executors, "_QUEUED", 150)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.make.__name__)
def test_suite_reports_broken_rules_only(broken: Broken) -> None:
    verdicts = Suite(broken).verify(at_once=16)
    found = {verdict.rule: verdict.message for verdict in verdicts if verdict.verdict == "broken"}
    assert found.keys() - broken.may_break == broken.breaks, found


def test_suite_accepts_correct_executor() -> None:
    verdicts = Suite(Broken(ThreadPerRun, set())).verify(at_once=16)
    needs_more = {rules.NOT_PICKLABLE, rules.DEAD_WORKERS, rules.CANCELLED_COROUTINES}
    assert {verdict.rule.number: verdict.verdict for verdict in verdicts} == {
        rule.number: "not applicable" if rule in needs_more else "kept" for rule in RULES
    }


class BytesConformance(RestrictedExecutorConformance[bytes]):
    __test__ = False

    @override
    def make_executor(self) -> Executor[bytes]:
        return ThreadPoolExecutor(2)

    @override
    def make_result(self, number: int, /) -> bytes:
        return str(number).encode()


def test_suite_runs_without_pytest() -> None:
    program = "import asyncz.testing, sys; print('pytest' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
    verdicts = BytesConformance().verify(at_once=8)
    assert tuple(verdict.rule for verdict in verdicts) == RULES
    assert {verdict.verdict for verdict in verdicts} == {"kept", "not applicable"}


def test_pytest_collects_only_complete_suites(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "from asyncz import ThreadPoolExecutor, UniversalExecutor\n"
        "from asyncz.testing import ExecutorConformance, RestrictedExecutorConformance\n"
        "class TestBase(ExecutorConformance): ...\n"
        "class TestOwn(TestBase):\n"
        "    def make_executor(self) -> UniversalExecutor:\n"
        "        return ThreadPoolExecutor(2)\n"
    )
    options = ["-q", "-o", "python_classes=*", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", *options, "test_own.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        # The plugins take seconds to import, and have no part in it; other options may be theirs.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
    )
    collected = {line.split("::")[1] for line in result.stdout.splitlines() if "::" in line}
    assert collected == {"TestOwn"}, result.stdout
