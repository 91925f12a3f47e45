"""`asyncz store migrate`, `check`, `sql` and `prune`, for both databases."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import psycopg
import pytest
from typer.testing import CliRunner

from asyncz.cli.app import app
from asyncz.stores import (
    FinalRunState,
    NodeRecord,
    Outcome,
    PostgresStore,
    RunQuery,
    RunRecord,
    SqliteStore,
    Store,
    StoreSchemaError,
    TaskRecord,
)
from asyncz.stores._admin import PruneRule, StoreAdmin
from asyncz.stores._migrations import migrations
from asyncz.stores._urls import store_of
from tests.helpers.postgres import new_schema, running_server

pytestmark = pytest.mark.anyio

DAY = 86_400.0
TTL = timedelta(seconds=15)
LONG_AGO = datetime(2020, 1, 2, 3, 4, tzinfo=UTC)


class Finished(NamedTuple):
    status: int
    output: str
    errors: str

    def report(self) -> dict[str, object]:
        report: dict[str, object] = json.loads(self.output)
        return report


def invoke(*arguments: str) -> Finished:
    result = CliRunner().invoke(app, ["store", *arguments])
    return Finished(result.exit_code, result.stdout, result.stderr)


def succeed(*arguments: str) -> Finished:
    result = invoke(*arguments)
    assert (result.status, result.errors) == (0, ""), result.errors
    return result


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture(
    params=["sqlite", pytest.param("postgres", marks=[pytest.mark.slow, pytest.mark.xdist_group("postgres")])]
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs.db'}"
    server: str = request.getfixturevalue("server")
    return new_schema(server)


def execute(url: str, script: str) -> None:
    """Execute statements as an administrator would."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.executescript(script)
        connection.close()
    else:
        with psycopg.connect(url, autocommit=True) as database:
            database.execute(script.encode())


def store_at(url: str, now: float) -> Store:
    if url.startswith("sqlite"):
        return SqliteStore(url.removeprefix("sqlite:///"), now=lambda: now)
    return PostgresStore(url, now=lambda: now)


async def add_runs(url: str, task_id: str, ages: Sequence[float], state: FinalRunState = "executed") -> None:
    """Add finished runs, each with the age of its outcome in days."""
    now = time.time()
    for age in ages:
        then = datetime.fromtimestamp(now - age * DAY, UTC)
        session = await store_at(url, then.timestamp()).connect(NodeRecord(id=uuid4().hex), TTL)
        run = RunRecord(id=uuid4(), task_id=task_id, kind="submitted", scheduled_at=then, state="waiting")
        await session.submit([run])
        (claimed,) = await session.claim({"asyncio": 1}, 1)
        outcome = Outcome(run_id=claimed.id, fence=claimed.fence, state=state, finished_at=then)
        assert await session.finish([outcome]) == [claimed.id]
        await session.close()


async def runs_of(url: str) -> Sequence[RunRecord]:
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), TTL)
    found = await session.runs(RunQuery(limit=1000))
    await session.close()
    return found


# migrate, check and sql


def test_migrate_makes_schema_once(url: str) -> None:
    assert invoke("check", url).status == 1
    names = [migration.name for migration in migrations("sqlite")]
    first = succeed("migrate", url, "--json").report()
    assert (first["applied"], first["schema"]) == (names, len(names))
    assert succeed("migrate", url, "--json").report()["applied"] == []
    assert "has the schema" in succeed("migrate", url).output
    assert ", current" in succeed("check", url).output


