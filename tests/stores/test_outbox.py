"""Outbox: runs and tasks exist exactly if the transaction of the user commits."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from asyncz import AsyncIOScheduler, DateTrigger, IntervalTrigger, InvalidInputError, TaskLimits, TaskLookupError
from asyncz.exceptions import ArgumentMismatchError
from asyncz.stores import (
    NodeRecord,
    Outbox,
    OutboxConnection,
    RunQuery,
    RunRecord,
    StoredTaskConflictError,
    StoreOptions,
    StoreSchemaError,
    TaskRecord,
    UnstorableTaskError,
)
from asyncz.stores._admin_urls import opened_admin
from asyncz.stores._urls import store_of
from tests.helpers.postgres import new_schema
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

sent: list[tuple[str, int]] = []


def send(to: str, *, copies: int = 1) -> str:
    sent.append((to, copies))
    return f"{copies} to {to}"


def other(to: str) -> None: ...


@pytest.fixture(
    params=["sqlite", pytest.param("postgres", marks=[pytest.mark.slow, pytest.mark.xdist_group("postgres")])]
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with a task on demand, in a database with a table of the user."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'app.db'}"
    else:
        server: str = request.getfixturevalue("postgres_server")
        url = new_schema(server)
    with opened_admin(url, "create") as admin:
        admin.migrate()
    with contextlib.closing(connect(url)) as connection:
        connection.execute("CREATE TABLE orders (id integer)")
        Outbox().call(send, "nobody").add(connection, id="send", trigger=None)
        connection.commit()
    sent.clear()
    return url


def connect(url: str) -> sqlite3.Connection | psycopg.Connection[object]:
    if url.startswith("sqlite"):
        return sqlite3.connect(url.removeprefix("sqlite:///"), timeout=5)
    return psycopg.Connection[object].connect(url)


@pytest.fixture
def connection(url: str) -> Iterator[sqlite3.Connection | psycopg.Connection[object]]:
    with contextlib.closing(connect(url)) as connection:
        yield connection


async def runs_of(url: str) -> Sequence[RunRecord]:
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
    found = await session.runs(RunQuery(limit=1000))
    await session.close()
    return found


async def tasks_of(url: str) -> dict[str, TaskRecord]:
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
    found = await session.changes(0, 1000)
    await session.close()
    return {task.id: task for task in found if not task.removed}


async def orders_of(url: str) -> int:
    with contextlib.closing(connect(url)) as connection:
        row = connection.execute("SELECT count(*) FROM orders").fetchone()
        assert isinstance(row, tuple)
        return int(row[0])


async def test_committed_run_has_its_arguments(
    url: str, connection: sqlite3.Connection | psycopg.Connection[object]
) -> None:
    outbox = Outbox(on_lost="rerun")
    connection.execute("INSERT INTO orders VALUES (1)")
    first = outbox.call(send, "ann", copies=2).submit(connection, "send")
    second = outbox.submit(connection, "send")
    with contextlib.closing(connect(url)) as another:
        assert another.execute("SELECT id FROM asyncz_runs").fetchall() == []
    connection.commit()
    found = {run.id: run for run in await runs_of(url)}
    assert set(found) == {first, second}
    assert json.loads(found[first].arguments or "") == {"args": ["ann"], "kwargs": {"copies": 2}}
    assert found[second].arguments is None
    assert {(run.state, run.fence, run.node, run.on_lost) for run in found.values()} == {("waiting", 0, None, "rerun")}


async def test_rolled_back_run_and_task_do_not_exist(
    url: str, connection: sqlite3.Connection | psycopg.Connection[object]
) -> None:
    before = await tasks_of(url)
    connection.execute("INSERT INTO orders VALUES (1)")
    Outbox().submit(connection, "send")
    Outbox().call(send, "ann").add(connection, id="once")
    connection.rollback()
    # The outbox comes first in its transaction.
    Outbox().submit(connection, "send")
    connection.rollback()
    Outbox().call(send, "ann").add(connection, id="once")
    connection.rollback()
    assert (await orders_of(url), await runs_of(url), await tasks_of(url)) == (0, [], before)


async def test_savepoint_decides_about_its_part(
    url: str, connection: sqlite3.Connection | psycopg.Connection[object]
) -> None:
    outbox = Outbox()
    connection.execute("INSERT INTO orders VALUES (1)")
    kept = outbox.call(send, "kept").submit(connection, "send")
    connection.execute("SAVEPOINT mine")
    outbox.call(send, "lost").submit(connection, "send")
    outbox.call(send, "lost").add(connection, id="lost")
    connection.execute("ROLLBACK TO SAVEPOINT mine")
    outbox.call(send, "found").add(connection, id="found")
    connection.execute("RELEASE SAVEPOINT mine")
    connection.commit()
    assert [run.id for run in await runs_of(url)] == [kept]
    assert set(await tasks_of(url)) == {"send", "found"}


async def test_failed_call_leaves_the_transaction_usable(
    url: str, connection: sqlite3.Connection | psycopg.Connection[object]
) -> None:
    """Mistakes are found before anything is written."""
    outbox = Outbox()
    connection.execute("INSERT INTO orders VALUES (1)")
    with pytest.raises(TaskLookupError, match="'unknown'"):
        outbox.submit(connection, "unknown")
    with pytest.raises(InvalidInputError, match=r"it calls tests\.stores\.test_outbox:send, and not"):
        outbox.call(other, "ann").submit(connection, "send")
    with pytest.raises(UnstorableTaskError):
        outbox.call(lambda: None).submit(connection, "send")
    with pytest.raises(UnstorableTaskError, match="argument to"):
        outbox.call(send, 5).submit(connection, "send")  # type: ignore[arg-type]  # the mistake of the test
    with pytest.raises(ArgumentMismatchError):
        outbox.call(send)  # type: ignore[call-arg]  # the mistake of the test
    with pytest.raises(StoredTaskConflictError, match="'send'"):
        outbox.call(send, "ann").add(connection, id="send")
    with pytest.raises(InvalidInputError, match="id cannot be"):
        outbox.call(send, "ann").add(connection, id="")
    connection.commit()
    assert (await orders_of(url), await runs_of(url)) == (1, [])


async def test_autocommit_connection_is_its_own_transaction(url: str) -> None:
    outbox = Outbox()
    if url.startswith("sqlite"):
        connection: sqlite3.Connection | psycopg.Connection[dict[str, object]] = sqlite3.connect(
            url.removeprefix("sqlite:///"), isolation_level=None
        )
    else:
        connection = psycopg.Connection[dict[str, object]].connect(url, autocommit=True, row_factory=dict_row)
    with contextlib.closing(connection):
        outbox.submit(connection, "send")
        outbox.call(send, "ann").add(connection, id="once")
        assert len(await runs_of(url)) == 1
        connection.execute("BEGIN")
        outbox.submit(connection, "send")
        outbox.call(send, "ann").add(connection, id="twice")
        connection.execute("ROLLBACK")
    assert len(await runs_of(url)) == 1
    assert set(await tasks_of(url)) == {"send", "once"}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the option came with Python 3.12")
async def test_autocommit_option_is_its_own_transaction(tmp_path: Path) -> None:
    """`isolation_level` has no effect with the option, which decides about transactions."""
    path = tmp_path / "app.db"
    with opened_admin(f"sqlite:///{path}", "create") as admin:
        admin.migrate()
    # The type checkers know the option since this version.
    if sys.version_info >= (3, 12):
        with contextlib.closing(sqlite3.connect(path, autocommit=True)) as connection:
            Outbox().call(send, "ann").add(connection, id="send", trigger=None)
            assert not connection.in_transaction
            Outbox().submit(connection, "send")
        assert len(await runs_of(f"sqlite:///{path}")) == 1
        with contextlib.closing(sqlite3.connect(path, autocommit=False)) as connection:
            Outbox().submit(connection, "send")
            connection.rollback()
        assert len(await runs_of(f"sqlite:///{path}")) == 1


async def test_concurrent_add_of_one_id_is_a_conflict(
    url: str, connection: sqlite3.Connection | psycopg.Connection[object]
) -> None:
    """The second transaction waits for the first one, and then finds its task."""
    outbox, outcome, waits = Outbox(), list[BaseException | None](), threading.Event()

    def add_second() -> None:
        with contextlib.closing(connect(url)) as second:
            if isinstance(second, sqlite3.Connection):
                second.set_trace_callback(lambda sql: waits.set() if "asyncz_counters" in sql else None)
            try:
                outbox.call(send, "second").add(second, id="once")
                second.commit()
            except StoredTaskConflictError as error:
                outcome.append(error)
            else:
                outcome.append(None)

    def is_waiting() -> bool:
        if isinstance(connection, sqlite3.Connection):
            return waits.is_set()
        sql = "SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid IS NOT NULL"
        return connection.execute(sql).fetchone() is not None

    outbox.call(send, "first").add(connection, id="once")
    thread = threading.Thread(target=add_second)
    thread.start()
    await until(is_waiting)
    connection.commit()
    thread.join(30)
    assert isinstance(outcome[0], StoredTaskConflictError)
    task = (await tasks_of(url))["once"]
    assert (task.version, json.loads(task.arguments)["args"]) == (1, ["first"])


async def test_rows_of_another_form_do_not_matter(url: str) -> None:
    if url.startswith("sqlite"):
        connection: sqlite3.Connection | psycopg.Connection[dict[str, object]] = sqlite3.connect(
            url.removeprefix("sqlite:///")
        )
        connection.row_factory = sqlite3.Row
    else:
        connection = psycopg.Connection[dict[str, object]].connect(url, row_factory=dict_row)
        connection.cursor_factory = psycopg.ClientCursor[dict[str, object]]
    with contextlib.closing(connection):
        assert isinstance(Outbox().submit(connection, "send"), UUID)
        connection.commit()
    assert len(await runs_of(url)) == 1


async def test_added_task_has_its_options(
    url: str, connection: sqlite3.Connection | psycopg.Connection[object]
) -> None:
    due = datetime(2031, 1, 1, tzinfo=UTC)
    outbox = Outbox(functions={"mail": send})
    outbox.call(send, "ann").add(
        connection, id="later", trigger=DateTrigger(due), executor="threadpool", limits=TaskLimits(timeout=5)
    )
    outbox.call(send, "bob").add(connection, id="often", trigger=IntervalTrigger(hours=1))
    connection.commit()
    tasks = await tasks_of(url)
    assert (tasks["later"].next_due, tasks["later"].executor, tasks["later"].function) == (due, "threadpool", "mail")
    assert json.loads(tasks["later"].options)["timeout"] == 5
    assert tasks["often"].next_due is not None
    assert len({task.revision for task in tasks.values()}) == 3


async def test_removed_id_can_be_added_again(
    url: str, connection: sqlite3.Connection | psycopg.Connection[object]
) -> None:
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
    await session.remove(["send"])
    with pytest.raises(TaskLookupError):
        Outbox().submit(connection, "send")
    Outbox().call(send, "ann").add(connection, id="send", trigger=None)
    connection.commit()
    changed = await session.change((await tasks_of(url))["send"].model_copy(update={"paused": True}))
    assert changed is not None
    await session.close()


async def test_running_scheduler_executes_what_is_committed(
    url: str, connection: sqlite3.Connection | psycopg.Connection[object]
) -> None:
    outbox = Outbox()
    options = StoreOptions(importable=(__name__,))
    async with AsyncIOScheduler(store=url, store_options=options) as scheduler:
        outbox.call(send, "lost").submit(connection, "send")
        connection.rollback()
        for number in range(20):
            outbox.call(send, f"{number}", copies=number).submit(connection, "send")
        outbox.call(send, "once").add(connection, id="once")
        connection.commit()
        await until(lambda: len(sent) == 21)
        await until(lambda: scheduler.get_task("send").state.executed == 20)
    assert sorted(sent) == sorted([*((f"{number}", number) for number in range(20)), ("once", 1)])
    assert sorted(run.result or "" for run in await runs_of(url)) == sorted(
        [*(f'"{number} to {number}"' for number in range(20)), '"1 to once"']
    )


PROGRAM = """
import os, signal, sqlite3, sys
import psycopg
from asyncz.stores import Outbox
from tests.stores.test_outbox import send

