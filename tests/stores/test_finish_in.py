"""Runs that their functions finish in transactions of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Generator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from asyncz import (
    AsyncIOScheduler,
    InvalidInputError,
    Retry,
    RunFinishError,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskNotification,
    TaskRetrying,
    TaskTimeoutError,
    current_run,
)
from asyncz.schedulers._store_finish import FinishedRuns
from asyncz.stores import MemoryStore, NodeRecord, RunQuery, RunRecord, StoreOptions, StoreSchemaError
from asyncz.stores._urls import store_of
from asyncz.stores.exceptions import StoreClosedError
from tests.helpers.connections import connect, orders, with_orders
from tests.helpers.postgres import new_schema
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

Alias: TypeAlias = Literal["threadpool", "asyncio"]

noted: list[object] = []
release = threading.Event()


def note(result: object) -> None:
    noted.append(result)


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
    release.clear()
    return with_orders(url)


def change_fence(url: str) -> None:
    with contextlib.closing(connect(url)) as connection:
        connection.execute("UPDATE asyncz_runs SET fence = fence + 5")
        connection.commit()


async def history(url: str, task_id: str = "book") -> Sequence[RunRecord]:
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
    found = await session.runs(RunQuery(task_id=task_id, limit=1000))
    await session.close()
    return found


def scheduler_of(url: str) -> AsyncIOScheduler:
    return AsyncIOScheduler(store=url, store_options=StoreOptions(importable=("tests",)))


def book(url: str, result: int = 7) -> int:
    with contextlib.closing(connect(url)) as connection:
        connection.execute("INSERT INTO orders VALUES (1)")
        run = current_run()
        assert run.finish_in(connection, result) == result
        connection.commit()
    return result


def book_and_return_text(url: str) -> int | str:
    book(url)
    return "another"


def book_and_fail(url: str) -> int:
    book(url)
    raise ValueError(url)


async def book_and_fail_soon(url: str) -> int:
    book(url)
    await asyncio.sleep(0)
    raise ValueError(url)


def fail_in_transaction(url: str) -> int:
    with contextlib.closing(connect(url)) as connection:
        connection.execute("INSERT INTO orders VALUES (1)")
        result = current_run().finish_in(connection, current_run().attempt)
        if current_run().attempt == 1:
            raise ValueError(url)
        connection.commit()
    return result


def fail_in_transaction_once(url: str) -> int:
    return fail_in_transaction(url) if current_run().attempt == 1 else 3


def roll_back(url: str) -> int:
    with contextlib.closing(connect(url)) as connection:
        connection.execute("INSERT INTO orders VALUES (1)")
        current_run().finish_in(connection, 7)
        connection.rollback()
    return 8


def roll_back_and_return(url: str) -> int:
    with contextlib.closing(connect(url)) as connection:
        connection.execute("INSERT INTO orders VALUES (1)")
        return current_run().finish_in(connection, 7)


def book_of_another_node(url: str) -> int:
    change_fence(url)
    return book(url)


def book_twice(url: str) -> int:
    book(url)
    with pytest.raises(RunFinishError, match="it was finished before"):
        book(url, 8)
    return 7


def book_and_wait(url: str) -> int:
    book(url)
    release.wait(60)
    return 7


def wait_and_book(url: str) -> int:
    noted.append("started")
    release.wait(60)
    try:
        return book(url)
    except RunFinishError as error:
        noted.append(f"{error}")
        raise


async def book_in_coroutine(url: str) -> int:
    book(url)
    noted.append("booked")
    await asyncio.sleep(60)
    return 7


async def book_at_once(url: str) -> int:
    return book(url)


class Booking:
    """An awaitable that is no coroutine."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __await__(self) -> Generator[None, None, int]:
        yield
        return book_and_fail(self.url)


def book_and_exit(url: str) -> int:
    book(url)
    raise SystemExit(3)


