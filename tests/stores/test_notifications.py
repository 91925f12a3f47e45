"""Notifications of PostgreSQL: a change reaches the other nodes at once, and idle nodes do not poll."""

from __future__ import annotations

import asyncio
import time
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from asyncz import AsyncIOScheduler, IntervalTrigger, TaskModified
from asyncz.stores import Lease, PostgresStore, StoreOptions
from asyncz.stores._postgres_hints import NotificationListener
from asyncz.stores._transactions import DatabaseSession
from tests.helpers.postgres import new_schema
from tests.helpers.stored_jobs import calls, note
from tests.helpers.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.xdist_group("postgres")]

# No other look at the store comes within the time limit of a test.
RARE = StoreOptions(lease=600, importable=("tests.helpers",))
HOURLY = IntervalTrigger(hours=1)


def scheduler_of(url: str, *, notify: bool = True) -> AsyncIOScheduler:
    return AsyncIOScheduler(store=PostgresStore(url, poll_interval=0.1, notify=notify), store_options=RARE)


async def listening(server: str, number: int) -> None:
    """Wait until a number of nodes wait for notifications."""
    with psycopg.connect(server, autocommit=True) as connection:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'asyncz' AND query LIKE 'LISTEN%'"
        async with asyncio.timeout(30):
            while connection.execute(sql.encode()).fetchone() != (number,):
                await asyncio.sleep(0.02)


async def test_changes_and_calls_reach_other_nodes(postgres_server: str) -> None:
    calls.clear()
    url = new_schema(postgres_server)
    async with scheduler_of(url) as first, scheduler_of(url) as second:
        await listening(postgres_server, 2)
        task = first.add_task(note, "one", trigger=HOURLY, id="note", executor="threadpool")
        await until(lambda: len(second.tasks) == 1)
        modified: list[TaskModified] = []
        second.subscribe(TaskModified, modified.append)
        task.pause()
        await until(lambda: [event.fields for event in modified] == [("paused",)])
        first.add_task(note, "two", trigger=None, id="on demand", executor="threadpool")
        await until(lambda: len(second.tasks) == 2)
        for _ in range(10):
            second.get_task("on demand").submit()
        await until(lambda: calls == ["two"] * 10)
        first.remove_task("note")
        await until(lambda: [each.id for each in second.tasks] == ["on demand"])


async def test_idle_nodes_do_not_poll(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    async with scheduler_of(url) as first, scheduler_of(url):
        await listening(postgres_server, 2)
        first.add_task(note, "one", trigger=HOURLY, id="note")
        await asyncio.sleep(1)
        sql = "SELECT max(query_start) FROM pg_stat_activity WHERE application_name = 'asyncz'"
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            before = connection.execute(sql.encode()).fetchone()
            await asyncio.sleep(2)
            assert connection.execute(sql.encode()).fetchone() == before


async def test_lost_listener_connects_again(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    async with scheduler_of(url) as first, scheduler_of(url) as second:
        await listening(postgres_server, 2)
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        first.add_task(note, "one", trigger=HOURLY, id="note")
        await until(lambda: len(second.tasks) == 1)
        await listening(postgres_server, 2)
        first.add_task(note, "two", trigger=HOURLY, id="two")
        await until(lambda: len(second.tasks) == 2)


async def test_polling_replaces_notifications(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    started = time.monotonic()
    async with scheduler_of(url, notify=False) as first, scheduler_of(url, notify=False) as second:
        first.add_task(note, "one", trigger=HOURLY, id="note")
        await until(lambda: len(second.tasks) == 1)
    assert time.monotonic() - started < 100


def commits(server: str, database: str) -> int:
    """Return the transactions in a database, by the statistics of the server; sessions that are over have reported."""
    with psycopg.connect(server, autocommit=True) as connection:
        sql = "SELECT xact_commit FROM pg_stat_database WHERE datname = %s"
        (row,) = connection.execute(sql, [database]).fetchall()
        return int(row[0])


async def test_idle_node_needs_its_renewals_only(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The difference between a long and a short life is what the node does while it is idle."""
    renewals: list[float] = []
    renew = DatabaseSession.renew

    def noted(session: DatabaseSession) -> Lease:
        renewals.append(time.monotonic())
        return renew(session)

    monkeypatch.setattr(DatabaseSession, "renew", noted)
    name = f"idle_{uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = make_conninfo(postgres_server, dbname=name)

    async def live(number: int) -> int:
        renewals.clear()
        before = commits(postgres_server, name)
        scheduler = AsyncIOScheduler(store=PostgresStore(url), store_options=StoreOptions(lease=3))
        scheduler.add_task(note, "one", trigger=HOURLY, id="note")
        async with scheduler:
            await listening(postgres_server, 1)
            number += len(renewals)
            async with asyncio.timeout(120):
                while len(renewals) < number:
                    await asyncio.sleep(0.05)
        async with asyncio.timeout(30):
            # The server ends its sessions a little later.
            while (count := commits(postgres_server, name)) <= before + number or await sessions(postgres_server, name):
                await asyncio.sleep(0.1)
        return count - before - len(renewals)

    # The first life adds the tables and the task.
    await live(1)
    # Less than another one each time: the server itself works in the database, too.
    assert abs(await live(14) - await live(2)) < 12


async def sessions(server: str, database: str) -> int:
    with psycopg.connect(server, autocommit=True) as connection:
        (row,) = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [database]).fetchall()
        return int(row[0])


async def test_listener_survives_any_error(
    postgres_server: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that is not one of the driver is logged, and the thread goes on."""
    listen, failed = NotificationListener._listen, list[bool]()

    def fail_once(listener: NotificationListener) -> None:
        if not failed:
            failed.append(True)
            raise UnicodeError("odd")
        listen(listener)

    monkeypatch.setattr(NotificationListener, "_listen", fail_once)
    url = new_schema(postgres_server)
    async with scheduler_of(url):
        await listening(postgres_server, 1)
    assert "Waiting for notifications failed" in caplog.text
