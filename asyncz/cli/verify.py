"""`asyncz verify`: the types and the rules of a custom executor, trigger or store."""

from __future__ import annotations

import asyncio
import inspect
import logging
import multiprocessing
import os
import sys
import threading
import time
import typing
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TypeAlias, get_args, get_origin, get_type_hints

import attrs
import rich.box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typing_extensions import TypeIs, override

from asyncz._text import exception_text, printable
from asyncz.cli._import_target import bad_target, import_target
from asyncz.cli._mypy import TypesReport, TypesVerdict, check_types
from asyncz.cli._output import print_json
from asyncz.plugins import is_executor, is_trigger, missing_members
from asyncz.protocols import Trigger, UniversalExecutor
from asyncz.runs import TaskRun
from asyncz.stores.protocol import Store
from asyncz.testing import (
    ExecutorConformance,
    RestrictedExecutorConformance,
    RuleVerdict,
    StoreConformance,
    TriggerConformance,
    Verdict,
)

_Suite: TypeAlias = RestrictedExecutorConformance[object] | TriggerConformance | StoreConformance

# Number of rules that are checked at the same time; a check that fails spends most of its time waiting.
_AT_ONCE = 4

_RESULTS: Mapping[object, tuple[str, Callable[[int], object]]] = {
    bytes: ("bytes", lambda number: str(number).encode()),
    float: ("float", float),
    int: ("int", int),
    str: ("str", str),
}

_STYLES = {"kept": "green", "broken": "bold red", "undecided": "yellow", "not applicable": "dim", "not checked": "dim"}
_MESSAGE_LENGTH = 1000


@attrs.frozen(kw_only=True)
class Declarations:
    """Abilities that an executor declares; see the attributes of `RestrictedExecutorConformance`.

    Attributes:
        runs_inline: `submit` runs the function itself.
        runs_in_another_process: Functions, arguments and results are pickled.
        limits_time: The executor enforces the `timeout` of a task.
        reports_progress: The executor passes on the progress that functions report.
        signals_cancellation: `current_run().is_cancelled()` becomes True where the function runs.
        hang_timeout: Seconds after which a check counts as hanging; None means the value of the suite.
    """

    runs_inline: bool = False
    runs_in_another_process: bool = False
    limits_time: bool = True
    reports_progress: bool = True
    signals_cancellation: bool = True
    hang_timeout: float | None = None


@attrs.frozen
class Report:
    """Results for the types and for each rule.

    Attributes:
        target: Name of the object that was verified.
        types: Result for the types.
        rules: Verdict on each rule.
    """

    target: str
    types: TypesReport
    rules: tuple[RuleVerdict, ...]

    @property
    def passed(self) -> bool:
        """True if nothing is broken or undecided."""
        return self.types.verdict != "broken" and all(
            verdict.verdict in {"kept", "not applicable"} for verdict in self.rules
        )


class _ExecutorSuite(ExecutorConformance):
    """Suite for an executor that the target makes."""

    def __init__(self, make: Callable[[], object], make_result: Callable[[int], object] | None) -> None:
        self._make = make
        self._make_result = make_result

    @override
    def make_executor(self) -> UniversalExecutor:
        made = self._make()
        assert is_executor(made)
        return made

    @override
    def make_result(self, number: int, /) -> object:
        return super().make_result(number) if self._make_result is None else self._make_result(number)