async def test_check_counts_tasks_runs_and_nodes(url: str) -> None:
    await add_runs(url, "report", [0, 0])
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex, name="web-1:5"), TTL)
    await session.submit([RunRecord(id=uuid4(), task_id="report", kind="submitted", scheduled_at=datetime.now(UTC))])
    await session.declare([TaskRecord(id=each, function="jobs:report") for each in ("a", "b", "c")], "update")
    await session.remove(["c"])
    report = succeed("check", url, "--json").report()
    assert report["tasks"] == {"active": 2, "removed": 1}
    assert report["runs"] == {"executed": 2, "running": 1}
    assert "'name': 'web-1:5'" in str(report["nodes"])
    assert "3 (2 executed, 1 running)" in succeed("check", url).output
    problem = TaskRecord(id="b", function="gone:report", version=1, state="parked", problem="unknown function")
    assert await session.change(problem) is not None
    await session.announce(["a"])
    undeclared = TaskRecord(id="a", function="jobs:report", version=1, state="undeclared", inactive_since=LONG_AGO)
    assert await session.change(undeclared) is not None
    found = succeed("check", url).output
    assert "undeclared since 2020-01-02 03:04: a\n" in found
    assert "parked: b: unknown function\n" in found
    assert succeed("check", url, "--json").report()["parked"] == {"b": "unknown function"}
    await session.close()


def test_printed_statements_make_the_schema(url: str) -> None:
    execute(url, succeed("sql", url).output)
    assert ", current" in succeed("check", url).output
    assert succeed("migrate", url, "--json").report()["applied"] == []
    newest = str(len(migrations("sqlite")))
    assert succeed("sql", url, "--from", newest).output == f"-- no migration after {newest}\n"


@pytest.mark.parametrize("name", ["sqlite", "postgresql", "postgres"])
def test_statements_need_no_database(name: str) -> None:
    assert succeed("sql", name).output.startswith("BEGIN;\nCREATE TABLE")
    assert invoke("sql", "oracle").status == 2


async def test_newer_schema_is_reported(url: str) -> None:
    succeed("migrate", url)
    execute(url, "INSERT INTO asyncz_schema VALUES (99)")
    found = invoke("check", url)
    assert (found.status, found.errors) == (1, "")
    assert "schema 99, needed" in found.output
    assert "install a newer one" in found.output
    for command in (("migrate", url), ("prune", url, "--keep", "1"), ("prune", url, "--keep", "1", "--dry-run")):
        result = invoke(*command)
        assert (result.status, result.output) == (1, "")
        assert "newer" in result.errors
        assert result.errors.count("\n") == 1


async def test_half_migrated_database_is_reported(url: str) -> None:
    execute(url, "CREATE TABLE asyncz_runs (id integer)")
    assert "was not recorded" in invoke("check", url).output
    result = invoke("migrate", url)
    assert (result.status, result.errors.count("\n")) == (1, 1)
    assert "asyncz_runs" in result.errors
    assert "already exists" in result.errors
    with pytest.raises(StoreSchemaError, match="already exists"):
        await store_of(url).connect(NodeRecord(id=uuid4().hex), TTL)
    # Nothing was changed.
    assert "was not recorded" in invoke("check", url).output
    execute(url, "DROP TABLE asyncz_runs")
    succeed("migrate", url)


def test_missing_column_is_reported(url: str) -> None:
    succeed("migrate", url)
    execute(url, "ALTER TABLE asyncz_runs DROP COLUMN traceback")
    result = invoke("check", url, "--json")
    assert result.status == 1
    assert "asyncz_runs lacks traceback" in result.output
    assert "lacks traceback" in invoke("prune", url, "--keep", "3").errors


