"""Time of each page and path of the API of a dashboard, for a store with a long history.

python -m tests.benchmarks.dashboard [--runs N] [--tasks N] [--store sqlite postgres] [--repeat N]

Builds the store, and prints for each path the median and the maximum time of a request, and the longest turn of the
event loop meanwhile. The server is in this process, without a network.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch
from uuid import UUID

import httpx
import psycopg

from asyncz.dashboard import StoreDashboard
from asyncz.stores._admin_urls import opened_admin
from tests.helpers.postgres import new_schema, running_server

STATES = ("executed",) * 94 + ("error", "error", "missed", "cancelled", "executed", "executed")
RUNNING, WAITING = 20, 50
TASK_COLUMNS = (
    "id, function, arguments, trigger, executor, options, declaration, app_version, paused, next_due, started_at,"
    " state, problem, removed, version, revision"
)
RUN_COLUMNS = (
    "id, task_id, kind, scheduled_at, executor, state, attempt, on_lost, missed, node, fence, created_at, started_at,"
    " finished_at, result, error, traceback"
)


class Measured(NamedTuple):
    """Times of a path in milliseconds."""

    path: str
    median: float
    longest: float
    turn: float
    size: int


def task_rows(tasks: int, now: int) -> Iterator[tuple[object, ...]]:
    """Return tasks, due within the next hours."""
    for number in range(tasks):
        due = now + (number * 997 % 36_000) * 1_000_000
        yield (
            *(f"customer-{number:05}/report", "jobs.reports:send", '{"args": [1], "kwargs": {"kind": "daily"}}'),
            *('{"hours": 10, "type": "interval"}', "processpool" if number % 3 else "asyncio", '{"max_instances": 1}'),
            *("hash", 3, number % 50 == 0, due, now - 10**12, "active", "", False, 1, number + 1),
        )


def run_rows(runs: int, tasks: int, now: int) -> Iterator[tuple[object, ...]]:
    """Return runs, one per second until now; the last ones run or wait."""
    for number in range(runs):
        age = runs - number
        state = "waiting" if age <= WAITING else "running" if age <= WAITING + RUNNING else STATES[number * 37 % 100]
        due = now - age * 1_000_000
        started = None if state in {"waiting", "missed"} else due + 3000
        finished = None if state in {"waiting", "running"} else due + 250_000
        error = f"ConnectionError: the server {number % 997} did not answer" if state == "error" else ""
        yield (
            *(
                UUID(int=number),
                f"customer-{number * 7919 % tasks:05}/report",
                "due",
                due,
                "processpool",
                state,
                1,
                "fail",
            ),
            *(0, None if state == "waiting" else "node", 0 if state == "waiting" else 2, due),
            *(
                started,
                finished,
                '{"rows": 12}' if state == "executed" else None,
                error,
                error and f"Traceback\n{error}",
            ),
        )


def fill_sqlite(path: str, tasks: int, runs: int) -> None:
    """Write the records into an SQLite file."""
    now = time.time_ns() // 1000
    with closing(sqlite3.connect(path)) as database, database:
        places = ", ".join("?" * len(TASK_COLUMNS.split(",")))
        columns = TASK_COLUMNS.replace("trigger", '"trigger"')
        database.executemany(f"INSERT INTO asyncz_tasks ({columns}) VALUES ({places})", task_rows(tasks, now))
        places = ", ".join("?" * len(RUN_COLUMNS.split(",")))
        rows = ((run[0].bytes, *run[1:]) for run in run_rows(runs, tasks, now) if isinstance(run[0], UUID))
        database.executemany(f"INSERT INTO asyncz_runs ({RUN_COLUMNS}) VALUES ({places})", rows)
        database.execute(
            "INSERT INTO asyncz_nodes (id, name, app_version, lease_until) VALUES ('node', 'web-1:4711', 3, ?)", [2**52]
        )


def fill_postgres(url: str, tasks: int, runs: int) -> None:
    """Write the records into a PostgreSQL database."""
    now = time.time_ns() // 1000

    def moment(value: object) -> str | None:
        if not isinstance(value, int):
            return None
        seconds, rest = divmod(value, 1_000_000)
        return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(seconds))}.{rest:06}+00"

    times = {"next_due", "started_at", "scheduled_at", "created_at", "finished_at"}
    with psycopg.connect(url, autocommit=True) as database:
        for table, names, rows in (
            ("asyncz_tasks", TASK_COLUMNS, task_rows(tasks, now)),
            ("asyncz_runs", RUN_COLUMNS, run_rows(runs, tasks, now)),
        ):
            columns = [name.strip() for name in names.split(",")]
            quoted = ", ".join(f'"{column}"' for column in columns)
            with database.cursor() as cursor, cursor.copy(f"COPY {table} ({quoted}) FROM STDIN".encode()) as copy:
                for row in rows:
                    copy.write_row(
                        [moment(value) if name in times else value for name, value in zip(columns, row, strict=True)]
                    )
        database.execute(
            "INSERT INTO asyncz_nodes (id, name, app_version, lease_until)"
            " VALUES ('node', 'web-1:4711', 3, '2090-01-01')"
        )
        database.execute("ANALYZE")


PATHS = (
    "/tasks",
    "/tasks?order=next",
    "/tasks?filter=failing",
    "/tasks?search=customer-09999",
    "/tasks?after=customer-05000/report",
    "/task?id=customer-00077/report",
    "/runs",
    "/runs?before={middle}",
    "/runs?outcome=executed",
    "/runs?outcome=error",
    "/runs?outcome=error&before={middle}",
    "/runs?outcome=waiting",
    "/runs?outcome=running",
    "/runs?task=customer-00077/report&outcome=error",
    "/runs?text=server 42 did",
    "/runs?text=no such text",
    "/runs?since={since}&until={until}",
    "/runs?since={since}&until={until}&outcome=error",
    "/run?id={run}",
    "/timeline?past=30&future=30",
    "/timeline?past=720&future=720",
    "/executors",
    "/events",
    "/events?before={moment}",
    "/metrics",
    "/api/info",
    "/api/tasks?limit=200",
    "/api/task?id=customer-00077/report",
    "/api/runs?limit=200",
    "/api/run?id={run}",
    "/api/executors",
    "/api/timeline?past=30&future=30",
    "/api/events?limit=200",
)


@contextmanager
def turns() -> Iterator[list[float]]:
    """Yield a list of the durations of all turns of event loops, in milliseconds."""
    found: list[float] = []
    original = asyncio.Handle._run

    def timed(self: asyncio.Handle) -> None:
        began = time.perf_counter()
        original(self)
        found.append((time.perf_counter() - began) * 1000)

    with patch.object(asyncio.Handle, "_run", timed):
        yield found


async def measure(url: str, runs: int, repeat: int) -> Sequence[Measured]:
    """Send requests for each path, one after another."""
    dashboard = StoreDashboard(url, lambda _: "operate")
    transport = httpx.ASGITransport(app=dashboard)
    now, found = time.time(), list[Measured]()
    values = {
        "middle": f"{runs // 2}",
        "run": f"{UUID(int=runs // 2)}",
        "moment": f"{int((now - runs / 2) * 1e6)}",
        "since": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now - runs / 2)),
        "until": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now - runs / 2 + 3600)),
    }
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=600) as client:
        await client.get("/tasks")
        for path in PATHS:
            times, longest_turn, size = list[float](), 0.0, 0
            for _ in range(repeat):
                with turns() as durations:
                    began = time.perf_counter()
                    answer = await client.get(path.format(**values))
                    times.append((time.perf_counter() - began) * 1000)
                assert answer.status_code == 200, f"{path}: {answer.text[-500:]}"
                longest_turn, size = max(longest_turn, max(durations)), len(answer.content)
            found.append(Measured(path, statistics.median(times), max(times), longest_turn, size))
    dashboard.close()
    return found


def run(url: str, tasks: int, runs: int, repeat: int) -> None:
    """Fill a database, measure, and print the times."""
    with opened_admin(url, "create") as admin:
        admin.migrate()
    began = time.perf_counter()
    if url.startswith("sqlite"):
        fill_sqlite(url.removeprefix("sqlite:///"), tasks, runs)
    else:
        fill_postgres(url, tasks, runs)
    print(f"{url.partition(':')[0]}: {tasks:,} tasks, {runs:,} runs, filled in {time.perf_counter() - began:.0f} s")
    print(f"{'path':62} {'median ms':>10} {'max ms':>8} {'turn ms':>8} {'bytes':>8}")
    for each in asyncio.run(measure(url, runs, repeat)):
        print(f"{each.path:62} {each.median:10.1f} {each.longest:8.1f} {each.turn:8.1f} {each.size:8,}", flush=True)


def main() -> None:
    """Measure the databases that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--store", nargs="+", choices=["sqlite", "postgres"], default=["sqlite", "postgres"])
    parser.add_argument("--repeat", type=int, default=10)
    options = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="asyncz-dashboard-") as folder:
        if "sqlite" in options.store:
            run(f"sqlite:///{Path(folder) / 'jobs.db'}", options.tasks, options.runs, options.repeat)
        if "postgres" in options.store:
            with running_server() as server:
                run(new_schema(server), options.tasks, options.runs, options.repeat)


if __name__ == "__main__":
    main()
