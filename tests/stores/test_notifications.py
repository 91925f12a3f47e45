"""Notifications of PostgreSQL: a change reaches the other nodes at once, and idle nodes do not poll."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest

from asyncz import AsyncIOScheduler, IntervalTrigger, TaskModified
from asyncz.stores import PostgresStore, StoreOptions
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


async def test_changes_and_calls_reach_other_nodes(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncz.stores.postgres._SLOW_POLL", 600.0)
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


async def test_lost_listener_connects_again(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncz.stores.postgres._SLOW_POLL", 600.0)
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
