"""Chains and retries with several processes: killed nodes and restarts."""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from uuid import uuid5

import pytest

from asyncz.stores import RunRecord
from tests.helpers.postgres import new_schema
from tests.stores.test_processes import count, history, lines, node_of, wait_for

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.xdist_group("postgres_faults")]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return new_schema(request.getfixturevalue("postgres_server"))


node = partial(node_of, "tests.stores.chain_processes")


def has_attempt(folder: Path, number: int) -> bool:
    return count(folder, f"attempt-{number}") == 1


def check_handed_over_once(runs: list[RunRecord]) -> None:
    """Check that each result has one run of the downstream task, and that no other run has one."""
    executed = {run.id for run in runs if (run.task_id, run.state) == ("first", "executed")}
    downstream = Counter(run.id for run in runs if run.task_id == "second")
    assert downstream == Counter(uuid5(run_id, "second") for run_id in executed)


async def test_killed_process_hands_over_each_result_once(url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        victim, _ = [stack.enter_context(node(url, tmp_path)) for _ in range(2)]
        wait_for(lambda: count(tmp_path, "second") > 10)
        victim.kill()
        assert victim.wait(30) == -signal.SIGKILL
        before = count(tmp_path, "second")
        wait_for(lambda: count(tmp_path, "second") > before + 40)
    runs = await history(url)
    check_handed_over_once(runs)
    # The function of a lost run may be called again, but no result is lost.
    assert count(tmp_path, "second") >= sum((run.task_id, run.state) == ("second", "executed") for run in runs)


async def test_waiting_result_survives_kill(url: str, tmp_path: Path) -> None:
    """A process is killed between the two runs of a chain; another one makes the second."""
    with node(url, tmp_path, "held") as victim:
        wait_for(lambda: count(tmp_path, "first") > 3)
        victim.kill()
        assert victim.wait(30) == -signal.SIGKILL
    waiting = [run for run in await history(url) if (run.task_id, run.state) == ("second", "waiting")]
    assert waiting
    assert not count(tmp_path, "second")
    with node(url, tmp_path, "resume"):
        wait_for(lambda: count(tmp_path, "second") > len(waiting))
    runs = await history(url)
    check_handed_over_once(runs)
    states = {run.id: run.state for run in runs}
    assert {states[run.id] for run in waiting} == {"executed"}


async def test_attempts_are_counted_over_restarts(url: str, tmp_path: Path) -> None:
    """Three attempts are three in all, with a restart between each two."""
    for attempt in (1, 2, 3):
        with node(url, tmp_path):
            wait_for(partial(has_attempt, tmp_path, attempt))
    with node(url, tmp_path):
        started = count(tmp_path, "first")
        wait_for(lambda: count(tmp_path, "first") > started + 10)
    assert sum(line.startswith("attempt-") for line in lines(tmp_path)) == 3
    (run,) = [run for run in await history(url) if run.task_id == "failing"]
    assert (run.state, run.attempt) == ("error", 3)


async def test_attempts_are_counted_over_kill(url: str, tmp_path: Path) -> None:
    """A process is killed during a retry, of which the store has only the failed attempt before."""
    (tmp_path / "kill-2").touch()
    with node(url, tmp_path) as victim:
        assert victim.wait(60) == -signal.SIGKILL
    with node(url, tmp_path):
        wait_for(lambda: count(tmp_path, "attempt-3") == 1)
        started = count(tmp_path, "first")
        wait_for(lambda: count(tmp_path, "first") > started + 10)
    # The policy `rerun` calls the function of the lost attempt again.
    assert [line.partition(" ")[0] for line in lines(tmp_path) if line.startswith("attempt-")] == [
        *("attempt-1", "attempt-2", "attempt-2", "attempt-3")
    ]
    (run,) = [run for run in await history(url) if run.task_id == "failing"]
    assert (run.state, run.attempt) == ("error", 3)
