"""Store in an SQLite file, for the processes of one machine."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from asyncz._checks import check_at_least
from asyncz.clock import utc
from asyncz.stores._checks import check_ttl, usable_age
from asyncz.stores._columns import (
    RUN_COLUMNS,
    TASK_COLUMNS,
    WRITE_TASK,
    SqlValue,
    column_list,
    from_microseconds,
    microseconds,
    run_of_row,
    sqlite_value,
    task_of_row,
    task_row,
)
from asyncz.stores._console_records import CommandRecord, command_of, commands_sql
from asyncz.stores._declarations import records_to_write
from asyncz.stores._migrations import FOREIGN_TABLES, SCHEMA_TABLE, Migration, migrations, statements
from asyncz.stores._outcomes_sqlite import add_runs, finish_run, is_alive, was_finished_so
from asyncz.stores._reports_sqlite import report, reports_of
from asyncz.stores._sqlite_errors import store_error
from asyncz.stores._sweep import sweep
from asyncz.stores._sweep_sqlite import OutcomeNumbers, SqliteSweepQueries, announce, close_program, listen
from asyncz.stores._transactions import DatabaseSession
from asyncz.stores._unvalidated import evolved
from asyncz.stores.exceptions import StoreDataError, StoreSchemaError
from asyncz.stores.protocol import FORGET_NODE_AFTER, StoreSession
from asyncz.stores.records import (
    OVERDUE_AFTER,
    ExistingTaskPolicy,
    FinalRunState,
    Firing,
    Lease,
    NodeRecord,
    Outcome,
    RunQuery,
    RunRecord,
    RunReport,
    StoreNews,
    TaskRecord,
)

# A number or a text is too large for SQLite, or a text is not Unicode.
_DATA_ERRORS = (sqlite3.DataError, sqlite3.IntegrityError, OverflowError, UnicodeError)
# Seconds to wait for the transaction of another process; each of ours takes milliseconds.
_BUSY_TIMEOUT = 30.0
# Seconds between two attempts to set the mode of a new file.
_WAL_DELAY = 0.01

_TASKS = column_list(TASK_COLUMNS)
_RUNS = column_list(RUN_COLUMNS)
# Two numbers in one: their sum would stay the same when a run stops to wait while a task changes. The sign keeps SQLite
# from a walk along the sequence of all runs, to the newest one that waits.
_REVISION = (
    "SELECT (SELECT value & 1073741823 FROM asyncz_counters WHERE name = 'revision') * 4294967296"
    " + (coalesce((SELECT max(+sequence) FROM asyncz_runs WHERE state = 'waiting'), 0) & 4294967295)"
)
_CAN_FIRE = "state = 'active' AND NOT paused AND NOT removed"
_DONE = "task_id = ? AND state NOT IN ('waiting', 'running')"
_TRIM = (
    f"DELETE FROM asyncz_runs WHERE sequence IN (SELECT sequence FROM asyncz_runs WHERE {_DONE} AND sequence <="  # noqa: S608  # own names
    f" (SELECT sequence FROM asyncz_runs WHERE {_DONE} ORDER BY sequence DESC LIMIT 1 OFFSET ?)"
    " ORDER BY sequence LIMIT ?)"
)
_ADVANCE = f"UPDATE asyncz_tasks SET next_due = ? WHERE id = ? AND version = ? AND next_due = ? AND {_CAN_FIRE}"  # noqa: S608  # own names
_LOST = "state = 'running' AND (node IS NULL OR node NOT IN (SELECT id FROM asyncz_nodes WHERE lease_until > :now))"
_NEWS = (
    "SELECT (SELECT value FROM asyncz_counters WHERE name = 'revision'),"  # noqa: S608  # own names
    " EXISTS (SELECT 1 FROM asyncz_runs WHERE state = 'waiting' AND (not_before IS NULL OR not_before <= :now)),"
    f" EXISTS (SELECT 1 FROM asyncz_tasks WHERE next_due < :late AND {_CAN_FIRE}),"
    f" EXISTS (SELECT 1 FROM asyncz_runs WHERE {_LOST}),"
    " (SELECT json_group_array(id) FROM asyncz_nodes WHERE lease_until > :now)"
)


class SqliteStore:
    """Store in an SQLite file that the schedulers of one machine share. Needs SQLite 3.37 or later, and no server.

    The file is in WAL mode; keep it on a local disk, as network file systems do not lock reliably. Its clock is that
    of the machine.

    Args:
        path: Path of the file; it is created if it does not exist.
        poll_interval: Seconds between polls for changes of other processes, at least 0.001.
        now: Function that returns the current time, in seconds since the epoch.

    Raises:
        InvalidInputError: `poll_interval` is too small, or not a number.

    Example:
        >>> store = SqliteStore("jobs.db")
        >>> session = await store.connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
    """

    def __init__(
        self, path: str | os.PathLike[str], *, poll_interval: float = 0.25, now: Callable[[], float] = time.time
    ) -> None:
        check_at_least("poll_interval", poll_interval, 0.001)
        self._path = str(Path(path).absolute())
        self._poll_interval = poll_interval
        self._now = now

    async def connect(self, node: NodeRecord, ttl: timedelta, /) -> StoreSession:
        """Open a session for a node, with its first lease."""
        check_ttl(ttl)
        session = DatabaseSession(
            _SqliteTransactions(self._path, self._now, node, ttl),
            _SqliteTransactions(self._path, self._now, node, ttl),
            repr(self._path),
            self._poll_interval,
        )
        await session.open()
        return session


class _SqliteTransactions:
    """Transactions over one connection, which is opened by the first call. For one thread at a time."""

    def __init__(self, path: str, now: Callable[[], float], node: NodeRecord, ttl: timedelta) -> None:
        self._path = path
        self._now = now
        self._node = node
        self._ttl = ttl
        self._connection: sqlite3.Connection | None = None

    def grant_lease(self, *, first: bool) -> Lease:
        with self._writing() as database:
            now = self._time()
            lost = not first and not self._is_alive(database, now)
            until = now + self._ttl
            _ = database.execute(
                "INSERT INTO asyncz_nodes (id, name, app_version, lease_until) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until",
                (self._node.id, self._node.name, self._node.app_version, microseconds(until)),
            )
            news = _news(database, now)
        return Lease(until=until, now=now, lost=lost, news=news)

    def declare(self, tasks: Sequence[TaskRecord], existing: ExistingTaskPolicy, /) -> Sequence[TaskRecord]:
        ids = [task.id for task in tasks]
        with self._reading() as database:
            known = _tasks_by_id(database, ids)
        if not records_to_write(tasks, known, existing):
            # The usual start: nothing is locked.
            return _in_order(ids, known)
        with self._writing() as database:
            for record in records_to_write(tasks, _tasks_by_id(database, ids), existing):
                _ = _write_task(database, record)
            return _in_order(ids, _tasks_by_id(database, ids))

    def change(self, task: TaskRecord, /) -> TaskRecord | None:
        with self._writing() as database:
            known = _tasks_by_id(database, (task.id,)).get(task.id)
            if task.version != (0 if known is None or known.removed else known.version):
                return None
            version = task.version if known is None else known.version
            return _write_task(database, task.model_copy(update={"version": version}))

    def remove(self, task_ids: Sequence[str], /) -> Sequence[str]:
        with self._writing() as database:
            known = _tasks_by_id(database, task_ids)
            removed = [task_id for task_id in task_ids if task_id in known and not known[task_id].removed]
            update = {"removed": True, "next_due": None, "inactive_since": self._time()}
            for task_id in removed:
                _ = _write_task(database, known[task_id].model_copy(update=update))
            return removed

    def changes(self, since: int, limit: int, /) -> Sequence[TaskRecord]:
        with self._reading() as database:
            return _tasks(database, "revision > ? ORDER BY revision LIMIT ?", (since, limit))

    def overdue(self, by: timedelta, limit: int, after: tuple[datetime, str] | None, /) -> Sequence[TaskRecord]:
        condition, values = f"next_due < ? AND {_CAN_FIRE}", list[SqlValue]()
        with self._reading() as database:
            values.append(microseconds(self._time() - by))
            if after is not None:
                condition += " AND (next_due, id) > (?, ?)"
                values += microseconds(after[0]), after[1]
            return _tasks(database, f"{condition} ORDER BY next_due, id LIMIT ?", (*values, limit))

    def fire(self, firings: Sequence[Firing], /) -> Sequence[RunRecord]:
        with self._writing() as database:
            now = self._time()
            if not self._is_alive(database, now):
                return ()
            won = [firing for firing in firings if firing.latest <= now and _advance(database, firing)]
            return self._add_runs(database, [run for firing in won for run in firing.runs], now)

    def submit(self, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]:
        with self._writing() as database:
            now = self._time()
            is_alive = self._is_alive(database, now)
            return self._add_runs(database, [run for run in runs if is_alive or run.state == "waiting"], now)

    def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str], /) -> Sequence[RunRecord]:
        with self._writing() as database:
            now = self._time()
            if not self._is_alive(database, now):
                return ()
            found: list[RunRecord] = []
            for executor, free in executors.items():
                # As JSON: the number of parameters is limited.
                condition = (
                    "state = 'waiting' AND executor = ? AND (not_before IS NULL OR not_before <= ?)"
                    " AND task_id NOT IN (SELECT value FROM json_each(?))"
                )
                values = (executor, microseconds(now), json.dumps([*skip]), min(free, limit))
                found += _runs(database, f"{condition} ORDER BY sequence LIMIT ?", values)
            oldest = sorted(found, key=lambda run: run.sequence)[:limit]
            return self._own(database, oldest)

    def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]:
        with self._writing() as database:
            numbers = OutcomeNumbers(database)
            accepted = [outcome.run_id for outcome in outcomes if self._finish(database, outcome, numbers)]
            numbers.save()
            return accepted

    def take_over(self, limit: int, /) -> Sequence[RunRecord]:
        with self._writing() as database:
            now = self._time()
            if not self._is_alive(database, now):
                return ()
            condition = f"{_LOST} ORDER BY sequence LIMIT :limit"
            return self._own(database, _runs(database, condition, {"now": microseconds(now), "limit": limit}))

    def report(self, reports: Sequence[RunReport], /) -> Sequence[UUID]:
        with self._writing() as database:
            return report(database, reports, self._time())

    def reports(self, run_id: UUID, /) -> Sequence[RunReport]:
        with self._reading() as database:
            return reports_of(database, run_id)

    def runs(self, query: RunQuery, /) -> Sequence[RunRecord]:
        conditions, values = ["TRUE"], list[SqlValue]()
        if query.run_id is not None:
            conditions.append("id = ?")
            values.append(query.run_id.bytes)
        if query.task_id is not None:
            conditions.append("task_id = ?")
            values.append(query.task_id)
        if query.states:
            conditions.append(f"state IN ({', '.join('?' * len(query.states))})")
            values += query.states
        if query.before is not None:
            conditions.append("sequence < ?")
            values.append(query.before)
        with self._reading() as database:
            condition = f"{' AND '.join(conditions)} ORDER BY sequence DESC LIMIT ?"
            return _runs(database, condition, (*values, query.limit))

    def nodes(self) -> Sequence[NodeRecord]:
        with self._reading() as database:
            rows: list[tuple[str, str, int, int, int]] = database.execute(
                "SELECT id, name, app_version, lease_until, paused FROM asyncz_nodes WHERE lease_until > ? ORDER BY id",
                (microseconds(self._time()),),
            ).fetchall()
        return [
            NodeRecord(
                id=node_id, name=name, app_version=version, lease_until=from_microseconds(until), paused=bool(paused)
            )
            for node_id, name, version, until, paused in rows
        ]

    def note_paused(self, paused: bool, /) -> None:
        with self._writing() as database:
            values = (int(paused), self._node.id)
            _ = database.execute("UPDATE asyncz_nodes SET paused = ? WHERE id = ?", values)

    def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int:
        pruned = 0
        with self._writing() as database:
            now = self._time()
            for state, age in keep.items():
                pruned += database.execute(
                    "DELETE FROM asyncz_runs WHERE sequence IN (SELECT sequence FROM asyncz_runs WHERE state = ? AND"
                    " finished_at < ? ORDER BY finished_at LIMIT ?)",
                    (state, microseconds(now - usable_age(age, now)), limit - pruned),
                ).rowcount
            _ = database.execute(
                "DELETE FROM asyncz_nodes WHERE lease_until < ?", (microseconds(now - FORGET_NODE_AFTER),)
            )
        return pruned

    def trim(self, task_ids: Sequence[str], keep: int, limit: int, /) -> int:
        trimmed = 0
        with self._writing() as database:
            for task_id in task_ids:
                values = (task_id, task_id, keep, limit - trimmed)
                trimmed += database.execute(_TRIM, values).rowcount
        return trimmed

    def listen(self) -> int:
        with self._writing() as database:
            return listen(database, self._node.id)

    def outcomes(self, since: int, limit: int, /) -> Sequence[RunRecord]:
        with self._reading() as database:
            return _runs(database, "ended > ? AND ended > 0 ORDER BY ended LIMIT ?", (since, limit))

    def announce(self, task_ids: Sequence[str], /) -> None:
        with self._writing() as database:
            announce(database, self._node.id, task_ids)

    def sweep(self, keep_undeclared: timedelta, keep_finished: timedelta | None, limit: int, /) -> Sequence[str]:
        with self._writing() as database:
            queries = SqliteSweepQueries(database, lambda task: _write_task(database, task))
            return sweep(queries, self._time(), keep_undeclared, keep_finished, limit)

    def commands(self, since: int | None, limit: int, /) -> Sequence[CommandRecord]:
        with self._reading() as database:
            rows = database.execute(commands_sql(since, "?"), () if since is None else (since, limit)).fetchall()
        return [command_of(row) for row in rows]

    def answer(self, sequence: int, failure: str, /) -> None:
        with self._writing() as database:
            values = (microseconds(self._time()), failure, sequence)
            _ = database.execute("UPDATE asyncz_commands SET done_at = ?, failure = ? WHERE sequence = ?", values)

    def revision(self) -> int:
        with self._reading() as database:
            (total,) = _one_row(database.execute(_REVISION))
            return total

    def end_lease(self) -> None:
        with self._writing() as database:
            _ = database.execute("DELETE FROM asyncz_nodes WHERE id = ?", (self._node.id,))
            close_program(database, self._node.id, self._time())

    def interrupt(self) -> None:
        """Do nothing: a call waits for other processes for a limited time."""

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _time(self) -> datetime:
        return utc(self._now())

    @contextlib.contextmanager
    def _writing(self) -> Generator[sqlite3.Connection, None, None]:
        """Provide the connection within a transaction that locks the file for writers first.

        A transaction that begins with a read and writes later could fail in the middle, because another process wrote.
        """
        with self._transaction("BEGIN IMMEDIATE") as database:
            yield database

    @contextlib.contextmanager
    def _reading(self) -> Generator[sqlite3.Connection, None, None]:
        with self._transaction("BEGIN") as database:
            yield database

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Generator[sqlite3.Connection, None, None]:
        try:
            database = self._connected()
            with transaction(database, begin):
                yield database
        except _DATA_ERRORS as error:
            raise StoreDataError(repr(self._path), f"{error}") from error
        except sqlite3.Error as error:
            self.close()
            raise store_error(error, repr(self._path)) from error

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            # Used by one thread at a time, but `close` may come from another one.
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            try:
                _use_wal(connection)
                # A power cut may undo the last transactions, but never damages the file.
                _ = connection.execute("PRAGMA synchronous = NORMAL")
                _ = migrate(connection, self._path)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _is_alive(self, database: sqlite3.Connection, now: datetime) -> bool:
        return is_alive(database, self._node.id, now)

    def _add_runs(self, database: sqlite3.Connection, runs: Iterable[RunRecord], now: datetime) -> list[RunRecord]:
        return add_runs(database, self._node.id, runs, now)

    def _finish(self, database: sqlite3.Connection, outcome: Outcome, numbers: OutcomeNumbers) -> bool:
        return finish_run(database, self._node.id, outcome, numbers, self._time) or was_finished_so(database, outcome)

    def _own(self, database: sqlite3.Connection, runs: Sequence[RunRecord]) -> Sequence[RunRecord]:
        _ = database.executemany(
            "UPDATE asyncz_runs SET state = 'running', node = ?, fence = fence + 1 WHERE id = ?",
            [(self._node.id, run.id.bytes) for run in runs],
        )
        update = {"state": "running", "node": self._node.id}
        return [evolved(run, {**update, "fence": run.fence + 1, "lost_node": run.node}) for run in runs]


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let readers and a writer of the file work at the same time.

    SQLite does not wait for others that change the mode of a new file at the same moment: so this tries again.
    """
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            _ = connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_WAL_DELAY)
        else:
            return


