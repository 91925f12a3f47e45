"""`asyncz verify` tells of a custom executor which rules it keeps."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from typing_extensions import override

from asyncz import Executor, ThreadPoolExecutor
from asyncz.testing import RULES, TRIGGER_RULES, RestrictedExecutorConformance, rules
from tests.integration.readme.test_readme import EXAMPLES
from tests.test_readme_and_cli import asyncz_command

with_mypy = pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
KEPT = "not checked" if find_spec("mypy") is None else "kept"

EXECUTORS = """
import threading
from datetime import datetime, timedelta
from asyncz import BaseExecutor, Executor, ExecutorState, Notifier, ProcessPoolExecutor, TaskRun, ThreadPoolExecutor
from asyncz import CronTrigger, Trigger
from asyncz.testing import RestrictedExecutorConformance, TriggerConformance
from typing_extensions import TypeVar

ResultT = TypeVar("ResultT")


class Good(BaseExecutor):
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self.start_timeout(run)
        threading.Thread(target=lambda: self.finish(run, run.execute())).start()


class NotifiesTwice(Good):
    def finish(self, run, notification, /):
        self.notifier.notify(run, notification)
        super().finish(run, notification)


class Hangs(BaseExecutor):
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        threading.Thread(target=threading.Event().wait).start()
        threading.Event().wait()


class OnlyOf(ThreadPoolExecutor):
    def __init__(self, workers: int) -> None:
        super().__init__(workers)


def of_two_workers() -> OnlyOf:
    return OnlyOf(2)


def of_one_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1)


class Restricted:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2)

    @property
    def state(self) -> ExecutorState:
        return self._threads.state

    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        await self._threads.start(scheduler, alias)

    async def shutdown(self, wait: bool = True) -> None:
        await self._threads.shutdown(wait)


class BytesExecutor(Restricted):
    def submit(self, run: TaskRun[bytes], /) -> None:
        self._threads.submit(run)


class ListExecutor(Restricted):
    def submit(self, run: TaskRun[list[str]], /) -> None:
        self._threads.submit(run)


class TestListExecutor(RestrictedExecutorConformance[list[str]]):
    def make_executor(self) -> Executor[list[str]]:
        return ListExecutor()

    def make_result(self, number: int, /) -> list[str]:
        return [str(number)]


class Untyped(Restricted):
    def submit(self, run, /):
        self._threads.submit(run)


class ShutdownOfAnotherType(BytesExecutor):
    async def shutdown(self, wait: int) -> None:
        await self._threads.shutdown(bool(wait))


class GoodTrigger:
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return (previous or now).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)

    def __str__(self) -> str:
        return "each full hour"


class DriftingTrigger(GoodTrigger):
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return max(previous or now, now) + timedelta(hours=1)


class UntypedTrigger(GoodTrigger):
    def next_due_time(self, previous, now, /):
        return super().next_due_time(previous, now)


class TestGoodTrigger(TriggerConformance):
    def make_trigger(self) -> Trigger:
        return GoodTrigger()


trigger = CronTrigger("*/5 * * * *", timezone="Europe/Berlin") & GoodTrigger()
number = 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(EXECUTORS)
    return tmp_path


def report(folder: Path, *arguments: str, status: int) -> dict[str, object]:
    result = asyncz_command("verify", "--json", "--hang-timeout", "3", *arguments, folder=folder)
    assert result.returncode == status, result.stdout + result.stderr
    found: dict[str, object] = json.loads(result.stdout)
    assert found["passed"] == (status == 0)
    return found


def of_types(found: dict[str, object]) -> dict[str, str]:
    types = found["types"]
    assert isinstance(types, dict)
    return types


def verdicts(found: dict[str, object]) -> dict[int, str]:
    entries = found["rules"]
    assert isinstance(entries, list)
    return {entry["number"]: entry["verdict"] for entry in entries}


def test_an_executor_that_keeps_the_rules_passes(folder: Path) -> None:
    result = asyncz_command("verify", "own:Good", folder=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "29 kept, 2 not applicable" in result.stdout
    assert "UniversalExecutor" in result.stdout


@pytest.mark.parametrize(
    ("target", "protocol", "types_verdict"),
    [
        ("own:of_two_workers", "UniversalExecutor", KEPT),
        ("own:BytesExecutor", "Executor[bytes]", KEPT),
        ("own:TestListExecutor", "Executor[list[str]]", "not checked"),
    ],
)
def test_functions_restricted_executors_and_suites_are_verified(
    folder: Path, target: str, protocol: str, types_verdict: str
) -> None:
    found = report(folder, target, status=0)
    assert of_types(found)["protocol"] == protocol
    assert of_types(found)["verdict"] == types_verdict
    assert len(verdicts(found)) == len(RULES)


def test_the_executors_of_the_readme_pass(tmp_path: Path) -> None:
    for name in ("ThreadPerRunExecutor", "BytesExecutor"):
        (block,) = (each.code for each in EXAMPLES if f"class {name}" in each.code)
        (tmp_path / "mine.py").write_text(block)
        found = report(tmp_path, f"mine:{name}", status=0)
        assert of_types(found)["verdict"] == KEPT


def test_a_broken_rule_is_named_and_what_it_was(folder: Path) -> None:
    found = report(folder, "own:NotifiesTwice", status=1)
    assert verdicts(found)[rules.NOTIFIED_ONCE.number] == "broken"
    assert verdicts(found)[rules.NO_RUN_BEFORE_START.number] == "kept"
    assert "broken" not in {verdicts(found)[rule.number] for rule in RULES if rule != rules.NOTIFIED_ONCE}
    shown = asyncz_command("verify", "own:NotifiesTwice", folder=folder).stdout
    assert "rule 2 (notified once), broken: notify was called 2 times" in re.sub(r"\s+", " ", shown)


@pytest.mark.parametrize("target", ["own:TestGoodTrigger", "own:trigger"])
def test_triggers_are_verified_too(folder: Path, target: str) -> None:
    found = report(folder, target, status=0)
    assert of_types(found) == {**of_types(found), "verdict": KEPT, "protocol": "Trigger"}
    assert len(verdicts(found)) == len(TRIGGER_RULES)
    assert set(verdicts(found).values()) == {"kept", "not applicable"}


def test_a_rule_that_a_trigger_breaks_is_named(folder: Path) -> None:
    found = report(folder, "own:DriftingTrigger", status=1)
    assert {number for number, verdict in verdicts(found).items() if verdict == "broken"} == {
        rules.DOES_NOT_DRIFT.number
    }


@with_mypy
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("own:ShutdownOfAnotherType", "shutdown"),
        ("own:Untyped", "missing a type annotation"),
        ("own:UntypedTrigger", "missing a type annotation"),
    ],
)
def test_a_wrong_type_is_found_by_mypy(folder: Path, target: str, message: str) -> None:
    found = report(folder, target, status=1)
    assert of_types(found)["verdict"] == "broken"
    assert message in of_types(found)["message"]


