"""The suite that verifies triggers: subclass it, tell how yours is made, and run pytest."""

from __future__ import annotations

import functools
import itertools
import pickle
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from unittest import SkipTest

from typing_extensions import TypeVar

from asyncz._checks import is_aware
from asyncz.protocols import Trigger
from asyncz.testing import rules
from asyncz.testing._suite import RuleSuite, note_rule
from asyncz.testing.rules import TRIGGER_RULES, Rule, RuleBrokenError
from asyncz.triggers.base import start_trigger

_MICROSECOND = timedelta(microseconds=1)
_LATER = (timedelta(seconds=1), timedelta(hours=11), timedelta(days=40, hours=3), timedelta(days=4000, minutes=7))

SuiteT = TypeVar("SuiteT", bound="TriggerConformance")


def _checks(rule: Rule) -> Callable[[Callable[[SuiteT], None]], Callable[[SuiteT], None]]:
    """Make a test method that walks away from a trigger that does not come back; and note which rule it checks."""

    def decorate(check: Callable[[SuiteT], None]) -> Callable[[SuiteT], None]:
        @functools.wraps(check)
        def test(suite: SuiteT) -> None:
            _run_in_own_thread(lambda: check(suite), suite.hang_timeout)

        test.__doc__ = rule.sentence
        note_rule(test.__name__, rule)
        return test

    return decorate