async def book_soon(url: str, raised: str = "") -> int:
    # Rows of another kind than those of the store.
    async with await psycopg.AsyncConnection[object].connect(url) as connection:
        connection.row_factory = dict_row
        await connection.execute("INSERT INTO orders VALUES (1)")
        result = await current_run().finish_in_async(connection, 7)
        if raised == "inside":
            raise ValueError(raised)
    if raised == "outside":
        raise ValueError(raised)
    return result


async def outcome_of(
    url: str,
    function: Callable[[str], object],
    retry: Retry | None = None,
    executor: Literal["threadpool", "asyncio"] = "threadpool",
) -> TaskNotification[object]:
    """Submit a run to the store, and return its outcome, after the store has it."""
    outcomes: list[TaskNotification[object]] = []

    def keep(event: TaskNotification[object]) -> None:
        if event.task_id == "book":
            outcomes.append(event)

    scheduler = scheduler_of(url)
    for each in (TaskExecuted, TaskError, TaskCancelled):
        scheduler.subscribe(each, keep)
    task = scheduler.add_task(function, url, trigger=None, id="book", executor=executor, retry=retry)
    task.then(note, id="note", executor="threadpool")
    async with scheduler:
        task.submit()
        await until(lambda: bool(outcomes))
        await asyncio.sleep(0.05)
        if isinstance(outcomes[0], TaskExecuted):
            await until(lambda: bool(noted))
    # A lost run still belongs to this node, which then ends it as lost.
    assert len(outcomes) == 1 or isinstance(outcomes[0], TaskCancelled)
    return outcomes[0]


