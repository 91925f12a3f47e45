"""CPU time of one stored run beside other libraries, in environments of their own.

python -m tests.benchmarks.stores [--runs N] [--peers NAME ...]

Prints the CPU time of client and server from just before the due times until all runs have ended, per run, and what
the peers need in relation to asyncz. Compare the ratios of one call only. PostgreSQL counts the idle statements.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import attrs
import psycopg

from asyncz import AsyncIOScheduler
from asyncz.stores import StoreOptions
from tests.benchmarks.venvs import python_with
from tests.helpers.postgres import new_schema, running_server

PEERS = Path(__file__).with_name("store_peers")
LEASE = 3.0
REQUIREMENTS = {
    "apscheduler_3": ("apscheduler==3.11.3", "sqlalchemy", "psycopg[binary]"),
    "apscheduler_4": ("apscheduler==4.0.0a6", "sqlalchemy", "asyncpg", "sniffio", "greenlet"),
    "procrastinate_3": ("procrastinate==3.10.0", "psycopg[binary]"),
}
DATABASES = {"apscheduler_3": ("sqlite", "postgres"), "apscheduler_4": ("postgres",), "procrastinate_3": ("postgres",)}


@attrs.frozen
class Cost:
    """CPU time per run in microseconds."""

    name: str
    database: str
    client: float
    server: float

    @property
    def total(self) -> float:
        return self.client + self.server


def server_seconds() -> float:
    """CPU time of all PostgreSQL processes of this machine, of ended ones too."""
    ticks, total = os.sysconf("SC_CLK_TCK"), 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().rpartition(")")
            if "(postgres" in name:
                fields = rest.split()
                total += sum(int(field) for field in fields[11:15])
    return total / ticks


def measured(name: str, database: str, command: Sequence[str], runs: int, environment: dict[str, str]) -> Cost | None:
    """Run a program; None if it fails."""
    before = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as program:
        assert program.stdout is not None
        for line in program.stdout:
            with contextlib.suppress(json.JSONDecodeError):
                report = json.loads(line)
                if "begins" in report:
                    before = server_seconds()
                if "cpu" in report and report["runs"] == runs:
                    server = server_seconds() - before if database == "postgres" else 0.0
                    return Cost(name, database, report["cpu"] / runs * 1e6, server / runs * 1e6)
                if "cpu" in report or "late" in report:
                    print(f"{name}, {database}: {line.strip()}", file=sys.stderr)
    return None


def costs(server: str, folder: Path, runs: int, peers: Sequence[str]) -> Iterator[Cost]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(PEERS), str(Path.cwd())))}
    programs = [("asyncz", sys.executable, "ours.py", database) for database in ("sqlite", "postgres")]
    for peer in peers:
        python = python_with(*REQUIREMENTS[peer])
        programs += [(peer, str(python), f"{peer}.py", database) for database in DATABASES[peer]]
    for name, python_path, program, database in programs:
        url = f"sqlite:///{folder / uuid4().hex}.db" if database == "sqlite" else new_schema(server)
        if name == "apscheduler_4":
            url = server
        variables = environment if name == "asyncz" else {**environment, "PYTHONPATH": str(PEERS)}
        cost = measured(name, database, [python_path, str(PEERS / program), url, str(runs)], runs, variables)
        if cost is not None:
            yield cost


async def idle_statements(server: str, seconds: float) -> float:
    """Return the number of statements of an idle node per third of its lease, by the statistics of the server."""

    async def commits(duration: float) -> int:
        url = new_schema(server)
        async with AsyncIOScheduler(store=url, store_options=StoreOptions(lease=LEASE)):
            await asyncio.sleep(1)
            start = _commits(server)
            await asyncio.sleep(duration)
        await asyncio.sleep(0.5)
        return _commits(server) - start

    short, long = await commits(1.0), await commits(1.0 + seconds)
    return (long - short) / (seconds / (LEASE / 3))


def _commits(server: str) -> int:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        (row,) = connection.execute(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        ).fetchall()
        return int(row[0])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stores", description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="number of runs that are due at once")
    parser.add_argument("--peers", nargs="*", choices=[*REQUIREMENTS], default=[*REQUIREMENTS])
    parser.add_argument("--idle", type=float, default=20, help="seconds for the count of idle statements")
    options = parser.parse_args()
    with running_server() as server, tempfile.TemporaryDirectory() as folder:
        found: list[Cost] = []
        for cost in costs(server, Path(folder), options.runs, options.peers):
            ours = next((each.total for each in found if each.database == cost.database), cost.total)
            found.append(cost)
            print(
                f"{cost.name:16} {cost.database:9} {cost.client:8.0f} + {cost.server:6.0f} = {cost.total:7.0f} us"
                f" {cost.total / ours:6.1f} x",
                flush=True,
            )
        idle = asyncio.run(idle_statements(server, options.idle))
        print(f"idle: {idle:.1f} transactions of a node per third of its lease")


if __name__ == "__main__":
    main()
