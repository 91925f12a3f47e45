"""CPU time of one stored run beside other libraries, in environments of their own, and other figures of the stores.

python -m tests.benchmarks.stores [--runs N] [--peers NAME ...]

Prints the CPU time of client and server from just before the due times until all runs have ended, per run, and what
the peers need in relation to asyncz. Compare the ratios of one call only. PostgreSQL counts the idle statements.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal
from uuid import uuid4

import attrs
import psycopg
from psycopg.conninfo import make_conninfo
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from asyncz import AsyncIOScheduler
from asyncz.stores import PostgresStore, StoreOptions
from tests.benchmarks.store_figures import busy_ratio, imports, restart, server_seconds
from tests.benchmarks.venvs import python_with
from tests.helpers.postgres import new_schema, running_server

PEERS = Path(__file__).with_name("store_peers")
LEASE = 3.0
# Seconds for processes to start and to declare their tasks.
SETUP = 25.0
REQUIREMENTS = {
    "apscheduler_3": ("apscheduler==3.11.3", "sqlalchemy", "psycopg[binary]"),
    "apscheduler_4": ("apscheduler==4.0.0a6", "sqlalchemy", "asyncpg", "sniffio", "greenlet"),
    "procrastinate_3": ("procrastinate==3.10.0", "psycopg[binary]"),
}
DATABASES = {"apscheduler_3": ("sqlite", "postgres"), "apscheduler_4": ("postgres",), "procrastinate_3": ("postgres",)}


@attrs.frozen
class Cost:
    """CPU time per run in microseconds.

    Attributes:
        name: Library.
        database: Database.
        client: CPU time of the processes with the library.
        server: CPU time of the server.
        runs: Number of runs of each process.
        calls: Statements, transactions and answers, if they were counted.
    """

    name: str
    database: str
    client: float
    server: float
    runs: Sequence[int] = ()
    calls: Mapping[str, int] = attrs.field(factory=dict[str, int])

    @property
    def least_share(self) -> float:
        """Share of the process with the fewest runs, in relation to the fair one."""
        return min(self.runs) * len(self.runs) / sum(self.runs)

    @property
    def total(self) -> float:
        return self.client + self.server


def measured(
    name: str,
    database: str,
    command: Sequence[str],
    runs: int,
    environment: Mapping[str, str],
    server: str | None,
    processes: int = 1,
) -> Cost | None:
    """Run a program in some processes at the same time; None if it fails.

    Args:
        name: Library.
        database: Database.
        command: Command of the program.
        runs: Number of runs of all processes.
        environment: Environment variables.
        server: Connection string of the server whose CPU time counts too; None without one.
        processes: Number of processes.
    """
    # They have to be ready at the same time; a single one chooses the time itself.
    shared = {"ASYNCZ_BENCHMARK_AT": f"{time.time() + SETUP}"} if processes > 1 else {}
    with contextlib.ExitStack() as stack:
        programs = [
            stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**environment, **shared})
            )
            for _ in range(processes)
        ]
        _ = [*_reports(programs[0], until="begins")]
        before = 0.0 if server is None else server_seconds(server)
        reports = [
            (report["cpu"], report["runs"], report.get("calls", {}))
            for program in programs
            for report in _reports(program, until="cpu")
            if "cpu" in report and "runs" in report
        ]
        needed = 0.0 if server is None else server_seconds(server) - before
    shares = [done for _, done, _ in reports]
    if sum(shares) != runs:
        print(f"{name}, {database}: {shares} of {runs} runs", file=sys.stderr)
        return None
    client, counted = sum(cpu for cpu, _, _ in reports), Counter[str]()
    for _, _, calls in reports:
        counted.update(calls)
    return Cost(name, database, client / runs * 1e6, needed / runs * 1e6, shares, counted)


class _Report(TypedDict, total=False):
    begins: bool
    late: bool
    cpu: float
    runs: int
    calls: dict[str, int]


_REPORT: TypeAdapter[_Report] = TypeAdapter(_Report)


def _reports(program: subprocess.Popen[str], until: Literal["begins", "cpu"]) -> Iterator[_Report]:
    """Iterate over the reports of a program, until one has a key."""
    assert program.stdout is not None
    for line in program.stdout:
        with contextlib.suppress(ValidationError):
            report = _REPORT.validate_json(line)
            yield report
            if until in report:
                return


def costs(server: str, folder: Path, runs: int, peers: Sequence[str]) -> Iterator[Cost]:
    """Measure asyncz and the peers with one process."""
    yield from (ours(server, folder, database, runs) for database in ("sqlite", "postgres"))
    for peer in peers:
        python = str(python_with(*REQUIREMENTS[peer]))
        for database in DATABASES[peer]:
            # APScheduler 4 accepts no schema.
            url = server if peer == "apscheduler_4" else new_url(server, folder, database)
            command = [python, str(PEERS / f"{peer}.py"), url, str(runs)]
            cost = measured(
                peer, database, command, runs, {**os.environ, "PYTHONPATH": str(PEERS)}, _server(server, database)
            )
            if cost is not None:
                yield cost


def ours(server: str, folder: Path, database: str, runs: int, *, processes: int = 1, calls: bool = False) -> Cost:
    """Measure asyncz.

    Args:
        server: Connection string of PostgreSQL.
        folder: Folder for files of SQLite.
        database: `sqlite` or `postgres`.
        runs: Number of runs.
        processes: Number of schedulers.
        calls: Whether to count the calls of the database, which takes time itself.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(PEERS), str(Path.cwd())))}
    command = [sys.executable, str(PEERS / "ours.py"), new_url(server, folder, database), str(runs)]
    command += ["calls"] if calls else []
    cost = measured("asyncz", database, command, runs, environment, _server(server, database), processes)
    assert cost is not None
    return cost


