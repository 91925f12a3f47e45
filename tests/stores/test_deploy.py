"""Rolling deploys: nodes of two versions of a program, and of two versions of asyncz, share a store."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, TypeAlias
from uuid import uuid4

import pytest

from asyncz.stores import NodeRecord, RunRecord, TaskRecord
from asyncz.stores._admin_urls import opened_admin
from asyncz.stores._migrations import Dialect, migrations
from tests.helpers.forked import Program
from tests.helpers.paths import PROJECT
from tests.stores import deploy
from tests.stores.test_processes import TTL, history, store_of, url, wait_for

__all__ = ["url"]

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.xdist_group("postgres_nodes")]

NODE = Path(f"{deploy.__file__}").with_name("node.py")
INTERVAL = timedelta(seconds=0.25)
# Tasks of version 1; `ad-hoc` belongs to the store alone.
FIRST = ("report", "charge", "poll", "obsolete", "convert", "ad-hoc")
# Tasks whose declaration version 2 changes without their trigger.
CHANGED = ("report", "charge", "convert")
SECOND = (*CHANGED, "added")


Node: TypeAlias = "Program | subprocess.Popen[bytes]"


class Effect(NamedTuple):
    """A line that a run has written."""

    task: str
    run: str
    fence: str
    text: str


def effects_in(folder: Path) -> list[Effect]:
    path = folder / "effects"
    return [Effect(*line.split()) for line in path.read_text().splitlines()] if path.exists() else []


def have_effects(folder: Path, tasks: Sequence[str], since: int, number: int) -> bool:
    found = Counter(each.task for each in effects_in(folder)[since:])
    return all(found[task] >= number for task in tasks)


def wait_for_effects(folder: Path, tasks: Sequence[str], number: int = 4) -> None:
    """Wait until each of the tasks has run some more times."""
    wait_for(partial(have_effects, folder, tasks, len(effects_in(folder)), number))


def started(arguments: Sequence[str], folder: Path, library: Path, output: IO[str]) -> Node:
    """Start Python with the asyncz of a folder."""
    if library == PROJECT:
        return Program(arguments, cwd=folder, stdout=output, stderr=output)
    environment = {**os.environ, "PYTHONPATH": str(library)}
    return subprocess.Popen([sys.executable, *arguments], stdout=output, stderr=output, cwd=folder, env=environment)


@contextmanager
def node(url: str, folder: Path, version: int, library: Path) -> Generator[Node]:
    """Run a node of a version of the program, with the asyncz of a folder, and wait for its start."""
    log = folder / f"log-{version}-{uuid4().hex}"
    with log.open("w") as output:
        process = started([str(NODE), url, str(folder), f"{version}"], folder, library, output)
        try:
            wait_for(lambda: process.poll() is not None or (folder / f"started-{process.pid}").exists())
            assert process.poll() is None, log.read_text()
            yield process
        finally:
            end(process)
    text = log.read_text()
    assert "Traceback" not in text, text


def end(process: Node) -> None:
    """End a node as an operator would."""
    process.terminate()
    try:
        assert process.wait(60) == 0
    finally:
        process.kill()


async def records(url: str) -> dict[str, TaskRecord]:
    """Return the stored tasks by id, without the due time, which firings advance."""
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), TTL)
    found = await session.changes(0, 1000)
    await session.close()
    return {task.id: task.model_copy(update={"next_due": None}) for task in found}


def schema(url: str) -> int:
    """Return the number of the newest migration that was applied."""
    with opened_admin(url, "read") as admin:
        return admin.status().found


def unreadable_in(folder: Path, version: int) -> set[str]:
    """Return the tasks that the nodes of a version have reported as unreadable."""
    logs = "".join(log.read_text() for log in folder.glob(f"log-{version}-*"))
    return set(re.findall(r"task '(.*?)' is kept", logs))


async def check_rolling_deploy(url: str, folder: Path, before: Path, on_started: Callable[[], None]) -> None:
    """Replace two nodes of version 1, one after the other, and start version 1 once more beside version 2.

    Args:
        url: Store.
        folder: Folder for the effects and logs.
        before: Folder with the asyncz of version 1.
        on_started: Called when version 1 runs.
    """
    with ExitStack() as stack:
        old = [stack.enter_context(node(url, folder, 1, before)) for _ in range(2)]
        wait_for_effects(folder, FIRST)
        on_started()
        at_first = await records(url)
        switched = None
        for process in old:
            stack.enter_context(node(url, folder, 2, PROJECT))
            switched = switched or datetime.now(UTC)
            wait_for_effects(folder, SECOND)
            end(process)
        wait_for_effects(folder, (*SECOND, "poll", "ad-hoc"))
        deployed = await records(url)
        stack.enter_context(node(url, folder, 1, before))
        # The row of the task that version 2 does not have was kept, and its due times are made up for.
        wait_for_effects(folder, (*SECOND, "poll", "obsolete"))
        at_last = await records(url)
    assert switched is not None
    assert at_last == deployed
    assert deployed["obsolete"] == at_first["obsolete"]
    assert deployed["report"].function == "app:new_report"
    assert {task for task in deployed if deployed[task] != at_first.get(task)} == {*SECOND, "poll"}
    assert unreadable_in(folder, 2) == {"obsolete"}
    assert unreadable_in(folder, 1) == {*SECOND} - {"charge"}
    check_history(await history(url), effects_in(folder), switched)


def check_history(runs: list[RunRecord], effects: list[Effect], switched: datetime) -> None:
    """Check that no due time is lost or doubled, and that no later one has the effect of version 1."""
    assert {run.state for run in runs} <= {"executed", "missed", "waiting"}
    text = {each.run: each.text for each in effects}
    assert len(text) == len(effects)
    assert {f"{run.id}" for run in runs if run.state == "executed"} == text.keys()
    for task in {*FIRST, *SECOND}:
        times = sorted(run.scheduled_at for run in runs if run.task_id == task and run.kind == "due")
        steps = Counter(second - first for first, second in itertools.pairwise(times))
        assert steps[timedelta(0)] == 0
        if task == "poll":
            # The changed trigger counts from the start of version 2.
            assert sum(count for step, count in steps.items() if step not in {INTERVAL, 2 * INTERVAL}) <= 1
            assert steps[2 * INTERVAL] > 0
        else:
            missed = [run.missed for run in runs if run.task_id == task and run.scheduled_at <= times[-1]]
            assert times[-1] - times[0] == INTERVAL * (len(times) + sum(missed) - 1)
    for run in runs:
        if run.task_id in CHANGED and run.scheduled_at > switched and run.state == "executed":
            assert text[f"{run.id}"] == "2", run


async def test_rolling_deploy_of_a_program(url: str, tmp_path: Path) -> None:
    """A renamed function, other arguments and signatures, another trigger, a removed and a new task."""
    await check_rolling_deploy(url, tmp_path, PROJECT, lambda: None)


@pytest.fixture(scope="module")
def previous_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a folder with asyncz as it was before the newest migration."""

    def git(*arguments: str) -> bytes:
        return subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, check=True).stdout

    try:
        if git("rev-parse", "--is-shallow-repository").strip() == b"true":
            pytest.skip("needs the commits before the newest migration: git fetch --unshallow")
        log = ("log", "-1", "--no-renames", "--diff-filter=A", "--format=%H")
        newest = git(*log, "--", "asyncz/stores/migrations/*.sql").decode().strip()
        archive = git("archive", f"{newest}^", "asyncz")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git, and the commits before the newest migration")
    folder = tmp_path_factory.mktemp("previous")
    file = folder / "asyncz.tar"
    file.write_bytes(archive)
    with tarfile.open(file) as opened:
        opened.extractall(folder, filter="data")
    return folder


async def test_rolling_deploy_of_the_library(url: str, tmp_path: Path, previous_library: Path) -> None:
    """Nodes on the schema before the newest one go on while a new node applies the migration."""
    dialect: Dialect = "sqlite" if url.startswith("sqlite") else "postgres"
    newest = migrations(dialect)[-1].number
    schemas: list[int] = []
    await check_rolling_deploy(url, tmp_path, previous_library, lambda: schemas.append(schema(url)))
    assert [*schemas, schema(url)] == [newest - 1, newest]
