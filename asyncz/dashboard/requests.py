"""Parameters and bodies of the JSON API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from asyncz.config import (
    CalendarIntervalTriggerConfig,
    CronTriggerConfig,
    DateTriggerConfig,
    IntervalTriggerConfig,
    OnDemandConfig,
)
from asyncz.dashboard._reader import RunSelection, TaskSelection
from asyncz.dashboard.states import ActionName, TaskFilter, TaskOrder
from asyncz.stores.records import RunRecordState

PlainTrigger: TypeAlias = Annotated[
    OnDemandConfig | DateTriggerConfig | IntervalTriggerConfig | CronTriggerConfig | CalendarIntervalTriggerConfig,
    Field(discriminator="type"),
]
"""Built-in trigger. Classes of other packages are not accepted: a request must not import modules."""

_Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=2000)]
_Limit: TypeAlias = Annotated[int, Field(ge=1, le=200)]
_Minutes: TypeAlias = Annotated[int, Field(ge=1, le=7 * 24 * 60)]
# Larger numbers do not fit the column of a store.
_Key: TypeAlias = Annotated[int, Field(ge=1, le=2**62)]


_EventKey: TypeAlias = Annotated[str, Field(pattern=r"^[0-9]{1,17}(\.[0-9]{1,18})?$")]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        message = "the time is out of range"
        raise ValueError(message) from None


_Time: TypeAlias = Annotated[datetime, AfterValidator(_in_utc)]


LogOrder: TypeAlias = Literal["oldest", "newest", "level"]
"""Order of log records; `level` shows the most severe ones first."""


class Parameters(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Base class of parameters and bodies: unknown names are rejected."""


class TaskQuery(Parameters, frozen=True):
    """Selection of tasks.

    Attributes:
        search: Text that the id, the function, the executor or an argument contains; case does not matter.
        filter: Selection by state; all tasks if it is left out.
        executor: Alias of an executor; all executors if it is left out.
        order: Order of the tasks.
        after: `next_key` of the page before.
        limit: Maximum number of tasks.
    """

    search: Annotated[str, Field(max_length=200)] = ""
    filter: TaskFilter | None = None
    executor: Annotated[str, Field(max_length=2000)] = ""
    order: TaskOrder = "id"
    after: Annotated[str, Field(max_length=4000)] | None = None
    limit: _Limit = 50


class RunQueryParameters(Parameters, frozen=True):
    """Selection of runs.

    Attributes:
        task: Id of a task; all tasks if it is left out.
        outcome: State of the runs; all runs if it is left out.
        before: `next_key` of the page before.
        limit: Maximum number of runs.
        stored: Read the runs of all nodes from the store, if there is one.
        since: Earliest time of the runs; UTC if it has no offset.
        until: Time before which the runs were; UTC if it has no offset.
        text: Text that the error contains; case does not matter.
    """

    task: _Id | None = None
    outcome: RunRecordState | None = None
    before: _Key | None = None
    limit: _Limit = 50
    stored: bool = False
    since: _Time | None = None
    until: _Time | None = None
    text: Annotated[str, Field(max_length=200)] = ""


class IdQuery(Parameters, frozen=True):
    """Id of a task or run.

    Attributes:
        id: The id.
    """

    id: _Id


class RunPageQuery(IdQuery, frozen=True):
    """Run, and the order in which its page shows the log records.

    Attributes:
        id: The id.
        logs: Order of the log records.
    """

    logs: LogOrder = "oldest"


class TimelineQuery(Parameters, frozen=True):
    """Window of a timeline.

    Attributes:
        past: Minutes before now.
        future: Minutes after now.
    """

    past: _Minutes = 30
    future: _Minutes = 30


class EventQuery(Parameters, frozen=True):
    """Selection of events.

    Attributes:
        before: `next_key` of the page before.
        limit: Maximum number of events.
    """

    before: _EventKey | None = None
    limit: _Limit = 100


class NoQuery(Parameters, frozen=True):
    """No parameters."""


class TaskActionRequest(Parameters, frozen=True):
    """Action on tasks.

    Attributes:
        action: Name of the action.
        task_ids: Ids of the tasks.
        trigger: New trigger, for the action `reschedule` only.
    """

    action: ActionName
    task_ids: Annotated[tuple[_Id, ...], Field(min_length=1, max_length=10_000)]
    trigger: PlainTrigger | None = None


class CancelRunRequest(Parameters, frozen=True):
    """Cancellation of a run.

    Attributes:
        run_id: Id of the run.
    """

    run_id: UUID


class SchedulerActionRequest(Parameters, frozen=True):
    """Action on the scheduler.

    Attributes:
        action: Name of the action.
    """

    action: Literal["pause", "resume"]


def selection_of(query: TaskQuery) -> TaskSelection:
    """Return the selection that the parameters of a request describe."""
    return TaskSelection(query.search, query.filter, query.executor, query.order, query.after, query.limit)


def run_selection_of(query: RunQueryParameters) -> RunSelection:
    """Return the selection that the parameters of a request describe."""
    return RunSelection(
        query.task, query.outcome, query.before, query.limit, query.stored, query.since, query.until, query.text
    )