class _TriggerSuite(TriggerConformance):
    """Suite for a trigger that the target makes."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    @override
    def make_trigger(self) -> Trigger:
        made = self._make()
        assert is_trigger(made)
        return made


class _StoreSuite(StoreConformance):
    """Suite for a store that the target makes."""

    def __init__(self, make: Callable[[Callable[[], float]], object]) -> None:
        self._make = make

    @override
    def make_store(self, now: Callable[[], float], /) -> Store:
        made = self._make(now)
        assert isinstance(made, Store)
        return made


def verify(target: str, declared: Declarations, *, json_report: bool, verbose: bool) -> int:
    """Verify an executor, a trigger or a store, and print a report.

    Each rule is checked in an event loop in a daemon thread of its own, which is abandoned if the executor blocks it.
    If the executor leaves threads or processes for which the interpreter would wait, the process exits without them.
    An executor that blocks the whole interpreter cannot be handled.

    Args:
        target: The class of an executor, trigger or store, a function that makes one, a trigger, or a suite, as
            `module:name`. If it makes a store, it has a parameter `now` for the clock.
        declared: The abilities that the executor declares.
        json_report: Print JSON, and nothing else, to standard output.
        verbose: List every rule.

    Returns:
        The exit status: 0 if nothing is broken, else 1.

    Raises:
        BadParameter: The target is not one of these, or makes something else.
    """
    # Without a handler, Python would print warnings about runs that are meant to fail.
    logging.getLogger("asyncz").addHandler(logging.NullHandler())
    suite = _suite_of(target, import_target(target))
    _declare(suite, declared)
    console = Console(markup=False, emoji=False, highlight=False)
    with console.status("verifying") if console.is_terminal and not json_report else nullcontext():
        report = Report(target, _types_of(suite, target), suite.verify(at_once=_AT_ONCE))
    if json_report:
        print_json(_as_json(report))
    else:
        _print_report(report, console, verbose=verbose)
    status = 0 if report.passed else 1
    if _anything_left():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _declare(suite: _Suite, declared: Declarations) -> None:
    if declared.hang_timeout is not None:
        suite.hang_timeout = declared.hang_timeout
    if isinstance(suite, RestrictedExecutorConformance):
        suite.runs_inline = suite.runs_inline or declared.runs_inline
        suite.runs_in_another_process = suite.runs_in_another_process or declared.runs_in_another_process
        suite.limits_time = suite.limits_time and declared.limits_time
        suite.reports_progress = suite.reports_progress and declared.reports_progress
        suite.signals_cancellation = suite.signals_cancellation and declared.signals_cancellation


# The suite


def _suite_of(target: str, given: object) -> _Suite:
    if _is_executor_suite(given) or _is_trigger_suite(given) or _is_store_suite(given):
        return given()
    if is_trigger(given):
        return _TriggerSuite(lambda: given)
    if not callable(given):
        raise bad_target(
            target,
            f"is of the type {type(given).__name__}; a trigger, or a class or function that makes a trigger or an"
            " executor, is needed",
        )
    if _accepts_clock(given):
        return _store_suite(target, given)
    made = _call(given, target)
    if isinstance(made, Store):
        raise bad_target(
            target,
            "makes a store without the clock of the rules: give it a parameter `now`, name a function that has one, or"
            " subclass asyncz.testing.StoreConformance",
        )
    if is_trigger(made):
        return _TriggerSuite(given)
    result = _result_type(_as_executor(made, target))
    if result is object:
        return _ExecutorSuite(given, None)
    if result not in _RESULTS:
        raise bad_target(
            target,
            f"makes an executor for results of the type {result}: subclass"
            " asyncz.testing.RestrictedExecutorConformance with a make_result for such results, and verify that",
        )
    return _ExecutorSuite(given, _RESULTS[result][1])


def _accepts_clock(make: Callable[..., object]) -> bool:  # type: ignore[explicit-any]  # of a user
    """Return True if the clock of a store can be passed as `now`."""
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):
        return False
    return "now" in parameters and parameters["now"].kind is not inspect.Parameter.POSITIONAL_ONLY


def _store_suite(target: str, make: Callable[..., object]) -> StoreConformance:  # type: ignore[explicit-any]  # of a user
    made = _call(lambda: make(now=time.time), target, arguments="with `now` only")
    if not isinstance(made, Store):
        raise bad_target(target, f"makes an object of the type {type(made).__name__}; missing store member: connect")
    return _StoreSuite(lambda now: make(now=now))


def _call(make: Callable[[], object], target: str, *, arguments: str = "without arguments") -> object:
    async def call_on_loop() -> object:
        return make()

    try:
        return asyncio.run(call_on_loop())
    except (Exception, SystemExit) as error:
        raise bad_target(
            target,
            f"makes no executor, trigger or store: {exception_text(error)}; it is called {arguments}: name a"
            " function that passes them",
        ) from error


def _as_executor(made: object, target: str) -> UniversalExecutor:
    if not is_executor(made):
        missing = missing_members(made)
        raise bad_target(
            target,
            f"makes an object of the type {type(made).__name__}; missing executor members: {', '.join(missing)};"
            " missing trigger member: next_due_time",
        )
    return made


def _is_executor_suite(value: object) -> TypeIs[type[RestrictedExecutorConformance[object]]]:
    return inspect.isclass(value) and issubclass(value, RestrictedExecutorConformance)


def _is_trigger_suite(value: object) -> TypeIs[type[TriggerConformance]]:
    return inspect.isclass(value) and issubclass(value, TriggerConformance)


def _is_store_suite(value: object) -> TypeIs[type[StoreConformance]]:
    return inspect.isclass(value) and issubclass(value, StoreConformance)


def _result_type(executor: UniversalExecutor) -> object:
    """Return the result type of the runs that `submit` accepts, by its annotation; `object` if it accepts all."""
    try:
        hints: Mapping[str, object] = get_type_hints(type(executor).submit)
    except Exception:
        # The annotation names something that only a type checker imports.
        return object
    for name, hint in hints.items():
        if name != "return" and get_origin(hint) is TaskRun:
            result: object = get_args(hint)[0]
            return object if isinstance(result, typing.TypeVar) else result
    return object


def _types_of(suite: _Suite, target: str) -> TypesReport:
    """Check with mypy that a scheduler accepts the executor, trigger or store of a suite."""
    if isinstance(suite, StoreConformance):
        made = _call(lambda: suite.make_store(time.time), target)
        return check_types(type(made), "stores.Store", "connect", "NodeRecord")
    if isinstance(suite, TriggerConformance):
        return check_types(type(_call(suite.make_trigger, target)), "Trigger", "next_due_time", "datetime")
    executor = _as_executor(_call(suite.make_executor, target), target)
    result = _result_type(executor)
    if result not in _RESULTS and result is not object:
        return TypesReport("not checked", f"Executor[{result}]", "check the types of the suite itself")
    protocol = "UniversalExecutor" if result is object else f"Executor[{_RESULTS[result][0]}]"
    return check_types(type(executor), protocol, "submit", "TaskRun")


# The report


def _print_report(report: Report, console: Console, *, verbose: bool) -> None:
    types = report.types
    if verbose:
        console.print(_rules_table(report))
    else:
        console.print(Text(f"asyncz verify: {printable(report.target)}"))
        console.print(Text("types: ").append_text(_styled(types.verdict)).append(f", {types.protocol}"))
    if types.message:
        _print_lines(console, f"types, {types.verdict}: {types.message}")
    if types.module_errors:
        _print_lines(console, "\n".join(("mypy also reports in the module:", *types.module_errors)))
    for each in report.rules:
        if each.message and each.verdict != "not applicable":
            _print_lines(console, f"{each.rule}, {each.verdict}: {each.message}")
    counts = Counter(each.verdict for each in report.rules)
    console.print(Text("rules: " + ", ".join(f"{counts[each]} {each}" for each in get_args(Verdict) if counts[each])))


def _rules_table(report: Report) -> Table:
    table = Table(title=f"asyncz verify: {printable(report.target)}", box=rich.box.SIMPLE)
    for column in ("", "rule", "", "requirement"):
        table.add_column(column)
    types = report.types
    table.add_row("", "types", _styled(types.verdict), Text(f"For mypy --strict, its class is a {types.protocol}."))
    for each in report.rules:
        table.add_row(f"{each.rule.number}", each.rule.name, _styled(each.verdict), Text(each.rule.sentence))
    return table


def _print_lines(console: Console, text: str) -> None:
    for line in text.splitlines():
        console.print(Text(printable(line, _MESSAGE_LENGTH)))


def _styled(verdict: Verdict | TypesVerdict) -> Text:
    return Text(verdict, _STYLES[verdict])


def _as_json(report: Report) -> dict[str, object]:
    return {
        "target": report.target,
        "passed": report.passed,
        "types": attrs.asdict(report.types),
        "rules": [
            {**attrs.asdict(each.rule), "verdict": each.verdict, "message": each.message} for each in report.rules
        ],
    }


def _anything_left() -> bool:
    """Return True if the interpreter would wait for a thread or process when it exits."""
    threads = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    return any(not thread.daemon for thread in threads) or bool(multiprocessing.active_children())
