"""Errors of stores: unusable arguments, files, servers, schemas and records."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import psycopg
import pytest
from pydantic import ValidationError
from typing_extensions import override

from asyncz import AsynczError, InvalidInputError, MissingExtraError
from asyncz.stores import (
    Firing,
    MemoryStore,
    NodeRecord,
    PostgresStore,
    RunRecord,
    SqliteStore,
    Store,
    StoreClosedError,
    StoreConnectionError,
    StoredTaskConflictError,
    StoreOptions,
    StoreSchemaError,
    StoreSession,
    StoreUnavailableError,
    TaskRecord,
    _postgres_connection,
    _postgres_migrations,
)
from asyncz.stores._migrations import migrations
from asyncz.stores.postgres import _FIRE
from tests.helpers.postgres import new_schema

pytestmark = pytest.mark.anyio

TTL = timedelta(seconds=15)
DUE = datetime(2030, 1, 1, tzinfo=UTC)
NOWHERE = "postgresql://127.0.0.1:1/jobs"


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def connected(store: Store) -> StoreSession:
    return await store.connect(NodeRecord(id=uuid4().hex), TTL)


@pytest.mark.parametrize("make", [lambda _: MemoryStore(), lambda path: SqliteStore(path), lambda _: PostgresStore("")])
async def test_connect_with_short_ttl_raises(make: Callable[[Path], Store], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="at least 3 seconds"):
        await make(tmp_path / "store.db").connect(NodeRecord(id="node"), timedelta(seconds=2))
    assert files_of(tmp_path) == []


async def test_limit_below_one_raises(tmp_path: Path) -> None:
    for store in (MemoryStore(), SqliteStore(tmp_path / "store.db")):
        session = await connected(store)
        with pytest.raises(InvalidInputError, match="limit cannot be"):
            await session.changes(0, 0)
        with pytest.raises(InvalidInputError, match="limit cannot be"):
            await session.overdue(TTL, 0)
        with pytest.raises(InvalidInputError, match="limit cannot be"):
            await session.claim({}, 0)
        with pytest.raises(InvalidInputError, match="limit cannot be"):
            await session.take_over(0)
        with pytest.raises(InvalidInputError, match="limit cannot be"):
            await session.prune({}, -1)
        await session.close()


async def test_sqlite_file_that_is_no_database_raises(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database, but long enough to look at" * 40)
    with pytest.raises(StoreUnavailableError, match=r"store\.db' cannot be used: file is not a database; name another"):
        await connected(SqliteStore(tmp_path / "store.db"))
    with pytest.raises(StoreConnectionError, match="unable to open"):
        await connected(SqliteStore(tmp_path / "missing" / "store.db"))


async def test_sqlite_file_with_newer_schema_raises(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await (await connected(SqliteStore(path))).close()
    newest = migrations("sqlite")[-1].number
    with sqlite3.connect(path) as database:
        _ = database.execute("INSERT INTO asyncz_schema VALUES (?)", (newest + 1,))
    database.close()
    # A node runs on its own schema and on the next one, which only adds to it.
    await (await connected(SqliteStore(path))).close()
    with sqlite3.connect(path) as database:
        _ = database.execute("INSERT INTO asyncz_schema VALUES (?)", (newest + 2,))
    database.close()
    with pytest.raises(StoreSchemaError, match="install a newer version") as caught:
        await connected(SqliteStore(path))
    assert (caught.value.found, caught.value.needed) == (newest + 2, newest)


class FullDisk(sqlite3.Connection):
    """Connection to a file that cannot grow."""

    def __init__(self, path: str, timeout: float, isolation_level: None, check_same_thread: bool) -> None:
        super().__init__(path, timeout=timeout, isolation_level=isolation_level, check_same_thread=check_same_thread)
        (pages,) = self.execute("PRAGMA page_count").fetchone()
        _ = self.execute(f"PRAGMA max_page_count = {pages}")


@pytest.mark.parametrize("poll_interval", [0.0, -1.0, float("nan")])
def test_unusable_poll_interval_raises(poll_interval: float, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="poll_interval cannot be"):
        SqliteStore(tmp_path / "store.db", poll_interval=poll_interval)
    with pytest.raises(InvalidInputError, match="poll_interval cannot be"):
        PostgresStore(NOWHERE, poll_interval=poll_interval)


@pytest.mark.parametrize("version", [-1, 2**31, 1.0, True])
def test_unusable_version_raises(version: int) -> None:
    """The version has to fit into a column of every database."""
    with pytest.raises(InvalidInputError, match=r"version cannot be .* from 0 to 2147483647"):
        StoreOptions(version=version)
    assert StoreOptions(version=2**31 - 1).version == 2147483647


class WatchedConnection(sqlite3.Connection):
    """Connection that notifies of its end."""

    closed: ClassVar[threading.Event]

    @override
    def close(self) -> None:
        super().close()
        self.closed.set()


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Event of the end of a connection."""
    WatchedConnection.closed = threading.Event()
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=WatchedConnection))
    return WatchedConnection.closed