def migrate(connection: sqlite3.Connection, path: str) -> Sequence[Migration]:
    """Apply the migrations that the file lacks, in one transaction, and return them.

    Raises:
        StoreSchemaError: The file has a newer schema, or tables that are not those of this package.
    """
    known = migrations("sqlite")
    newest, found = known[-1].number, schema_number(connection)
    # The next version of the schema only adds to this one.
    if found > newest + 1:
        raise StoreSchemaError(repr(path), found, newest)
    if found >= newest:
        return ()
    with transaction(connection, "BEGIN IMMEDIATE"):
        # Read again: another process may have applied them meanwhile.
        found = schema_number(connection)
        _ = connection.execute(SCHEMA_TABLE)
        for migration in known[found:]:
            _apply(connection, path, found, migration)
    return known[found:]


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, begin: str) -> Generator[None, None, None]:
    """Execute the statements of a block in one transaction.

    Args:
        connection: Connection that begins no transaction itself.
        begin: Statement that begins the transaction.
    """
    _ = connection.execute(begin)
    try:
        yield
        _ = connection.execute("COMMIT")
    except BaseException:
        # SQLite has ended the transaction itself after some errors, such as a full disk.
        if connection.in_transaction:
            _ = connection.execute("ROLLBACK")
        raise


def _apply(connection: sqlite3.Connection, path: str, found: int, migration: Migration) -> None:
    try:
        for statement in statements(migration):
            _ = connection.execute(statement)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        # The statement is wrong for this file, as if someone had created the tables by hand.
        reason = f"{migration.name} fails: {error}; {FOREIGN_TABLES}"
        raise StoreSchemaError(repr(path), found, migration.number, reason) from error


