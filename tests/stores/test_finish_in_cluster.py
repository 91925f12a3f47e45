"""Numbers of outcomes that transactions of users have stored in PostgreSQL, for listeners of other nodes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import uuid4

import psycopg
import pytest

from asyncz import AsyncIOScheduler, TaskError, TaskExecuted, current_run
from asyncz.stores import (
    NodeRecord,
    Outcome,
    PostgresStore,
    RunQuery,
    RunRecord,
    RunReporting,
    StoreOptions,
    StoreSession,
)
from asyncz.stores._outbox_postgres import PostgresOutboxTransaction
from asyncz.stores._transactions import DatabaseSession
from tests.helpers.connections import with_orders
from tests.helpers.postgres import new_schema
from tests.helpers.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.xdist_group("postgres")]

NOW = datetime.now(UTC)
TTL = timedelta(seconds=15)

finished = threading.Event()
submitting = threading.Event()
release = threading.Event()


@pytest.fixture
def url(postgres_server: str) -> str:
    finished.clear()
    submitting.clear()
    release.clear()
    return with_orders(new_schema(postgres_server))


@contextlib.asynccontextmanager
async def opened(url: str, number: int) -> AsyncGenerator[list[StoreSession], None]:
    """Provide sessions of as many nodes."""
    async with contextlib.AsyncExitStack() as stack:
        sessions: list[StoreSession] = []
        for _ in range(number):
            session = await PostgresStore(url).connect(NodeRecord(id=uuid4().hex), TTL)
            stack.push_async_callback(session.close)
            sessions.append(session)
        yield sessions


def new_run() -> RunRecord:
    return RunRecord(
        id=uuid4(), task_id="book", kind="submitted", state="running", scheduled_at=NOW, executor="threadpool"
    )


def outcome_of(run: RunRecord) -> Outcome:
    return Outcome(run_id=run.id, fence=1, state="executed", result="7", finished_at=NOW)


def write_in(connection: psycopg.Connection[object], *runs: RunRecord) -> None:
    for run in runs:
        assert PostgresOutboxTransaction(connection).finish("", None, outcome_of(run))


async def running(session: StoreSession, number: int) -> list[RunRecord]:
    runs = [new_run() for _ in range(number)]
    assert len(await session.submit(runs)) == number
    return runs


def finish_and_wait(url: str) -> str:
    with psycopg.connect(url) as connection:
        result = current_run().finish_in(connection, "slow")
        finished.set()
        assert release.wait(60)
    return result


async def until_stored(scheduler: AsyncIOScheduler) -> None:
    """Wait until the store has answered to all outcomes, of which it has rejected none."""
    await until(lambda: not scheduler.store._connector.runs.outcomes.fences)
    assert scheduler.store.rejected_outcomes == 0


async def ends(scheduler: AsyncIOScheduler, task_id: str) -> list[tuple[str, str | None]]:
    return [(run.state, run.result) for run in await scheduler.store.runs(RunQuery(task_id=task_id))]


async def finish_at_once(url: str) -> str:
    """Finish the run before the store has it, and stay in the transaction."""
    with psycopg.connect(url) as connection:
        result = current_run().finish_in(connection, "slow")
        finished.set()
        await until(release.is_set)
    return result


def finish_and_report(url: str) -> str:
    with psycopg.connect(url) as connection:
        result = current_run().finish_in(connection, "slow")
        current_run().report(1, 2, "almost")
        finished.set()
        assert release.wait(60)
    return result


def fast() -> str:
    return "fast"


async def test_open_transaction_holds_up_no_outcome(url: str) -> None:
    received: list[object] = []
    options = StoreOptions(importable=("tests",))
    async with AsyncIOScheduler(store=url, store_options=options) as scheduler, AsyncIOScheduler(store=url) as other:
        for each in (scheduler, other):
            each.subscribe(TaskExecuted, lambda event: received.append(event.result), scope="cluster")
        await until(lambda: all(each.store._connector.events._listens for each in (scheduler, other)))
        slow = scheduler.add_task(finish_and_wait, url, trigger=None, id="slow", executor="threadpool")
        quick = scheduler.add_task(fast, trigger=None, id="fast")
        # Through the store, so that it knows the run before its function begins.
        slow.submit()
        await until(finished.is_set)
        assert await quick.run() == "fast"
        await until(lambda: received == ["fast", "fast"])
        release.set()
        await until(lambda: received == ["fast", "fast", "slow", "slow"])


@pytest.mark.parametrize(
    ("function", "executor", "stored"),
    [
        (finish_at_once, "asyncio", False),
        (finish_and_report, "threadpool", True),
    ],
)
async def test_open_transaction_holds_up_no_work(
    url: str, function: Callable[[str], object], executor: Literal["asyncio", "threadpool"], stored: bool
) -> None:
    """Neither the run, if the store does not have it yet, nor its reports are stored behind the transaction."""
    options = StoreOptions(importable=("tests",), reporting=RunReporting(interval=0.1))
    async with AsyncIOScheduler(store=url, store_options=options) as scheduler:
        slow = scheduler.add_task(function, url, trigger=None, id="slow", executor=executor)
        quick = scheduler.add_task(fast, trigger=None, id="fast")
        received: list[object] = []
        scheduler.subscribe(TaskExecuted, lambda event: received.append(event.result))
        if stored:
            slow.submit()
            await until(lambda: reports(url) == 1)
        else:
            slow.run()
        await until(finished.is_set)
        quick.submit()
        await until(lambda: received == ["fast"])
        release.set()
        await until(lambda: received == ["fast", "slow"])
        await until_stored(scheduler)
        assert await ends(scheduler, "slow") == [("executed", '"slow"')]


def finish_during_submission(url: str) -> str:
    assert submitting.wait(60)
    return finish_and_wait(url)


async def finish_soon_during_submission(url: str) -> str:
    await until(submitting.is_set)
    async with await psycopg.AsyncConnection[object].connect(url) as connection:
        result = await current_run().finish_in_async(connection, "slow")
        finished.set()
        await until(release.is_set)
    return result


@pytest.mark.parametrize(
    ("function", "executor"),
    [(finish_during_submission, "threadpool"), (finish_soon_during_submission, "asyncio")],
)
async def test_transaction_waits_for_submission(
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    function: Callable[[str], object],
    executor: Literal["asyncio", "threadpool"],
) -> None:
    """Otherwise the transaction would store the run first, and the submission would wait for it."""
    submit = DatabaseSession.submit

    async def submit_late(self: DatabaseSession, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]:
        submitting.set()
        # Time in which the function could write.
        await asyncio.sleep(0.3)
        return await submit(self, runs)

    async with AsyncIOScheduler(store=url) as scheduler:
        slow = scheduler.add_task(function, url, trigger=None, id="slow", executor=executor)
        quick = scheduler.add_task(fast, trigger=None, id="fast")
        received: list[object] = []
        scheduler.subscribe(TaskExecuted, lambda event: received.append(event.result))
        monkeypatch.setattr(DatabaseSession, "submit", submit_late)
        slow.run()
        await until(finished.is_set)
        quick.submit()
        await until(lambda: received == ["fast"])
        release.set()
        await until(lambda: received == ["fast", "slow"])
        await until_stored(scheduler)
        assert await ends(scheduler, "slow") == [("executed", '"slow"')]


async def test_timeout_in_open_transaction_holds_up_no_work(url: str) -> None:
    options = StoreOptions(importable=("tests",), lease=3)
    async with AsyncIOScheduler(store=url, store_options=options) as scheduler:
        slow = scheduler.add_task(finish_and_wait, url, trigger=None, id="slow", executor="threadpool", timeout=1)
        quick = scheduler.add_task(fast, trigger=None, id="fast")
        received: list[object] = []
        scheduler.subscribe(TaskExecuted, lambda event: received.append(event.result))
        slow.submit()
        await until(lambda: isinstance(slow.last_notification, TaskError))
        quick.submit()
        await until(lambda: received == ["fast"])
        release.set()
        await until_stored(scheduler)
        assert await ends(scheduler, "slow") == [("executed", '"slow"')]


async def test_outcome_of_dead_node_gets_number(url: str) -> None:
    """The node dies after the commit, before it looks at the outcome: a node that listens numbers it."""
    async with opened(url, 2) as (dead, listening):
        since = await listening.listen()
        (run,) = await running(dead, 1)
        with psycopg.connect(url) as connection:
            write_in(connection, run)
            assert await listening.outcomes(since, 10) == []
        (found,) = await listening.outcomes(since, 10)
        assert (found.id, found.state, found.result) == (run.id, "executed", "7")
        assert await dead.finish([outcome_of(run)]) == [run.id]
        assert await listening.outcomes(since, 10) == [found]
        assert await listening.outcomes(found.ended, 10) == []


async def test_node_numbers_its_outcome_after_commit(url: str) -> None:
    """Without this, the outcomes would have no number until a node that listens reads them."""
    async with opened(url, 2) as (node, listening):
        since = await listening.listen()
        (run, other) = await running(node, 2)
        with psycopg.connect(url) as connection:
            write_in(connection, run)
        assert await node.finish([outcome_of(run)]) == [run.id]
        assert unnumbered(url) == 0
        assert await node.finish([outcome_of(other)]) == [other.id]
        assert [each.id for each in await listening.outcomes(since, 10)] == [run.id, other.id]


async def test_nodes_number_each_outcome_once(url: str) -> None:
    async with opened(url, 4) as sessions:
        since = await sessions[0].listen()
        runs = await running(sessions[0], 40)
        with psycopg.connect(url) as connection:
            write_in(connection, *runs[:20])
        outcomes = [[outcome_of(run)] for run in runs[20:]]
        await asyncio.gather(
            *(each.outcomes(since, 100) for each in sessions for _ in range(5)),
            *(sessions[number % 4].finish(each) for number, each in enumerate(outcomes)),
        )
        found = await sessions[0].outcomes(since, 100)
        assert {run.id for run in found} == {run.id for run in runs}
        assert [run.ended for run in found] == [*range(since + 1, since + 41)]


async def test_listener_does_not_get_earlier_outcome(url: str) -> None:
    async with opened(url, 2) as (first, later):
        since = await first.listen()
        runs = await running(first, 2)
        with psycopg.connect(url) as connection:
            write_in(connection, *runs)
        position = await later.listen()
        assert await later.outcomes(position, 10) == []
        assert len(await first.outcomes(since, 10)) == 2


async def test_outcome_without_listener_gets_no_number(url: str) -> None:
    async with opened(url, 1) as (session,):
        (run,) = await running(session, 1)
        with psycopg.connect(url) as connection:
            write_in(connection, run)
        assert unnumbered(url) == 0
        since = await session.listen()
        assert await session.outcomes(since, 10) == []


async def test_locked_and_pruned_runs_hold_up_no_outcome(url: str) -> None:
    async with opened(url, 1) as (session,):
        since = await session.listen()
        (locked, pruned, other) = await running(session, 3)
        with psycopg.connect(url) as connection:
            write_in(connection, locked, pruned)
        with contextlib.closing(psycopg.connect(url)) as connection:
            connection.execute("DELETE FROM asyncz_runs WHERE id = %s", [pruned.id])
            connection.commit()
            connection.execute("SELECT FROM asyncz_runs WHERE id = %s FOR UPDATE", [locked.id])
            assert await session.finish([outcome_of(other)]) == [other.id]
            assert [each.id for each in await session.outcomes(since, 10)] == [other.id]
        assert [each.id for each in await session.outcomes(since, 10)] == [other.id, locked.id]
        assert unnumbered(url) == 0


def reports(url: str) -> int:
    with psycopg.connect(url) as connection:
        return len(connection.execute("SELECT FROM asyncz_reports").fetchall())


def unnumbered(url: str) -> int:
    """Return the number of outcomes that wait for a number."""
    with psycopg.connect(url) as connection:
        return len(connection.execute("SELECT FROM asyncz_unnumbered").fetchall())