url, when = sys.argv[1:]
if url.startswith("sqlite"):
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
else:
    connection = psycopg.connect(url)
connection.execute("INSERT INTO orders VALUES (1)")
Outbox().call(send, "ann").submit(connection, "send")
Outbox().call(send, "ann").add(connection, id="once")
if when == "before":
    os.kill(os.getpid(), signal.SIGKILL)
connection.commit()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_program_leaves_all_or_nothing(url: str, when: str) -> None:
    """A program that only submits, without a scheduler; it dies before or after its commit."""
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), url, when]
    result = subprocess.run(  # noqa: ASYNC221  # nothing else runs on the loop
        command, capture_output=True, text=True, check=False, timeout=60, cwd=Path(__file__).parents[2]
    )
    assert result.returncode == -9, result.stderr
    committed = int(when == "after")
    assert await orders_of(url) == committed
    assert len(await runs_of(url)) == committed
    assert ("once" in await tasks_of(url)) == bool(committed)


def cursor() -> sqlite3.Cursor:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        return connection.cursor()


@pytest.mark.parametrize("make", [object, lambda: None, cursor])
def test_other_connection_is_rejected(make: Callable[[], OutboxConnection]) -> None:
    with pytest.raises(InvalidInputError, match="pass a connection of sqlite3"):
        Outbox().submit(make(), "send")