async def test_failed_connect_closes_the_connection(tmp_path: Path, closed: threading.Event) -> None:
    def fail() -> float:
        raise RuntimeError("no clock")

    with pytest.raises(RuntimeError, match="no clock"):
        await connected(SqliteStore(tmp_path / "store.db", now=fail))
    assert await asyncio.to_thread(closed.wait, 30)


async def test_cancelled_connect_closes_the_connection(tmp_path: Path, closed: threading.Event) -> None:
    asked, answered = threading.Event(), threading.Event()

    def wait() -> float:
        asked.set()
        assert answered.wait(30)
        return 0.0

    connecting = asyncio.create_task(connected(SqliteStore(tmp_path / "store.db", now=wait)))
    assert await asyncio.to_thread(asked.wait, 30)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    answered.set()
    assert await asyncio.to_thread(closed.wait, 30)


async def test_full_disk_is_reported_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    await (await connected(SqliteStore(path))).close()
    monkeypatch.setattr(sqlite3, "connect", FullDisk)
    session = await connected(SqliteStore(path))
    with pytest.raises(StoreConnectionError, match="is full"):
        await session.declare([TaskRecord(id="task", function="jobs:report" * 10_000)], "update")
    await session.close()


async def test_server_that_is_not_there_raises() -> None:
    with pytest.raises(StoreConnectionError, match=r"postgresql://127\.0\.0\.1/jobs cannot be reached"):
        await connected(PostgresStore(NOWHERE))


def test_password_of_the_server_is_not_shown() -> None:
    async def connect() -> None:
        await connected(PostgresStore("postgresql://user:very-secret@127.0.0.1:1/jobs"))

    with pytest.raises(StoreConnectionError) as caught:
        asyncio.run(connect())
    assert "very-secret" not in f"{caught.value!r} {caught.value}"


def test_connection_string_that_is_none_raises() -> None:
    with pytest.raises(InvalidInputError, match="pass a connection string of libpq") as caught:
        PostgresStore("host=secret unknown_key=1")
    assert "secret" not in str(caught.value)


