"""Events: what each holds."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never, assert_type
from uuid import UUID

from asyncz import (
    Event,
    ExecutorAdded,
    ExecutorRemoved,
    PlainEvent,
    RunDetails,
    SchedulerPaused,
    SchedulerResumed,
    SchedulerShutdown,
    SchedulerStarted,
    TaskAdded,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMaxInstances,
    TaskMissed,
    TaskModified,
    TaskNotification,
    TaskProgress,
    TaskQueueFull,
    TaskRemoved,
    TaskRetrying,
    TaskSubmitted,
    Worker,
)


def run_events(
    executed: TaskExecuted[bytes],
    error: TaskError,
    missed: TaskMissed,
    cancelled: TaskCancelled,
    submitted: TaskSubmitted,
) -> tuple[list[TaskNotification[bytes]], TaskExecuted[object]]:
    assert_type(executed.task_id, str)
    assert_type(executed.result, bytes)
    assert_type(executed.details, RunDetails)
    assert_type(error.exception, BaseException)
    assert_type(error.traceback, str)
    assert_type(missed.details, RunDetails)
    assert_type(cancelled.task_id, str)
    assert_type(submitted.details, RunDetails)
    return [executed, error, missed, cancelled], executed


def details(details: RunDetails) -> None:
    assert_type(details.worker, Worker | None)
    assert_type(details.run_id, UUID)
    assert_type(details.attempt, int)
    assert_type(details.scheduled, float | None)
    assert_type(details.started, float | None)
    assert_type(details.finished, float | None)
    assert_type(details.scheduled_at, datetime | None)
    assert_type(details.started_at, datetime | None)
    assert_type(details.finished_at, datetime | None)
    assert_type(details.duration, float | None)


def made_by_an_executor(number: int) -> None:
    assert_type(TaskExecuted("task", number), TaskExecuted[int])
    assert_type(TaskExecuted("task", number, RunDetails()), TaskExecuted[int])
    assert_type(TaskExecuted("task", [b""], details=RunDetails(run_id=UUID(int=1))), TaskExecuted[list[bytes]])
    assert_type(TaskError("task", ValueError(), traceback="text"), TaskError)
    assert_type(TaskMissed("task", details=RunDetails(attempt=2, scheduled=0)), TaskMissed)
    assert_type(TaskCancelled("task"), TaskCancelled)


def every_event(event: Event) -> str:
    match event:
        case TaskExecuted(result=result):
            assert_type(result, object)
            return event.task_id
        case TaskError() | TaskMissed() | TaskCancelled() | TaskSubmitted() | TaskMaxInstances() | TaskQueueFull():
            return event.task_id
        case TaskRetrying(exception=failure, delay=delay):
            assert_type(failure, BaseException)
            assert_type(delay, float)
            return event.task_id
        case TaskProgress(done=done, total=total, message=message):
            assert_type(done, float)
            assert_type(total, float | None)
            assert_type(event.fraction, float | None)
            return message
        case TaskAdded(task_id=task_id) | TaskRemoved(task_id=task_id):
            return task_id
        case TaskModified(change=change, exception=exception, fields=fields):
            assert_type(fields, tuple[str, ...])
            assert_type(exception, BaseException | None)
            return change
        case SchedulerStarted() | SchedulerPaused() | SchedulerResumed() | SchedulerShutdown():
            return ""
        case ExecutorAdded(alias=alias) | ExecutorRemoved(alias=alias):
            return alias
        case _:
            assert_never(event)


def plain_is_an_event(event: PlainEvent) -> Event:
    return event


def each_is_an_event(event: TaskExecuted[bytes], modified: TaskModified, details: RunDetails) -> list[Event]:
    return [
        event,
        TaskError("task", ValueError()),
        TaskMissed("task"),
        TaskCancelled("task"),
        TaskProgress("task", 1, 2, "message", details=details),
        TaskSubmitted("task", details=details),
        TaskMaxInstances("task"),
        TaskQueueFull("task"),
        TaskAdded("task"),
        modified,
        TaskRemoved("task"),
        SchedulerStarted(),
        SchedulerPaused(),
        SchedulerResumed(),
        SchedulerShutdown(),
        ExecutorAdded("alias"),
        ExecutorRemoved("alias"),
    ]
