"""Records that stores keep and return: immutable, validated, independent of the database.

Texts with JSON, such as the arguments of a task, are opaque to a store: it keeps them byte by byte. Times are time
zone aware and kept in UTC with microseconds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self, TypeAlias, get_args
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, NonNegativeInt, PositiveInt, model_validator

from asyncz._aliases import ExistingTaskPolicy as ExistingTaskPolicy, LostRunPolicy as LostRunPolicy
from asyncz._checks import MAX_INT32
from asyncz.clock import in_utc

TaskRecordState: TypeAlias = Literal["active", "undeclared", "parked"]
"""State of a stored task. Tasks that no node declares, and unreadable ones, are kept but not fired."""

RunKind: TypeAlias = Literal["due", "missed", "submitted"]
"""Origin of a stored run: a due time, missed due times, or a call."""

RunRecordState: TypeAlias = Literal["waiting", "running", "executed", "error", "missed", "cancelled"]
"""State of a stored run; the last four are outcomes."""

OVERDUE_AFTER = timedelta(seconds=0.5)
"""Time that the preferred node of a task has to fire it, before the other nodes look after it."""

FinalRunState: TypeAlias = Literal["executed", "error", "missed", "cancelled"]
"""State of a stored run with an outcome."""

FINAL_RUN_STATES: tuple[FinalRunState, ...] = get_args(FinalRunState)
"""All states of stored runs with an outcome."""

# The database keeps microseconds in UTC; equal records stay equal after a round trip.
UtcTime: TypeAlias = Annotated[AwareDatetime, AfterValidator(in_utc)]


# Databases keep it in 32 bits.
_AppVersion = Annotated[int, Field(ge=0, le=MAX_INT32)]


class TaskRecord(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """A stored task.

    Attributes:
        id: Id of the task.
        function: Function, as `module:qualified name` or as a stable name.
        arguments: Arguments of the function as JSON.
        trigger: Trigger as JSON; None if the task runs on demand only.
        executor: Alias of the executor.
        options: Limits and other options as JSON.
        declaration: Hash of the declaration; empty if the task was added at run time and belongs to the store.
        app_version: Version of the program that declared the task. An older one never overwrites a newer one.
        paused: True if the schedule is paused.
        next_due: Next due time; None if the task is not due again.
        started_at: Time from which the trigger counts; None if the task has no trigger.
        upstream: Id of the task whose results the task receives; None if it receives none.
        state: `active` tasks are fired, others are kept.
        problem: Reason for which the task is parked; empty if it is not.
        inactive_since: Time since which the task is undeclared or removed; None if it is neither. Set by the store.
        removed: True in the tombstone of a removed task, which `StoreSession.changes` reports.
        version: Number of changes of the definition. `change` and `fire` compare it.
        revision: Position of the last change among the changes of all tasks. Set by the store.
    """

    id: Annotated[str, Field(min_length=1)]
    function: str
    arguments: str = "{}"
    trigger: str | None = None
    executor: str = "asyncio"
    options: str = "{}"
    declaration: str = ""
    app_version: _AppVersion = 0
    paused: bool = False
    next_due: UtcTime | None = None
    started_at: UtcTime | None = None
    upstream: str | None = None
    state: TaskRecordState = "active"
    problem: str = ""
    inactive_since: UtcTime | None = None
    removed: bool = False
    version: NonNegativeInt = 0
    revision: NonNegativeInt = 0


class RunRecord(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """A stored run.

    Attributes:
        id: Id of the run, unique over all processes.
        task_id: Id of the task.
        kind: Origin of the run. One task has at most one run of the kinds `due` and `missed` for each due time.
        scheduled_at: Due time.
        executor: Alias of the executor.
        state: State of the run.
        attempt: Number of the attempt, from 1.
        not_before: Earliest start of a waiting run; None if it may start at once.
        on_lost: Policy if the node of the run dies.
        arguments: Arguments as JSON, if they differ from those of the task; otherwise None.
        missed: Number of due times that the run stands for if its kind is `missed`, otherwise 0.
        node: Id of the node that owns the run, or whose attempt had the outcome; None if it waits or was never owned.
        fence: Number that each change of the owner or the state increments, from 1 for the first owner. Later writes
            of the owner have to name it. Set by the store.
        sequence: Position in the history. Set by the store.
        created_at: Time when the run was stored, by the clock of the store. Set by the store.
        started_at: Time when the function was called, by the clock of the store as its node knows it.
        finished_at: Time of the outcome, by the same clock.
        result: Result as JSON; None if there is none, or if it was too large.
        error: Class and text of the exception; empty if the run did not fail.
        traceback: Traceback as text; may be empty.
        ended: Position of the outcome among those of all runs; 0 if there is none, or if no node listened. Set by the
            store.
        trace_context: Trace context of the code that submitted the run, as JSON with headers; None if it has none.
        lost_node: Id of the former owner, in runs that `StoreSession.take_over` returns; otherwise None. Not stored.
    """

    id: UUID
    task_id: str
    kind: RunKind = "due"
    scheduled_at: UtcTime
    executor: str = "asyncio"
    state: RunRecordState = "running"
    attempt: PositiveInt = 1
    not_before: UtcTime | None = None
    on_lost: LostRunPolicy = "fail"
    arguments: str | None = None
    missed: NonNegativeInt = 0
    node: str | None = None
    fence: NonNegativeInt = 0
    sequence: NonNegativeInt = 0
    created_at: UtcTime | None = None
    started_at: UtcTime | None = None
    finished_at: UtcTime | None = None
    result: str | None = None
    error: str = ""
    traceback: str = ""
    ended: NonNegativeInt = 0
    trace_context: str | None = None
    lost_node: str | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _check_missed(self) -> Self:
        if (self.kind == "missed") != (self.missed > 0) or (self.kind == "missed" and self.state != "missed"):
            message = "a run of the kind 'missed' has the state 'missed' and counts due times; others count none"
            raise ValueError(message)
        return self

    @property
    def done(self) -> bool:
        """True if the run has an outcome."""
        return self.state not in {"waiting", "running"}


class Firing(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """The step of a task from one due time to the next, with the runs that it creates.

    Attributes:
        task_id: Id of the task.
        version: Version of the task for which the runs were made.
        due: Due time that the step leaves; the store compares it with its own.
        next_due: Due time that follows; None if the task is not due again.
        runs: Runs of the due times that are over: one, or several after a downtime. A `running` run belongs to the
            firing node at once, a `waiting` one is for any node, a `missed` one is history only.
    """

    task_id: str
    version: NonNegativeInt
    due: UtcTime
    next_due: UtcTime | None
    runs: tuple[RunRecord, ...]

    @property
    def latest(self) -> datetime:
        """Latest due time of the step, before which it must not be fired."""
        return max([self.due, *[run.scheduled_at for run in self.runs]])

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.next_due is not None and self.next_due <= self.due:
            message = f"next_due is {self.next_due}, which is not after due, {self.due}"
            raise ValueError(message)
        if any(run.task_id != self.task_id for run in self.runs):
            message = f"a run belongs to another task than {self.task_id!r}"
            raise ValueError(message)
        return self


class Outcome(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """The end of an attempt, reported by the node that owns the run.

    Attributes:
        run_id: Id of the run.
        fence: Fence under which the attempt was executed.
        state: An outcome; or `waiting`, which gives the run back for its next attempt or for another node.
        attempt: Number of the attempt that follows if the state is `waiting`, otherwise of the one that ended.
        not_before: Earliest start if the state is `waiting`.
        started_at: Time when the function was called, by the clock of the store as its node knows it.
        finished_at: Time of the outcome, by the same clock.
        result: Result as JSON.
        error: Class and text of the exception.
        traceback: Traceback as text, if there is one.
        then: Runs of downstream tasks, which the store adds in the same transaction if it accepts the outcome.
        lost_node: Id of the lost node that made the attempt, which the store keeps as the node of the run; None for the
            owner of the run.
    """

    run_id: UUID
    fence: PositiveInt
    state: Literal["waiting", "executed", "error", "missed", "cancelled"]
    attempt: PositiveInt = 1
    not_before: UtcTime | None = None
    started_at: UtcTime | None = None
    finished_at: UtcTime | None = None
    result: str | None = None
    error: str = ""
    traceback: str = ""
    then: tuple[RunRecord, ...] = ()
    lost_node: str | None = None

    @model_validator(mode="after")
    def _check_then(self) -> Self:
        if self.then and self.state == "waiting":
            message = "a run that is given back has no result for other tasks"
            raise ValueError(message)
        if any((run.state, run.kind) != ("waiting", "submitted") for run in self.then):
            message = "a run of a downstream task has the kind 'submitted' and waits for any node"
            raise ValueError(message)
        return self


class RunReport(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Report of the owner of a run, before the run has an outcome. Each owner of a run has one.

    Attributes:
        run_id: Id of the run.
        fence: Fence of the owner.
        node: Id of the node that owned the run. Set by the store.
        progress: Progress as JSON; None in a report that leaves the stored text as it is.
        details: Failed attempts and log records as JSON; None in a report that leaves the stored text as it is.
    """

    run_id: UUID
    fence: PositiveInt
    node: str | None = None
    progress: str | None = None
    details: str | None = None