async def test_finished_run_ends_once(url: str, caplog: pytest.LogCaptureFixture) -> None:
    outcome = await outcome_of(url, book)
    assert isinstance(outcome, TaskExecuted)
    assert outcome.result == 7
    (run,) = await history(url)
    assert (run.state, run.result, run.fence, run.attempt) == ("executed", "7", 2, 1)
    assert run.started_at is not None
    assert run.finished_at is not None
    assert run.finished_at >= run.started_at
    assert (noted, orders(url)) == ([7], 1)
    assert len(await history(url, "note")) == 1
    assert [each.message for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_run_of_task_run_is_finished(url: str) -> None:
    """The store may not know the run yet; the transaction stores it."""
    scheduler = scheduler_of(url)
    task = scheduler.add_task(book, url, trigger=None, id="book", executor="threadpool")
    async with scheduler:
        assert [await task.run() for _ in range(3)] == [7, 7, 7]
    assert [(run.state, run.result) for run in await history(url)] == [("executed", "7")] * 3
    assert orders(url) == 3


FAILING = [(book_and_fail, "threadpool"), (book_and_fail_soon, "asyncio"), (book_and_fail_soon, "threadpool")]
ODD_ENDS = [(Booking, "asyncio"), (Booking, "threadpool"), (book_and_exit, "threadpool")]


@pytest.mark.parametrize(("function", "executor"), [*FAILING, *ODD_ENDS])
async def test_exception_after_commit_does_not_count(
    url: str, caplog: pytest.LogCaptureFixture, function: Callable[[str], object], executor: Alias
) -> None:
    outcome = await outcome_of(url, function, Retry(attempts=3, delay=0), executor)
    assert isinstance(outcome, TaskExecuted)
    assert outcome.result == 7
    assert [run.state for run in await history(url)] == ["executed"]
    assert (noted, orders(url)) == ([7], 1)
    assert "raised an exception after it was finished in a transaction" in caplog.text


@pytest.mark.parametrize(("function", "executor"), FAILING)
async def test_exception_counts_if_commit_is_unknown(
    url: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    function: Callable[[str], object],
    executor: Alias,
) -> None:
    """The store cannot say if the transaction was committed: only the history has the outcome."""

    def look_up(*_: object) -> None:
        raise StoreClosedError("store")

    monkeypatch.setattr(FinishedRuns, "look_up", look_up)
    outcome = await outcome_of(url, function, executor=executor)
    assert isinstance(outcome, TaskError)
    assert isinstance(outcome.exception, ValueError)
    assert [(run.state, run.result) for run in await history(url)] == [("executed", "7")]
    assert "It is not known if the transaction that finished the run" in caplog.text
    assert "has ended here as 'error'" in caplog.text
    assert "was rejected" not in caplog.text


async def test_attempt_forgets_outcome_of_last_one(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object) -> None:
        raise StoreClosedError("store")

    monkeypatch.setattr(FinishedRuns, "look_up", look_up)
    outcome = await outcome_of(url, fail_in_transaction_once, Retry(attempts=2, delay=0))
    assert isinstance(outcome, TaskExecuted)
    assert [(run.attempt, run.result) for run in await history(url)] == [(2, "3")]


def book_and_stay(url: str) -> int:
    book(url)
    noted.append("booked")
    release.wait(60)
    return 7


@pytest.mark.parametrize(("function", "executor"), [(book_and_stay, "threadpool"), (book_in_coroutine, "asyncio")])
async def test_timeout_after_commit_is_not_retried(
    url: str, function: Callable[[str], object], executor: Alias
) -> None:
    scheduler = scheduler_of(url)
    task = scheduler.add_task(
        function, url, trigger=None, id="book", executor=executor, timeout=1, retry=Retry(attempts=3, delay=0)
    )
    # The next attempt begins when the thread of the first one is free.
    scheduler.subscribe(TaskRetrying, lambda _: release.set())
    async with scheduler:
        assert await task.run() == 7
    assert ([(run.state, run.result) for run in await history(url)], orders(url)) == ([("executed", "7")], 1)
    assert noted == ["booked"]


def book_and_prune(url: str) -> int:
    book(url)
    with contextlib.closing(connect(url)) as connection:
        connection.execute("DELETE FROM asyncz_runs WHERE task_id = 'book'")
        connection.commit()
    raise ValueError(url)


async def test_finished_run_that_is_pruned_counts(url: str) -> None:
    outcome = await outcome_of(url, book_and_prune, Retry(attempts=3, delay=0))
    assert isinstance(outcome, TaskExecuted)
    assert (outcome.result, orders(url)) == (7, 1)


async def test_other_result_after_commit_is_dropped(url: str, caplog: pytest.LogCaptureFixture) -> None:
    outcome = await outcome_of(url, book_and_return_text)
    assert isinstance(outcome, TaskExecuted)
    assert (outcome.result, noted, orders(url)) == (7, [7], 1)
    assert "returned another result" in caplog.text


async def test_exception_before_commit_is_retried(url: str) -> None:
    outcome = await outcome_of(url, fail_in_transaction, retry=Retry(attempts=3, delay=0))
    assert isinstance(outcome, TaskExecuted)
    assert (outcome.result, noted, orders(url)) == (2, [2], 1)
    assert [(run.state, run.attempt, run.result) for run in await history(url)] == [("executed", 2, "2")]


@pytest.mark.parametrize(("function", "result"), [(roll_back, 8), (roll_back_and_return, 7)])
async def test_rolled_back_run_ends_as_usual(url: str, function: Callable[[str], int], result: int) -> None:
    outcome = await outcome_of(url, function)
    assert isinstance(outcome, TaskExecuted)
    assert (outcome.result, noted, orders(url)) == (result, [result], 0)
    assert [(run.state, run.result) for run in await history(url)] == [("executed", f"{result}")]


async def test_run_of_another_owner_rolls_back(url: str) -> None:
    outcome = await outcome_of(url, book_of_another_node)
    # Like a run that has noticed the end of its lease by itself.
    assert isinstance(outcome, TaskCancelled)
    assert orders(url) == 0
    # Not a cancellation: the policy for lost runs has decided.
    (run,) = await history(url)
    assert run.state == "error"
    assert "NodeLostError" in run.error


async def test_second_outcome_is_rejected(url: str) -> None:
    outcome = await outcome_of(url, book_twice)
    assert isinstance(outcome, TaskExecuted)
    assert (outcome.result, orders(url)) == (7, 1)


async def test_abandoned_run_cannot_be_finished(url: str) -> None:
    scheduler = scheduler_of(url)
    task = scheduler.add_task(wait_and_book, url, trigger=None, id="book", executor="threadpool", timeout=0.1)
    async with scheduler:
        with pytest.raises(TaskTimeoutError):
            await task.run()
        release.set()
        await until(lambda: len(noted) == 2)
    assert noted[1] == (
        "the run of the task 'book' cannot be finished in a transaction: it was cancelled, or has an outcome already"
    )
    assert orders(url) == 0
    assert [run.state for run in await history(url)] == ["error"]


async def test_timeout_after_commit_is_only_reported(url: str, caplog: pytest.LogCaptureFixture) -> None:
    scheduler = scheduler_of(url)
    task = scheduler.add_task(book_and_wait, url, trigger=None, id="book", executor="threadpool", timeout=1)
    async with scheduler:
        with pytest.raises(TaskTimeoutError):
            await task.run()
        release.set()
        await until(lambda: "whose outcome counts" in caplog.text)
        assert scheduler.store.rejected_outcomes == 0
    assert [run.state for run in await history(url)] == ["executed"]


async def test_cancellation_after_commit_is_only_reported(url: str, caplog: pytest.LogCaptureFixture) -> None:
    scheduler = scheduler_of(url)
    task = scheduler.add_task(book_in_coroutine, url, trigger=None, id="book")
    async with scheduler:
        handle = task.run()
        await until(lambda: noted == ["booked"])
        assert handle.cancel()
        assert isinstance(await handle.notification(), TaskCancelled)
        await until(lambda: "whose outcome counts" in caplog.text)
    assert [(run.state, run.result) for run in await history(url)] == [("executed", "7")]


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize(("raised", "kept"), [("", 1), ("outside", 1), ("inside", 0)])
async def test_coroutine_finishes_its_run(postgres_url: str, raised: str, kept: int) -> None:
    scheduler = scheduler_of(postgres_url)
    task = scheduler.add_task(book_soon, postgres_url, raised, trigger=None, id="book")
    downstream = task.then(note, id="note", executor="threadpool")
    async with scheduler:
        if kept:
            assert await task.run() == 7
            await until(lambda: downstream.last_notification is not None)
        else:
            with pytest.raises(ValueError, match="inside"):
                await task.run()
    assert [run.state for run in await history(postgres_url)] == ["executed" if kept else "error"]
    assert (orders(postgres_url), noted) == (kept, [7] * kept)


# Errors


def finish_in_process() -> str:
    with pytest.raises(RunFinishError) as raised, contextlib.closing(sqlite3.connect(":memory:")) as connection:
        current_run().finish_in(connection, 1)
    return f"{raised.value}"


async def test_run_without_store_is_rejected() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(finish_in_process, trigger=None, id="book", executor="threadpool")
        assert "it is not stored" in await task.run()


@pytest.mark.slow
async def test_run_in_another_process_is_rejected(tmp_path: Path) -> None:
    async with AsyncIOScheduler(store=f"sqlite:///{tmp_path}/app.db") as scheduler:
        task = scheduler.add_task(finish_in_process, trigger=None, id="book", executor="processpool")
        assert "in another process than its scheduler" in await task.run()


def finish_elsewhere(other: str) -> list[str]:
    found: list[str] = []
    run = current_run()

    def add(connection: sqlite3.Connection) -> None:
        with contextlib.closing(connection):
            try:
                run.finish_in(connection, 1)
            except (InvalidInputError, RunFinishError, StoreSchemaError) as error:
                found.append(f"{type(error).__name__}: {error}")

    add(sqlite3.connect(":memory:"))
    add(sqlite3.connect(other))
    add(sqlite3.connect(other, isolation_level=None))
    try:
        run.finish_in(object(), 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a mistake
    except InvalidInputError as error:
        found.append(f"{error}")
    try:
        asyncio.run(run.finish_in_async(object(), 1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    except InvalidInputError as error:
        found.append(f"{error}")
    return found


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
async def test_wrong_connection_is_rejected(tmp_path: Path, kind: str) -> None:
    other = str(tmp_path / "other.db")
    prepared(f"sqlite:///{other}")
    store = f"sqlite:///{tmp_path}/app.db" if kind == "sqlite" else MemoryStore()
    async with AsyncIOScheduler(store=store) as scheduler:
        task = scheduler.add_task(finish_elsewhere, other, trigger=None, id="book", executor="threadpool")
        scheduler.add_task(note, 1, trigger=None, id="note")
        found = await run_of_store(scheduler, task.submit)
    assert [each.partition(":")[0] for each in found[:3]] == ["StoreSchemaError", "RunFinishError", "InvalidInputError"]
    assert "the database of the connection does not have it" in found[1]
    assert "begin a transaction before" in found[2]
    assert "connection cannot be object" in found[3]
    assert "pass a psycopg.AsyncConnection" in found[4]


async def test_other_database_does_not_get_an_unstored_run(tmp_path: Path) -> None:
    """The coroutine of a run begins before the run is stored."""
    other, own = (f"sqlite:///{tmp_path / name}" for name in ("other.db", "app.db"))
    prepared(other)
    scheduler = AsyncIOScheduler(store=own)
    task = scheduler.add_task(book_at_once, other, trigger=None, id="book")
    task.then(note, id="note", executor="threadpool")
    async with scheduler:
        with pytest.raises(RunFinishError, match="the database of the connection does not have it"):
            await task.run()
    assert (await history(other), await history(other, "note"), orders(other), noted) == ([], [], 0, [])


def read_and_finish(url: str) -> int:
    with contextlib.closing(connect(url)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT id FROM orders").fetchall()
        with contextlib.closing(connect(url)) as another:
            another.execute("INSERT INTO orders VALUES (2)")
            another.commit()
        return current_run().finish_in(connection, 7)


async def test_transaction_that_has_read_gets_advice(tmp_path: Path) -> None:
    outcome = await outcome_of(prepared(f"sqlite:///{tmp_path / 'app.db'}"), read_and_finish)
    assert isinstance(outcome, TaskError)
    assert "begin it with BEGIN IMMEDIATE" in outcome.exception.__notes__[0]


async def run_of_store(scheduler: AsyncIOScheduler, submit: Callable[[], object]) -> list[str]:
    """Return the result of a run that the store knows before its function begins."""
    events: list[TaskExecuted[object]] = []
    scheduler.subscribe(TaskExecuted, events.append)
    submit()
    await until(lambda: bool(events))
    found: list[str] = json.loads(json.dumps(events[0].result))
    return found


def book_in_pipeline(url: str) -> int:
    with psycopg.connect(url) as connection, connection.pipeline():
        connection.execute("INSERT INTO orders VALUES (1)")
        return current_run().finish_in(connection, 7)


async def book_in_async_pipeline(url: str) -> int:
    async with await psycopg.AsyncConnection.connect(url) as connection, connection.pipeline():
        await connection.execute("INSERT INTO orders VALUES (1)")
        return await current_run().finish_in_async(connection, 7)


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize("function", [book_in_pipeline, book_in_async_pipeline])
async def test_run_is_finished_in_pipeline(postgres_url: str, function: Callable[[str], object]) -> None:
    outcome = await outcome_of(postgres_url, function, executor="asyncio")
    assert isinstance(outcome, TaskExecuted)
    assert [(run.state, run.result) for run in await history(postgres_url)] == [("executed", "7")]
    assert (noted, orders(postgres_url)) == ([7], 1)


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
async def test_autocommit_of_postgres_is_rejected(postgres_url: str) -> None:
    outcome = await outcome_of(postgres_url, book_in_autocommit)
    assert isinstance(outcome, TaskError)
    assert isinstance(outcome.exception, InvalidInputError)
    assert "begin a transaction before" in f"{outcome.exception}"


def book_in_autocommit(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.transaction(force_rollback=True):
            current_run().finish_in(connection, 7)
        return current_run().finish_in(connection, 7)
