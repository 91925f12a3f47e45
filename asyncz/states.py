"""Snapshots of executors, tasks and schedulers: immutable, validated, ready for JSON.

They are built when they are read, not while runs are submitted.

Example:
    >>> one = InstanceCount(task_id="t", running=1)
    >>> state = ExecutorState(alias="io", status="running", running=1, instances=(one,))
    >>> ExecutorState.model_validate_json(state.model_dump_json()) == state
    True
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Self, TypeAlias
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveInt,
    model_validator,
)

from asyncz._statuses import (
    ExecutorStatus as ExecutorStatus,
    RunOutcome as RunOutcome,
    SchedulerStatus as SchedulerStatus,
    check_transition,
)
from asyncz._text import escape_surrogates

# File names and data from outside may have lone surrogates.
_Text: TypeAlias = Annotated[str, PlainSerializer(escape_surrogates, return_type=str, when_used="json")]


# Each subclass says `frozen` in its own class statement: pyright knows it from there only.
class Snapshot(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Base class of snapshots: immutable, without unknown fields."""


class InstanceCount(Snapshot, frozen=True):
    """Number of live runs of one task on an executor."""

    task_id: _Text
    running: PositiveInt


class ClusterState(Snapshot, frozen=True):
    """Last known state of the cluster behind an executor.

    Attributes:
        address: Address of the cluster's scheduler.
        connected: True if the connection is open. While it is not, runs wait in the executor.
        workers: Number of workers.
        threads: Number of runs that the workers can execute at the same time.
        memory: Memory limit of all workers together, in bytes.
    """

    address: _Text
    connected: bool
    workers: NonNegativeInt = 0
    threads: NonNegativeInt = 0
    memory: NonNegativeInt = 0


class ExecutorState(Snapshot, frozen=True):
    """Snapshot of an executor.

    Attributes:
        alias: Alias of the executor; empty before its start.
        status: Status of the executor.
        running: Number of live runs, the sum of `instances`; the queued and the abandoned ones included.
        instances: Number of live runs of each task.
        queued: Number of live runs that wait for a worker.
        abandoned: Number of live runs that have an outcome although their function has not returned.
        workers: Number of threads or processes; 0 if the executor has none of its own.
        lost_workers: Number of worker processes that died since the start.
        replaced_workers: Number of worker processes that were started in place of others.
        cluster: Cluster behind the executor; None if the executor does not use one.
    """

    alias: _Text
    status: ExecutorStatus = "created"
    running: NonNegativeInt = 0
    instances: tuple[InstanceCount, ...] = ()
    queued: NonNegativeInt = 0
    abandoned: NonNegativeInt = 0
    workers: NonNegativeInt = 0
    lost_workers: NonNegativeInt = 0
    replaced_workers: NonNegativeInt = 0
    cluster: ClusterState | None = None

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        total = sum(count.running for count in self.instances)
        if total != self.running:
            message = f"running is {self.running}, but the instances add up to {total}"
            raise ValueError(message)
        if len({count.task_id for count in self.instances}) != len(self.instances):
            message = "the instances contain a task twice"
            raise ValueError(message)
        if max(self.queued, self.abandoned) > self.running:
            message = (
                f"queued is {self.queued} and abandoned {self.abandoned}, more than running, which is {self.running}"
            )
            raise ValueError(message)
        return self

    def evolve(self, status: ExecutorStatus) -> ExecutorState:
        """Return the same state with another status.

        Raises:
            IllegalTransitionError: The new status cannot follow the current one.
        """
        check_transition(self.alias, self.status, status)
        return self.model_copy(update={"status": status})


class RunSummary(Snapshot, frozen=True):
    """Outcome of a run, without its result.

    Attributes:
        run_id: Id of the run.
        task_id: Id of the task.
        outcome: Kind of the outcome; `executed` means with a result, `error` with an exception. None if the run is in
            progress.
        attempt: Number of the last attempt, from 1.
        scheduled_at: Due time, UTC; None if unknown.
        started_at: Time at which the function was called, UTC; None if it was not called.
        finished_at: Time of the outcome, UTC; None if unknown.
        error: Class and text of the exception; empty if the run did not fail.
    """

    run_id: UUID
    task_id: _Text
    outcome: RunOutcome | None
    attempt: PositiveInt = 1
    scheduled_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    error: _Text = ""

    def redacted(self, redact: Callable[[str], str] | None = None) -> RunSummary:
        """Return the same summary with another text of the exception; see `SchedulerState.redacted`."""
        if not self.error:
            return self
        return self.model_copy(update={"error": _redacted(self.error, redact)})