class NodeRecord(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """A scheduler that uses a store.

    Attributes:
        id: Random id, made when the scheduler starts: never a host name or a process id, which come again.
        name: Description for users, such as host name and process id.
        app_version: Version of the program.
        lease_until: End of the lease by the clock of the store. Set by the store.
        paused: True if the scheduler is paused, and submits no due runs. Set by the store, if that supports it.
    """

    id: Annotated[str, Field(min_length=1)]
    name: str = ""
    app_version: _AppVersion = 0
    lease_until: UtcTime | None = None
    paused: bool = False


class StoreNews(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Changes in a store since the last renewal, so that a node looks only for work that exists.

    Attributes:
        nodes: Ids of the nodes whose lease is valid, the own one included, sorted.
        revision: Revision of the last change of a task; 0 if there was none.
        waiting: True if a run waits that may start now.
        overdue: True if an active task is due for more than `OVERDUE_AFTER`.
        lost: True if a running run belongs to no node with a valid lease.
    """

    nodes: tuple[str, ...]
    revision: NonNegativeInt
    waiting: bool
    overdue: bool
    lost: bool


class Lease(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Right of a node to fire tasks and to own runs, until a time by the clock of the store.

    Attributes:
        until: End of the lease.
        now: Time when the store granted it.
        lost: True if the previous lease had ended before: other nodes may have taken over the runs.
        news: Changes in the store, if a renewal looks for them in its transaction; None if the node has to look itself.
    """

    until: UtcTime
    now: UtcTime
    lost: bool = False
    news: StoreNews | None = None


class RunQuery(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Selection of stored runs, newest first.

    Attributes:
        run_id: Id of the only run; None for all runs.
        task_id: Task of the selected runs; None for all tasks.
        states: Runs in these states only; empty for all states.
        before: Runs with a smaller `sequence` only, to read the next page; None for the first page.
        limit: Maximum number of runs.
    """

    run_id: UUID | None = None
    task_id: str | None = None
    states: tuple[RunRecordState, ...] = ()
    before: PositiveInt | None = None
    limit: Annotated[int, Field(ge=1, le=10_000)] = 100
