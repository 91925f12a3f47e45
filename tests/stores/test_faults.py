"""Faults of processes and databases: stopped nodes, lost connections, locked and full files."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from asyncz import AsyncIOScheduler
from asyncz.stores import PostgresStore, StoreConnectionError
from asyncz.stores._postgres_network import with_time_limits
from asyncz.stores._urls import sqlite_path
from tests.helpers.postgres import new_schema
from tests.stores.processes import TASKS
from tests.stores.test_processes import check_each_due_time_once, history, lines, node, url, wait_for

__all__ = ["url"]

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.xdist_group("postgres_faults")]


def wait_for_progress(folder: Path, rounds: int = 5) -> None:
    count = len(lines(folder))
    wait_for(lambda: len(lines(folder)) >= count + TASKS * rounds)


async def test_stopped_process_loses_its_runs_once(url: str, tmp_path: Path) -> None:
    """A process that does not run for two leases: its run is taken over, and its late outcome is rejected."""
    with ExitStack() as stack:
        victim = stack.enter_context(node(url, tmp_path, 1, "hang"))
        wait_for(lambda: any(line.startswith("hanging") for line in lines(tmp_path)))
        stack.enter_context(node(url, tmp_path))
        wait_for_progress(tmp_path)
        victim.send_signal(signal.SIGSTOP)
        try:
            wait_for(lambda: sum(line.startswith("hanging") for line in lines(tmp_path)) == 2)
            wait_for_progress(tmp_path)
        finally:
            victim.send_signal(signal.SIGCONT)
        (tmp_path / "go on").touch()
        count = len(lines(tmp_path))
        wait_for(lambda: f"{victim.pid}" in {line.split()[1] for line in lines(tmp_path)[count:]})
        wait_for_progress(tmp_path)
    runs = await history(url)
    check_each_due_time_once(runs)
    (hanging,) = [run for run in runs if run.task_id == "hanging"]
    assert (hanging.state, hanging.fence) == ("executed", 3)
    assert not [run for run in runs if run.state in {"running", "error"}]


async def test_lost_connections_lose_no_run(postgres_server: str, tmp_path: Path) -> None:
    url = new_schema(postgres_server)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(node(url, tmp_path))
        wait_for_progress(tmp_path)
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            for _ in range(20):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'asyncz' AND pid <> pg_backend_pid()"
                )
                await asyncio.sleep(0.1)
        wait_for_progress(tmp_path)
    runs = await history(url)
    check_each_due_time_once(runs)
    states = Counter(run.state for run in runs)
    assert set(states) <= {"executed", "missed", "waiting"}
    assert states["executed"] == len(lines(tmp_path))


@contextmanager
def locked(url: str) -> Generator[None, None, None]:
    """Keep all nodes from reading and writing, as a long transaction of another program would."""
    path = sqlite_path(url)
    if path is None:
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE asyncz_tasks, asyncz_runs, asyncz_nodes IN ACCESS EXCLUSIVE MODE")
            yield
    else:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield
            connection.execute("ROLLBACK")


@pytest.mark.parametrize("seconds", [3, 6])
async def test_locked_store_delays_runs(url: str, tmp_path: Path, seconds: float) -> None:
    """A commit of 3 seconds, and a store that is away for two leases of 3 seconds."""
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(node(url, tmp_path))
        wait_for_progress(tmp_path)
        with locked(url):
            await asyncio.sleep(seconds)
        wait_for_progress(tmp_path)
    runs = await history(url)
    check_each_due_time_once(runs)
    assert {run.state for run in runs} <= {"executed", "missed", "waiting"}
    assert sum(run.state == "executed" for run in runs) == len(lines(tmp_path))


_FULL = """
import asyncio, resource, sys
from pathlib import Path
from asyncz import AsyncIOScheduler, IntervalTrigger
from tests.helpers.stored_jobs import calls, note

async def main(folder):
    async with AsyncIOScheduler(store=f"sqlite:///{folder}/store.db") as scheduler:
        scheduler.add_task(note, "x" * 5000, trigger=IntervalTrigger(seconds=0.02), id="note")
        while len(calls) < 20:
            await asyncio.sleep(0.01)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        size = max(path.stat().st_size for path in Path(folder).glob("store.db*"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        async with asyncio.timeout(60):
            while scheduler.store.connected:
                await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        before = len(calls)
        async with asyncio.timeout(60):
            while len(calls) < before + 20 or not scheduler.store.connected:
                await asyncio.sleep(0.01)
    print("calls", len(calls))

asyncio.run(main(sys.argv[1]))
"""


async def test_full_disk_delays_runs(tmp_path: Path) -> None:
    ended = subprocess.run(  # noqa: ASYNC221  # no loop has to go on
        [sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    assert ended.stdout.startswith("calls"), ended.stderr
    runs = await history(f"sqlite:///{tmp_path}/store.db")
    assert max(Counter(run.scheduled_at for run in runs).values()) == 1
    assert sum(run.state == "executed" for run in runs) == int(ended.stdout.split()[1])
    assert not [run for run in runs if run.state in {"running", "error"}]


async def test_server_that_does_not_answer_fails_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        store = PostgresStore(f"postgresql://127.0.0.1:{port}/jobs?connect_timeout=2")
        with pytest.raises(StoreConnectionError, match="timeout"):
            async with AsyncIOScheduler(store=store):
                pass


def test_given_time_limits_count() -> None:
    url = with_time_limits("postgresql://user@host/jobs?connect_timeout=3&keepalives_idle=60")
    parts = conninfo_to_dict(url)
    limits = {name: f"{parts.get(name)}" for name in ("connect_timeout", "keepalives_idle", "tcp_user_timeout")}
    assert limits == {"connect_timeout": "3", "keepalives_idle": "60", "tcp_user_timeout": "20000"}
    assert (parts.get("host"), parts.get("user"), parts.get("dbname")) == ("host", "user", "jobs")
