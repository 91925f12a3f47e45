"""Store in PostgreSQL, for the processes of several machines."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from asyncz._checks import check_at_least
from asyncz.clock import in_utc, utc
from asyncz.exceptions import MissingExtraError
from asyncz.stores._checks import check_ttl, usable_age
from asyncz.stores._columns import RUN_COLUMNS, TASK_COLUMNS, column_list
from asyncz.stores._console_records import CommandRecord, command_of, commands_sql
from asyncz.stores._declarations import records_to_write
from asyncz.stores._sweep import sweep
from asyncz.stores._transactions import DatabaseSession
from asyncz.stores._unvalidated import evolved
from asyncz.stores.exceptions import StoreDataError
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

try:
    import psycopg
    from psycopg.rows import args_row, kwargs_row, scalar_row

    from asyncz.stores._outcomes_postgres import (
        ADD_RUNS,
        ADDED,
        ALIVE,
        GIVEN_RUNS,
        NOW,
        finish_statement,
        finished_before_statement,
        listen,
        number_late,
        number_outcomes,
        runs_json,
        submit_statement,
    )
    from asyncz.stores._postgres_connection import Connection, connected, interrupt
    from asyncz.stores._postgres_errors import store_error
    from asyncz.stores._postgres_hints import CHANNEL
    from asyncz.stores._postgres_migrations import migrate
    from asyncz.stores._postgres_network import describe
    from asyncz.stores._postgres_plans import PlanAge
    from asyncz.stores._postgres_session import NotifiedSession
    from asyncz.stores._reports_postgres import report, reports_of
    from asyncz.stores._sweep_postgres import PostgresSweepQueries, announce, close_program
except ImportError as _error:
    raise MissingExtraError("PostgresStore", "psycopg", "postgres") from _error

_TASKS = column_list(TASK_COLUMNS)
_RUNS = column_list(RUN_COLUMNS)
_CAN_FIRE = "state = 'active' AND NOT paused AND NOT removed"
_IS_LOST = f"""NOT EXISTS (
    SELECT FROM asyncz_nodes WHERE asyncz_nodes.id = asyncz_runs.node AND asyncz_nodes.lease_until > {NOW}
)"""

# The statement sees the other rows as they were before; this node counts as one with a lease.
_GRANT_LEASE = f"""
WITH moment AS MATERIALIZED (SELECT {NOW} AS now), former AS (SELECT lease_until FROM asyncz_nodes WHERE id = %(node)s)
INSERT INTO asyncz_nodes (id, name, app_version, lease_until)
SELECT %(node)s, %(name)s, %(app_version)s, now + %(ttl)s FROM moment
ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until
RETURNING lease_until, (SELECT now FROM moment),
    NOT coalesce((SELECT lease_until FROM former) > (SELECT now FROM moment), %(first)s),
    (SELECT value FROM asyncz_counters WHERE name = 'revision'),
    EXISTS (SELECT FROM asyncz_runs WHERE state = 'waiting' AND (not_before IS NULL OR not_before <= {NOW})),
    EXISTS (SELECT FROM asyncz_tasks WHERE next_due < {NOW} - %(late)s AND {_CAN_FIRE}),
    EXISTS (SELECT FROM asyncz_runs WHERE state = 'running' AND node IS DISTINCT FROM %(node)s AND {_IS_LOST}),
    ARRAY(SELECT id FROM asyncz_nodes WHERE lease_until > {NOW} AND id <> %(node)s)
