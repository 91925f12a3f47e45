"""PostgreSQL behind a proxy that stalls and cuts, and behind a pooler that shares connections."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from asyncz import AsyncIOScheduler, IntervalTrigger
from asyncz.stores import NodeRecord, PostgresStore, RunQuery, RunRecord, StoreOptions, _thread
from asyncz.stores._postgres_connection import Connection
from asyncz.stores.postgres import _PostgresTransactions
from tests.helpers import pgbouncer
from tests.helpers.pgbouncer import BINARY
from tests.helpers.postgres import new_schema
from tests.helpers.proxy import proxy_of, with_options
from tests.helpers.stored_jobs import block, calls, note, release

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.xdist_group("postgres")]

OPTIONS = StoreOptions(lease=3, on_lost="rerun", importable=("tests.helpers",))
HOURLY = IntervalTrigger(hours=1)
OFTEN = IntervalTrigger(seconds=0.1)


@contextmanager
def own_database(server: str) -> Iterator[str]:
    """Provide the URL of a new database, for clients whose options do not reach the server."""
    name = f"asyncz_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield with_options(server, dbname=name)


async def history(url: str) -> list[RunRecord]:
    store = PostgresStore(url, prepare=False, notify=False)
    session = await store.connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
    runs = [*await session.runs(RunQuery(limit=10_000))]
    await session.close()
    return runs


async def has_calls(number: int) -> None:
    async with asyncio.timeout(60):
        while len(calls) < number:
            await asyncio.sleep(0.02)


def check_once(runs: list[RunRecord]) -> None:
    assert max(Counter((run.task_id, run.scheduled_at) for run in runs).values()) == 1
    assert {run.state for run in runs} <= {"executed", "missed", "waiting"}
    assert sum(run.state == "executed" for run in runs) == len(calls)


async def test_stalled_connections_lose_the_lease(postgres_server: str) -> None:
    """A node behind a network that does not answer: its run is taken over, and its late outcome is rejected."""
    url = new_schema(postgres_server)
    with proxy_of(url) as proxy:
        first = AsyncIOScheduler(store=PostgresStore(proxy.url), store_options=OPTIONS)
        second = AsyncIOScheduler(store=PostgresStore(url), store_options=OPTIONS)
        first.add_task(block, "one", id="block", executor="threadpool")
        async with first:
            await has_calls(1)
            async with second:
                proxy.stall()
                await has_calls(2)
                proxy.resume()
                release.set()
                async with asyncio.timeout(60):
                    while not first.store.rejected_outcomes:
                        await asyncio.sleep(0.02)
                # It is a node like the other one again.
                first.add_task(note, "again", id="again", trigger=None).submit()
                await has_calls(3)
    (again, blocked) = await history(url)
    assert (again.state, blocked.state, blocked.fence) == ("executed", "executed", 3)
    assert calls == ["one", "one", "again"]


async def test_connections_that_hang_are_given_up(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither side closes them, so that only a limit ends the wait for an answer."""
    monkeypatch.setattr(_thread, "NO_ANSWER_AFTER", 1.5)
    with proxy_of(new_schema(postgres_server)) as proxy:
        scheduler = AsyncIOScheduler(store=PostgresStore(proxy.url), store_options=OPTIONS)
        scheduler.add_task(note, "one", id="one", trigger=OFTEN)
        async with scheduler:
            await has_calls(5)
            proxy.freeze()
            await asyncio.sleep(0.5)
            await has_calls(len(calls) + 20)
            assert scheduler.store.connected
            # The lease, too, has a new connection.
            await asyncio.sleep(4)
            await has_calls(len(calls) + 20)


async def test_cut_connections_lose_no_run(postgres_server: str) -> None:
    url = new_schema(postgres_server)
    with ExitStack() as stack:
        proxies = [stack.enter_context(proxy_of(url)) for _ in range(2)]
        first, second = (AsyncIOScheduler(store=PostgresStore(proxy.url), store_options=OPTIONS) for proxy in proxies)
        for number in range(4):
            first.add_task(note, f"{number}", id=f"task-{number}", trigger=OFTEN, coalesce=False)
        async with first, second:
            for number in range(20):
                await asyncio.sleep(0.15)
                proxies[number % 2].cut()
            await has_calls(len(calls) + 20)
            for task in first.tasks:
                task.reschedule(HOURLY)
    check_once(await history(url))


@pytest.mark.skipif(BINARY is None, reason="needs the program pgbouncer")
async def test_pooler_in_transaction_mode(postgres_server: str) -> None:
    """Two nodes share two connections of the server, each transaction in any of them."""
    with own_database(postgres_server) as database, pgbouncer.pgbouncer(database) as url:
        await check_without_session_state(url)


async def test_no_session_state_is_needed(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each transaction the server forgets what the session has set, prepared or listened to."""
    connected = _PostgresTransactions._connected

    @contextmanager
    def forgetful(transactions: _PostgresTransactions) -> Generator[Connection, None, None]:
        with connected(transactions) as database:
            yield database
            database.execute("DISCARD ALL")

    monkeypatch.setattr(_PostgresTransactions, "_connected", forgetful)
    with own_database(postgres_server) as url:
        await check_without_session_state(url)


async def check_without_session_state(url: str) -> None:
    stores = [PostgresStore(url, prepare=False, notify=False, poll_interval=0.05) for _ in range(2)]
    first, second = (AsyncIOScheduler(store=store, store_options=OPTIONS) for store in stores)
    async with first, second:
        for number in range(4):
            first.add_task(note, f"{number}", id=f"task-{number}", trigger=OFTEN, coalesce=False)
        await has_calls(40)
        assert len(second.tasks) == 4
        second.get_task("task-0").pause()
        async with asyncio.timeout(60):
            while not first.get_task("task-0").state.paused:
                await asyncio.sleep(0.02)
        for task in second.tasks:
            task.reschedule(HOURLY)
        await asyncio.sleep(0.5)
    check_once(await history(url))