def test_database_without_tables_is_reported(tmp_path: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as connection,
        pytest.raises(StoreSchemaError, match="no such table: asyncz_tasks; run `asyncz store migrate`"),
    ):
        Outbox().submit(connection, "send")


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
def test_postgres_without_tables_is_reported(postgres_server: str) -> None:
    with (
        psycopg.connect(new_schema(postgres_server)) as connection,
        pytest.raises(StoreSchemaError, match=r"asyncz_tasks.* does not exist; run `asyncz store migrate`"),
    ):
        Outbox().submit(connection, "send")


def test_wrong_option_is_rejected() -> None:
    with pytest.raises(InvalidInputError, match="on_lost"):
        Outbox(on_lost="again")  # type: ignore[arg-type]  # the mistake of the test


async def test_column_of_later_version_is_kept(
    url: str, connection: sqlite3.Connection | psycopg.Connection[object]
) -> None:
    """In a rolling deploy, a node of this version changes and restores a task with a column of the next schema."""
    connection.execute("ALTER TABLE asyncz_tasks ADD COLUMN later text")
    connection.execute("UPDATE asyncz_tasks SET later = 'kept' WHERE id = 'send'")
    connection.commit()
    session = await store_of(url).connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
    (task,) = await session.changes(0, 1000)
    changed = await session.change(task.model_copy(update={"paused": True}))
    assert changed is not None
    assert connection.execute("SELECT later FROM asyncz_tasks").fetchall() == [("kept",)]
    connection.commit()
    await session.remove(["send"])
    await session.close()
    Outbox().call(send, "nobody").add(connection, id="send", trigger=None)
    connection.commit()
    assert connection.execute("SELECT later, removed FROM asyncz_tasks").fetchall() in (
        [("kept", 0)],
        [("kept", False)],
    )
