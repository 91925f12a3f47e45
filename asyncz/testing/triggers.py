"""Conformance tests of triggers: subclass `TriggerConformance`, define `make_trigger`, and run pytest."""

from __future__ import annotations

import functools
import itertools
import pickle
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest import SkipTest

from typing_extensions import TypeVar

from asyncz._checks import is_aware
from asyncz._unsafe import as_catching_up
from asyncz.protocols import SupportsCatchUp, Trigger
from asyncz.testing import rules
from asyncz.testing._watchdog import run_in_own_thread
from asyncz.testing.rules import TRIGGER_RULES, Rule, RuleBrokenError
from asyncz.testing.suite import RuleSuite, note_rule
from asyncz.triggers.base import start_trigger

_MICROSECOND = timedelta(microseconds=1)
_LATER = (timedelta(seconds=1), timedelta(hours=11), timedelta(days=40, hours=3), timedelta(days=4000, minutes=7))

SuiteT = TypeVar("SuiteT", bound="TriggerConformance")


def _checks(rule: Rule) -> Callable[[Callable[[SuiteT], None]], Callable[[SuiteT], None]]:
    """Return a decorator that makes a test of a rule, in a thread that is abandoned if the trigger blocks."""

    def decorate(check: Callable[[SuiteT], None]) -> Callable[[SuiteT], None]:
        @functools.wraps(check)
        def test(suite: SuiteT) -> None:
            run_in_own_thread(lambda: check(suite), suite.hang_timeout, rules.DOES_NOT_BLOCK)

        test.__doc__ = rule.sentence
        note_rule(test.__name__, rule)
        return test

    return decorate


