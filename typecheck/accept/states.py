"""States: typed and immutable, from JSON and to JSON."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never, assert_type
from uuid import UUID

from asyncz import (
    AsyncIOScheduler,
    ClusterState,
    ExecutorState,
    ExecutorStatus,
    InstanceCount,
    RunLookupError,
    RunOutcome,
    RunProgress,
    RunSummary,
    SchedulerState,
    SchedulerStatus,
    Task,
    TaskState,
)


def executor(state: ExecutorState) -> None:
    assert_type(state.alias, str)
    assert_type(state.status, ExecutorStatus)
    assert_type(state.running, int)
    assert_type(state.instances, tuple[InstanceCount, ...])
    assert_type(state.instances[0].task_id, str)
    assert_type(state.instances[0].running, int)
    assert_type(state.queued, int)
    assert_type(state.abandoned, int)
    assert_type(state.workers, int)
    assert_type(state.lost_workers, int)
    assert_type(state.replaced_workers, int)
    assert_type(state.cluster, ClusterState | None)
    assert_type(state.evolve("running"), ExecutorState)


def cluster(state: ClusterState) -> None:
    assert_type(state.address, str)
    assert_type(state.connected, bool)
    assert_type(state.workers, int)
    assert_type(state.threads, int)
    assert_type(state.memory, int)


def task(state: TaskState) -> None:
    assert_type(state.task_id, str)
    assert_type(state.function, str)
    assert_type(state.trigger, str)
    assert_type(state.executor, str)
    assert_type(state.paused, bool)
    assert_type(state.next_run_at, datetime | None)
    assert_type(state.running, int)
    assert_type(state.backlog, int)
    assert_type(state.submitted, int)
    assert_type(state.executed, int)
    assert_type(state.errors, int)
    assert_type(state.missed, int)
    assert_type(state.cancelled, int)
    assert_type(state.rejected, int)
    assert_type(state.recent_runs, tuple[RunSummary, ...])


def ended_run(run: RunSummary) -> None:
    assert_type(run.run_id, UUID)
    assert_type(run.outcome, RunOutcome | None)
    assert_type(run.task_id, str)
    assert_type(run.attempt, int)
    assert_type(run.scheduled_at, datetime | None)
    assert_type(run.started_at, datetime | None)
    assert_type(run.finished_at, datetime | None)
    assert_type(run.error, str)


def redacted(run: RunSummary, task: TaskState, scheduler: SchedulerState) -> None:
    assert_type(run.redacted(str.upper), RunSummary)
    assert_type(task.redacted(str.upper), TaskState)
    assert_type(scheduler.redacted(lambda text: text.upper()), SchedulerState)
    assert_type(task.retrying, int)


def every_outcome(outcome: RunOutcome) -> bool:
    match outcome:
        case "executed":
            return True
        case "error" | "missed" | "cancelled":
            return False
        case _:
            assert_never(outcome)


def scheduler(state: SchedulerState) -> None:
    assert_type(state.status, SchedulerStatus)
    assert_type(state.tasks, tuple[TaskState, ...])
    assert_type(state.executors, tuple[ExecutorState, ...])
    assert_type(state.next_run_at, datetime | None)
    assert_type(state.submitted, int)
    assert_type(state.executed, int)
    assert_type(state.errors, int)
    assert_type(state.missed, int)
    assert_type(state.cancelled, int)
    assert_type(state.rejected, int)


def json(state: ExecutorState, text: str) -> None:
    assert_type(state.model_dump_json(), str)
    assert_type(ExecutorState.model_validate_json(text), ExecutorState)
    assert_type(SchedulerState.model_validate_json(text), SchedulerState)


def made_by_an_executor() -> None:
    one = InstanceCount(task_id="task", running=1)
    assert_type(ExecutorState(alias="io", status="running", running=1, instances=(one,)), ExecutorState)
    assert_type(ExecutorState(alias=""), ExecutorState)
    assert_type(TaskState(task_id="task", function="module:name", executor="io"), TaskState)
    assert_type(SchedulerState(), SchedulerState)


def every_executor_status(status: ExecutorStatus) -> bool:
    match status:
        case "created" | "starting" | "running" | "draining":
            return True
        case "stopped" | "broken":
            return False
        case _:
            assert_never(status)


def every_scheduler_status(status: SchedulerStatus) -> bool:
    match status:
        case "created" | "running" | "paused" | "draining":
            return True
        case "stopped":
            return False
        case _:
            assert_never(status)


def progress_of(state: TaskState) -> float | None:
    if state.progress is None:
        return None
    report = assert_type(state.progress, RunProgress)
    assert_type(report.done, float)
    assert_type(report.total, float | None)
    assert_type(report.message, str)
    assert_type(report.run_id, UUID)
    return assert_type(report.fraction, float | None)


def runs_by_id(scheduler: AsyncIOScheduler, run_id: UUID) -> UUID:
    assert_type(scheduler.history, tuple[RunSummary, ...])
    assert_type(AsyncIOScheduler(history=0).get_run(run_id), RunSummary)
    try:
        scheduler.get_run(run_id=run_id)
    except RunLookupError as error:
        lookup: LookupError = error
        print(lookup)
        return assert_type(error.run_id, UUID)
    return run_id


def parts_of_state(scheduler: AsyncIOScheduler, task: Task[int]) -> bool:
    assert_type(scheduler.executors, tuple[ExecutorState, ...])
    assert_type(scheduler.status, SchedulerStatus)
    assert_type(scheduler.due_times(task), tuple[datetime, ...])
    assert_type(scheduler.due_times("nightly", limit=3), tuple[datetime, ...])
    return assert_type(scheduler.cancel_run(UUID(int=3)), bool)