def test_user_version_and_tables_of_others_are_kept(tmp_path: Path) -> None:
    """A store may be in the file of an application, which has its own schema."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    execute(url, "PRAGMA user_version = 7; CREATE TABLE orders (id integer)")
    succeed("migrate", url)
    connection = sqlite3.connect(tmp_path / "app.db")
    assert connection.execute("PRAGMA user_version").fetchone() == (7,)
    assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)
    connection.close()
    assert ", current" in succeed("check", url).output


@pytest.mark.parametrize("command", ["check", "prune"])
def test_missing_file_is_not_created(command: str, tmp_path: Path) -> None:
    more = ["--keep", "1"] if command == "prune" else []
    result = invoke(command, f"sqlite:///{tmp_path / 'none.db'}", *more)
    assert result.status == 1
    assert result.errors.endswith("none.db' cannot be reached: there is no such file\n")
    assert list(tmp_path.iterdir()) == []


def test_file_of_another_kind_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "text.db"
    file.write_text("not a database" * 100)
    for command in (["check"], ["migrate"], ["prune", "--keep", "1"]):
        result = invoke(command[0], f"sqlite:///{file}", *command[1:])
        assert (result.status, result.output) == (1, "")
        assert "file is not a database" in result.errors
        assert result.errors.count("\n") == 1
    assert "there is no such file" in invoke("check", f"sqlite:///{tmp_path}").errors


READ_ONLY_PROGRAM = """
import os, sys
from asyncz.cli.app import app
from asyncz.stores._migrations import migrations
import asyncz.stores._admin_sqlite

migrations("sqlite")  # another user may be unable to read the files of the interpreter
if os.getuid() == 0:  # who may write everything
    os.setuid(65534)
sys.argv = ["asyncz", *sys.argv[1:]]
app()
"""


@pytest.mark.slow
def test_read_only_database_is_checked_and_not_changed() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, url = Path(name), f"sqlite:///{name}/jobs.db"
        asyncio.run(add_runs(url, "report", [3, 2, 1]))
        (folder / "jobs.db").chmod(0o444)
        folder.chmod(0o555)
        for arguments, status, text in (
            (["check", url], (0, 1), "jobs.db"),
            (["prune", url, "--keep", "1"], (1,), "cannot be used: attempt to write a readonly database"),
            (["migrate", url], (0, 1), "jobs.db"),
        ):
            result = subprocess.run(
                [sys.executable, "-c", READ_ONLY_PROGRAM, "store", *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
                # The program may not write the data of coverage.
                env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
            )
            assert "Traceback" not in result.stderr
            assert text in result.stdout + result.stderr
            assert result.returncode in status
        folder.chmod(0o755)
        (folder / "jobs.db").chmod(0o644)
        assert len(asyncio.run(runs_of(url))) == 3


# Passwords


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "postgresql://user:s3cr3t@127.0.0.1:1/jobs"),
        ("migrate", "postgresql://user:s3cr3t@127.0.0.1:1/jobs"),
        ("prune", "postgresql://user:s3cr3t@127.0.0.1:1/jobs", "--keep", "3"),
        ("check", "postgresql://user:s3cr3t@127.0.0.1:1/jobs?connect_timeout=x"),
        ("check", "postgresql://user:s3cr3t@x@127.0.0.1:1/jobs"),
        ("check", "postgresql://user:s3cr3t/x@127.0.0.1:1/jobs"),
        ("check", "postgresql://user:%s3cr3t@127.0.0.1:1/jobs"),
        ("check", "mysql://user:s3cr3t@host/jobs"),
        ("sql", "mysql://user:s3cr3t@host/jobs"),
        ("check", "host=x password=s3cr3t"),
        ("check", "sqlite:///x", "postgresql://user:s3cr3t@host/jobs"),
        ("prune", "postgresql://user:s3cr3t@host/jobs", "--older-than", "postgresql://user:s3cr3t@host/jobs"),
        ("postgresql://user:s3cr3t@host/jobs",),
    ],
)
def test_password_is_never_shown(arguments: Sequence[str]) -> None:
    result = invoke(*arguments)
    assert result.status in {1, 2}
    assert "s3cr3t" not in result.output + result.errors
    assert "Traceback" not in result.errors
    if result.status == 1:
        assert result.errors.count("\n") == 1
        assert result.errors.startswith(f"asyncz store {arguments[0]}: ")


def test_url_is_read_from_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCZ_STORE", f"sqlite:///{tmp_path / 'jobs.db'}")
    assert "has the schema" in succeed("migrate").output
    assert ", current" in succeed("check").output


# prune


async def test_prune_deletes_old_runs_only(url: str) -> None:
    await add_runs(url, "report", [40, 20, 3, 0])
    await add_runs(url, "mail", [40], "error")
    arguments = ("prune", url, "--older-than", "10d")
    assert succeed(*arguments, "--dry-run").output == "would delete 3 (2 executed, 1 error)\n"
    assert len(await runs_of(url)) == 5
    only_errors = succeed(*arguments, "--state", "error", "--json").report()
    assert (only_errors["selected"], only_errors["deleted"]) == ({"error": 1}, 1)
    assert succeed(*arguments).output == "deleted 2 (2 executed)\n"
    assert succeed(*arguments).output == "deleted 0\n"
    assert len(await runs_of(url)) == 2


async def test_prune_keeps_newest_of_each_task(url: str) -> None:
    await add_runs(url, "report", [5, 4, 3, 2, 1])
    await add_runs(url, "mail", [9])
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), TTL)
    waiting = [
        RunRecord(id=uuid4(), task_id="mail", kind="submitted", scheduled_at=datetime.now(UTC), state="waiting")
        for _ in range(3)
    ]
    await session.submit(waiting)
    await session.close()
    assert succeed("prune", url, "--keep", "2", "--older-than", "84h").output == "deleted 2 (2 executed)\n"
    assert succeed("prune", url, "--keep", "2").output == "deleted 1 (1 executed)\n"
    left = await runs_of(url)
    assert sorted(run.task_id for run in left if run.done) == ["mail", "report", "report"]
    assert sum(run.state == "waiting" for run in left) == 3
    assert succeed("prune", url, "--keep", "0").output == "deleted 3 (3 executed)\n"


async def test_prune_prints_number_of_deleted_runs(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler may delete a selected run first."""
    await add_runs(url, "report", [5, 4, 3])
    select = StoreAdmin.select

    def select_and_delete_one(admin: StoreAdmin, rule: PruneRule) -> Mapping[FinalRunState, Sequence[int]]:
        selected = select(admin, rule)
        execute(url, f"DELETE FROM asyncz_runs WHERE sequence = {min(selected['executed'])}")
        return selected

    monkeypatch.setattr(StoreAdmin, "select", select_and_delete_one)
    output = "deleted 2; others deleted the rest of 3 (3 executed) meanwhile\n"
    assert succeed("prune", url, "--keep", "0").output == output