class TriggerConformance(RuleSuite):
    """Conformance tests of a trigger: subclass it and define `make_trigger`.

    Each test method checks one rule of `asyncz.testing.TRIGGER_RULES` in a thread of its own, which is abandoned if
    the trigger blocks. `verify()` runs all of them without pytest.

    Attributes:
        now: The time at which the task is added, UTC.
        due_times: The number of due times to check.
        longest_answer: The maximum number of seconds for one call.
        can_be_pickled: True if the trigger has to support pickling, so that its schedule can be stored.
        hang_timeout: The number of seconds after which a blocked test is abandoned.

    Example:
        >>> class TestTides(TriggerConformance):
        ...     def make_trigger(self) -> Trigger:
        ...         return TideTrigger("Cuxhaven")
    """

    _rules = TRIGGER_RULES
    _maker = "make_trigger"

    now: datetime = datetime(2030, 1, 1, 10, 20, 30, 400_500, tzinfo=UTC)
    due_times: int = 30
    longest_answer: float = 0.25
    can_be_pickled: bool = True
    hang_timeout: float = 10.0

    def make_trigger(self) -> Trigger:
        """Return a new trigger; called for each test."""
        raise NotImplementedError

    @_checks(rules.RAISES_NOTHING)
    def test_next_due_time_raises_nothing(self) -> None:
        trigger, times = self._walked()
        for previous in (*times, *self._times_around(times)):
            _ = _valid_due_time(trigger, previous, previous)
            _ = _valid_due_time(trigger, previous, self.now)
        for now in self._times_around(times):
            _ = _valid_due_time(trigger, None, now)

    @_checks(rules.TIME_ZONE)
    def test_each_due_time_has_a_time_zone(self) -> None:
        _ = self._walked()

    @_checks(rules.ALWAYS_LATER)
    def test_each_due_time_is_later_than_the_last(self) -> None:
        trigger, times = self._walked()
        for previous in self._times_around(times):
            _ = _valid_due_time(trigger, previous, previous)

    @_checks(rules.DOES_NOT_BLOCK)
    def test_no_call_blocks(self) -> None:
        trigger, times = self._walked()
        for previous in (None, *times, *self._times_around(times)):
            # Other work of the machine may delay one call, but hardly three.
            seconds = min(self._seconds_for(trigger, previous) for _ in range(3))
            if seconds > self.longest_answer:
                raise RuleBrokenError(
                    rules.DOES_NOT_BLOCK,
                    f"next_due_time({previous}) took {seconds:.2f} s; at most {self.longest_answer:g} s are allowed",
                )
        if (catching_up := as_catching_up(trigger)) is not None:
            begin, latest_due_time = times[0] if times else self.now, catching_up.latest_due_time
            seconds = min(_seconds_for(lambda: latest_due_time(begin, begin + _LATER[-1])) for _ in range(3))
            if seconds > self.longest_answer:
                raise RuleBrokenError(
                    rules.DOES_NOT_BLOCK,
                    f"latest_due_time took {seconds:.2f} s for {_LATER[-1]}; at most {self.longest_answer:g} s are"
                    " allowed",
                )

    @_checks(rules.STATELESS)
    def test_same_call_has_same_result(self) -> None:
        trigger, times = self._walked()
        for later in _LATER:
            _ = _valid_due_time(trigger, None, self.now + later)
        self._expect_all_the_same(trigger, times)

    @_checks(rules.DOES_NOT_DRIFT)
    def test_late_run_does_not_delay_others(self) -> None:
        trigger, times = self._walked()
        for previous in times:
            self._expect_no_drift(trigger, previous)

    @_checks(rules.ANY_TIME_BEFORE)
    def test_due_time_follows_any_time(self) -> None:
        trigger, times = self._walked()
        for before, due in itertools.pairwise(times):
            for previous in {before + _MICROSECOND, before + (due - before) / 2, due - _MICROSECOND} - {due}:
                self._expect_no_drift(trigger, previous)
                found = _valid_due_time(trigger, previous, previous)
                if found != due:
                    self._expect_the_same(trigger, before, due)
                    raise RuleBrokenError(
                        rules.ANY_TIME_BEFORE,
                        f"{found} follows {previous}, but {due} follows {before}",
                    )

    @_checks(rules.THE_END)
    def test_nothing_is_due_after_the_end(self) -> None:
        trigger, times = self._walked()
        if len(times) == self.due_times:
            raise SkipTest(f"the trigger has no end within {self.due_times} due times")
        for later in _LATER:
            previous = (times[-1] if times else self.now) + later
            found = _valid_due_time(trigger, previous, previous)
            if found is not None:
                raise RuleBrokenError(
                    rules.THE_END,
                    f"nothing followed {times[-1] if times else 'the start'}, but {found} follows {previous}",
                )

    @_checks(rules.OWN_START)
    def test_each_task_gets_its_own_trigger(self) -> None:
        given = self.make_trigger()
        if start_trigger(given, self.now) is given:
            raise SkipTest("the trigger has no `started`, or is the same for every task")
        first = start_trigger(given, self.now)
        before = self._due_times(first)
        other = start_trigger(given, self.now + timedelta(hours=7, microseconds=70))
        _ = self._due_times(other)
        after = self._due_times(first)
        if before != after:
            raise RuleBrokenError(
                rules.OWN_START,
                f"due at {_listed(before)}; after a start for another task, at {_listed(after)}",
            )

    @_checks(rules.SURVIVES_PICKLING)
    def test_pickled_copy_has_same_due_times(self) -> None:
        if not self.can_be_pickled:
            raise SkipTest("`can_be_pickled` is False")
        trigger, times = self._walked()
        try:
            copy: Trigger = pickle.loads(pickle.dumps(trigger))
        except Exception as error:
            raise RuleBrokenError(rules.SURVIVES_PICKLING, f"pickling failed: {error!r}") from error
        if self._due_times(copy) != self._due_times(trigger):
            self._expect_all_the_same(trigger, times)
            raise RuleBrokenError(
                rules.SURVIVES_PICKLING, f"due at {_listed(times)}, the copy at {_listed(self._due_times(copy))}"
            )

    @_checks(rules.TEXT_FOR_PEOPLE)
    def test_text_describes_the_trigger(self) -> None:
        trigger = start_trigger(self.make_trigger(), self.now)
        text = str(trigger)
        if not text.strip() or f"{id(trigger):x}" in text.lower():
            raise RuleBrokenError(rules.TEXT_FOR_PEOPLE, f"the text is {text!r}; define __str__")

    @_checks(rules.CATCHES_UP)
    def test_latest_due_time_agrees_with_next_due_time(self) -> None:
        trigger, times = self._walked()
        catching_up = as_catching_up(trigger)
        if catching_up is None:
            raise SkipTest("the trigger has no `latest_due_time`; schedulers search for it")
        for previous in (self.now - _LATER[0], *times[:1], *times[-1:]):
            for now in (*(due + _MICROSECOND for due in times[-2:]), *times[-2:]):
                if now >= previous:
                    self._expect_latest(trigger, catching_up, previous, now)
            for later in _LATER:
                self._expect_latest(trigger, catching_up, previous, previous + later)

    def _walked(self) -> tuple[Trigger, list[datetime]]:
        trigger = start_trigger(self.make_trigger(), self.now)
        return trigger, self._due_times(trigger)

    def _due_times(self, trigger: Trigger) -> list[datetime]:
        times: list[datetime] = []
        due = _valid_due_time(trigger, None, self.now)
        while due is not None and len(times) < self.due_times:
            times.append(due)
            due = _valid_due_time(trigger, due, due)
        return times

    def _times_around(self, times: list[datetime]) -> list[datetime]:
        known = [self.now, *times]
        return [
            moment
            for later in _LATER
            for moment in (known[0] - later, known[len(known) // 2] + later, known[-1] + later)
        ]

    def _expect_all_the_same(self, trigger: Trigger, times: list[datetime]) -> None:
        for previous, due in reversed(list(zip([None, *times], times, strict=False))):
            self._expect_the_same(trigger, previous, due)

    def _expect_the_same(self, trigger: Trigger, previous: datetime | None, due: datetime | None) -> None:
        again = _valid_due_time(trigger, previous, previous or self.now)
        if again != due:
            raise RuleBrokenError(rules.STATELESS, f"next_due_time({previous}) returned {due} first and {again} later")

    def _expect_no_drift(self, trigger: Trigger, previous: datetime) -> None:
        at_once = _valid_due_time(trigger, previous, previous)
        for delay in _LATER:
            late = _valid_due_time(trigger, previous, previous + delay)
            if late != at_once:
                self._expect_the_same(trigger, previous, at_once)
                raise RuleBrokenError(
                    rules.DOES_NOT_DRIFT,
                    f"next_due_time({previous}) returned {at_once} at that time and {late} if called {delay} later",
                )

    def _seconds_for(self, trigger: Trigger, previous: datetime | None) -> float:
        return _seconds_for(lambda: _valid_due_time(trigger, previous, previous or self.now))

    def _expect_latest(self, trigger: Trigger, catching_up: SupportsCatchUp, previous: datetime, now: datetime) -> None:
        following = _valid_due_time(trigger, previous, now)
        call = f"latest_due_time({previous}, {now})"
        try:
            found = catching_up.latest_due_time(previous, now)
        except Exception as error:
            raise RuleBrokenError(rules.CATCHES_UP, f"{call} raised {error!r}") from error
        if following is None or following > now:
            if found is not None:
                raise RuleBrokenError(rules.CATCHES_UP, f"{call} returned {found}, but nothing is due in between")
            return
        if found is None or not is_aware(found) or not previous < found <= now:
            raise RuleBrokenError(rules.CATCHES_UP, f"{call} returned {found!r}, but {following} is due")
        if found != following and _valid_due_time(trigger, found - _MICROSECOND, now) != found:
            raise RuleBrokenError(rules.CATCHES_UP, f"{call} returned {found}, which is not due")
        later = _valid_due_time(trigger, found, now)
        if later is not None and later <= now:
            raise RuleBrokenError(rules.CATCHES_UP, f"{call} returned {found}, but {later} is due after that")


def _seconds_for(call: Callable[[], object]) -> float:
    """Return the seconds of a call, without those in which other work of the machine has interrupted it.

    A call that has waited for something counts whole; one that has not counts the time of the processor.
    """
    waits, begun, used = _count_waits(), time.perf_counter(), time.thread_time()
    _ = call()
    elapsed, used = time.perf_counter() - begun, time.thread_time() - used
    return min(elapsed, used) if waits is not None and _count_waits() == waits else elapsed


def _count_waits() -> int | None:
    """Return how often this thread has waited until now; None if the system does not count that."""
    if sys.platform != "linux":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def _valid_due_time(trigger: Trigger, previous: datetime | None, now: datetime) -> datetime | None:
    """Return the next due time of a trigger, or raise if the result is not valid for a scheduler."""
    call = f"next_due_time({previous}, {now})"
    try:
        due = trigger.next_due_time(previous, now)
    except Exception as error:
        raise RuleBrokenError(rules.RAISES_NOTHING, f"{call} raised {error!r}") from error
    if due is None:
        return None
    if not is_aware(due):
        raise RuleBrokenError(rules.TIME_ZONE, f"{call} returned {due!r}")
    if previous is not None and due <= previous:
        raise RuleBrokenError(rules.ALWAYS_LATER, f"{call} returned {due}")
    return due


def _listed(times: list[datetime]) -> str:
    return ", ".join(map(str, times[:3])) + (", …" if len(times) > 3 else "") if times else "no time"
