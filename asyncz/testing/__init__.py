"""What tests of programs that use asyncz, and of executors, need. Importing it needs no test framework."""

from asyncz.testing.clock import FakeClock
from asyncz.testing.conformance import ExecutorConformance, RestrictedExecutorConformance, RuleVerdict, Verdict
from asyncz.testing.recorder import RecordingNotifier, RunRecord
from asyncz.testing.rules import RULES, Rule, RuleBrokenError

__all__ = [
    "RULES",
    "ExecutorConformance",
    "FakeClock",
    "RecordingNotifier",
    "RestrictedExecutorConformance",
    "Rule",
    "RuleBrokenError",
    "RuleVerdict",
    "RunRecord",
    "Verdict",
]
