"""What tests of programs use."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import assert_type

from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    Clock,
    CronTrigger,
    Event,
    Executor,
    Notifier,
    Task,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskRun,
    ThreadPoolExecutor,
    Timer,
    Trigger,
    UniversalExecutor,
)
from asyncz.stores import Store
from asyncz.testing import (
    RULES,
    TRIGGER_RULES,
    EventMatcher,
    ExecutorConformance,
    FakeClock,
    RecordingNotifier,
    RestrictedExecutorConformance,
    Rule,
    RuleBrokenError,
    RuleVerdict,
    RunRecord,
    StoreConformance,
    TriggerConformance,
    Verdict,
    matches,
)
from asyncz.testing.clock import FakeTimer
from typecheck.accept.executors import BytesExecutor

clock = FakeClock()
as_clock: Clock = clock
as_timer: Timer = clock.call_later(1, lambda: None)
scheduler = AsyncIOScheduler(clock=clock)


async def fake_clock() -> None:
    assert_type(FakeClock(datetime(2030, 1, 1, tzinfo=UTC)).now(), float)
    assert_type(FakeClock(hang_timeout=1.5).monotonic(), float)
    await clock.advance(1.5, wait_for_runs=False)
    await clock.advance(seconds=1, minutes=2, hours=3, days=4)
    clock.set(datetime(2031, 1, 1, tzinfo=UTC))
    assert_type(clock.call_later(1.5, print), FakeTimer)


class TestThreads(ExecutorConformance):
    hang_timeout = 3.0

    @override
    def make_executor(self) -> UniversalExecutor:
        return ThreadPoolExecutor(2)


class TestBytes(RestrictedExecutorConformance[bytes]):
    runs_inline = True

    @override
    def make_executor(self) -> Executor[bytes]:
        return BytesExecutor()

    @override
    def make_result(self, number: int, /) -> bytes:
        return str(number).encode()


class TestDaily(TriggerConformance):
    now = datetime(2031, 1, 1, tzinfo=UTC)
    due_times = 5
    longest_answer = 0.1
    can_be_pickled = False

    @override
    def make_trigger(self) -> Trigger:
        return CronTrigger("@daily")


def verified() -> None:
    assert_type(TestDaily().verify(), tuple[RuleVerdict, ...])
    assert_type(TRIGGER_RULES, tuple[Rule, ...])
    assert_type(TestThreads().verify(at_once=2), tuple[RuleVerdict, ...])
    assert_type(RULES, tuple[Rule, ...])
    for found in TestBytes().verify():
        assert_type(found.rule.name, str)
        assert_type(found.message, str)


def attributes(executors: RestrictedExecutorConformance[bytes], stores: StoreConformance, rule: Rule) -> None:
    assert_type(executors.runs_inline, bool)
    assert_type(executors.runs_in_another_process, bool)
    assert_type(executors.limits_time, bool)
    assert_type(executors.reports_progress, bool)
    assert_type(executors.signals_cancellation, bool)
    assert_type(executors.hang_timeout, float)
    assert_type(executors.make_executor(), Executor[bytes])
    assert_type(executors.make_result(3), bytes)
    assert_type(stores.ttl, timedelta)
    assert_type(stores.hang_timeout, float)
    assert_type(stores.make_store(lambda: 0.0), Store)
    assert_type(rule.number, int)
    assert_type(rule.name, str)
    assert_type(rule.sentence, str)


def attributes_of_triggers(universal: ExecutorConformance, triggers: TriggerConformance) -> None:
    assert_type(universal.make_executor(), UniversalExecutor)
    assert_type(triggers.now, datetime)
    assert_type(triggers.due_times, int)
    assert_type(triggers.longest_answer, float)
    assert_type(triggers.can_be_pickled, bool)
    assert_type(triggers.hang_timeout, float)
    assert_type(triggers.make_trigger(), Trigger)


def verdict_of(verdict: RuleVerdict) -> Verdict:
    return assert_type(verdict.verdict, Verdict)


def rule_of(error: RuleBrokenError) -> tuple[Rule, AssertionError]:
    return error.rule, error


async def recorded(run: TaskRun[int], task: Task[int]) -> None:
    notifier = RecordingNotifier()
    as_notifier: Notifier = notifier
    as_notifier.notify(run, run.executed(3))
    as_notifier.finished(run, run.executed(3))
    record = assert_type(notifier.record_of(run), RunRecord)
    assert_type(record.notified, int)
    assert_type(record.released, int)
    assert_type(record.released_first, bool)
    assert_type(record.work_had_ended, bool)
    assert_type(notifier.totals(), Counter[str])
    notifier.watch(run, lambda: True)
    assert_type(await notifier.until(lambda: True, timeout=1), bool)


def compare(events: list[Event], page: TaskExecuted[bytes]) -> None:
    assert_type(matches(page), EventMatcher)
    assert events == [matches(TaskExecuted("fetch", b"")), matches(TaskError("fetch", ValueError("no page")))]
    assert page == matches(TaskExecuted("fetch", b""))
    assert events[0] != matches(TaskMissed("fetch"))