class RunProgress(Snapshot, frozen=True):
    """Latest report of a run in progress, by `current_run().report()`.

    Attributes:
        run_id: Id of the run.
        done: Amount of work that is done.
        total: Total amount of work; None if unknown.
        message: Text for people; may be empty.
        fraction: Part of the work that is done, from 0 to 1; None if the total is unknown.
    """

    run_id: UUID
    done: NonNegativeFloat
    total: NonNegativeFloat | None = None
    message: _Text = ""
    fraction: Annotated[float, Field(ge=0, le=1)] | None = None


class TaskState(Snapshot, frozen=True):
    """Snapshot of a task.

    Attributes:
        task_id: Id of the task.
        function: Function of the task, as `module:qualified name`.
        trigger: Description of the trigger; empty if the task runs on demand only.
        executor: Alias of the executor.
        paused: True if the schedule is paused.
        next_run_at: Next due time, UTC; None if the task is not due again.
        running: Number of live runs.
        retrying: Number of live runs that wait for their next attempt.
        backlog: Number of due runs that wait for a slot, because of `max_instances`.
        submitted: Number of submitted runs: those with an outcome and those in progress.
        executed: Number of runs that ended with a result.
        errors: Number of runs that ended with an exception.
        missed: Number of runs that were missed.
        cancelled: Number of runs that were cancelled.
        rejected: Number of due runs that were rejected, because of `max_instances` or a full queue.
        recent_runs: Last finished runs, the latest at the end; as many as the scheduler's option `recent_runs` allows.
        progress: Latest report of the newest live run that has reported; None if no live run has.
    """

    task_id: _Text
    function: _Text
    trigger: _Text = ""
    executor: _Text
    paused: bool = False
    next_run_at: AwareDatetime | None = None
    running: NonNegativeInt = 0
    retrying: NonNegativeInt = 0
    backlog: NonNegativeInt = 0
    submitted: NonNegativeInt = 0
    executed: NonNegativeInt = 0
    errors: NonNegativeInt = 0
    missed: NonNegativeInt = 0
    cancelled: NonNegativeInt = 0
    rejected: NonNegativeInt = 0
    recent_runs: tuple[RunSummary, ...] = ()
    progress: RunProgress | None = None

    def redacted(self, redact: Callable[[str], str] | None = None) -> TaskState:
        """Return the same state with other texts of exceptions; see `SchedulerState.redacted`."""
        return self.model_copy(update={"recent_runs": tuple(run.redacted(redact) for run in self.recent_runs)})

    @model_validator(mode="after")
    def _check_submitted(self) -> Self:
        ended = self.executed + self.errors + self.missed + self.cancelled
        if ended > self.submitted:
            message = f"{ended} runs ended, but {self.submitted} were submitted"
            raise ValueError(message)
        return self


class SchedulerState(Snapshot, frozen=True):
    """Snapshot of a scheduler.

    Attributes:
        status: Status of the scheduler.
        tasks: Registered tasks.
        executors: Registered executors.
        submitted: Number of submitted runs, those of removed tasks included.
        executed: Number of runs that ended with a result.
        errors: Number of runs that ended with an exception.
        missed: Number of runs that were missed.
        cancelled: Number of runs that were cancelled.
        rejected: Number of due runs that were rejected.
    """

    status: SchedulerStatus = "created"
    tasks: tuple[TaskState, ...] = ()
    executors: tuple[ExecutorState, ...] = ()
    submitted: NonNegativeInt = 0
    executed: NonNegativeInt = 0
    errors: NonNegativeInt = 0
    missed: NonNegativeInt = 0
    cancelled: NonNegativeInt = 0
    rejected: NonNegativeInt = 0

    @model_validator(mode="after")
    def _check_submitted(self) -> Self:
        ended = self.executed + self.errors + self.missed + self.cancelled
        if ended > self.submitted:
            message = f"{ended} runs ended, but {self.submitted} were submitted"
            raise ValueError(message)
        return self

    def redacted(self, redact: Callable[[str], str] | None = None) -> SchedulerState:
        """Return the same state with other texts of exceptions, which may contain secrets, for example for an endpoint.

        Ids, functions, triggers, aliases and messages of progress stay.

        Args:
            redact: Called with the class and the text of each exception; returns the text to show. By default, and if
                it raises, only the class of the exception is left.

        Example:
            >>> scheduler.state.redacted().model_dump_json()
            >>> scheduler.state.redacted(lambda text: text.replace(password, "***"))
        """
        return self.model_copy(update={"tasks": tuple(task.redacted(redact) for task in self.tasks)})

    @property
    def next_run_at(self) -> datetime | None:
        """Earliest due time of all tasks, UTC; None if no task is due again."""
        return min((task.next_run_at for task in self.tasks if task.next_run_at is not None), default=None)


def _redacted(error: str, redact: Callable[[str], str] | None) -> str:
    kind = error.partition(":")[0]
    if redact is None:
        return kind
    try:
        return f"{redact(error)}"
    except Exception:
        # The text must not be shown because its redaction fails.
        return kind
