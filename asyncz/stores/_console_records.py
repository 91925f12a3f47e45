"""Records of a console: rows of lists, selections, and actions of operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import attrs
from pydantic import AwareDatetime, BaseModel
from typing_extensions import override

from asyncz.exceptions import AsynczError
from asyncz.stores._columns import RUN_COLUMNS, column_list, record_values
from asyncz.stores.records import RunRecord, RunRecordState

HEAVY_COLUMNS: Final = frozenset({"arguments", "result", "traceback"})
"""Columns of runs that may be long, and that lists do not show."""

LIST_COLUMNS: Final[Sequence[str]] = tuple(column for column in RUN_COLUMNS if column not in HEAVY_COLUMNS)
"""Columns of runs in lists."""


COMMAND_COLUMNS: Final[Sequence[str]] = (
    *("sequence", "action", "task_id", "run", "detail", "operator", "node", "created_at", "done_at", "failure"),
)
"""Columns of the actions of operators."""


@attrs.frozen
class TaskRow:
    """A stored task in a list of all tasks.

    Attributes:
        id: Id of the task.
        function: Function.
        executor: Alias of the executor.
        paused: True if the schedule is paused.
        is_active: True if nodes fire the task.
        next_due: Next due time; None if the task is not due again.
        last: State of the last run with an outcome; empty without one.
        running: Number of running runs.
        arguments: Arguments as JSON; empty if they are too long for a search.
    """

    id: str
    function: str
    executor: str
    paused: bool
    is_active: bool
    next_due: datetime | None
    last: str = ""
    running: int = 0
    arguments: str = ""


@attrs.frozen
class RunSearch:
    """Selection of stored runs, newest first.

    Attributes:
        task_id: Id of a task; None for all tasks.
        state: State; None for all states.
        since: Earliest time at which a run was stored, which is shortly after its due time; None for no limit.
        until: The time before which a run was stored; None for no limit.
        text: Text that the shown error contains; case does not matter.
        before: `sequence` before which the page begins; None for the newest runs.
        limit: Maximum number of runs.
        shown: Function that returns the error of a run as it is shown; a search must not find what is hidden.
    """

    task_id: str | None = None
    state: RunRecordState | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    before: int | None = None
    limit: int = 50
    shown: Callable[[RunRecord], str] = lambda run: run.error


@attrs.frozen
class FoundRuns:
    """Page of stored runs.

    Attributes:
        runs: Runs, newest first.
        next_before: `before` of the next page; None on the last page.
        is_partial: True if the search has ended before the page was full, and older runs have not been looked at.
    """

    runs: Sequence[RunRecord]
    next_before: int | None = None
    is_partial: bool = False


class CommandRecord(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Action of an operator in a store.

    Attributes:
        sequence: Position among the actions.
        action: Name of the action.
        task_id: Id of the task; empty for actions on schedulers.
        run: Id of the run; None if the action is not on one run.
        detail: Further description, such as the new trigger.
        operator: Name of the operator.
        node: Node that has to carry out the action; None if that was done by the writer.
        created_at: Time of the action.
        done_at: Time at which it was carried out; None if the node has not answered.
        failure: Reason for which it failed; empty if it was carried out.
    """

    sequence: int
    action: str
    task_id: str
    run: UUID | None
    detail: str
    operator: str
    node: str | None
    created_at: AwareDatetime
    done_at: AwareDatetime | None
    failure: str


@attrs.frozen
class CommandError(AsynczError):
    """An action of an operator in a store cannot be carried out.

    Attributes:
        task_id: Id of the task; may be empty.
        reason: Reason.
    """

    task_id: str
    reason: str

    @override
    def __str__(self) -> str:
        return self.reason


@attrs.frozen
class StoreTotals:
    """Numbers about a store at one moment.

    Attributes:
        tasks: Number of tasks by state; `paused` ones are counted as such.
        overdue: Seconds since the earliest due time that has not become a run, or whose run waits; 0 if none is late.
        waiting: Number of waiting runs, at most 10,000.
        running: Number of running runs.
        nodes: Number of nodes with a valid lease.
    """

    tasks: Mapping[str, int]
    overdue: float
    waiting: int
    running: int
    nodes: int


def command_of(row: Sequence[object]) -> CommandRecord:
    """Return the action of a row with all columns."""
    return CommandRecord.model_validate(record_values(COMMAND_COLUMNS, row))


def commands_sql(since: int | None, place: str) -> str:
    """Return the statement for the actions after a position, which nodes read; for the last one if that is None."""
    columns = column_list(COMMAND_COLUMNS)
    if since is None:
        return f"SELECT {columns} FROM asyncz_commands ORDER BY sequence DESC LIMIT 1"  # noqa: S608  # own names
    return f"SELECT {columns} FROM asyncz_commands WHERE sequence > {place} ORDER BY sequence LIMIT {place}"  # noqa: S608
