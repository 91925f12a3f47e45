"""Runs whose outcomes were written by earlier attempts, or that others have changed before they could be finished."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from asyncz import (
    AsyncIOScheduler,
    Retry,
    RunFinishError,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskNotification,
    current_run,
)
from asyncz._run_owners import FinishedRun, LeaseTerm, RunPermit
from asyncz.schedulers._store_finish import FinishedRuns
from asyncz.schedulers._store_outcomes import is_committed
from asyncz.stores import NodeRecord, Outcome, RunQuery, RunRecord, StoreOptions
from asyncz.stores._urls import store_of
from asyncz.stores.exceptions import StoreClosedError
from tests.helpers.connections import connect, orders, with_orders
from tests.helpers.postgres import new_schema
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

noted: list[str] = []
written = threading.Event()
release = threading.Event()
threads: list[threading.Thread] = []
connections: list[psycopg.Connection[object]] = []


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> str:
    return prepared(new_schema(request.getfixturevalue("postgres_server")))


@pytest.fixture(
    params=["sqlite", pytest.param("postgres", marks=[pytest.mark.slow, pytest.mark.xdist_group("postgres")])]
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store in a database with a table of the user."""
    if request.param == "sqlite":
        return prepared(f"sqlite:///{tmp_path / 'app.db'}")
    url: str = request.getfixturevalue("postgres_url")
    return url


def prepared(url: str) -> str:
    noted.clear()
    written.clear()
    release.clear()
    threads.clear()
    connections.clear()
    return with_orders(url)


def take_over(url: str) -> None:
    with contextlib.closing(connect(url)) as connection:
        connection.execute("UPDATE asyncz_runs SET fence = fence + 5")
        connection.commit()


async def history(url: str) -> Sequence[RunRecord]:
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
    found = await session.runs(RunQuery(task_id="book", limit=1000))
    await session.close()
    return found


async def end_of(
    url: str, function: Callable[[str], object], retry: Retry | None = None
) -> tuple[TaskNotification[object], int]:
    """Submit a run to the store, and return its outcome and the number of rejected outcomes."""
    outcomes: list[TaskNotification[object]] = []
    scheduler = AsyncIOScheduler(store=url, store_options=StoreOptions(importable=("tests",)))
    for each in (TaskExecuted, TaskError, TaskCancelled):
        scheduler.subscribe(each, outcomes.append)
    task = scheduler.add_task(function, url, trigger=None, id="book", executor="threadpool", retry=retry)
    async with scheduler:
        task.submit()
        await until(lambda: bool(outcomes))
        await until(lambda: not scheduler.store._connector.runs.outcomes.fences)
        rejected = scheduler.store.rejected_outcomes
    return outcomes[0], rejected


# Outcomes of earlier attempts


def write_in_thread(url: str) -> None:
    """Write the outcome of the run in a transaction that another thread commits later."""
    run = current_run()

    def write() -> None:
        with contextlib.closing(connect(url)) as connection:
            connection.execute("INSERT INTO orders VALUES (1)")
            run.finish_in(connection, 7)
            written.set()
            release.wait(60)
            connection.commit()

    thread = threading.Thread(target=write)
    thread.start()
    threads.append(thread)
    assert written.wait(60)


def commit_in_thread() -> None:
    release.set()
    threads[0].join(60)


def fail_then_finish(url: str) -> int:
    if current_run().attempt == 1:
        write_in_thread(url)
        raise ValueError(url)
    commit_in_thread()
    with contextlib.closing(connect(url)) as connection:
        connection.execute("INSERT INTO orders VALUES (2)")
        try:
            return current_run().finish_in(connection, 8)
        except RunFinishError as error:
            noted.append(f"{error}")
            raise


def fail_then_return(url: str) -> int:
    if current_run().attempt == 1:
        write_in_thread(url)
        raise ValueError(url)
    commit_in_thread()
    return 8


def fail_twice(url: str) -> int:
    if current_run().attempt == 1:
        write_in_thread(url)
    else:
        commit_in_thread()
    raise ValueError(url)


def fail_then_return_same(url: str) -> int:
    return 7 if fail_then_return(url) == 8 else 0


