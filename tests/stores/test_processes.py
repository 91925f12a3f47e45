"""Several processes with one store: each due time once, killed nodes, restarts, and a rolling deploy."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from asyncz.stores import NodeRecord, PostgresStore, RunQuery, RunRecord, SqliteStore, Store
from tests.helpers.forked import Program
from tests.helpers.paths import PROJECT
from tests.helpers.postgres import new_schema
from tests.stores.processes import INTERVAL, TASKS

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.xdist_group("postgres_faults")]

TTL = timedelta(seconds=15)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return new_schema(request.getfixturevalue("postgres_server"))


def store_of(url: str) -> Store:
    return SqliteStore(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else PostgresStore(url)


@contextmanager
def node_of(module: str, url: str, folder: Path, *options: str, is_faultless: bool = False) -> Iterator[Program]:
    """Run the scheduler of a module in a process of its own, which is ended as an operator would.

    Args:
        module: Module that is the program.
        url: Store.
        folder: Folder of the files that the runs write.
        options: Further arguments of the program.
        is_faultless: Fail if the program has printed a traceback.
    """
    with Program(["-m", module, url, str(folder), *options], cwd=PROJECT, stdout=2) as process:
        try:
            yield process
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=60)
            assert not (is_faultless and "Traceback" in errors), errors


def node(url: str, folder: Path, version: int = 1, *options: str) -> AbstractContextManager[Program]:
    return node_of("tests.stores.processes", url, folder, f"{version}", *options, is_faultless=True)


def lines(folder: Path) -> list[str]:
    """Return the lines that runs have written, each of its task, its process and its time."""
    path = folder / "lines"
    return path.read_text().splitlines() if path.exists() else []


def count(folder: Path, name: str) -> int:
    """Return the number of lines that a task has written."""
    return sum(line.startswith(f"{name} ") for line in lines(folder))


def has_lines(folder: Path, number: int) -> bool:
    return len(lines(folder)) >= number


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def history(url: str) -> list[RunRecord]:
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), TTL)
    runs = [*await session.runs(RunQuery(limit=10_000))]
    await session.close()
    return runs


def check_each_due_time_once(runs: list[RunRecord]) -> None:
    """Check that no due time has two runs, and that no due time was left out."""
    assert max(Counter((run.task_id, run.scheduled_at) for run in runs).values()) == 1
    interval = timedelta(seconds=INTERVAL)
    for number in range(TASKS):
        times = sorted(run.scheduled_at for run in runs if run.task_id == f"task-{number}")
        assert all((time - times[0]) % interval == timedelta(0) for time in times)


def connections(url: str) -> int:
    """Return the number of connections with the database of a URL that nodes have."""
    with psycopg.connect(url) as database:
        counting = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'asyncz%'"
        ((number,),) = database.execute(counting).fetchall()
        return int(number)


async def test_four_processes_fire_each_due_time_once(url: str, tmp_path: Path) -> None:
    """They start in the same millisecond on an empty database, and each has at most three connections."""
    at = ("at", f"{time.time() + 2}")
    with ExitStack() as stack:
        before = 0 if url.startswith("sqlite") else connections(url)
        for _ in range(4):
            stack.enter_context(node(url, tmp_path, 1, *at))
        wait_for(lambda: len(lines(tmp_path)) >= TASKS * 10)
        if not url.startswith("sqlite"):
            assert connections(url) - before <= 4 * 3
    runs = await history(url)
    check_each_due_time_once(runs)
    # On a busy machine, a run may come due while the one before is in progress.
    assert {run.state for run in runs} <= {"executed", "missed", "waiting"}
    assert len(lines(tmp_path)) == sum(run.state == "executed" for run in runs)
    assert len({line.split()[1] for line in lines(tmp_path)}) > 1


async def test_killed_process_loses_nothing(url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        victim = stack.enter_context(node(url, tmp_path, 1, "hang"))
        wait_for(lambda: any(line.startswith("hanging") for line in lines(tmp_path)))
        others = [stack.enter_context(node(url, tmp_path)) for _ in range(2)]
        wait_for(lambda: (tmp_path / "started-1").exists() and len(lines(tmp_path)) > TASKS * 5)
        victim.kill()
        assert victim.wait(30) == -signal.SIGKILL
        killed_at = time.time()
        wait_for(lambda: sum(line.startswith("hanging") for line in lines(tmp_path)) == 2)
        recovered_at = float(next(line for line in reversed(lines(tmp_path)) if line.startswith("hanging")).split()[2])
        # The lease of 3 s, a third of it for the next look, and time for two busy cores.
        assert recovered_at - killed_at < 3 + 1 + 10
        (tmp_path / "go on").touch()
        count = len(lines(tmp_path))
        wait_for(lambda: len(lines(tmp_path)) > count + TASKS * 5)
        assert len(others) == 2
    runs = await history(url)
    check_each_due_time_once(runs)
    assert not [run for run in runs if run.state in {"running", "error"}]
    (hanging,) = [run for run in runs if run.task_id == "hanging"]
    assert (hanging.state, hanging.fence) == ("executed", 3)


async def test_restart_continues_schedule(url: str, tmp_path: Path) -> None:
    for count in (5, 10):
        with node(url, tmp_path):
            wait_for(partial(has_lines, tmp_path, TASKS * count))
    runs = await history(url)
    check_each_due_time_once(runs)
    assert len({run.node for run in runs if run.node is not None}) == 2


async def test_rolling_deploy_with_renamed_function(url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        old = [stack.enter_context(node(url, tmp_path)) for _ in range(2)]
        wait_for(lambda: len(lines(tmp_path)) >= TASKS * 4)
        new = stack.enter_context(node(url, tmp_path, 2))
        wait_for(lambda: sum("renamed" in line for line in lines(tmp_path)) >= TASKS * 2)
        for process in old:
            process.terminate()
            process.wait(30)
        count = sum("renamed" in line for line in lines(tmp_path))
        wait_for(lambda: sum("renamed" in line for line in lines(tmp_path)) > count + TASKS * 2)
        # An old program starts once more: it does not undo the deploy.
        with node(url, tmp_path):
            count = len(lines(tmp_path))
            wait_for(lambda: len(lines(tmp_path)) > count + TASKS * 4)
        assert new.poll() is None
        assert all("renamed" in line for line in lines(tmp_path)[count + TASKS :])
    check_each_due_time_once(await history(url))