@with_mypy
def test_mypy_keeps_what_it_has_seen_where_it_is_told_to(folder: Path) -> None:
    before = set(folder.iterdir())
    assert of_types(report(folder, "own:GoodTrigger", status=0))["verdict"] == "kept"
    assert any(Path(os.environ["MYPY_CACHE_DIR"]).iterdir())
    assert set(folder.iterdir()) == before


def test_mypy_keeps_nothing_where_it_is_not_told_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MYPY_CACHE_DIR")
    # In place of mypy, which would take a while to see everything anew.
    (folder / "mypy.py").write_text("import pathlib, sys; pathlib.Path('called').write_text('\\n'.join(sys.argv))")
    assert of_types(report(folder, "own:GoodTrigger", status=0))["verdict"] == "kept"
    called = (folder / "called").read_text().splitlines()
    cache = Path(called[called.index("--cache-dir") + 1])
    assert cache.parent.name.startswith("asyncz-")
    assert not cache.parent.exists()


def test_an_executor_that_blocks_the_loop_for_ever_does_not_hang_the_command(folder: Path) -> None:
    found = report(folder, "own:Hangs", "--hang-timeout", "0.5", status=1)
    assert verdicts(found)[rules.LOOP_NOT_BLOCKED.number] == "broken"
    assert verdicts(found)[rules.RESULTS.number] == "undecided"


def test_what_is_declared_is_not_asked_for(folder: Path) -> None:
    declared = ["--inline", "--no-time-limits"]
    found = report(folder, "asyncz:DebugExecutor", *declared, status=0)
    assert verdicts(found)[rules.MAXIMUM_OF_INSTANCES.number] == "not applicable"
    found = report(folder, "own:of_one_process", "--other-process", "--hang-timeout", "30", status=0)
    assert verdicts(found)[rules.DEAD_WORKERS.number] == "kept"
    assert verdicts(found)[rules.CONTEXT.number] == "not applicable"


def test_without_mypy_the_types_are_not_checked(folder: Path) -> None:
    program = (
        "import sys; sys.modules['mypy'] = None; sys.argv = ['asyncz', 'verify', 'own:Good', '--json']\n"
        "from asyncz.cli import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100, cwd=folder
    )
    assert result.returncode == 0, result.stderr
    assert of_types(json.loads(result.stdout))["message"] == "mypy is not installed"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("own", "module:name"),
        ("there_is_none:Executor", "cannot be imported"),
        ("own:number", "is of the type int"),
        ("own:OnlyOf", "name a function that passes them"),
        ("builtins:dict", "missing trigger member: next_due_time"),
        ("own:ListExecutor", "RestrictedExecutorConformance"),
        ("asyncz.testing:ExecutorConformance", "makes no executor"),
        ("asyncz.testing:TriggerConformance", "no trigger"),
        ("asyncz:IntervalTrigger", "name a function"),
    ],
)
def test_bad_targets_are_told(folder: Path, target: str, message: str) -> None:
    result = asyncz_command("verify", target, folder=folder)
    assert result.returncode == 2, result.stdout + result.stderr
    assert message in re.sub(r"[\s│]+", " ", result.stderr)


class BytesConformance(RestrictedExecutorConformance[bytes]):
    __test__ = False

    @override
    def make_executor(self) -> Executor[bytes]:
        return ThreadPoolExecutor(2)

    @override
    def make_result(self, number: int, /) -> bytes:
        return str(number).encode()


def test_a_suite_for_one_result_type_verifies_without_pytest() -> None:
    program = "import asyncz.testing, sys; print('pytest' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
    verdicts = BytesConformance().verify(at_once=8)
    assert tuple(verdict.rule for verdict in verdicts) == RULES
    assert {verdict.verdict for verdict in verdicts} == {"kept", "not applicable"}


def test_pytest_collects_only_what_makes_an_executor(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "from asyncz import ThreadPoolExecutor, UniversalExecutor\n"
        "from asyncz.testing import ExecutorConformance, RestrictedExecutorConformance\n"
        "class TestBase(ExecutorConformance): ...\n"
        "class TestOwn(TestBase):\n"
        "    def make_executor(self) -> UniversalExecutor:\n"
        "        return ThreadPoolExecutor(2)\n"
    )
    options = ["-q", "-o", "python_classes=*", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", *options, "test_own.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    collected = {line.split("::")[1] for line in result.stdout.splitlines() if "::" in line}
    assert collected == {"TestOwn"}, result.stdout