""".encode()  # noqa: S608  # own names

_WRITE_TASK = f"""
INSERT INTO asyncz_tasks ({_TASKS}) VALUES ({", ".join(f"%({column})s" for column in TASK_COLUMNS)})
ON CONFLICT (id) DO UPDATE SET {", ".join(f'"{column}" = excluded."{column}"' for column in TASK_COLUMNS)}
""".encode()  # noqa: S608  # own names

# Two numbers in one: their sum would stay the same when a run stops to wait while a task changes. The `+ 0` keeps
# PostgreSQL from a walk along the sequence of all runs, to the newest one that waits.
_REVISION = (
    "SELECT (SELECT value & 1073741823 FROM asyncz_counters WHERE name = 'revision') * 4294967296"
    " + (coalesce((SELECT max(sequence + 0) FROM asyncz_runs WHERE state = 'waiting'), 0) & 4294967295)"
)
# One statement. SKIP LOCKED: another node that fires the same task at this moment wins, without a wait or a deadlock.
# LATERAL, and a comparison of due times that no index serves, so that each task is found by its id: without statistics
# the planner expects one active task, and would compare each task of the table with each firing.
_FIRE = f"""
WITH firing AS (
    SELECT * FROM json_to_recordset(%(firings)s::json) AS firing (
        id text, version int, due timestamptz, latest timestamptz, next_due timestamptz
    )
),
winner AS MATERIALIZED (
    SELECT firing.id, firing.next_due FROM firing CROSS JOIN LATERAL (
        SELECT FROM asyncz_tasks WHERE id = firing.id AND version = firing.version
            AND next_due IS NOT DISTINCT FROM firing.due AND {_CAN_FIRE}
        FOR UPDATE SKIP LOCKED
    ) AS task
    WHERE firing.latest <= {NOW} AND {ALIVE}
),
advanced AS (
    UPDATE asyncz_tasks SET next_due = winner.next_due FROM winner
    WHERE asyncz_tasks.id = winner.id AND asyncz_tasks.id = ANY (ARRAY(SELECT id FROM winner))
    RETURNING asyncz_tasks.id
)
{ADD_RUNS} FROM {GIVEN_RUNS} JOIN advanced ON advanced.id = given.task_id ORDER BY ordinality
ON CONFLICT DO NOTHING RETURNING {ADDED}
""".encode()  # noqa: S608  # own names

_OWN = f"""
UPDATE asyncz_runs SET state = 'running', node = %(node)s, fence = fence + 1
WHERE sequence = ANY (ARRAY(SELECT sequence FROM chosen)) AND {ALIVE} RETURNING {_RUNS}
"""  # noqa: S608  # own names
# Materialized: inlined, the subquery could be executed again for each row and lock more rows than its limit.
_CLAIM = f"""
WITH slots AS (SELECT * FROM unnest(%(executors)s::text[], %(free)s::int[]) AS slots (executor, free)),
chosen AS MATERIALIZED (
    SELECT waiting.sequence FROM slots CROSS JOIN LATERAL (
        SELECT sequence FROM asyncz_runs
        WHERE state = 'waiting' AND executor = slots.executor AND (not_before IS NULL OR not_before <= {NOW})
            AND task_id <> ALL (%(skip)s::text[])
        ORDER BY sequence LIMIT slots.free FOR UPDATE SKIP LOCKED
    ) AS waiting ORDER BY waiting.sequence LIMIT %(limit)s
)
{_OWN}""".encode()  # noqa: S608  # own names
_TAKE_OVER = f"""
WITH chosen AS MATERIALIZED (
    SELECT sequence, node FROM asyncz_runs
    WHERE state = 'running' AND {_IS_LOST}
    ORDER BY sequence LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
{_OWN}, (SELECT node FROM chosen WHERE chosen.sequence = asyncz_runs.sequence) AS lost_node
""".encode()  # noqa: S608  # own names

_DONE = "task_id = task.id AND state NOT IN ('waiting', 'running')"
# An array, which is computed once: a subquery with a limit could be executed again for each row.
_TRIM = f"""
DELETE FROM asyncz_runs WHERE sequence = ANY (ARRAY(
    SELECT old.sequence FROM unnest(%(ids)s::text[]) AS task (id) CROSS JOIN LATERAL (
        SELECT sequence FROM asyncz_runs WHERE {_DONE} AND sequence <= (
            SELECT sequence FROM asyncz_runs WHERE {_DONE} ORDER BY sequence DESC OFFSET %(keep)s LIMIT 1
        )
        ORDER BY sequence LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ) AS old LIMIT %(limit)s
))
""".encode()  # noqa: S608  # own names


class PostgresStore:
    """Store in a PostgreSQL database, version 14 or later, that the schedulers of several machines share.

    Each node has three connections: for its work, for its lease, and for notifications. The clock of the store is that
    of the server. Needs the extra `postgres`.

    Args:
        url: Connection string of libpq, such as `postgresql://user@host/database`.
        poll_interval: Seconds between polls for changes of other nodes without notifications, at least 0.001.
        prepare: True to use prepared statements. False is needed behind a pooler that cannot keep them.
        notify: True to notify other nodes of changes. False is needed behind a pooler that shares connections.
        now: Clock of the store for tests: returns seconds since the epoch. None for the clock of the server.

    Raises:
        InvalidInputError: The connection string is not valid, or `poll_interval` is too small, or not a number.

    Example:
        >>> store = PostgresStore("postgresql:///jobs")
        >>> session = await store.connect(NodeRecord(id=uuid4().hex), timedelta(seconds=15))
    """

    def __init__(
        self,
        url: str,
        *,
        poll_interval: float = 0.25,
        prepare: bool = True,
        notify: bool = True,
        now: Callable[[], float] | None = None,
    ) -> None:
        check_at_least("poll_interval", poll_interval, 0.001)
        self._url = url
        self._notify = notify
        self._description = describe(url)
        self._poll_interval = poll_interval
        self._prepare = prepare
        self._now = now

    async def connect(self, node: NodeRecord, ttl: timedelta, /) -> StoreSession:
        """Open a session for a node, with its first lease."""
        check_ttl(ttl)
        transactions, renewals = self._transactions(node, ttl), self._transactions(node, ttl)
        session = (
            NotifiedSession(self._url, transactions, renewals, self._description, self._poll_interval)
            if self._notify
            else DatabaseSession(transactions, renewals, self._description, self._poll_interval)
        )
        await session.open()
        return session

    def _transactions(self, node: NodeRecord, ttl: timedelta) -> _PostgresTransactions:
        return _PostgresTransactions(self._url, self._description, self._prepare, self._now, node, ttl)


class _Granted(NamedTuple):
    until: datetime
    now: datetime
    lost: bool
    revision: int
    waiting: bool
    overdue: bool
    has_lost: bool
    others: list[str]


class _AddedRow(NamedTuple):
    id: UUID
    sequence: int
    created_at: datetime


class _PostgresTransactions:
    """Transactions over one connection, which is opened by the first call. For one thread at a time."""

    def __init__(  # noqa: PLR0917  # created by one function
        self,
        url: str,
        description: str,
        prepare: bool,
        now: Callable[[], float] | None,
        node: NodeRecord,
        ttl: timedelta,
    ) -> None:
        self._url = url
        self._description = description
        self._prepare = prepare
        self._now = now
        self._node = node
        self._ttl = ttl
        self._connection: Connection | None = None
        self._plans = PlanAge()
        # Another thread reads it: one assignment, which is atomic under the GIL.
        self.backend_pid: int = 0

    def grant_lease(self, *, first: bool) -> Lease:
        values = {
            **self._values(),
            "name": self._node.name,
            "app_version": self._node.app_version,
            "ttl": self._ttl,
            "first": first,
            "late": OVERDUE_AFTER,
        }
        with self._connected() as database, database.cursor(row_factory=args_row(_Granted)) as cursor:
            # Planned each time: a plan for the small tables of the start would stay the one of this connection.
            (granted,) = cursor.execute(_GRANT_LEASE, values, prepare=False).fetchall()
        news = StoreNews(
            nodes=tuple(sorted((*granted.others, self._node.id))),
            revision=granted.revision,
            waiting=granted.waiting,
            overdue=granted.overdue,
            lost=granted.has_lost,
        )
        return Lease(until=granted.until, now=granted.now, lost=granted.lost, news=news)

    def declare(self, tasks: Sequence[TaskRecord], existing: ExistingTaskPolicy, /) -> Sequence[TaskRecord]:
        ids = [task.id for task in tasks]
        with self._connected() as database:
            known = _tasks_by_id(database, ids)
            if records_to_write(tasks, known, existing):
                with database.transaction():
                    _ = _revision(database, lock=True)
                    _write_tasks(database, records_to_write(tasks, _tasks_by_id(database, ids), existing))
                    known = _tasks_by_id(database, ids)
            self._plans.note_tasks([*known.values()])
            return [known[task_id] for task_id in ids]

    def change(self, task: TaskRecord, /) -> TaskRecord | None:
        with self._connected() as database, database.transaction():
            _ = _revision(database, lock=True)
            known = _tasks_by_id(database, [task.id]).get(task.id)
            if task.version != (0 if known is None or known.removed else known.version):
                return None
            version = task.version if known is None else known.version
            (written,) = _write_tasks(database, [task.model_copy(update={"version": version})])
            self._plans.note_tasks([written])
            return written

    def remove(self, task_ids: Sequence[str], /) -> Sequence[str]:
        with self._connected() as database, database.transaction():
            _ = _revision(database, lock=True)
            known = _tasks_by_id(database, task_ids)
            removed = [known[task_id] for task_id in task_ids if task_id in known and not known[task_id].removed]
            update = {"removed": True, "next_due": None, "inactive_since": self._server_time(database)}
            _ = _write_tasks(database, [task.model_copy(update=update) for task in removed])
            return [task.id for task in removed]

    def changes(self, since: int, limit: int, /) -> Sequence[TaskRecord]:
        with self._connected() as database:
            found = _tasks(
                database, "revision > %(since)s ORDER BY revision LIMIT %(limit)s", {"since": since, "limit": limit}
            )
        self._plans.note_tasks(found)
        return found

    def overdue(self, by: timedelta, limit: int, after: tuple[datetime, str] | None, /) -> Sequence[TaskRecord]:
        condition = f"next_due < {NOW} - %(by)s AND {_CAN_FIRE}"
        values = {**self._values(), "by": by, "limit": limit}
        if after is not None:
            condition += " AND (next_due, id) > (%(after_due)s, %(after_id)s)"
            values |= {"after_due": after[0], "after_id": after[1]}
        with self._connected() as database:
            return _tasks(database, f"{condition} ORDER BY next_due, id LIMIT %(limit)s", values)

    def fire(self, firings: Sequence[Firing], /) -> Sequence[RunRecord]:
        runs = [run for firing in firings for run in firing.runs]
        values = {
            **self._values(),
            "firings": json.dumps([_values_of(firing) for firing in firings]),
            "runs": runs_json(runs),
        }
        missed = any(run.done for run in runs)
        with self._connected() as database:
            if not missed:
                return self._added(database, _FIRE, values, runs)
            with database.transaction():
                fired = self._added(database, _FIRE, values, runs)
                number_outcomes(database, [run.id for run in fired if run.done])
                return fired

    def submit(self, runs: Sequence[RunRecord], /) -> Sequence[RunRecord]:
        with self._connected() as database:
            return self._added(database, *submit_statement(runs, self._values()), runs)

    def _added(
        self, database: Connection, sql: bytes, values: Mapping[str, object], runs: Sequence[RunRecord]
    ) -> Sequence[RunRecord]:
        """Execute a statement that adds runs, and return the added ones as they are stored, in their order."""
        with database.cursor(row_factory=args_row(_AddedRow)) as cursor:
            rows = {row.id: row for row in cursor.execute(sql, values).fetchall()}
        added: list[RunRecord] = []
        for run in runs:
            row = rows.pop(run.id, None)
            if row is not None:
                owner = self._node.id if run.state == "running" else None
                update = {
                    "node": owner,
                    "fence": int(owner is not None),
                    "created_at": in_utc(row.created_at),
                    "ended": 0,
                }
                added.append(evolved(run, {**update, "sequence": row.sequence}))
        self._plans.note_runs(added)
        return added

    def claim(self, executors: Mapping[str, int], limit: int, skip: Sequence[str], /) -> Sequence[RunRecord]:
        slots = {"executors": [*executors], "free": [*executors.values()], "limit": limit, "skip": [*skip]}
        with self._connected() as database:
            claimed = _runs(database, _CLAIM, {**self._values(), **slots})
        self._plans.note_runs(claimed)
        return claimed

    def finish(self, outcomes: Sequence[Outcome], /) -> Sequence[UUID]:
        with self._connected() as database, database.cursor(row_factory=args_row(_run_id)) as cursor:
            accepted = cursor.execute(*finish_statement(outcomes, self._values())).fetchall()
            if len(accepted) < len(outcomes):
                # In a statement of its own, which sees the row that a first call has written meanwhile.
                accepted += cursor.execute(*finished_before_statement(outcomes)).fetchall()
                number_late(database)
            return [*dict.fromkeys(accepted)]

    def take_over(self, limit: int, /) -> Sequence[RunRecord]:
        with self._connected() as database:
            taken = _runs(database, _TAKE_OVER, {**self._values(), "limit": limit})
        self._plans.note_runs(taken)
        return taken

    def report(self, reports: Sequence[RunReport], /) -> Sequence[UUID]:
        with self._connected() as database:
            return report(database, reports, self._values()["now"])

    def reports(self, run_id: UUID, /) -> Sequence[RunReport]:
        with self._connected() as database:
            return reports_of(database, run_id)

    def runs(self, query: RunQuery, /) -> Sequence[RunRecord]:
        conditions = ["TRUE"]
        if query.run_id is not None:
            conditions.append("id = %(run_id)s")
        if query.task_id is not None:
            conditions.append("task_id = %(task_id)s")
        if query.states:
            conditions.append("state = ANY (%(states)s)")
        if query.before is not None:
            conditions.append("sequence < %(before)s")
        sql = (
            f"SELECT {_RUNS} FROM asyncz_runs WHERE {' AND '.join(conditions)}"  # noqa: S608  # own names
            " ORDER BY sequence DESC LIMIT %(limit)s"
        )
        page = {"before": query.before, "limit": query.limit}
        values = {"run_id": query.run_id, "task_id": query.task_id, "states": [*query.states], **page}
        with self._connected() as database:
            return _runs(database, sql.encode(), values, newest_first=True)

    def nodes(self) -> Sequence[NodeRecord]:
        columns = column_list(NodeRecord.model_fields)
        sql = f"SELECT {columns} FROM asyncz_nodes WHERE lease_until > {NOW} ORDER BY id"  # noqa: S608  # own names
        with self._connected() as database, database.cursor(row_factory=kwargs_row(NodeRecord)) as cursor:
            return cursor.execute(sql.encode(), self._values()).fetchall()

    def note_paused(self, paused: bool, /) -> None:
        with self._connected() as database:
            values = {**self._values(), "paused": paused}
            _ = database.execute("UPDATE asyncz_nodes SET paused = %(paused)s WHERE id = %(node)s", values)

    def prune(self, keep: Mapping[FinalRunState, timedelta], limit: int, /) -> int:
        sql = (
            "DELETE FROM asyncz_runs WHERE id IN (SELECT id FROM asyncz_runs WHERE state = %(state)s"  # noqa: S608  # own names
            f" AND finished_at < {NOW} - %(age)s ORDER BY finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)"
        )
        pruned = 0
        now = utc(time.time() if self._now is None else self._now())
        with self._connected() as database:
            for state, age in keep.items():
                values = {**self._values(), "state": state, "age": usable_age(age, now), "limit": limit - pruned}
                pruned += database.execute(sql.encode(), values).rowcount
            forget = f"DELETE FROM asyncz_nodes WHERE lease_until < {NOW} - %(age)s"  # noqa: S608  # own names
            _ = database.execute(forget.encode(), {**self._values(), "age": FORGET_NODE_AFTER})
        return pruned

    def trim(self, task_ids: Sequence[str], keep: int, limit: int, /) -> int:
        with self._connected() as database:
            return database.execute(_TRIM, {"ids": [*task_ids], "keep": keep, "limit": limit}).rowcount

    def listen(self) -> int:
        with self._connected() as database:
            return listen(database, self._node.id)

    def outcomes(self, since: int, limit: int, /) -> Sequence[RunRecord]:
        sql = f"SELECT {_RUNS} FROM asyncz_runs WHERE ended > %(since)s AND ended > 0 ORDER BY ended LIMIT %(limit)s"  # noqa: S608
        with self._connected() as database:
            number_late(database)
            found = _runs(database, sql.encode(), {"since": since, "limit": limit})
        return sorted(found, key=lambda run: run.ended)

    def announce(self, task_ids: Sequence[str], /) -> None:
        with self._connected() as database:
            announce(database, self._node.id, task_ids)

    def sweep(self, keep_undeclared: timedelta, keep_finished: timedelta | None, limit: int, /) -> Sequence[str]:
        with self._connected() as database, database.transaction():
            _ = _revision(database, lock=True)
            queries = PostgresSweepQueries(database, lambda tasks: _write_tasks(database, tasks))
            return sweep(queries, self._server_time(database), keep_undeclared, keep_finished, limit)

    def commands(self, since: int | None, limit: int, /) -> Sequence[CommandRecord]:
        with self._connected() as database:
            sql = commands_sql(since, "%s").encode()
            return [command_of(row) for row in database.execute(sql, () if since is None else (since, limit))]

    def answer(self, sequence: int, failure: str, /) -> None:
        sql = f"UPDATE asyncz_commands SET done_at = {NOW}, failure = %(failure)s WHERE sequence = %(sequence)s"  # noqa: S608
        with self._connected() as database:
            _ = database.execute(sql.encode(), {**self._values(), "failure": failure, "sequence": sequence})

    def revision(self) -> int:
        with self._connected() as database:
            return _revision(database, lock=False)

    def notify(self) -> None:
        """Notify other nodes that tasks or waiting runs have changed."""
        with self._connected() as database:
            _ = database.execute(f"SELECT pg_notify({CHANNEL}, '')".encode())

    def end_lease(self) -> None:
        with self._connected() as database:
            _ = database.execute("DELETE FROM asyncz_nodes WHERE id = %(node)s", self._values())
            close_program(database, self._node.id, self._server_time(database))

    def interrupt(self) -> None:
        connection = self._connection
        if connection is not None:
            interrupt(connection)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _server_time(self, database: Connection) -> datetime:
        with database.cursor(row_factory=args_row(in_utc)) as cursor:
            (now,) = cursor.execute(f"SELECT {NOW}".encode(), self._values()).fetchall()
        return now

    def _values(self) -> dict[str, object]:
        return {"node": self._node.id, "now": None if self._now is None else utc(self._now())}

    @contextlib.contextmanager
    def _connected(self) -> Generator[Connection, None, None]:
        """Provide the connection, in which each statement outside of a transaction is one."""
        try:
            if self._connection is None:
                # Assigned first, so that `interrupt` can end a migration that waits for the server.
                connection = self._connection = connected(self._url, prepare=self._prepare)
                try:
                    _ = migrate(connection, self._description)
                except BaseException:
                    self.close()
                    raise
                self.backend_pid = connection.info.backend_pid
            if self._prepare:
                self._plans.renew(self._connection)
            yield self._connection
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded, UnicodeError) as error:
            raise StoreDataError(self._description, f"{error}".strip()) from error
        except psycopg.Error as error:
            # Only a new connection is known to be in order.
            self.close()
            raise store_error(error, self._description) from error


def _revision(database: Connection, *, lock: bool) -> int:
    """Return a number that changes with tasks and waiting runs, or lock the revisions until the transaction ends.

    The lock makes revisions visible in their order: a reader that has seen one has seen all smaller ones.
    """
    sql = "SELECT value FROM asyncz_counters WHERE name = 'revision' FOR UPDATE" if lock else _REVISION
    with database.cursor(row_factory=scalar_row) as cursor:
        (value,) = cursor.execute(sql.encode()).fetchall()
        return int(f"{value}")


def _write_tasks(database: Connection, tasks: Sequence[TaskRecord]) -> Sequence[TaskRecord]:
    """Write tasks with their next versions and revisions. The revisions are locked."""
    first = _revision_only(database, len(tasks))
    written = [
        task.model_copy(update={"version": task.version + 1, "revision": first + number})
        for number, task in enumerate(tasks, start=1)
    ]
    if written:
        with database.cursor() as cursor:
            cursor.executemany(_WRITE_TASK, [task.model_dump() for task in written])
    return written


def _revision_only(database: Connection, count: int) -> int:
    """Reserve revisions, and return the one before the first of them."""
    sql = b"UPDATE asyncz_counters SET value = value + %s WHERE name = 'revision' RETURNING value - %s"
    with database.cursor(row_factory=scalar_row) as cursor:
        (value,) = cursor.execute(sql, [count, count]).fetchall()
        return int(f"{value}")


def _tasks(database: Connection, condition: str, values: Mapping[str, object]) -> list[TaskRecord]:
    sql = f"SELECT {_TASKS} FROM asyncz_tasks WHERE {condition}"  # noqa: S608  # own names
    with database.cursor(row_factory=kwargs_row(TaskRecord)) as cursor:
        return cursor.execute(sql.encode(), values).fetchall()


def _tasks_by_id(database: Connection, task_ids: Sequence[str]) -> dict[str, TaskRecord]:
    return {task.id: task for task in _tasks(database, "id = ANY (%(ids)s)", {"ids": [*task_ids]})}


def _runs(
    database: Connection, sql: bytes, values: Mapping[str, object], *, newest_first: bool = False
) -> Sequence[RunRecord]:
    with database.cursor(row_factory=kwargs_row(RunRecord)) as cursor:
        found = cursor.execute(sql, values).fetchall()
    # A statement that writes returns its rows in any order.
    return sorted(found, key=lambda run: run.sequence, reverse=newest_first)


def _run_id(run_id: UUID) -> UUID:
    return run_id


def _values_of(firing: Firing) -> Mapping[str, object]:
    """Return the values of a firing that its statement reads as JSON: the driver needs longer for arrays."""
    return {
        "id": firing.task_id,
        "version": firing.version,
        "due": firing.due.isoformat(),
        "latest": firing.latest.isoformat(),
        "next_due": None if firing.next_due is None else firing.next_due.isoformat(),
    }
