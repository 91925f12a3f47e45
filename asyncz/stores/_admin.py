"""Maintenance of a database that schedulers use as their store: schema, contents and old runs. Without a node."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

import attrs

from asyncz.stores._checks import usable_age
from asyncz.stores._columns import REPORT_COLUMNS, RUN_COLUMNS, TASK_COLUMNS
from asyncz.stores._console_records import COMMAND_COLUMNS
from asyncz.stores._migrations import Dialect, Migration, migrations
from asyncz.stores.exceptions import StoreSchemaError
from asyncz.stores.records import FINAL_RUN_STATES, FinalRunState, NodeRecord

Access: TypeAlias = Literal["read", "write", "create"]
"""How a database is opened; only `create` makes a new file."""

_TABLES: Mapping[str, Collection[str]] = {
    "asyncz_tasks": TASK_COLUMNS,
    "asyncz_runs": RUN_COLUMNS,
    "asyncz_nodes": tuple(NodeRecord.model_fields),
    "asyncz_counters": ("name", "value"),
    "asyncz_commands": COMMAND_COLUMNS,
    "asyncz_reports": REPORT_COLUMNS,
}
# Rows that one statement deletes: a longer one would keep nodes from writing.
_BATCH = 500


class SchemaStatus(NamedTuple):
    """State of the schema of a database.

    Attributes:
        found: Number of the newest migration in the database.
        needed: Number of the newest migration that this version knows.
        problem: Reason why nodes of this version cannot use the database; empty if they can.
    """

    found: int
    needed: int
    problem: str


class StoreContents(NamedTuple):
    """Numbers of the records in a store.

    Attributes:
        tasks: Number of tasks by state; `removed` are tombstones.
        runs: Number of runs by state.
        nodes: Nodes whose lease is valid.
        undeclared: Ids of tasks that no program declares any more, and since when; the first 100.
        parked: Ids of tasks that cannot run anywhere, and their reasons; the first 100.
    """

    tasks: Mapping[str, int]
    runs: Mapping[str, int]
    nodes: Sequence[NodeRecord]
    undeclared: Mapping[str, datetime | None]
    parked: Mapping[str, str]


@attrs.frozen(kw_only=True)
class PruneRule:
    """Selection of finished runs to delete.

    Attributes:
        older_than: Minimum age of the outcome; None for any age.
        keep: Number of the newest finished runs of each task that stay.
        states: States of the runs.
    """

    older_than: timedelta | None = None
    keep: int = 0
    states: Sequence[FinalRunState] = FINAL_RUN_STATES


class StoreAdmin(abc.ABC):
    """Maintenance over one connection, for one thread.

    Attributes:
        description: Description of the store, without passwords.
        dialect: Folder of its migrations.
    """

    description: str
    dialect: Dialect

    @abc.abstractmethod
    def migrate(self) -> Sequence[Migration]:
        """Apply the migrations that the database lacks, and return them.

        Raises:
            StoreSchemaError: The database has a newer schema, or tables that are not those of this package.
            StoreConnectionError: The database cannot be changed.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Close the connection."""

    @abc.abstractmethod
    def interrupt(self) -> None:
        """End the connection of a call that waits for a server, which then raises. Thread-safe."""

    @abc.abstractmethod
    def _rows(self, sql: str, *values: object) -> Sequence[Sequence[object]]:
        """Execute a statement with `?` for values, in a transaction of its own."""

    @abc.abstractmethod
    def _schema(self) -> int: ...

    @abc.abstractmethod
    def _columns(self, table: str) -> Collection[str]: ...

    @abc.abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Execute the statements of a block in one transaction."""

    @abc.abstractmethod
    def notify(self) -> None:
        """Notify nodes that tasks, runs or commands have changed, if the database can do that."""

    @abc.abstractmethod
    def now(self) -> datetime:
        """Return the time by the clock of the store."""

    @abc.abstractmethod
    def stored_time(self, moment: datetime) -> object:
        """Return a time as the database keeps it."""

    @abc.abstractmethod
    def stored_id(self, run_id: UUID) -> object:
        """Return the id of a run as the database keeps it."""

    @abc.abstractmethod
    def read_time(self, value: object) -> datetime:
        """Return a time of the database."""

    @abc.abstractmethod
    def _delete(self, sequences: Sequence[int]) -> int: ...

    def query(self, sql: str, *values: object) -> Sequence[Sequence[object]]:
        """Return the rows of a statement with `?` for values.

        Raises:
            StoreConnectionError: The database cannot be read.
        """
        return self._rows(sql, *values)

    def status(self) -> SchemaStatus:
        """Return the state of the schema.

        Raises:
            StoreConnectionError: The database cannot be read.
        """
        found, needed = self._schema(), migrations(self.dialect)[-1].number
        return SchemaStatus(found, needed, self._problem(found, needed))

    def _problem(self, found: int, needed: int) -> str:
        if found > needed + 1:
            return "the schema is newer than this version of asyncz; install a newer one"
        if found == 0 and any(self._columns(table) for table in _TABLES):
            return "there are tables of a store, but the table asyncz_schema lacks; their migration was not recorded"
        if found < needed:
            return "migrations are missing; `asyncz store migrate` applies them, and so does the next scheduler"
        for table, columns in _TABLES.items():
            missing = sorted({*columns} - {*self._columns(table)})
            if missing:
                return f"the table {table} lacks {', '.join(missing)}"
        return ""

    def require_schema(self) -> None:
        """Check that the database has the schema of this version.

        Raises:
            StoreSchemaError: It has another one.
        """
        status = self.status()
        if status.problem:
            raise StoreSchemaError(self.description, status.found, status.needed, status.problem)

    def contents(self) -> StoreContents:
        """Return the numbers of the records; the database has the schema of this version."""
        tasks = self._rows(
            "SELECT CASE WHEN removed THEN 'removed' ELSE state END, count(*) FROM asyncz_tasks GROUP BY 1"
        )
        runs = self._rows("SELECT state, count(*) FROM asyncz_runs GROUP BY 1")
        named = self._rows(
            "SELECT id, state, inactive_since, problem FROM asyncz_tasks"
            " WHERE state <> 'active' AND NOT removed ORDER BY id LIMIT 100"
        )
        return StoreContents(
            _counts(tasks),
            _counts(runs),
            undeclared={
                str(task_id): None if since is None else self.read_time(since)
                for task_id, state, since, _ in named
                if state == "undeclared"
            },
            parked={str(task_id): str(problem) for task_id, state, _, problem in named if state == "parked"},
            nodes=self.nodes(),
        )

    def nodes(self) -> Sequence[NodeRecord]:
        """Return the nodes whose lease is valid, sorted by id."""
        sql = "SELECT id, name, app_version, lease_until, paused FROM asyncz_nodes WHERE lease_until > ? ORDER BY id"
        return [
            NodeRecord(
                id=str(node),
                name=str(name),
                app_version=int(str(version)),
                lease_until=self.read_time(until),
                paused=bool(paused),
            )
            for node, name, version, until, paused in self._rows(sql, self.stored_time(self.now()))
        ]

    def select(self, rule: PruneRule) -> Mapping[FinalRunState, Sequence[int]]:
        """Return the runs that a rule selects, as their `sequence` by state, the oldest first."""
        states: list[object] = [*rule.states]
        final = ", ".join(f"'{state}'" for state in FINAL_RUN_STATES)
        wanted = ", ".join("?" * len(states))
        inner = (
            "SELECT sequence, state, finished_at, row_number() OVER (PARTITION BY task_id ORDER BY sequence DESC)"  # noqa: S608  # own names
            f" AS position FROM asyncz_runs WHERE state IN ({final})"
        )
        condition, values = f"position > ? AND state IN ({wanted})", [rule.keep, *states]
        if rule.older_than is not None:
            condition += " AND finished_at < ?"
            now = self.now()
            values.append(self.stored_time(now - usable_age(rule.older_than, now)))
        sql = f"SELECT state, sequence FROM ({inner}) AS numbered WHERE {condition} ORDER BY sequence"  # noqa: S608  # own names
        selected: dict[FinalRunState, list[int]] = {state: [] for state in rule.states}
        for state, sequence in self._rows(sql, *values):
            for each in rule.states:
                if each == state:
                    selected[each].append(int(str(sequence)))
        return selected

    def delete(self, selected: Mapping[FinalRunState, Sequence[int]]) -> int:
        """Delete selected runs in batches, and return their number. A run never leaves its final state."""
        sequences = sorted(each for found in selected.values() for each in found)
        return sum(self._delete(sequences[start : start + _BATCH]) for start in range(0, len(sequences), _BATCH))


def _counts(rows: Sequence[Sequence[object]]) -> Mapping[str, int]:
    return {str(name): int(str(count)) for name, count in sorted(rows, key=str)}