async def fail_then_return_soon(url: str) -> int:
    return await asyncio.to_thread(fail_then_return, url)


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize(
    "function", [fail_then_finish, fail_then_return, fail_then_return_same, fail_twice, fail_then_return_soon]
)
async def test_late_commit_of_earlier_attempt_counts(
    postgres_url: str, caplog: pytest.LogCaptureFixture, function: Callable[[str], object]
) -> None:
    """Not with SQLite, in which the open transaction would hold up the node too."""
    outcome, rejected = await end_of(postgres_url, function, Retry(attempts=2, delay=0))
    assert isinstance(outcome, TaskExecuted)
    assert (outcome.result, orders(postgres_url), rejected) == (7, 1, 0)
    assert [(run.state, run.result) for run in await history(postgres_url)] == [("executed", "7")]
    assert all("it was finished before" in each for each in noted)
    assert "has ended here as" not in caplog.text


def book_then_fail(url: str) -> int:
    with contextlib.closing(connect(url)) as connection:
        connection.execute("INSERT INTO orders VALUES (1)")
        current_run().finish_in(connection, current_run().attempt)
        connection.commit()
    raise ValueError(url)


async def test_unknown_commit_of_earlier_attempt_counts(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store answers after the second attempt only."""
    look_up, calls = FinishedRuns.look_up, list[UUID]()

    def fail(self: FinishedRuns, run_id: UUID) -> Future[RunRecord | None]:
        calls.append(run_id)
        if len(calls) < 3:
            raise StoreClosedError("store")
        return look_up(self, run_id)

    monkeypatch.setattr(FinishedRuns, "look_up", fail)
    outcome, rejected = await end_of(url, book_then_fail, Retry(attempts=2, delay=0))
    assert isinstance(outcome, TaskExecuted)
    assert (outcome.result, orders(url), rejected, len(calls)) == (1, 1, 0, 3)
    assert [(run.state, run.result) for run in await history(url)] == [("executed", "1")]


def roll_back_then_return(url: str) -> int:
    """Return the result of an earlier attempt, the same object, whose transaction was rolled back."""
    if current_run().attempt == 1:
        with contextlib.closing(connect(url)) as connection:
            current_run().finish_in(connection, 7)
            connection.rollback()
        raise ValueError(url)
    return 7


async def test_rolled_back_attempt_leaves_no_trace(url: str) -> None:
    outcome, _ = await end_of(url, roll_back_then_return, Retry(attempts=2, delay=0))
    assert isinstance(outcome, TaskExecuted)
    assert [(run.state, run.result, run.attempt) for run in await history(url)] == [("executed", "7", 2)]


# Parts of transactions, and many of them


def finish_in_savepoint(url: str) -> int:
    with contextlib.closing(connect(url)) as connection:
        connection.execute("INSERT INTO orders VALUES (1)")
        # Also with the name of the savepoint of the store.
        connection.execute("SAVEPOINT asyncz_outbox")
        current_run().finish_in(connection, 7)
        connection.execute("ROLLBACK TO SAVEPOINT asyncz_outbox")
        connection.commit()
    return 8


def finish_after_savepoint(url: str) -> int:
    with contextlib.closing(connect(url)) as connection:
        connection.execute("SAVEPOINT own")
        current_run().finish_in(connection, 7)
        connection.execute("ROLLBACK TO SAVEPOINT own")
        connection.execute("INSERT INTO orders VALUES (1)")
        result = current_run().finish_in(connection, 8)
        connection.commit()
    return result


def finish_in_threads(url: str) -> int:
    """Finish the run in five threads, each in a transaction of its own, with the sum of the accepted results."""
    run, accepted = current_run(), list[int]()

    def finish() -> None:
        with contextlib.closing(connect(url)) as connection:
            connection.execute("INSERT INTO orders VALUES (1)")
            try:
                accepted.append(run.finish_in(connection, 8))
            except RunFinishError as error:
                noted.append(f"{error}")
            else:
                connection.commit()

    threads.extend(threading.Thread(target=finish) for _ in range(5))
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    return sum(accepted)


@pytest.mark.parametrize("function", [finish_in_savepoint, finish_after_savepoint, finish_in_threads])
async def test_one_part_of_transactions_counts(url: str, function: Callable[[str], object]) -> None:
    outcome, rejected = await end_of(url, function)
    assert isinstance(outcome, TaskExecuted)
    assert (outcome.result, orders(url), rejected) == (8, 1, 0)
    assert [(run.state, run.result) for run in await history(url)] == [("executed", "8")]
    assert all("it was finished before" in each for each in noted)
    assert len(noted) == (4 if function is finish_in_threads else 0)


# Runs that others have changed


def roll_back_and_be_taken_over(url: str) -> int:
    with contextlib.closing(connect(url)) as connection:
        current_run().finish_in(connection, 7)
        connection.rollback()
        take_over(url)
        try:
            return current_run().finish_in(connection, 7)
        except RunFinishError as error:
            noted.append(f"{error}")
            raise


async def test_loss_after_rollback_is_reported(url: str) -> None:
    outcome, _ = await end_of(url, roll_back_and_be_taken_over)
    assert isinstance(outcome, TaskCancelled)
    assert "another node has taken it over: its fence is 6 and not 1" in noted[0]


def lose_after_rollback(url: str) -> int:
    with contextlib.closing(connect(url)) as connection:
        current_run().finish_in(connection, 7)
        connection.rollback()
    take_over(url)
    raise ValueError(url)


async def test_outcome_of_lost_run_is_rejected(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function could not find out if its transaction was committed; the rejection shows that it was not."""

    def look_up(*_: object) -> None:
        raise StoreClosedError("store")

    monkeypatch.setattr(FinishedRuns, "look_up", look_up)
    outcome, rejected = await end_of(url, lose_after_rollback)
    assert isinstance(outcome, TaskError)
    assert rejected == 1
    assert "another node has taken over the run" in caplog.text
    assert "after it was finished in a transaction" not in caplog.text


def book_and_prune(url: str) -> int:
    with contextlib.closing(connect(url)) as connection:
        connection.execute("INSERT INTO orders VALUES (1)")
        result = current_run().finish_in(connection, 7)
        connection.commit()
    with contextlib.closing(connect(url)) as connection:
        connection.execute("DELETE FROM asyncz_runs WHERE task_id = 'book'")
        connection.commit()
    return result


async def test_pruned_outcome_is_not_rejected(url: str, caplog: pytest.LogCaptureFixture) -> None:
    outcome, rejected = await end_of(url, book_and_prune)
    assert isinstance(outcome, TaskExecuted)
    assert (outcome.result, rejected, await history(url)) == (7, 0, [])
    assert [each.message for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_missing_run_of_lost_lease_is_unknown() -> None:
    """The node that has taken it over may have finished it, and the history may have been pruned since."""
    outcome = Outcome(run_id=uuid4(), fence=1, state="executed", finished_at=datetime.now(UTC))
    finished = FinishedRun(7, outcome)
    term = LeaseTerm(10.0, lambda: 1.0)
    assert is_committed(RunPermit(term), finished, None) is True
    assert is_committed(RunPermit(None), finished, None) is False
    term.over = True
    assert is_committed(RunPermit(term), finished, None) is None


# Isolation


def finish_in_old_snapshot(_: str) -> int:
    return current_run().finish_in(connections[0], 7)


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize("level", [psycopg.IsolationLevel.REPEATABLE_READ, psycopg.IsolationLevel.SERIALIZABLE])
async def test_old_snapshot_is_named(postgres_url: str, level: psycopg.IsolationLevel) -> None:
    with psycopg.Connection[object].connect(postgres_url) as connection:
        connection.isolation_level = level
        connection.execute("SELECT id FROM orders")
        connections.append(connection)
        outcome, _ = await end_of(postgres_url, finish_in_old_snapshot)
    assert isinstance(outcome, TaskError)
    assert f"its isolation, {level.name.replace('_', ' ')}, shows the database" in f"{outcome.exception}"
    assert "use READ COMMITTED" in f"{outcome.exception}"


def finish_after_change(url: str) -> int:
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT id FROM orders")
        take_over(url)
        return current_run().finish_in(connection, 7)


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_hidden_change_gets_advice(postgres_url: str) -> None:
    outcome, _ = await end_of(postgres_url, finish_after_change)
    assert isinstance(outcome, TaskError)
    assert isinstance(outcome.exception, psycopg.errors.SerializationFailure)
    assert "use READ COMMITTED" in outcome.exception.__notes__[0]
