"""Test tools: a fake clock, a recording notifier, and conformance suites that need no test framework.

Exports are imported on first use: a worker that only needs a function of `_payloads` imports nothing else.
"""

from typing import TYPE_CHECKING

from asyncz._lazy import lazy_exports

__all__ = [
    "RULES",
    "STORE_RULES",
    "TRIGGER_RULES",
    "EventMatcher",
    "ExecutorConformance",
    "FakeClock",
    "RecordingNotifier",
    "RestrictedExecutorConformance",
    "Rule",
    "RuleBrokenError",
    "RuleVerdict",
    "RunRecord",
    "StoreConformance",
    "TriggerConformance",
    "Verdict",
    "matches",
]

if TYPE_CHECKING:
    from asyncz.testing.clock import FakeClock as FakeClock
    from asyncz.testing.executors import (
        ExecutorConformance as ExecutorConformance,
        RestrictedExecutorConformance as RestrictedExecutorConformance,
    )
    from asyncz.testing.matching import EventMatcher as EventMatcher, matches as matches
    from asyncz.testing.recorder import RecordingNotifier as RecordingNotifier, RunRecord as RunRecord
    from asyncz.testing.rules import (
        RULES as RULES,
        STORE_RULES as STORE_RULES,
        TRIGGER_RULES as TRIGGER_RULES,
        Rule as Rule,
        RuleBrokenError as RuleBrokenError,
    )
    from asyncz.testing.stores import StoreConformance as StoreConformance
    from asyncz.testing.suite import RuleVerdict as RuleVerdict, Verdict as Verdict
    from asyncz.testing.triggers import TriggerConformance as TriggerConformance
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "asyncz.testing.suite": ("RuleVerdict", "Verdict"),
            "asyncz.testing.clock": ("FakeClock",),
            "asyncz.testing.executors": ("ExecutorConformance", "RestrictedExecutorConformance"),
            "asyncz.testing.matching": ("EventMatcher", "matches"),
            "asyncz.testing.recorder": ("RecordingNotifier", "RunRecord"),
            "asyncz.testing.rules": ("RULES", "STORE_RULES", "TRIGGER_RULES", "Rule", "RuleBrokenError"),
            "asyncz.testing.stores": ("StoreConformance",),
            "asyncz.testing.triggers": ("TriggerConformance",),
        },
    )
