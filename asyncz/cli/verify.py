"""Verifies a custom executor or trigger: its types with mypy, then rule by rule what it does."""

from __future__ import annotations

import asyncio
import inspect
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import typing
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias, get_args, get_origin, get_type_hints

import attrs
import rich.box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typing_extensions import TypeIs, override

from asyncz.cli._import_target import bad_target, imported
from asyncz.plugins import is_executor, is_trigger
from asyncz.protocols import Trigger, UniversalExecutor
from asyncz.tasks import TaskRun
from asyncz.testing import (
    ExecutorConformance,
    RestrictedExecutorConformance,
    RuleVerdict,
    TriggerConformance,
    Verdict,
)

TypesVerdict: TypeAlias = Literal["kept", "broken", "not checked"]

# So many rules are checked at the same time; most of the time of a check that fails is spent waiting.
_AT_ONCE = 4

_RESULTS: Mapping[object, tuple[str, Callable[[int], object]]] = {
    bytes: ("bytes", lambda number: str(number).encode()),
    float: ("float", float),
    int: ("int", int),
    str: ("str", str),
}

_STYLES = {"kept": "green", "broken": "bold red", "undecided": "yellow", "not applicable": "dim", "not checked": "dim"}


@attrs.frozen(kw_only=True)
class Declarations:
    """What the executor declares of itself; see the attributes of `RestrictedExecutorConformance`.

    Attributes:
        runs_inline: Whether `submit` runs the function itself.
        runs_in_another_process: Whether functions, arguments and results are pickled.
        limits_time: Whether it enforces the `timeout` of a task.
        hang_timeout: After how many seconds something that does not happen counts as not happening at all;
            None is what the suite has.
    """

    runs_inline: bool = False
    runs_in_another_process: bool = False
    limits_time: bool = True
    hang_timeout: float | None = None


@attrs.frozen
class TypesReport:
    """What mypy says of the class of an executor or trigger.

    Attributes:
        verdict: Whether it satisfies its protocol.
        protocol: The protocol, as it is written in a program.
        message: What mypy says, or why it was not asked.
    """

    verdict: TypesVerdict
    protocol: str
    message: str = ""


