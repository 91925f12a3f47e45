"""Figures of the stores beside the cost of a run: many runs in progress, restart, imports."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg

from asyncz import AsyncIOScheduler, IntervalTrigger
from asyncz.stores import NodeRecord, Outcome, RunRecord
from asyncz.stores._urls import store_of
from asyncz.stores.protocol import StoreSession

_FINISHED = 300
_PAGE = 500
# Imports of which the difference is the cost of a store.
_BASE = "import asyncio, asyncz.schedulers.asyncio; from pydantic import TypeAdapter, BaseModel; import json"


@functools.cache
def _postmaster(server: str) -> str:
    """Return the process id of a server on this machine."""
    with psycopg.connect(server) as connection:
        (row,) = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchall()
    return f"{row[0]}".split(maxsplit=1)[0]


def server_seconds(server: str) -> float:
    """Return the CPU time of a server on this machine: of all its processes, of ended ones too."""
    while True:
        first, seconds = _processes(server)
        again, seconds = _processes(server)
        # The time of a process that ends meanwhile moves to its parent, which may have been read before.
        if first == again:
            return seconds


def _processes(server: str) -> tuple[set[str], float]:
    """Return the process ids of a server, and their CPU time."""
    ticks, total, pid, found = os.sysconf("SC_CLK_TCK"), 0, _postmaster(server), set[str]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _, _, rest = stat.read_text().rpartition(")")
            fields = rest.split()
            if pid in {stat.parent.name, fields[1]}:
                found.add(stat.parent.name)
                total += sum(int(field) for field in fields[11:15])
    return found, total / ticks


def busy_ratio(url: str, server: str | None, running: int) -> str:
    """Return what it costs to finish one run while many others run, in relation to none.

    Args:
        url: Empty store.
        server: Connection string of its server; None for SQLite.
        running: Number of runs in progress.
    """
    few, many = asyncio.run(_finish_costs(url, server, running))
    return f"finish of one run: {few:.0f} us, {many:.0f} us while {running} run: {many / few:.2f} x"


async def _finish_costs(url: str, server: str | None, running: int) -> tuple[float, float]:
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), timedelta(minutes=10))
    try:
        few = await _finish_cost(session, server)
        for _ in range(0, running, _PAGE):
            _ = await session.submit(_new_runs(_PAGE))
        return few, await _finish_cost(session, server)
    finally:
        await session.close()


async def _finish_cost(session: StoreSession, server: str | None) -> float:
    """Return the CPU time of client and server for one outcome, in microseconds: the least of three attempts."""
    found: list[float] = []
    for _ in range(3):
        runs = await session.submit(_new_runs(_FINISHED))
        outcomes = [
            Outcome(run_id=run.id, fence=run.fence, state="executed", finished_at=datetime.now(UTC)) for run in runs
        ]
        began = _seconds(server)
        for outcome in outcomes:
            _ = await session.finish([outcome])
        found.append((_seconds(server) - began) / _FINISHED * 1e6)
    return min(found)


def _seconds(server: str | None) -> float:
    return time.process_time() + (0 if server is None else server_seconds(server))


def _new_runs(number: int) -> Sequence[RunRecord]:
    now = datetime.now(UTC)
    return [RunRecord(id=uuid4(), task_id="task", kind="submitted", scheduled_at=now) for _ in range(number)]


async def nothing() -> None:
    """Do nothing."""


def restart(url: str, tasks: int) -> str:
    """Return how long the start of a program with unchanged tasks takes, and how many tasks it has written."""
    _ = asyncio.run(_start(url, tasks))
    seconds, written = asyncio.run(_start(url, tasks))
    return f"restart with {tasks} unchanged tasks: {seconds:.2f} s, {written} written"


async def _start(url: str, tasks: int) -> tuple[float, int]:
    scheduler = AsyncIOScheduler(store=url)
    for number in range(tasks):
        _ = scheduler.add_task(nothing, trigger=IntervalTrigger(hours=1), id=f"task-{number}")
    before = await _revision(url)
    began = time.perf_counter()
    async with scheduler:
        seconds = time.perf_counter() - began
    return seconds, await _revision(url) - before


async def _revision(url: str) -> int:
    """Return the number of changes of tasks."""
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), timedelta(seconds=10))
    try:
        news = session.lease.news
        assert news is not None
        return news.revision
    finally:
        await session.close()


def imports() -> str:
    """Return the times of imports in new processes: of pydantic, and what the stores add to a scheduler."""
    pydantic = _import_time("import asyncio; from pydantic import BaseModel") - _import_time("import asyncio")
    base = _import_time(_BASE)
    sqlite = _import_time(f"{_BASE}, asyncz.stores.sqlite") - base
    postgres = _import_time(f"{_BASE}, asyncz.stores.postgres") - base
    return (
        f"imports: pydantic {pydantic:.0f} ms, SQLite + {sqlite:.0f} ms,"
        f" PostgreSQL + {postgres:.0f} ms = {postgres / pydantic:.2f} x pydantic"
    )


def _import_time(statement: str) -> float:
    """Return the CPU time of a statement in milliseconds: the least of seven processes."""
    code = f"import time; began = time.process_time(); {statement}; print(time.process_time() - began)"
    command = [sys.executable, "-c", code]
    found = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(7)]
    return min(map(float, found)) * 1e3
