"""`asyncz verify`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asyncz.cli.app import app
from asyncz.testing import RULES, STORE_RULES, TRIGGER_RULES, rules
from tests.helpers.commands import asyncz_command
from tests.integration.readme.test_readme import EXAMPLES

# The tests of a group share a process, and so one cache of mypy.
pytestmark = [pytest.mark.xdist_group("mypy"), pytest.mark.slow]

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


def replace_mypy(folder: Path) -> None:
    """Put a program in the place of mypy that finds no mistake, for tests of the rules: mypy takes seconds."""
    (folder / "mypy.py").touch()


@pytest.fixture
def rules_only(folder: Path) -> None:
    replace_mypy(folder)


def test_verify_correct_executor_passes(folder: Path) -> None:
    result = asyncz_command("verify", "own:Good", folder=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    found = re.search(r"rules: (\d+) kept, (\d+) not applicable\n", result.stdout)
    assert found is not None
    assert sum(map(int, found.groups())) == len(RULES)
    assert "UniversalExecutor" in result.stdout


KEPT = "not checked" if find_spec("mypy") is None else "kept"


def report(folder: Path, *arguments: str, status: int, hang_timeout: int = 3) -> dict[str, object]:
    result = asyncz_command("verify", "--json", "--hang-timeout", str(hang_timeout), *arguments, folder=folder)
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


@pytest.mark.parametrize(
    ("target", "protocol", "types_verdict"),
    [
        ("own:of_two_workers", "UniversalExecutor", KEPT),
        ("own:BytesExecutor", "Executor[bytes]", KEPT),
        ("own:TestListExecutor", "Executor[list[str]]", "not checked"),
    ],
)
def test_verify_accepts_functions_and_suites(folder: Path, target: str, protocol: str, types_verdict: str) -> None:
    found = report(folder, target, status=0)
    assert of_types(found)["protocol"] == protocol
    assert of_types(found)["verdict"] == types_verdict
    assert len(verdicts(found)) == len(RULES)


def test_verify_readme_executors_pass(tmp_path: Path) -> None:
    for name in ("ThreadPerRunExecutor", "BytesExecutor"):
        (block,) = (each.code for each in EXAMPLES if f"class {name}" in each.code)
        (tmp_path / "mine.py").write_text(block)
        # Nothing hangs here: the short timeout is for executors that do.
        found = report(tmp_path, f"mine:{name}", status=0, hang_timeout=60)
        assert of_types(found)["verdict"] == KEPT


@pytest.mark.usefixtures("rules_only")
def test_verify_names_broken_rule(folder: Path) -> None:
    found = report(folder, "own:NotifiesTwice", status=1)
    assert verdicts(found)[rules.NOTIFIED_ONCE.number] == "broken"
    assert verdicts(found)[rules.NO_RUN_BEFORE_START.number] == "kept"
    assert "broken" not in {verdicts(found)[rule.number] for rule in RULES if rule != rules.NOTIFIED_ONCE}
    shown = asyncz_command("verify", "own:NotifiesTwice", folder=folder).stdout
    assert "rule 2 (notified once), broken: notify was called 2 times" in re.sub(r"\s+", " ", shown)


@pytest.mark.usefixtures("rules_only")
@pytest.mark.parametrize("target", ["own:TestGoodTrigger", "own:trigger"])
def test_verify_accepts_triggers(folder: Path, target: str) -> None:
    found = report(folder, target, status=0)
    assert of_types(found) == {**of_types(found), "verdict": "kept", "protocol": "Trigger"}
    assert len(verdicts(found)) == len(TRIGGER_RULES)
    assert set(verdicts(found).values()) == {"kept", "not applicable"}


@pytest.mark.usefixtures("rules_only")
def test_verify_names_broken_trigger_rule(folder: Path) -> None:
    found = report(folder, "own:DriftingTrigger", status=1)
    assert {number for number, verdict in verdicts(found).items() if verdict == "broken"} == {
        rules.DOES_NOT_DRIFT.number
    }


with_mypy = pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")


@with_mypy
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("own:ShutdownOfAnotherType", "shutdown"),
        ("own:Untyped", "missing a type annotation"),
        ("own:UntypedTrigger", "missing a type annotation"),
    ],
)
def test_verify_wrong_type_found_by_mypy(folder: Path, target: str, message: str) -> None:
    found = report(folder, target, status=1)
    assert of_types(found)["verdict"] == "broken"
    assert message in of_types(found)["message"]


@with_mypy
def test_verify_mypy_cache_directory_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Python itself would make a folder for the module, too.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    before = set(folder.iterdir())
    assert of_types(report(folder, "own:GoodTrigger", status=0))["verdict"] == "kept"
    assert any(Path(os.environ["MYPY_CACHE_DIR"]).iterdir())
    assert set(folder.iterdir()) == before


def test_verify_mypy_cache_removed_by_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MYPY_CACHE_DIR")
    # In place of mypy, which would take a while to see everything anew.
    (folder / "mypy.py").write_text("import pathlib, sys; pathlib.Path('called').write_text('\\n'.join(sys.argv))")
    assert of_types(report(folder, "own:GoodTrigger", status=0))["verdict"] == "kept"
    called = (folder / "called").read_text().splitlines()
    cache = Path(called[called.index("--cache-dir") + 1])
    assert cache.parent.name.startswith("asyncz-")
    assert not cache.parent.exists()


@pytest.mark.usefixtures("rules_only")
def test_verify_blocked_loop_does_not_hang(folder: Path) -> None:
    found = report(folder, "own:Hangs", "--hang-timeout", "0.5", status=1)
    assert verdicts(found)[rules.LOOP_NOT_BLOCKED.number] == "broken"
    assert verdicts(found)[rules.RESULTS.number] == "undecided"


@pytest.mark.usefixtures("rules_only")
def test_verify_declared_limits_not_checked(folder: Path) -> None:
    declared = ["--inline", "--no-time-limits"]
    found = report(folder, "asyncz:DebugExecutor", *declared, status=0)
    assert verdicts(found)[rules.MAXIMUM_OF_INSTANCES.number] == "not applicable"
    assert verdicts(found)[rules.PROGRESS.number] == "kept"
    found = report(folder, "asyncz:DebugExecutor", *declared, "--no-progress", status=0)
    assert verdicts(found)[rules.PROGRESS.number] == "not applicable"
    found = report(folder, "own:of_one_process", "--other-process", "--hang-timeout", "30", status=0)
    assert verdicts(found)[rules.DEAD_WORKERS.number] == "kept"
    assert verdicts(found)[rules.CONTEXT.number] == "not applicable"


def test_verify_without_mypy_skips_types(folder: Path) -> None:
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
        ("asyncz.testing:TriggerConformance", "trigger or store: NotImplementedError"),
        ("asyncz:IntervalTrigger", "name a function"),
    ],
)
def test_verify_bad_target_reported(folder: Path, target: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.delitem(sys.modules, "own", raising=False)
    result = CliRunner().invoke(app, ["verify", target])
    assert result.exit_code == 2, result.output
    assert message in re.sub(r"[\s│]+", " ", result.stderr)


STORES = """
import time
from collections.abc import Callable, Sequence
from typing_extensions import override
from asyncz.stores import Firing, MemoryStore, RunRecord
from asyncz.testing import StoreConformance


