"""The conformance suite notices each broken promise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typing_extensions import override

from asyncz.stores import Store
from asyncz.testing.rules import STORE_RULES
from asyncz.testing.stores import StoreConformance
from tests.stores.broken_stores import BROKEN_SESSIONS, BrokenSession, BrokenStore


class Suite(StoreConformance):
    __test__ = False
    hang_timeout = 2.0

    def __init__(self, session: type[BrokenSession]) -> None:
        self._session = session

    @override
    def make_store(self, now: Callable[[], float], /) -> Store:
        return BrokenStore(self._session, now)


@pytest.mark.parametrize("session", BROKEN_SESSIONS)
def test_suite_reports_broken_store(session: type[BrokenSession]) -> None:
    verdicts = Suite(session).verify(at_once=4)
    broken = {verdict.rule.name for verdict in verdicts if verdict.verdict == "broken"}
    assert session.breaks in broken


def test_each_rule_has_a_broken_store() -> None:
    assert {session.breaks for session in BROKEN_SESSIONS} == {rule.name for rule in STORE_RULES}
