"""What the suites have in common: test methods that check a rule each, for pytest and without it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, Literal, TypeAlias
from unittest import SkipTest

import attrs
from typing_extensions import override

from asyncz.testing.rules import Rule, RuleBrokenError

Verdict: TypeAlias = Literal["kept", "broken", "not applicable", "undecided"]
"""What became of a rule: `undecided` is one whose check was cut short because another rule is broken."""

_rule_of_check: dict[str, Rule] = {}


@attrs.frozen
class RuleVerdict:
    """What a suite found out about one rule.

    Attributes:
        rule: The rule.
        verdict: Whether it is kept.
        message: What was seen, or why it is not applicable or undecided; empty where it is kept.
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
    """Test methods that check rules; only subclasses that make what is tested are for pytest."""

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
            at_once: How many checks to run at the same time, at least 1.

        Returns:
            What became of each rule, in the order of their numbers.
        """
        with ThreadPoolExecutor(at_once, "asyncz-verify") as pool:
            outcomes = tuple(pool.map(self._outcome, (name for name in _rule_of_check if hasattr(self, name))))
        return tuple(_verdict(rule, outcomes) for rule in self._rules)

    def _outcome(self, name: str) -> _Outcome:
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
    """Note which rule a test method checks; no other suite has a test of that name."""
    _rule_of_check[test_name] = rule


def _verdict(rule: Rule, outcomes: tuple[_Outcome, ...]) -> RuleVerdict:
    """What the outcomes of all checks say of one rule: a check can find another rule broken than its own."""
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