class Unclocked:
    async def connect(self, node, ttl): ...


class NotStore:
    def __init__(self, now: Callable[[], float]) -> None: ...


class OwnStore(MemoryStore):
    pass


class Untyped(MemoryStore):
    async def connect(self, node, ttl): return await super().connect(node, ttl)


def named(now: Callable[[], float] = time.time) -> OwnStore:
    return OwnStore(now=now)


class Suite(StoreConformance):
    def make_store(self, now: Callable[[], float], /) -> OwnStore:
        return OwnStore(now=now)


def failing(now: Callable[[], float]) -> OwnStore:
    raise OSError("no such file")
"""


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    (tmp_path / "own_stores.py").write_text(STORES)
    return tmp_path


@pytest.mark.parametrize("target", ["OwnStore", "named", "Suite"])
def test_verify_accepts_stores(stores: Path, target: str) -> None:
    if target != "OwnStore":
        replace_mypy(stores)
    result = asyncz_command("verify", f"own_stores:{target}", "--json", folder=stores)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["types"]["protocol"] == "stores.Store"
    assert found["types"]["verdict"] == "kept", found["types"]
    assert {each["verdict"] for each in found["rules"]} == {"kept"}
    assert len(found["rules"]) == len(STORE_RULES)


def test_verify_names_broken_store_rule(stores: Path) -> None:
    (stores / "broken.py").write_text(
        "from tests.stores.broken_stores import BrokenStore, FiresEarly\n\n"
        "def make(now):\n    return BrokenStore(FiresEarly, now)\n"
    )
    replace_mypy(stores)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-m", "asyncz", "verify", "broken:make"]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=100, cwd=stores, env=environment
    )
    assert result.returncode == 1
    assert "one second before its due time" in result.stdout


def test_verify_untyped_store_found_by_mypy(stores: Path) -> None:
    result = asyncz_command("verify", "own_stores:Untyped", folder=stores)
    assert result.returncode == 1
    assert "the parameters of `connect` are not annotated with NodeRecord" in result.stdout


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("Unclocked", "makes a store without the clock of the rules: give it a parameter `now`"),
        ("NotStore", "missing store member: connect"),
        ("failing", "OSError: no such file; it is called with `now` only"),
    ],
)
def test_verify_bad_store_reported(stores: Path, target: str, message: str) -> None:
    result = asyncz_command("verify", f"own_stores:{target}", folder=stores)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in " ".join(result.stderr.split())
