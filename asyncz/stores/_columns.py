"""Columns of the tables, and records from their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TypeAlias, cast
from uuid import UUID

from asyncz.stores.records import Outcome, RunRecord, RunReport, TaskRecord

SqlValue: TypeAlias = str | int | bytes | None
"""A value of SQLite."""

TASK_COLUMNS: tuple[str, ...] = tuple(TaskRecord.model_fields)
RUN_COLUMNS: tuple[str, ...] = tuple(name for name, field in RunRecord.model_fields.items() if not field.exclude)
OUTCOME_COLUMNS: tuple[str, ...] = (
    *("state", "attempt", "not_before", "started_at", "finished_at", "result", "error", "traceback"),
)
REPORT_COLUMNS: tuple[str, ...] = tuple(RunReport.model_fields)

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


_UPDATES = ", ".join(f'"{column}" = excluded."{column}"' for column in TASK_COLUMNS)
# Not `INSERT OR REPLACE`, which deletes the row before: it would lose the columns that a later version has added.
WRITE_TASK: str = (
    f"INSERT INTO asyncz_tasks ({column_list(TASK_COLUMNS)}) VALUES ({', '.join('?' * len(TASK_COLUMNS))})"  # noqa: S608  # own names
    f" ON CONFLICT (id) DO UPDATE SET {_UPDATES}"
)
"""Statement of SQLite that adds or replaces a task."""


def task_row(task: TaskRecord) -> list[SqlValue]:
    """Return the values of a task for `WRITE_TASK`."""
    return [sqlite_value(getattr(task, column)) for column in TASK_COLUMNS]


def new_run_row(run: RunRecord, owner: str | None, fence: int, created_at: datetime, ended: int) -> list[SqlValue]:
    """Return the row of a new run, with the columns `RUN_COLUMNS`, but without its sequence, which SQLite chooses.

    Args:
        run: Run as given.
        owner: Id of the node that owns the run; None if none does.
        fence: Fence of the owner.
        created_at: Time of the store.
        ended: Number of the outcome; 0 if the run has none.
    """
    row = _sqlite_row(_run_values(run), _RUN_CONVERSIONS)
    row[_NODE], row[_FENCE], row[_ENDED] = owner, fence, ended
    row[_CREATED_AT], row[_SEQUENCE] = microseconds(created_at), None
    return row


def outcome_row(outcome: Outcome) -> list[SqlValue]:
    """Return the values of an outcome for the columns `OUTCOME_COLUMNS`."""
    return _sqlite_row(_outcome_values(outcome), _OUTCOME_CONVERSIONS)


def _sqlite_row(values: Sequence[object], conversions: Iterable[int]) -> list[SqlValue]:
    """Return the values of a record as SQLite keeps them.

    Called twice for each run: a look at each of the 22 values costs more than the statement.

    Args:
        values: Values of the record.
        conversions: Indices of the values that SQLite keeps in another form.
    """
    # Unverified: the other values are those of fields with the types of `SqlValue`.
    row = [*cast("Sequence[SqlValue]", values)]
    for index in conversions:
        if row[index] is not None:
            row[index] = sqlite_value(values[index])
    return row


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
_CONVERTED = _TIMES | {"id"}
_TASK_TIMES = [column for column in TASK_COLUMNS if column in _TIMES]
_READ_CONVERTED = _CONVERTED | {"run_id", "run", "paused", "removed"}
_RUN_CONVERSIONS = [index for index, column in enumerate(RUN_COLUMNS) if column in _CONVERTED]
_OUTCOME_CONVERSIONS = [index for index, column in enumerate(OUTCOME_COLUMNS) if column in _CONVERTED]


def run_id_of_row(value: object) -> UUID:
    """Return the id of a run from a row of SQLite or PostgreSQL."""
    found = _python_value("id", value)
    assert isinstance(found, UUID)
    return found


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
    values = dict(zip(TASK_COLUMNS, row, strict=True))
    # A start reads each task twice: a call for each value would cost more than the validation.
    for column in _TASK_TIMES:
        values[column] = _python_value(column, values[column])
    return TaskRecord.model_validate(values)


def run_of_row(row: Sequence[object], columns: Iterable[str] = RUN_COLUMNS) -> RunRecord:
    """Return the run of a row, without the columns that were not read."""
    return RunRecord.model_validate(record_values(columns, row))


def report_of_row(row: Sequence[object]) -> RunReport:
    """Return the report of a row with the columns `REPORT_COLUMNS`."""
    return RunReport.model_validate(record_values(REPORT_COLUMNS, row))


def record_values(columns: Iterable[str], row: Sequence[object]) -> dict[str, object]:
    """Return the values of a record by column, from a row of SQLite or PostgreSQL."""
    values = dict(zip(columns, row, strict=True))
    for column in _READ_CONVERTED & values.keys():
        values[column] = _python_value(column, values[column])
    return values