def schema_number(connection: sqlite3.Connection) -> int:
    """Return the number of the newest migration that was applied, 0 if there is none."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'asyncz_schema'").fetchone() is None:
        return 0
    (number,) = _one_row(connection.execute("SELECT coalesce(max(number), 0) FROM asyncz_schema"))
    return number


def _news(database: sqlite3.Connection, now: datetime) -> StoreNews:
    values = {"now": microseconds(now), "late": microseconds(now - OVERDUE_AFTER)}
    row: tuple[int, int, int, int, str] = database.execute(_NEWS, values).fetchone()
    revision, waiting, overdue, lost, nodes = row
    # The statement makes a list of texts.
    ids: list[str] = json.loads(nodes)
    return StoreNews(
        nodes=tuple(sorted(ids)), revision=revision, waiting=bool(waiting), overdue=bool(overdue), lost=bool(lost)
    )


def _one_row(cursor: sqlite3.Cursor) -> tuple[int, ...]:
    row: tuple[int, ...] = cursor.fetchone()
    return row


def _tasks(database: sqlite3.Connection, condition: str, values: Sequence[SqlValue]) -> list[TaskRecord]:
    sql = f"SELECT {_TASKS} FROM asyncz_tasks WHERE {condition}"  # noqa: S608  # own names
    rows: list[tuple[SqlValue, ...]] = database.execute(sql, values).fetchall()
    return [task_of_row(row) for row in rows]


def _tasks_by_id(database: sqlite3.Connection, task_ids: Sequence[str]) -> dict[str, TaskRecord]:
    found: list[TaskRecord] = []
    for start in range(0, len(task_ids), 500):
        chunk = task_ids[start : start + 500]
        found += _tasks(database, f"id IN ({', '.join('?' * len(chunk))})", chunk)
    return {task.id: task for task in found}


def _in_order(task_ids: Sequence[str], known: Mapping[str, TaskRecord]) -> Sequence[TaskRecord]:
    return [known[task_id] for task_id in task_ids]


def _runs(
    database: sqlite3.Connection, condition: str, values: Sequence[SqlValue] | Mapping[str, SqlValue]
) -> list[RunRecord]:
    sql = f"SELECT {_RUNS} FROM asyncz_runs WHERE {condition}"  # noqa: S608  # own names
    rows: list[tuple[SqlValue, ...]] = database.execute(sql, values).fetchall()
    return [run_of_row(row) for row in rows]


def _write_task(database: sqlite3.Connection, task: TaskRecord) -> TaskRecord:
    (revision,) = _one_row(
        database.execute("UPDATE asyncz_counters SET value = value + 1 WHERE name = 'revision' RETURNING value")
    )
    written = task.model_copy(update={"version": task.version + 1, "revision": revision})
    _ = database.execute(WRITE_TASK, task_row(written))
    return written


def _advance(database: sqlite3.Connection, firing: Firing) -> bool:
    values = (sqlite_value(firing.next_due), firing.task_id, firing.version, sqlite_value(firing.due))
    return database.execute(_ADVANCE, values).rowcount == 1
