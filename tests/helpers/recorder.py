"""Recorders of notifications, events and outcomes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from asyncz import (
    AsyncIOScheduler,
    Task,
    TaskAdded,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskModified,
    TaskNotification,
    TaskRemoved,
    TaskRetrying,
    TaskRun,
    TaskSubmitted,
    events,
)
from asyncz.events import Event
from tests.helpers.generics import ResultT


class Recorder:
    """Notifier without a scheduler that records calls in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.notifications: list[TaskNotification[object]] = []
        self._condition = threading.Condition()

    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        self.notify(run, notification)
        self.released(run)

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        with self._condition:
            self.told.append(("notified", run.id))
            self.notifications.append(notification)
            self._condition.notify_all()

    def released(self, run: TaskRun[ResultT], /) -> None:
        with self._condition:
            self.told.append(("released", run.id))
            self._condition.notify_all()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait in a thread, so that the loop keeps running."""

        def wait() -> bool:
            with self._condition:
                return self._condition.wait_for(reached, timeout=30)

        assert await asyncio.to_thread(wait), self.told


class OutcomeRecorder:
    """Recorder of the outcomes of tasks, in order."""

    def __init__(self, *tasks: Task[object]) -> None:
        self.endings: list[TaskNotification[object]] = []
        for task in tasks:
            task.on_done(self.endings.append)

    def results(self, task: Task[object]) -> list[object]:
        return [each.result for each in self.endings if isinstance(each, TaskExecuted) and each.task_id == task.id]

    def kinds(self, task: Task[object]) -> list[type[object]]:
        return [type(each) for each in self.endings if each.task_id == task.id]


def record_changes(scheduler: AsyncIOScheduler) -> list[TaskAdded | TaskModified | TaskRemoved]:
    heard: list[TaskAdded | TaskModified | TaskRemoved] = []
    scheduler.subscribe(TaskAdded, heard.append)
    scheduler.subscribe(TaskModified, heard.append)
    scheduler.subscribe(TaskRemoved, heard.append)
    return heard


class EventRecorder:
    """Recorder of the events of all runs and of the shutdown."""

    def __init__(self, scheduler: AsyncIOScheduler) -> None:
        self.heard: list[Event] = []
        self.threads: set[int] = set()
        scheduler.subscribe(events.TaskSubmitted, self._hear)
        scheduler.subscribe(events.TaskExecuted, self._hear)
        scheduler.subscribe(events.TaskError, self._hear)
        scheduler.subscribe(events.TaskMissed, self._hear)
        scheduler.subscribe(events.TaskCancelled, self._hear)
        scheduler.subscribe(events.SchedulerShutdown, self._hear)

    def _hear(self, event: Event) -> None:
        self.heard.append(event)
        self.threads.add(threading.get_ident())

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.heard]

    @property
    def exceptions(self) -> list[BaseException]:
        return [event.exception for event in self.heard if isinstance(event, TaskError)]


class RetryRecorder:
    """Recorder of submissions, failed attempts and outcomes."""

    def __init__(self, scheduler: AsyncIOScheduler) -> None:
        self.submitted: list[TaskSubmitted] = []
        self.retrying: list[TaskRetrying] = []
        self.endings: list[TaskNotification[object]] = []
        scheduler.subscribe(TaskSubmitted, self.submitted.append)
        scheduler.subscribe(TaskRetrying, self.retrying.append)
        scheduler.subscribe(TaskExecuted, self.endings.append)
        scheduler.subscribe(TaskError, self.endings.append)
        scheduler.subscribe(TaskCancelled, self.endings.append)
