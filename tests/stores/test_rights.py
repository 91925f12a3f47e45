"""Stores that a process may only read: roles without privileges, standbys, and files of other users."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from asyncz import AsyncIOScheduler, IntervalTrigger
from asyncz.cli.app import app
from asyncz.dashboard import StoreDashboard, User
from asyncz.dashboard.states import ActionReport
from asyncz.stores import NodeRecord, PostgresStore, SqliteStore, StoreUnavailableError, _postgres_migrations as module
from asyncz.stores._admin_urls import opened_admin
from asyncz.stores._migrations import migrations
from tests.dashboard.serving import client_of
from tests.helpers.postgres import new_role, new_schema, running_standby
from tests.helpers.proxy import with_options
from tests.helpers.stored_jobs import note

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=15)


async def connect(url: str) -> None:
    session = await PostgresStore(url).connect(NodeRecord(id=uuid4().hex), TTL)
    await session.close()


async def rejection(url: str) -> str:
    """Return the text of the error of a node that cannot write."""
    with pytest.raises(StoreUnavailableError) as caught:
        await connect(url)
    assert "cannot be reached" not in str(caught.value)
    return caught.value.reason


def schema_of(url: str) -> str:
    return f"{conninfo_to_dict(url)['options']}".removeprefix("-csearch_path=")


async def run_once(url: str) -> None:
    """Have a node run a task, so that there is something to read."""
    scheduler = AsyncIOScheduler(store=url)
    scheduler.add_task(note, "x", id="note", trigger=IntervalTrigger(hours=1))
    async with scheduler:
        await scheduler.get_task("note").run().notification()


async def check_reads(url: str) -> None:
    """Check that commands and pages which only read work, and that actions name the reason against them."""
    for arguments in (["ps", url, "--json"], ["logs", url, "note", "--json"], ["store", "check", url]):
        result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        assert result.exit_code == 0, result.output
        assert "note" in result.output or "current" in result.output
    dashboard = StoreDashboard(url, lambda _: User("operate", "mara"))
    async with client_of(dashboard) as client:
        for page in ("info", "tasks", "runs", "executors", "timeline", "events", "task?id=note"):
            answer = await client.get(f"/api/{page}")
            assert answer.status_code == 200, answer.text
        for page in ("tasks", "runs", "executors", "metrics", "task?id=note"):
            answer = await client.get(f"/{page}")
            assert answer.status_code == 200, answer.text
        answer = await client.post("/api/actions", json={"action": "pause", "task_ids": ["note"]})
        (failure,) = ActionReport.model_validate_json(answer.text).failed
        assert failure.message == "the store rejects that now; the log has the reason"
    dashboard.close()
    result = await asyncio.to_thread(CliRunner().invoke, app, ["pause", url, "note"])
    assert result.exit_code == 1
    assert "cannot be reached" not in result.output


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_role_that_reads_uses_commands_and_pages(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    await run_once(url)
    schema = schema_of(url)
    role = new_role(url, f"USAGE ON SCHEMA {schema}", f"SELECT ON ALL TABLES IN SCHEMA {schema}")
    reading = with_options(url, user=role)
    assert "permission denied for table asyncz_nodes; GRANT the role" in await rejection(reading)
    await check_reads(reading)


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_role_without_privileges_is_advised(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    schema = schema_of(url)
    role = new_role(url, f"USAGE ON SCHEMA {schema}")
    reason = await rejection(with_options(url, user=role))
    assert "permission denied for schema" in reason
    assert "`asyncz store migrate` with a role that owns the tables, or may CREATE them" in reason
    await connect(url)
    assert "permission denied for table asyncz_schema; GRANT" in await rejection(with_options(url, user=role))
    assert "no schema has been selected" in await rejection(with_options(url, options="-csearch_path=nowhere"))


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_role_that_may_not_create_is_a_node(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    await connect(url)
    schema = schema_of(url)
    role = new_role(
        url, f"USAGE ON SCHEMA {schema}", f"SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema}"
    )
    await run_once(with_options(url, user=role))


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_standby_is_read() -> None:
    def check() -> None:
        with running_standby(lambda url: asyncio.run(run_once(url))) as url:
            reason = asyncio.run(rejection(url))
            assert "read-only transaction; connect to the primary server" in reason
            asyncio.run(check_reads(url))

    await asyncio.to_thread(check)


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_read_only_default_is_named(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    read_only = f"{url}%20-cdefault_transaction_read_only%3Don"
    assert "not read-only" in await rejection(read_only)
    await connect(url)
    assert "or switch default_transaction_read_only off" in await rejection(read_only)


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
def test_check_leaves_no_setting_to_other_clients(postgres_server: str) -> None:
    """A pooler hands a connection of the server from one client to the next."""
    with opened_admin(new_schema(postgres_server), "create") as admin:
        admin.migrate()
    with opened_admin(postgres_server, "read") as admin:
        assert admin.status().problem
        assert admin.query("SHOW default_transaction_read_only") == [("off",)]
        with pytest.raises(StoreUnavailableError, match="read-only"):
            admin.query("CREATE TABLE made (id integer)")


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_new_schema_of_role_hides_no_tables(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later migrations belong to the tables that are there, not to a schema that is found before them."""
    url = new_schema(postgres_server)
    known = migrations("postgres")
    with monkeypatch.context() as patch:
        patch.setattr(module, "migrations", lambda _: known[:3])
        with opened_admin(url, "create") as admin:
            assert len(admin.migrate()) == 3
    first, second = schema_of(url), schema_of(new_schema(postgres_server))
    both = with_options(url, options=f"-csearch_path={second},{first}")
    with opened_admin(both, "create") as admin:
        assert len(admin.migrate()) == len(known) - 3
    with psycopg.connect(url) as connection:
        counts = connection.execute(
            "SELECT DISTINCT schemaname::text FROM pg_tables WHERE tablename LIKE 'asyncz%%' AND schemaname = ANY (%s)",
            [[first, second]],
        ).fetchall()
    assert counts == [(first,)]