def test_failed_read_access_closes_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    class FailingConnection:
        read_only: bool | None = None

        def transaction(self) -> None:
            calls.append(f"begin, read-only: {self.read_only}")
            raise psycopg.OperationalError("server closed the connection")

        def close(self) -> None:
            calls.append("close")

    def connect(url: str, *, prepare: bool) -> FailingConnection:
        return FailingConnection()

    monkeypatch.setattr("asyncz.stores._admin_postgres.connected", connect)
    assert "server closed the connection" in invoke("check", "postgresql:///jobs").errors
    assert calls == ["begin, read-only: True", "close"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say which runs to delete"),
        (("--older-than", "3"), "is not a duration"),
        (("--older-than", "-3d"), "is not a duration"),
        (("--older-than", "3 d"), "is not a duration"),
        (("--older-than", "999999999w"), "is too long"),
        (("--keep", "-1"), "greater than or equal to 0"),
        (("--keep", "1", "--state", "running"), "is not a final state; allowed: executed"),
    ],
)
def test_prune_wrong_arguments_change_nothing(arguments: Sequence[str], message: str, tmp_path: Path) -> None:
    result = invoke("prune", f"sqlite:///{tmp_path / 'jobs.db'}", *arguments)
    assert (result.status, result.output) == (2, "")
    assert message in result.errors
    assert list(tmp_path.iterdir()) == []


async def test_prune_of_ages_before_year_one(url: str) -> None:
    await add_runs(url, "report", [1])
    assert succeed("prune", url, "--older-than", "90000w").output == "deleted 0\n"
    assert succeed("prune", url, "--older-than", "900000w").output == "deleted 0\n"