@attrs.frozen
class Report:
    """All that was found out."""

    target: str
    types: TypesReport
    rules: tuple[RuleVerdict, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is broken."""
        return self.types.verdict != "broken" and all(
            verdict.verdict in {"kept", "not applicable"} for verdict in self.rules
        )


class _Given(ExecutorConformance):
    """The suite for an executor that somebody else makes."""

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


class _GivenTrigger(TriggerConformance):
    """The suite for a trigger that somebody else makes."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    @override
    def make_trigger(self) -> Trigger:
        made = self._make()
        assert is_trigger(made)
        return made


def verify(target: str, declared: Declarations, *, as_json: bool) -> int:
    """Verify an executor or a trigger, and print what was found out.

    Each rule is checked in an event loop in a daemon thread of its own, which is left behind where the
    executor blocks it; and where the executor leaves threads or processes that would keep the program
    from ending, the program ends without them. An executor that holds the whole interpreter, or
    ends it, cannot be helped.

    Args:
        target: The class of an executor or trigger, a function that makes one, a trigger, or a suite, as `module:name`.
        declared: What the executor declares of itself.
        as_json: Print JSON, and nothing else, to standard output.

    Returns:
        The exit status: 0 if nothing is broken, else 1.

    Raises:
        BadParameter: The target is nothing of that kind, or neither executor nor trigger can be made of it.
    """
    suite = _suite(target, imported(target))
    suite.hang_timeout = suite.hang_timeout if declared.hang_timeout is None else declared.hang_timeout
    if isinstance(suite, RestrictedExecutorConformance):
        suite.runs_inline = suite.runs_inline or declared.runs_inline
        suite.runs_in_another_process = suite.runs_in_another_process or declared.runs_in_another_process
        suite.limits_time = suite.limits_time and declared.limits_time
    console = Console()
    with console.status("verifying") if console.is_terminal and not as_json else nullcontext():
        report = Report(target, _check_types_of(suite, target), suite.verify(at_once=_AT_ONCE))
    if as_json:
        print(json.dumps(_as_json(report), indent=2))
    else:
        _print_report(report, console)
    status = 0 if report.passed else 1
    if _something_is_left():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _suite(target: str, given: object) -> RestrictedExecutorConformance[object] | TriggerConformance:
    if _is_executor_suite(given) or _is_trigger_suite(given):
        return given()
    if is_trigger(given):
        return _GivenTrigger(lambda: given)
    if not callable(given):
        raise bad_target(
            target,
            f"is a {type(given).__name__}; a trigger, or a class or function that makes one or an executor is needed",
        )
    made = _made_by(given, target)
    if is_trigger(made):
        return _GivenTrigger(given)
    result = _result_type(_as_executor(made, target))
    if result is object:
        return _Given(given, None)
    if result not in _RESULTS:
        raise bad_target(
            target,
            f"makes an executor for results of the type {result}: subclass"
            " asyncz.testing.RestrictedExecutorConformance, tell there how such results are made, and verify that",
        )
    return _Given(given, _RESULTS[result][1])


def _made_by(make: Callable[[], object], target: str) -> object:
    async def on_a_loop() -> object:
        return make()

    try:
        return asyncio.run(on_a_loop())
    except Exception as error:
        raise bad_target(
            target,
            f"makes no executor and no trigger: {error!r}; it is called without arguments: name a function that gives"
            " them",
        ) from error


def _as_executor(made: object, target: str) -> UniversalExecutor:
    if not is_executor(made):
        raise bad_target(
            target,
            f"makes a {type(made).__name__}, which has not the state, start, shutdown and submit of an executor, nor"
            " the next_due_time of a trigger",
        )
    return made


def _is_executor_suite(value: object) -> TypeIs[type[RestrictedExecutorConformance[object]]]:
    return inspect.isclass(value) and issubclass(value, RestrictedExecutorConformance)


def _is_trigger_suite(value: object) -> TypeIs[type[TriggerConformance]]:
    return inspect.isclass(value) and issubclass(value, TriggerConformance)


def _result_type(executor: UniversalExecutor) -> object:
    """Of which results `submit` takes the runs, as it is annotated; `object` where it takes all."""
    try:
        hints: Mapping[str, object] = get_type_hints(type(executor).submit)
    except Exception:
        # It names what only a type checker can see.
        return object
    for name, hint in hints.items():
        if name != "return" and get_origin(hint) is TaskRun:
            result: object = get_args(hint)[0]
            return object if isinstance(result, typing.TypeVar) else result
    return object


def _check_types_of(suite: RestrictedExecutorConformance[object] | TriggerConformance, target: str) -> TypesReport:
    """Have mypy check that a scheduler may take what the suite makes."""
    if isinstance(suite, TriggerConformance):
        return _check_types(type(_made_by(suite.make_trigger, target)), "Trigger", "next_due_time", "datetime")
    executor = _as_executor(_made_by(suite.make_executor, target), target)
    result = _result_type(executor)
    if result not in _RESULTS and result is not object:
        return TypesReport("not checked", f"Executor[{result}]", "check the types of the suite itself")
    protocol = "UniversalExecutor" if result is object else f"Executor[{_RESULTS[result][0]}]"
    return _check_types(type(executor), protocol, "submit", "TaskRun")


def _check_types(made_by: type[object], protocol: str, method: str, annotation: str) -> TypesReport:
    if find_spec("mypy") is None:
        return TypesReport("not checked", protocol, "mypy is not installed")
    if "<locals>" in made_by.__qualname__:
        return TypesReport("not checked", protocol, f"{made_by.__qualname__} is a local class")
    with tempfile.TemporaryDirectory(prefix="asyncz-") as folder:
        program = Path(folder) / "verified_types.py"
        program.write_text(
            f"import asyncz\nimport {made_by.__module__}\n\n\n"
            f"def verified(value: {made_by.__module__}.{made_by.__qualname__}) -> asyncz.{protocol}:\n"
            "    return value\n"
        )
        command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file="]
        # Not the cache of the project: what else is checked there is checked with other options.
        cache = os.environ.get("MYPY_CACHE_DIR") or f"{folder}/cache"
        command += ["--no-error-summary", "--cache-dir", cache, str(program)]
        environment = {**os.environ, "MYPYPATH": str(Path.cwd())}
        # It is mypy that is called, of this very environment.
        mypy = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
    if mypy.returncode:
        return TypesReport("broken", protocol, (mypy.stdout + mypy.stderr).replace(f"{program}:", "line ").strip())
    annotations = inspect.get_annotations(getattr(made_by, method)).values()
    if not any(annotation in f"{each}" for each in annotations):
        return TypesReport(
            "broken", protocol, f"what `{method}` takes is not annotated with {annotation}: mypy checks nothing there"
        )
    return TypesReport("kept", protocol)


def _print_report(report: Report, console: Console) -> None:
    table = Table(title=f"asyncz verify: {report.target}", box=rich.box.SIMPLE)
    for column in ("", "rule", "", "what it demands"):
        table.add_column(column)
    types = report.types
    table.add_row("", "types", _styled(types.verdict), Text(f"For mypy --strict, its class is a {types.protocol}."))
    for each in report.rules:
        table.add_row(f"{each.rule.number}", each.rule.name, _styled(each.verdict), Text(each.rule.sentence))
    console.print(table)
    if types.message:
        console.print(Text(f"types, {types.verdict}: {types.message}\n"))
    for each in report.rules:
        if each.message and each.verdict != "not applicable":
            console.print(Text(f"{each.rule}, {each.verdict}: {each.message}\n"))
    counts = Counter(each.verdict for each in report.rules)
    console.print(Text(", ".join(f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict) if counts[verdict])))


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


def _something_is_left() -> bool:
    """Whether there is a thread or process that the end of the program would wait for."""
    threads = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    return any(not thread.daemon for thread in threads) or bool(multiprocessing.active_children())
