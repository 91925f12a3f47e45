"""Mistakes with events: changing them, making them wrongly, forgetting some of them."""

from __future__ import annotations

from uuid import UUID
from typing import assert_never

import attrs

from asyncz import (
    Event,
    ExecutorAdded,
    ExecutorRemoved,
    PlainEvent,
    RunDetails,
    SchedulerPaused,
    SchedulerResumed,
    SchedulerShutdown,
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
    TaskSubmitted,
    Worker,
)


def changed(
    executed: TaskExecuted[object], error: TaskError, missed: TaskMissed, submitted: TaskSubmitted, details: RunDetails
) -> None:
    executed.result = "junk"  # E
    executed.task_id = "other"  # E
    executed.details = details  # E
    error.exception = ValueError()  # E
    error.traceback = ""  # E
    missed.details = details  # E
    submitted.task_id = "other"  # E
    details.run_id = UUID(int=3)  # E
    RunDetails(run_id=3)  # E
    details.started = None  # E
    details.duration = 3.5  # E


def changed_too(
    cancelled: TaskCancelled, rejected: TaskMaxInstances, full: TaskQueueFull, added: TaskAdded, modified: TaskModified
) -> None:
    cancelled.task_id = "other"  # E
    rejected.task_id = "other"  # E
    full.task_id = "other"  # E
    added.task_id = "other"  # E
    modified.change = "other"  # E


def changed_as_well(removed: TaskRemoved, executor: ExecutorAdded, gone: ExecutorRemoved) -> None:
    removed.task_id = "other"  # E
    executor.alias = "other"  # E
    gone.alias = "other"  # E


def made() -> None:
    TaskExecuted("task")  # E
    TaskExecuted(3, b"result")  # E
    TaskExecuted("task", b"result", "text")  # E
    TaskError("task", "text")  # E
    TaskError("task")  # E
    TaskError("task", ValueError(), "text")  # E
    TaskMissed()  # E
    TaskCancelled("task", details="text")  # E
    RunDetails("3")  # E
    RunDetails(attempt="first")  # E
    RunDetails(scheduled="today")  # E
    ExecutorAdded()  # E
    SchedulerPaused("now")  # E
    SchedulerResumed("now")  # E
    SchedulerShutdown("now")  # E


def variance(executed: TaskExecuted[object], of_bytes: TaskNotification[bytes]) -> None:
    narrowed: TaskExecuted[bytes] = executed  # E
    other: TaskNotification[str] = of_bytes  # E
    print(narrowed, other)


def result_without_asking(notification: TaskNotification[bytes]) -> bytes:
    return notification.result  # E


def exception_without_asking(event: Event) -> BaseException:
    return event.exception  # E


def not_a_plain_event(event: TaskExecuted[object]) -> PlainEvent:
    return event  # E


def not_an_event(details: RunDetails) -> Event:
    return details  # E


def forgets_the_scheduler(event: Event) -> str:
    match event:
        case TaskExecuted() | TaskError() | TaskMissed() | TaskCancelled() | TaskSubmitted() | TaskMaxInstances():
            return event.task_id
        case TaskQueueFull() | TaskAdded() | TaskModified() | TaskRemoved():
            return event.task_id
        case ExecutorAdded() | ExecutorRemoved():
            return event.alias
        case _:
            assert_never(event)  # E


def progress(event: TaskProgress, details: RunDetails) -> None:
    assert event.done.items()  # E
    event.done = 3  # E
    event.total + 1  # E
    event.fraction(3)  # E
    TaskProgress("task", "1")  # E
    TaskProgress("task")  # E
    TaskProgress("task", 1, 2, 3)  # E
    TaskProgress("task", 1, 2, "", details)  # E


class OwnError(TaskError):  # E
    pass


@attrs.define
class OwnExecuted(TaskExecuted[bytes]):  # E
    pass


def worker_changed(worker: Worker) -> None:
    Worker("host", 3, "MainThread")  # E
    Worker(pid="3")  # E
    RunDetails(worker="MainThread")  # E
    assert worker.pid.bit_length()  # E
    worker.pid = 3  # E
