"""Snapshots of executors, tasks and schedulers: immutable, validated, ready for JSON.

They are built when they are read, never while runs are handed over.

Example:
    >>> one = InstanceCount(task_id="t", running=1)
    >>> state = ExecutorState(alias="io", status="running", running=1, instances=(one,))
    >>> ExecutorState.model_validate_json(state.model_dump_json()) == state
    True
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, BaseModel, NonNegativeInt, PositiveInt, model_validator

from asyncz._statuses import (
    ExecutorStatus as ExecutorStatus,
    RunOutcome as RunOutcome,
    SchedulerStatus as SchedulerStatus,
    check_transition,
)


# Each subclass says `frozen` in its own class statement: pyright knows it from there only.
class _Snapshot(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """What every snapshot is: it cannot be changed, and has no fields but its own."""


class InstanceCount(_Snapshot, frozen=True):
    """How many runs of one task run on an executor."""

    task_id: str
    running: PositiveInt


class ClusterState(_Snapshot, frozen=True):
    """What an executor has last heard of the cluster that it runs on.

    Attributes:
        address: Its address.
        connected: Whether the connection stands; while it does not, runs wait in the executor.
        workers: How many workers it has.
        threads: How many runs these can execute at the same time.
        memory: How many bytes of memory they may use together.
    """

    address: str
    connected: bool
    workers: NonNegativeInt = 0
    threads: NonNegativeInt = 0
    memory: NonNegativeInt = 0


class ExecutorState(_Snapshot, frozen=True):
    """What an executor does at one moment.

    Attributes:
        alias: The alias it was registered under; empty before its start.
        status: What it is doing.
        running: How many runs it has taken that have not ended; the sum of `instances`.
        instances: How many of them belong to each task.
        queued: How many of them wait for a worker.
        abandoned: How many of them were given up although their function has not returned.
        workers: How many threads or processes work for it; 0 where that is not its own business.
        lost_workers: How many worker processes died since its start.
        replaced_workers: How many worker processes took the place of another.
        cluster: The cluster that it runs on; None where there is none.
    """

    alias: str
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
    def _counts_agree(self) -> Self:
        total = sum(count.running for count in self.instances)
        if total != self.running:
            message = f"running is {self.running}, but the instances add up to {total}"
            raise ValueError(message)
        if len({count.task_id for count in self.instances}) != len(self.instances):
            message = "a task is counted twice in the instances"
            raise ValueError(message)
        if max(self.queued, self.abandoned) > self.running:
            message = (
                f"queued is {self.queued} and abandoned {self.abandoned}, more than running, which is {self.running}"
            )
            raise ValueError(message)
        return self

    def evolve(self, status: ExecutorStatus) -> ExecutorState:
        """The same state with another status.

        Raises:
            IllegalTransitionError: That status cannot follow the present one.
        """
        check_transition(self.alias, self.status, status)
        return self.model_copy(update={"status": status})


class RunSummary(_Snapshot, frozen=True):
    """How a run of a task ended, without its result.

    Attributes:
        run_id: The number of the run.
        outcome: How it ended: `executed` is with a result, `error` with an exception.
        attempt: Which attempt was its last, 1 for the first.
        scheduled_at: When it was due, UTC; None where that was not told.
        started_at: When its function was called, UTC; None if it never was.
        finished_at: When it had ended, UTC; None where that was not told.
        error: The class and the text of the exception; empty if there was none.
    """

    run_id: int
    outcome: RunOutcome
    attempt: PositiveInt = 1
    scheduled_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    error: str = ""


class TaskState(_Snapshot, frozen=True):
    """What the scheduler knows of a task at one moment.

    Attributes:
        task_id: Its id.
        function: Its function, as `module:qualified name`.
        trigger: When it runs, as text; empty if it runs on demand only.
        executor: The alias of its executor.
        paused: Whether its schedule is held.
        next_run_at: When it is due next, UTC; None if never.
        running: How many of its runs have not ended.
        retrying: How many of these wait for their next attempt.
        backlog: How many of its due runs wait in the scheduler because of `max_instances`.
        submitted: How many of its runs were handed over so far; the sum of the four endings and what runs.
        executed: How many ended with a result.
        errors: How many ended with an exception.
        missed: How many were missed.
        cancelled: How many were cancelled.
        rejected: How many due runs were rejected, at the maximum of instances or by a full queue.
        recent_runs: Its runs that ended last, the latest at the end; the scheduler's `recent_runs` says how many.
    """

    task_id: str
    function: str
    trigger: str = ""
    executor: str
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

    @model_validator(mode="after")
    def _nothing_ends_unsubmitted(self) -> Self:
        ended = self.executed + self.errors + self.missed + self.cancelled
        if ended > self.submitted:
            message = f"{ended} runs ended, but {self.submitted} were submitted"
            raise ValueError(message)
        return self


class SchedulerState(_Snapshot, frozen=True):
    """What a scheduler does at one moment.

    Attributes:
        status: What it is doing.
        tasks: Its tasks.
        executors: Its executors.
        submitted: How many runs it has handed over, of tasks that are gone as well.
        executed: How many ended with a result.
        errors: How many ended with an exception.
        missed: How many were missed.
        cancelled: How many were cancelled.
        rejected: How many due runs were rejected.
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
    def _nothing_ends_unsubmitted(self) -> Self:
        ended = self.executed + self.errors + self.missed + self.cancelled
        if ended > self.submitted:
            message = f"{ended} runs ended, but {self.submitted} were submitted"
            raise ValueError(message)
        return self

    @property
    def next_run_at(self) -> datetime | None:
        """When the next task is due, UTC; None if none is."""
        return min((task.next_run_at for task in self.tasks if task.next_run_at is not None), default=None)