@contextmanager
def other_user() -> Iterator[None]:
    """Give up the rights of root, who may write each file. What is not imported before may not be found."""
    nobody = 65534
    if os.geteuid() == 0:
        os.seteuid(nobody)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


@pytest.fixture
def folder() -> Iterator[Path]:
    """Folder that each user may read, and none but root may write."""
    with tempfile.TemporaryDirectory(prefix="asyncz-rights-") as name:
        Path(name).chmod(0o755)
        yield Path(name)
        Path(name).chmod(0o755)


def close_to_others(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        path.chmod(path.stat().st_mode & ~0o222)


async def test_file_of_other_user_is_read(folder: Path) -> None:
    path = folder / "jobs.db"
    store, url = SqliteStore(path), f"sqlite:///{path}"
    node = await store.connect(NodeRecord(id="node"), TTL)
    try:
        with opened_admin(url, "read") as admin:
            assert len(admin.nodes()) == 1
        close_to_others(folder)
        with other_user():
            with opened_admin(url, "write") as admin:
                assert not admin.status().problem
                assert len(admin.nodes()) == 1
                with pytest.raises(StoreUnavailableError, match="readonly database; this process needs the right"):
                    admin.query("DELETE FROM asyncz_nodes")
            with pytest.raises(StoreUnavailableError, match="readonly database; this process needs the right"):
                await store.connect(NodeRecord(id="other"), TTL)
    finally:
        await asyncio.to_thread(folder.chmod, 0o755)
        await node.close()


async def test_folder_of_other_user_is_named(folder: Path) -> None:
    """Without a scheduler that uses the file, SQLite has to make files beside it."""
    path = folder / "jobs.db"
    await (await SqliteStore(path).connect(NodeRecord(id="node"), TTL)).close()
    close_to_others(folder)
    with other_user():
        with (
            opened_admin(f"sqlite:///{path}", "write") as admin,
            pytest.raises(StoreUnavailableError, match="the right to write the file and its folder"),
        ):
            _ = admin.status()
        with pytest.raises(StoreUnavailableError, match="the right to write the file and its folder"):
            await SqliteStore(path).connect(NodeRecord(id="other"), TTL)
        with pytest.raises(StoreUnavailableError, match="the right to write the file and its folder"):
            await SqliteStore(folder / "new.db").connect(NodeRecord(id="other"), TTL)


async def test_locked_and_damaged_files_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncz.stores.sqlite._BUSY_TIMEOUT", 0.01)
    path = folder / "jobs.db"
    await (await SqliteStore(path).connect(NodeRecord(id="node"), TTL)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="is locked; another process"):
            await SqliteStore(path).connect(NodeRecord(id="other"), TTL)
    path.write_bytes(path.read_bytes()[:5000] + b"x" * 60000)
    with pytest.raises(StoreUnavailableError, match="restore a backup"):
        await SqliteStore(path).connect(NodeRecord(id="other"), TTL)
