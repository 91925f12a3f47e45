"""Conformance suite for triggers."""

from __future__ import annotations

import pytest

from asyncz.testing import TRIGGER_RULES, rules
from tests.helpers.broken_triggers import BROKEN, Broken, FullHours, NeverComesBack
from tests.helpers.trigger_suite import TriggerSuite

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.make.__name__)
def test_trigger_suite_reports_broken_rules_only(broken: Broken) -> None:
    suite = TriggerSuite(broken)
    suite.due_times = 12
    suite.hang_timeout = 0.5 if broken.make is NeverComesBack else 2.0
    verdicts = suite.verify(at_once=16)
    found = {verdict.rule: verdict.message for verdict in verdicts if verdict.verdict == "broken"}
    assert found.keys() == broken.breaks, found


def test_every_trigger_rule_has_broken_example() -> None:
    assert set().union(*(broken.breaks for broken in BROKEN)) == set(TRIGGER_RULES)


def test_trigger_suite_accepts_correct_trigger() -> None:
    verdicts = TriggerSuite(Broken(FullHours, set())).verify()
    assert tuple(verdict.rule for verdict in verdicts) == TRIGGER_RULES
    assert {verdict.rule for verdict in verdicts if verdict.verdict != "kept"} == {
        rules.THE_END,
        rules.OWN_START,
        rules.CATCHES_UP,
    }
    assert {verdict.verdict for verdict in verdicts} == {"kept", "not applicable"}
