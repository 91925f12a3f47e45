"""Columns of the tables, and records from their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TypeAlias
from uuid import UUID

from asyncz.stores.records import Outcome, RunRecord, TaskRecord

SqlValue: TypeAlias = str | int | bytes | None
"""A value of SQLite."""

TASK_COLUMNS: tuple[str, ...] = tuple(TaskRecord.model_fields)
RUN_COLUMNS: tuple[str, ...] = tuple(RunRecord.model_fields)
OUTCOME_COLUMNS: tuple[str, ...] = (
    *("state", "attempt", "not_before", "started_at", "finished_at", "result", "error", "traceback"),
)

# In C, as there is one call for each stored run.
_run_values: Callable[[RunRecord], tuple[object, ...]] = attrgetter(*RUN_COLUMNS)
_outcome_values: Callable[[Outcome], tuple[object, ...]] = attrgetter(*OUTCOME_COLUMNS)
_NODE, _FENCE, _ENDED, _CREATED_AT, _SEQUENCE = map(
    RUN_COLUMNS.index, ("node", "fence", "ended", "created_at", "sequence")
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def column_list(columns: Iterable[str], table: str = "") -> str:
    """Return the columns as SQL, quoted: `trigger` is a keyword."""
    prefix = f"{table}." if table else ""
    return ", ".join(f'{prefix}"{column}"' for column in columns)


def microseconds(time: datetime) -> int:
    """Return a time as microseconds since the epoch, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """Return the UTC time of microseconds since the epoch, exactly."""
    return _EPOCH + value * _MICROSECOND


def run_row(run: RunRecord, owner: str | None, created_at: datetime, ended: int) -> list[SqlValue]:
    """Return the row of a new run, without its sequence, which SQLite chooses.

    Called once for each run: a record is copied only afterwards, with the sequence.

    Args:
        run: Run as given.
        owner: Id of the node that owns the run; None if none does.
        created_at: Time of the store.
        ended: Number of the outcome; 0 if the run has none.
    """
    row = [sqlite_value(value) for value in _run_values(run)]
    row[_NODE], row[_FENCE], row[_ENDED] = owner, int(owner is not None), ended
    row[_CREATED_AT], row[_SEQUENCE] = microseconds(created_at), None
    return row


def outcome_row(outcome: Outcome) -> list[SqlValue]:
    """Return the values of an outcome for the columns `OUTCOME_COLUMNS`."""
    return [sqlite_value(value) for value in _outcome_values(outcome)]


def sqlite_value(value: object) -> SqlValue:
    """Return a value of a record as SQLite keeps it."""
    if value is None or isinstance(value, str | int | bytes):
        return value
    match value:
        case datetime():
            return microseconds(value)
        case UUID():
            return value.bytes
        case _:
            raise TypeError(value)


_TIMES = frozenset(
    {"next_due", "inactive_since", "scheduled_at", "not_before", "created_at", "started_at", "finished_at", "done_at"}
)


def _python_value(column: str, value: object) -> object:
    """Return a value of a record from one of SQLite; those of PostgreSQL stay as they are."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return UUID(bytes=value)
    if isinstance(value, int):
        if column in _TIMES:
            return from_microseconds(value)
        if column in {"paused", "removed"}:
            return bool(value)
    return value


def task_of_row(row: Sequence[object]) -> TaskRecord:
    """Return the task of a row with the columns `TASK_COLUMNS`."""
    return TaskRecord.model_validate(record_values(TASK_COLUMNS, row))


def run_of_row(row: Sequence[object], columns: Iterable[str] = RUN_COLUMNS) -> RunRecord:
    """Return the run of a row, without the columns that were not read."""
    return RunRecord.model_validate(record_values(columns, row))


def record_values(columns: Iterable[str], row: Sequence[object]) -> dict[str, object]:
    """Return the values of a record by column, from a row of SQLite or PostgreSQL."""
    return {column: _python_value(column, value) for column, value in zip(columns, row, strict=True)}