def _server(server: str, database: str) -> str | None:
    return server if database == "postgres" else None


def new_url(server: str, folder: Path, database: str) -> str:
    """Return the URL of an empty database."""
    return f"sqlite:///{folder / uuid4().hex}.db" if database == "sqlite" else new_schema(server)


async def idle_statements(server: str, seconds: float) -> float:
    """Return the number of statements of an idle node per third of its lease, by the statistics of the server."""

    async def commits(duration: float) -> int:
        # No other program uses this database.
        name = f"asyncz_idle_{uuid4().hex}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        store = PostgresStore(make_conninfo(server, dbname=name))
        async with AsyncIOScheduler(store=store, store_options=StoreOptions(lease=LEASE)):
            await asyncio.sleep(1)
            start = _commits(server, name)
            await asyncio.sleep(duration)
        await asyncio.sleep(0.5)
        return _commits(server, name) - start

    with without_autovacuum(server):
        short, long = await commits(1.0), await commits(1.0 + seconds)
    return (long - short) / (seconds / (LEASE / 3))


@contextlib.contextmanager
def without_autovacuum(server: str) -> Iterator[None]:
    """Turn the automatic vacuum of a server off meanwhile: its workers commit transactions in each database."""
    _set_autovacuum(server, "SET autovacuum = off")
    try:
        yield
    finally:
        _set_autovacuum(server, "RESET autovacuum")


def _set_autovacuum(server: str, change: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM {change}".encode())
        connection.execute("SELECT pg_reload_conf()")


def _commits(server: str, database: str) -> int:
    """Return the number of transactions of a database, in a connection with another one."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        (row,) = connection.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = %s", (database,)
        ).fetchall()
        return int(row[0])


def print_costs(found: Iterable[Cost]) -> dict[str, Cost]:
    """Print a table, and return the costs of asyncz by database."""
    ours_of: dict[str, Cost] = {}
    for cost in found:
        base = ours_of.setdefault(cost.database, cost)
        print(
            f"{cost.name:16} {cost.database:9} {cost.client:8.0f} + {cost.server:6.0f} = {cost.total:7.0f} us"
            f" {cost.total / base.total:6.1f} x",
            flush=True,
        )
    return ours_of


def print_processes(server: str, folder: Path, runs: int, alone: Mapping[str, Cost]) -> None:
    """Print the costs with four processes in relation to one."""
    for database, base in alone.items():
        cost = ours(server, folder, database, runs, processes=4)
        print(
            f"4 processes      {database:9} {cost.client:8.0f} + {cost.server:6.0f} = {cost.total:7.0f} us"
            f" {cost.total / base.total:6.2f} x one; least share {cost.least_share:.2f} of the fair one",
            flush=True,
        )


def print_calls(server: str, folder: Path, runs: int) -> None:
    """Print how often the thread of the store calls the database, for many runs at once and for a single one."""
    for database in ("sqlite", "postgres"):
        for number in (runs, 1):
            counted = ours(server, folder, database, number, calls=True).calls
            text = ", ".join(f"{calls / number:.2f} {name}s" for name, calls in sorted(counted.items()))
            print(f"calls, {number:5} run(s) {database:9} per run: {text}", flush=True)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stores", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="number of runs that are due at once")
    parser.add_argument("--peers", nargs="*", choices=[*REQUIREMENTS], default=[*REQUIREMENTS])
    parser.add_argument("--idle", type=float, default=20, help="seconds for the count of idle statements")
    parser.add_argument("--tasks", type=int, default=10_000, help="number of tasks of the restart, and of busy runs")
    options = parser.parse_args()
    with running_server() as server, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = print_costs(costs(server, folder, options.runs, options.peers))
        print_processes(server, folder, options.runs, alone)
        print_calls(server, folder, options.runs)
        for database in alone:
            url, own = new_url(server, folder, database), _server(server, database)
            print(f"{database}: {busy_ratio(url, own, options.tasks)}", flush=True)
            print(f"{database}: {restart(new_url(server, folder, database), options.tasks)}", flush=True)
        idle = asyncio.run(idle_statements(server, options.idle))
        print(f"idle: {idle:.1f} transactions of a node per third of its lease")
        print(imports())


if __name__ == "__main__":
    main()
