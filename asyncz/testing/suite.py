"""Base class of the conformance suites: one test method for each rule, with or without pytest."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Literal, Never, Protocol, TypeAlias
from unittest import SkipTest

import attrs
from typing_extensions import TypeVar, override

from asyncz.testing import rules
from asyncz.testing._watchdog import run_in_own_loop
from asyncz.testing.rules import Rule, RuleBrokenError

Verdict: TypeAlias = Literal["kept", "broken", "not applicable", "undecided"]
"""Verdict on a rule: `undecided` if its check was interrupted because another rule is broken."""

_rule_of_check: dict[str, Rule] = {}


@attrs.frozen
class RuleVerdict:
    """Verdict of a suite on one rule.

    Attributes:
        rule: The rule.
        verdict: The verdict.
        message: The observed behaviour, or the reason why the rule is not applicable or undecided; empty if it is kept.
    """

    rule: Rule
    verdict: Verdict
    message: str = ""


@attrs.frozen
class _Outcome:
    rule: Rule
    verdict: Verdict
    message: str
    broken: Rule | None = None


class RuleSuite:
    """Test methods that check rules; pytest collects only subclasses that make an object to test."""

    __test__: ClassVar[bool] = False

    _rules: ClassVar[tuple[Rule, ...]] = ()
    _maker: ClassVar[str] = ""

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "__test__" not in vars(cls):
            make: object = getattr(cls, cls._maker)
            cls.__test__ = not getattr(make, "__module__", "").startswith("asyncz.testing.")

    def verify(self, *, at_once: int = 1) -> tuple[RuleVerdict, ...]:
        """Check every rule, without pytest.

        Args:
            at_once: Number of simultaneous checks, at least 1.

        Returns:
            The verdict on each rule, by number.
        """
        with ThreadPoolExecutor(at_once, "asyncz-verify") as pool:
            outcomes = tuple(pool.map(self._check, (name for name in _rule_of_check if hasattr(self, name))))
        return tuple(_verdict(rule, outcomes) for rule in self._rules)

    def _check(self, name: str) -> _Outcome:
        rule = _rule_of_check[name]
        check: Callable[[], None] = getattr(self, name)
        try:
            check()
        except RuleBrokenError as error:
            if error.rule == rule:
                return _Outcome(rule, "broken", error.problem, rule)
            return _Outcome(rule, "undecided", error.problem, error.rule)
        except SkipTest as skip:
            return _Outcome(rule, "not applicable", f"{skip}")
        except BaseException as error:
            return _Outcome(rule, "broken", "".join(traceback.format_exception(error)), rule)
        return _Outcome(rule, "kept", "")


def note_rule(test_name: str, rule: Rule) -> None:
    """Register the rule that a test method checks; the names of test methods are unique among all suites."""
    _rule_of_check[test_name] = rule


class _HasTimeout(Protocol):
    @property
    def hang_timeout(self) -> float: ...


SuiteT = TypeVar("SuiteT", bound=_HasTimeout)


def checks(
    rule: Rule, *, blocked_breaks: Rule = rules.LOOP_NOT_BLOCKED
) -> Callable[[Callable[[SuiteT], Coroutine[object, Never, None]]], Callable[[SuiteT], None]]:
    """Make a test method that runs a coroutine function in a loop of its own, and register the rule that it checks."""

    def decorate(check: Callable[[SuiteT], Coroutine[object, Never, None]]) -> Callable[[SuiteT], None]:
        @functools.wraps(check)
        def test(suite: SuiteT) -> None:
            run_in_own_loop(lambda: check(suite), suite.hang_timeout, blocked_breaks)

        test.__doc__ = rule.sentence
        note_rule(test.__name__, rule)
        return test

    return decorate


def _verdict(rule: Rule, outcomes: tuple[_Outcome, ...]) -> RuleVerdict:
    """Return the verdict on a rule from the outcomes of all checks: a check can also find another rule broken."""
    own = [outcome for outcome in outcomes if outcome.rule == rule]
    for outcome in (*own, *outcomes):
        if outcome.broken == rule:
            return RuleVerdict(rule, "broken", outcome.message)
    for outcome in own:
        if outcome.broken is not None:
            return RuleVerdict(rule, "undecided", f"{outcome.broken} is broken")
    for outcome in own:
        if outcome.verdict == "not applicable":
            return RuleVerdict(rule, "not applicable", outcome.message)
    return RuleVerdict(rule, "kept")
