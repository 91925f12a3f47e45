"""The conformance suite on the triggers of asyncz."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from typing_extensions import override

from asyncz import AndTrigger, CalendarIntervalTrigger, CronTrigger, DateTrigger, IntervalTrigger, OrTrigger, Trigger
from asyncz.testing import TriggerConformance
from tests.helpers.broken_triggers import Broken, FullHours
from tests.helpers.trigger_suite import TriggerSuite


class TestFullHours(TriggerConformance):
    @override
    def make_trigger(self) -> Trigger:
        return FullHours()


class TestClocksSetForward(TriggerConformance):
    now = datetime(2026, 3, 27, 12, tzinfo=UTC)

    @override
    def make_trigger(self) -> Trigger:
        return CronTrigger("30 2,3 * * *", timezone="Europe/Berlin") | CronTrigger("@hourly", timezone="Europe/Berlin")


class TestClocksSetBack(TriggerConformance):
    now = datetime(2026, 10, 24, 23, 10, tzinfo=UTC)

    @override
    def make_trigger(self) -> Trigger:
        return CronTrigger("*/7 * * * *", timezone="Europe/Berlin") | CronTrigger("5 2 * * *", timezone="Europe/Berlin")


NOW = TriggerConformance.now


TRIGGERS: list[Trigger] = [
    DateTrigger(),
    DateTrigger(NOW + timedelta(days=1)),
    DateTrigger(NOW - timedelta(days=1)),
    IntervalTrigger(minutes=5),
    IntervalTrigger(seconds=0.001),
    IntervalTrigger(hours=7, start_at=NOW - timedelta(days=1), end_at=NOW + timedelta(days=3)),
    IntervalTrigger(minutes=5, jitter=299),
    IntervalTrigger(minutes=5, jitter=30, end_at=NOW + timedelta(hours=1)),
    CronTrigger("*/5 * * * *"),
    CronTrigger("30 2 * * *", timezone="Europe/Berlin"),
    CronTrigger("*/10 * * * * *", timezone="America/Santiago", end_at=NOW + timedelta(minutes=2)),
    CronTrigger("0 9-17 * * MON-FRI", timezone="Europe/Berlin", jitter=90),
    CronTrigger("* * * * * *", jitter=3600),
    CronTrigger("@monthly", start_at=NOW + timedelta(days=40), end_at=NOW + timedelta(days=200), jitter=86400),
    CalendarIntervalTrigger(months=1, start_date=date(2029, 1, 31), hour=9),
    CalendarIntervalTrigger(years=1, timezone="Europe/Berlin", start_date=date(2028, 2, 29)),
    CalendarIntervalTrigger(weeks=2, days=1, hour=2, minute=30, timezone="Europe/Berlin", jitter=60),
    CalendarIntervalTrigger(days=1, timezone="America/Santiago", end_date=date(2030, 1, 20)),
    IntervalTrigger(hours=2) & IntervalTrigger(hours=3),
    IntervalTrigger(hours=2) | IntervalTrigger(hours=3, jitter=60) | DateTrigger(),
    OrTrigger([FullHours()], jitter=4000),
]
# The due times of both parts seldom meet.
SLOW_TRIGGERS: list[Trigger] = [
    CronTrigger("0 12 * * FRI") & CronTrigger("0 12 13 * *"),
    AndTrigger([CronTrigger("* * * * MON-FRI"), CalendarIntervalTrigger(days=2)], jitter=600),
    (CronTrigger("@hourly") | IntervalTrigger(minutes=35)) & CronTrigger("* 8-18 * * *"),
]


@pytest.mark.parametrize(
    "trigger", [*TRIGGERS, *(pytest.param(each, marks=pytest.mark.slow) for each in SLOW_TRIGGERS)], ids=str
)
def test_builtin_trigger_keeps_rules(trigger: Trigger) -> None:
    suite = TriggerSuite(Broken(lambda: trigger, set()))
    suite.longest_answer = TriggerConformance.longest_answer
    suite.hang_timeout = TriggerConformance.hang_timeout
    verdicts = suite.verify()
    assert {verdict.rule: verdict.message for verdict in verdicts if verdict.verdict in {"broken", "undecided"}} == {}
