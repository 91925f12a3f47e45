"""Test tools: a fake clock, a recording notifier, and conformance suites that need no test framework."""

from asyncz.testing._suite import RuleVerdict, Verdict
from asyncz.testing.clock import FakeClock
from asyncz.testing.executors import ExecutorConformance, RestrictedExecutorConformance
from asyncz.testing.recorder import RecordingNotifier, RunRecord
from asyncz.testing.rules import RULES, TRIGGER_RULES, Rule, RuleBrokenError
from asyncz.testing.triggers import TriggerConformance

__all__ = [
    "RULES",
    "TRIGGER_RULES",
    "ExecutorConformance",
    "FakeClock",
    "RecordingNotifier",
    "RestrictedExecutorConformance",
    "Rule",
    "RuleBrokenError",
    "RuleVerdict",
    "RunRecord",
    "TriggerConformance",
    "Verdict",
]
