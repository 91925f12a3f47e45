"""Mistakes with what tests of programs use."""

from __future__ import annotations

from datetime import timedelta

from typing_extensions import override

from asyncz import (
    DateTrigger,
    Executor,
    SystemClock,
    TaskMissed,
    TaskRun,
    ThreadPoolExecutor,
    Timer,
    Trigger,
    UniversalExecutor,
)
from asyncz.testing import (
    ExecutorConformance,
    FakeClock,
    EventMatcher,
    RecordingNotifier,
    matches,
    RestrictedExecutorConformance,
    Rule,
    RuleBrokenError,
    RuleVerdict,
    TriggerConformance,
    Verdict,
)
from typecheck.accept.executors import BytesExecutor

clock = FakeClock()
FakeClock(0.0)  # E
FakeClock("2030-01-01")  # E
FakeClock(hang_timeout="10 s")  # E
clock.attach("scheduler")  # E
clock.detach("scheduler")  # E
clock.set(0.0)  # E
clock.now = 3.5  # E
clock.call_later(1, 3)  # E
clock.call_later("1 s", print)  # E
clock.call_later(1, print, "text")  # E
clock.now().year  # E
system: SystemClock = clock  # E
timer: Timer = clock.now()  # E


async def moved() -> None:
    clock.advance(1)  # E
    await clock.advance("1 s")  # E
    await clock.advance(minutes="1")  # E
    await clock.advance(hours="1")  # E
    await clock.advance(days="1")  # E
    await clock.advance(1, wait_for_runs="no")  # E
    await clock.advance(timedelta(seconds=1))  # E
    await clock.advance(1, 2)  # E
    await clock.advance(weeks=1)  # E


class TestBytesAsUniversal(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return BytesExecutor()  # E[-ty]: generic method


class TestOtherResult(RestrictedExecutorConformance[bytes]):
    @override
    def make_executor(self) -> Executor[bytes]:
        return BytesExecutor()

    @override
    def make_result(self, number: int, /) -> str:  # E
        return ""


class TestNoExecutor(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return ThreadPoolExecutor  # E


class TestNoTrigger(TriggerConformance):
    due_times = "5"  # E

    @override
    def make_trigger(self) -> Trigger:
        return DateTrigger  # E


class TestTriggerFromATime(TriggerConformance):
    @override
    def make_trigger(self, when: float) -> Trigger:  # E
        return DateTrigger()


def verdicts(verdict: RuleVerdict, rule: Rule) -> None:
    verdict.message = ""  # E
    rule.number = 3  # E
    RuleVerdict(rule, "fine")  # E
    RuleBrokenError("rule", "problem")  # E
    RuleBrokenError(rule, 3)  # E
    wrong: Verdict = "fine"  # E
    print(wrong)
    TestNoExecutor().make_result("3")  # E
    TestNoExecutor().verify(at_once="2")  # E


async def recorded(run: TaskRun[int], other: TaskRun[str]) -> None:
    notifier = RecordingNotifier()
    notifier.notify(run, other.executed(""))  # E
    notifier.finished(run, other.executed(""))  # E
    notifier.finished("run", run.executed(3))  # E
    notifier.released("run")  # E
    notifier.record_of("run")  # E
    notifier.watch("run", lambda: True)  # E
    notifier.watch(run, True)  # E
    await notifier.until(lambda: True, timeout="1 s")  # E
    await notifier.until(True, timeout=1)  # E
    await notifier.until(lambda: True)  # E


def compare() -> None:
    matches("fetch")  # E
    matches(TaskMissed)  # E
    matches(TaskMissed("fetch"), TaskMissed("fetch"))  # E
    EventMatcher(3)  # E
    text: str = matches(TaskMissed("fetch"))  # E
    print(text)