class TriggerConformance(RuleSuite):
    """Verifies a trigger: subclass it and tell how yours is made.

    Each test method checks one rule of `asyncz.testing.TRIGGER_RULES`, in a thread of its own, which it leaves
    behind where the trigger does not come back. `verify()` does all that without pytest.

    Attributes:
        now: When the task is added that the trigger is for, UTC.
        due_times: How many due times are looked at.
        longest_answer: For how many seconds an answer may hold up the event loop.
        can_be_pickled: Whether it is to survive pickling, so that its schedule can be stored.
        hang_timeout: After how many seconds a trigger that has not come back is left behind.

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
        """Make the trigger; called anew for each test."""
        raise NotImplementedError

    # The tests

    @_checks(rules.RAISES_NOTHING)
    def test_next_due_time_raises_nothing(self) -> None:
        trigger, times = self._walked()
        for previous in (*times, *self._times_around(times)):
            _ = _asked(trigger, previous, previous)
            _ = _asked(trigger, previous, self.now)
        for now in self._times_around(times):
            _ = _asked(trigger, None, now)

    @_checks(rules.TIME_ZONE)
    def test_each_due_time_has_a_time_zone(self) -> None:
        _ = self._walked()

    @_checks(rules.ALWAYS_LATER)
    def test_each_due_time_is_later_than_the_one_before(self) -> None:
        trigger, times = self._walked()
        for previous in self._times_around(times):
            _ = _asked(trigger, previous, previous)

    @_checks(rules.DOES_NOT_BLOCK)
    def test_each_answer_is_there_at_once(self) -> None:
        trigger, times = self._walked()
        for previous in (None, *times, *self._times_around(times)):
            # Whatever else the machine does may hold up one answer, but hardly three.
            seconds = min(self._seconds_for(trigger, previous) for _ in range(3))
            if seconds > self.longest_answer:
                raise RuleBrokenError(
                    rules.DOES_NOT_BLOCK,
                    f"asked what follows {previous}, it took {seconds:.2f} s; {self.longest_answer:g} s are allowed",
                )

    @_checks(rules.REMEMBERS_NOTHING)
    def test_it_answers_the_same_when_it_is_asked_again(self) -> None:
        trigger, times = self._walked()
        for later in _LATER:
            _ = _asked(trigger, None, self.now + later)
        self._expect_all_the_same(trigger, times)

    @_checks(rules.DOES_NOT_DRIFT)
    def test_a_late_run_delays_no_other(self) -> None:
        trigger, times = self._walked()
        for previous in times:
            self._expect_no_drift(trigger, previous)

    @_checks(rules.ANY_TIME_BEFORE)
    def test_what_follows_any_time_is_the_first_due_time_after_it(self) -> None:
        trigger, times = self._walked()
        for before, due in itertools.pairwise(times):
            for previous in {before + _MICROSECOND, before + (due - before) / 2, due - _MICROSECOND} - {due}:
                self._expect_no_drift(trigger, previous)
                found = _asked(trigger, previous, previous)
                if found != due:
                    self._expect_the_same(trigger, before, due)
                    raise RuleBrokenError(
                        rules.ANY_TIME_BEFORE,
                        f"asked what follows {previous}, it gave {found}; but {due} is what follows {before}",
                    )

    @_checks(rules.THE_END)
    def test_after_the_end_nothing_is_due(self) -> None:
        trigger, times = self._walked()
        if len(times) == self.due_times:
            raise SkipTest(f"it has no end within {self.due_times} due times")
        for later in _LATER:
            previous = (times[-1] if times else self.now) + later
            found = _asked(trigger, previous, previous)
            if found is not None:
                raise RuleBrokenError(
                    rules.THE_END,
                    f"nothing followed {times[-1] if times else 'its start'}, but {found} follows {previous}",
                )

    @_checks(rules.OWN_START)
    def test_each_task_gets_a_trigger_of_its_own(self) -> None:
        given = self.make_trigger()
        if start_trigger(given, self.now) is given:
            raise SkipTest("it has no `started`, or is the same for every task")
        first = start_trigger(given, self.now)
        before = self._due_times(first)
        other = start_trigger(given, self.now + timedelta(hours=7, microseconds=70))
        _ = self._due_times(other)
        after = self._due_times(first)
        if before != after:
            raise RuleBrokenError(
                rules.OWN_START,
                f"it was due at {_listed(before)}; once it was started for another task, at {_listed(after)}",
            )

    @_checks(rules.SURVIVES_PICKLING)
    def test_a_pickled_copy_gives_the_same_due_times(self) -> None:
        if not self.can_be_pickled:
            raise SkipTest("`can_be_pickled` is False")
        trigger, times = self._walked()
        try:
            copy: Trigger = pickle.loads(pickle.dumps(trigger))
        except Exception as error:
            raise RuleBrokenError(rules.SURVIVES_PICKLING, f"it cannot be pickled: {error!r}") from error
        if self._due_times(copy) != self._due_times(trigger):
            self._expect_all_the_same(trigger, times)
            raise RuleBrokenError(
                rules.SURVIVES_PICKLING, f"it is due at {_listed(times)}, its copy at {_listed(self._due_times(copy))}"
            )

    @_checks(rules.TEXT_FOR_PEOPLE)
    def test_its_text_is_for_people(self) -> None:
        trigger = start_trigger(self.make_trigger(), self.now)
        text = str(trigger)
        if not text.strip() or f"{id(trigger):x}" in text.lower():
            raise RuleBrokenError(rules.TEXT_FOR_PEOPLE, f"its text is {text!r}; give it a __str__")

    # What they share

    def _walked(self) -> tuple[Trigger, list[datetime]]:
        trigger = start_trigger(self.make_trigger(), self.now)
        return trigger, self._due_times(trigger)

    def _due_times(self, trigger: Trigger) -> list[datetime]:
        times: list[datetime] = []
        due = _asked(trigger, None, self.now)
        while due is not None and len(times) < self.due_times:
            times.append(due)
            due = _asked(trigger, due, due)
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
        again = _asked(trigger, previous, previous or self.now)
        if again != due:
            question = "for its first due time" if previous is None else f"what follows {previous}"
            raise RuleBrokenError(rules.REMEMBERS_NOTHING, f"asked {question}, it first gave {due} and then {again}")

    def _expect_no_drift(self, trigger: Trigger, previous: datetime) -> None:
        at_once = _asked(trigger, previous, previous)
        for delay in _LATER:
            late = _asked(trigger, previous, previous + delay)
            if late != at_once:
                self._expect_the_same(trigger, previous, at_once)
                raise RuleBrokenError(
                    rules.DOES_NOT_DRIFT,
                    f"asked at once what follows {previous}, it gave {at_once}, and {late} when it was asked"
                    f" {delay} later",
                )

    def _seconds_for(self, trigger: Trigger, previous: datetime | None) -> float:
        begun = time.perf_counter()
        _ = _asked(trigger, previous, previous or self.now)
        return time.perf_counter() - begun


def _asked(trigger: Trigger, previous: datetime | None, now: datetime) -> datetime | None:
    """What a trigger answers, which has to be something that a scheduler understands."""
    question = f"asked at {now} for {'its first due time' if previous is None else f'what follows {previous}'}"
    try:
        due = trigger.next_due_time(previous, now)
    except Exception as error:
        raise RuleBrokenError(rules.RAISES_NOTHING, f"{question}, it raised {error!r}") from error
    if due is None:
        return None
    if not is_aware(due):
        raise RuleBrokenError(rules.TIME_ZONE, f"{question}, it gave {due!r}")
    if previous is not None and due <= previous:
        raise RuleBrokenError(rules.ALWAYS_LATER, f"{question}, it gave {due}")
    return due


def _listed(times: list[datetime]) -> str:
    return ", ".join(map(str, times[:3])) + (", …" if len(times) > 3 else "") if times else "no time"


def _run_in_own_thread(check: Callable[[], None], hang_timeout: float) -> None:
    """Run a check in a daemon thread, and raise what it raises.

    Raises:
        RuleBrokenError: The trigger has not come back in time, and is left behind there.
    """
    errors: list[BaseException] = []

    def run() -> None:
        try:
            check()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="asyncz-conformance", daemon=True)
    thread.start()
    thread.join(hang_timeout)
    if thread.is_alive():
        raise RuleBrokenError(
            rules.DOES_NOT_BLOCK, f"a check has not ended for {hang_timeout:g} s: an answer does not come"
        )
    if errors:
        raise errors[0]
