"""The conformance suite passes on every executor of asyncz, and finds what is broken in broken ones."""

from __future__ import annotations

import pytest
from typing_extensions import override

from asyncz import AsyncIOExecutor, DebugExecutor, ProcessPoolExecutor, ThreadPoolExecutor, UniversalExecutor
from asyncz.testing import RULES, ExecutorConformance, rules
from tests.broken_executors import BROKEN, Broken, ThreadPerRun


class TestAsyncIOExecutor(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return AsyncIOExecutor()


class TestThreadPoolExecutor(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return ThreadPoolExecutor(max_workers=4)


class TestThreadPoolExecutorOfOneThread(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return ThreadPoolExecutor(max_workers=1, max_queue=8)


class TestProcessPoolExecutor(ExecutorConformance):
    runs_in_another_process = True
    hang_timeout = 30.0

    @override
    def make_executor(self) -> UniversalExecutor:
        return ProcessPoolExecutor(max_workers=1)


class TestDebugExecutor(ExecutorConformance):
    runs_inline = True
    limits_time = False

    @override
    def make_executor(self) -> UniversalExecutor:
        return DebugExecutor()


class Suite(ExecutorConformance):
    """For what is broken on purpose; not for pytest."""

    __test__ = False
    hang_timeout = 2.0

    def __init__(self, broken: Broken) -> None:
        self.make = broken.make
        self.runs_inline = broken.runs_inline
        self.runs_in_another_process = broken.runs_in_another_process
        self.limits_time = not broken.runs_inline

    @override
    def make_executor(self) -> UniversalExecutor:
        return self.make()


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.make.__name__)
def test_the_suite_finds_what_is_broken_and_nothing_else(broken: Broken) -> None:
    verdicts = Suite(broken).verify(at_once=16)
    found = {verdict.rule: verdict.message for verdict in verdicts if verdict.verdict == "broken"}
    assert found.keys() == broken.breaks, found


def test_the_suite_finds_nothing_in_what_is_not_broken() -> None:
    verdicts = Suite(Broken(ThreadPerRun, set())).verify(at_once=16)
    assert {verdict.rule.number: verdict.verdict for verdict in verdicts} == {
        rule.number: "not applicable" if rule in {rules.NOT_PICKLABLE, rules.DEAD_WORKERS} else "kept" for rule in RULES
    }