def test_postgres_store_without_psycopg_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "asyncz.stores.postgres")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"PostgresStore needs psycopg.*\[postgres\]"):
        import asyncz.stores.postgres  # noqa: F401


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_postgres_with_newer_schema_raises(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    await (await connected(PostgresStore(url))).close()
    with psycopg.connect(url, autocommit=True) as connection:
        _ = connection.execute("INSERT INTO asyncz_schema VALUES (99)")
    with pytest.raises(StoreSchemaError, match="the schema 99"):
        await connected(PostgresStore(url))


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_lost_connection_raises_and_is_replaced(postgres_server: str) -> None:
    session = await connected(PostgresStore(new_schema(postgres_server)))
    (before,) = await session.declare([TaskRecord(id="task", function="jobs:report")], "update")
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        _ = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'asyncz'"
        )
    with pytest.raises(StoreConnectionError):
        await session.nodes()
    assert [*await session.changes(0, 10)] == [before]
    assert not session.renew().lost
    await session.close()


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_nodes_start_together_on_empty_database(postgres_server: str) -> None:
    store = PostgresStore(new_schema(postgres_server))
    sessions = await asyncio.gather(*(connected(store) for _ in range(8)))
    assert len(await sessions[0].nodes()) == 8
    for session in sessions:
        await session.close()


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_postgres_upgrade_beside_firing_node(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upgrade waits for a transaction of a user, and a node that fires for the upgrade: no deadlock."""
    url = new_schema(postgres_server)
    missing = _make_old_schema(url, monkeypatch)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_TIMEOUT", 60)

    def fire() -> None:
        with _postgres_connection.connected(url, prepare=False) as own:
            _ = own.execute(_FIRE, {"firings": "[]", "runs": "[]", "node": "node", "now": None})

    with _long_transaction(url) as outbox, psycopg.connect(url, autocommit=True) as observer:
        upgrading = asyncio.create_task(asyncio.to_thread(_upgrade, url))
        await _until_waiting(observer, 1)
        firing = asyncio.create_task(asyncio.to_thread(fire))
        await _until_waiting(observer, 2)
        outbox.commit()
        await firing
        assert await upgrading == missing


@contextmanager
def _long_transaction(url: str) -> Iterator[psycopg.Connection]:
    """Keep a transaction open that has written to the table of runs."""
    with psycopg.connect(url) as connection:
        _ = connection.execute("LOCK TABLE asyncz_runs IN ROW EXCLUSIVE MODE")
        yield connection


def _make_old_schema(url: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Apply the first three migrations, and return the number of the others."""
    known = migrations("postgres")
    with monkeypatch.context() as patch, _postgres_connection.connected(url, prepare=False) as connection:
        patch.setattr(_postgres_migrations, "migrations", lambda _: known[:3])
        assert len(_postgres_migrations.migrate(connection, "store")) == 3
    return len(known) - 3


def _upgrade(url: str) -> int:
    """Apply the other migrations, and return their number."""
    with _postgres_connection.connected(url, prepare=False) as connection:
        return len(_postgres_migrations.migrate(connection, "store"))


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_postgres_upgrade_lets_nodes_work(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """During a long transaction, a node can write between the tries of the upgrade."""
    url = new_schema(postgres_server)
    missing = _make_old_schema(url, monkeypatch)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_TIMEOUT", 0.2)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_PAUSE", 0.2)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_WAIT", 1000.0)
    with _long_transaction(url) as long, psycopg.connect(url, autocommit=True) as observer:
        upgrading = asyncio.create_task(asyncio.to_thread(_upgrade, url))
        # Later than the upgrade in the queue of the lock, and granted while the long transaction goes on.
        for _ in range(3):
            await _until_waiting(observer, 1)
            assert await asyncio.to_thread(lambda: observer.execute("DELETE FROM asyncz_runs").rowcount) == 0
        assert not upgrading.done()
        # Another process that migrates waits outside of the queue of the table.
        second = asyncio.create_task(asyncio.to_thread(_upgrade, url))
        await _until_waiting(observer, 1)
        long.commit()
        assert await upgrading + await second == missing


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_postgres_upgrade_gives_up(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = new_schema(postgres_server)
    missing = _make_old_schema(url, monkeypatch)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_TIMEOUT", 0.05)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_PAUSE", 0.01)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_WAIT", 0.5)
    with _long_transaction(url) as long:
        with pytest.raises(StoreUnavailableError, match=r"0004_reports.sql waits for the locks of another") as caught:
            await connected(PostgresStore(url))
        pid = long.info.backend_pid
        assert f": process {pid} (user " in caught.value.reason
        assert f"SELECT pg_terminate_backend({pid})" in caught.value.reason
        assert "reached" not in str(caught.value)
        long.commit()
    assert _upgrade(url) == missing


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_postgres_upgrades_give_up_together(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that start at once behind a long transaction wait at the same time, and name that transaction."""
    url = new_schema(postgres_server)
    missing = _make_old_schema(url, monkeypatch)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_TIMEOUT", 0.1)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_PAUSE", 0.1)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_WAIT", 2.0)
    with _long_transaction(url) as long:
        begin = time.monotonic()
        failures = await asyncio.gather(*(connected(PostgresStore(url)) for _ in range(5)), return_exceptions=True)
        assert time.monotonic() - begin < 6
        for failure in failures:
            assert isinstance(failure, StoreUnavailableError)
            assert f"pg_terminate_backend({long.info.backend_pid})" in failure.reason
        long.commit()
    assert _upgrade(url) == missing


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_postgres_upgrade_names_other_one(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = new_schema(postgres_server)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_WAIT", 0.2)
    with psycopg.connect(url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [_postgres_migrations._MIGRATION_LOCK])
        with pytest.raises(
            StoreUnavailableError, match=r"another node applies migrations: process .*; wait for its end"
        ):
            await connected(PostgresStore(url))


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize("limit", ["statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout"])
async def test_postgres_upgrade_has_no_other_limits(
    postgres_server: str, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """Limits that a role has for its statements do not end a migration that waits."""
    url = new_schema(postgres_server)
    missing = _make_old_schema(url, monkeypatch)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_TIMEOUT", 0.3)
    monkeypatch.setattr(_postgres_migrations, "_LOCK_PAUSE", 0.3)
    with _long_transaction(url) as long:
        upgrading = asyncio.create_task(asyncio.to_thread(_upgrade, f"{url}%20-c{limit}%3D100"))
        await asyncio.wait([upgrading], timeout=1)
        long.commit()
        assert await upgrading == missing


async def _until_waiting(observer: psycopg.Connection, number: int) -> None:
    """Wait until a number of connections wait for the lock of the table of runs."""
    statement = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass('asyncz_runs')"
    async with asyncio.timeout(30):
        while observer.execute(statement).fetchall() != [(number,)]:
            await asyncio.sleep(0.01)


async def test_nodes_start_together_on_new_file(tmp_path: Path) -> None:
    sessions = await asyncio.gather(*(connected(SqliteStore(tmp_path / "store.db")) for _ in range(8)))
    assert len(await sessions[0].nodes()) == 8
    for session in sessions:
        await session.close()
    assert files_of(tmp_path) == ["store.db"]


async def test_sqlite_store_keeps_records_when_reopened(tmp_path: Path) -> None:
    first = await connected(SqliteStore(tmp_path / "store.db"))
    (task,) = await first.declare([TaskRecord(id="task", function="jobs:report", next_due=DUE)], "update")
    await first.close()
    second = await connected(SqliteStore(tmp_path / "store.db"))
    assert [*await second.changes(0, 10)] == [task]
    await second.close()


async def test_calls_before_end_of_close_are_made(tmp_path: Path) -> None:
    session = await connected(SqliteStore(tmp_path / "store.db"))
    call = asyncio.ensure_future(session.nodes())
    await asyncio.sleep(0)
    await session.close()
    assert len(await call) == 1


async def test_cancelled_call_does_not_stop_the_thread(tmp_path: Path) -> None:
    session = await connected(SqliteStore(tmp_path / "store.db"))
    call = asyncio.ensure_future(session.declare([TaskRecord(id="task", function="jobs:report")], "update"))
    await asyncio.sleep(0)
    call.cancel()
    assert [task.id for task in await session.changes(0, 10)] == ["task"]
    await session.close()


def test_call_outlives_its_loop(tmp_path: Path) -> None:
    session: list[StoreSession] = []
    calls: list[object] = []

    async def abandon() -> None:
        session.append(await connected(SqliteStore(tmp_path / "store.db")))
        calls.append(asyncio.ensure_future(session[0].nodes()))
        await asyncio.sleep(0)

    async def close() -> None:
        assert len(await session[0].nodes()) == 1
        await session[0].close()

    asyncio.run(abandon())
    asyncio.run(close())


def test_errors_say_what_to_do() -> None:
    errors: tuple[AsynczError, ...] = (StoreClosedError("memory"), StoredTaskConflictError("report"))
    assert [str(error) for error in errors] == [
        "the session with the store memory has been closed; open a new one",
        (
            "the store has a task 'report' with another declaration; choose another id, or another policy for existing"
            " tasks"
        ),
    ]


def test_impossible_records_are_rejected() -> None:
    with pytest.raises(ValidationError, match="which is not after due"):
        Firing(task_id="task", version=1, due=DUE, next_due=DUE, runs=())
    run = RunRecord(id=uuid4(), task_id="other", scheduled_at=DUE)
    with pytest.raises(ValidationError):
        Firing(task_id="task", version=1, due=DUE, next_due=None, runs=(run,))
    with pytest.raises(ValidationError, match="of the kind 'missed'"):
        RunRecord(id=uuid4(), task_id="task", scheduled_at=DUE, kind="missed", state="running")
    with pytest.raises(ValidationError):
        RunRecord(id=uuid4(), task_id="task", scheduled_at=datetime(2030, 1, 1))
    assert not run.done
