"""Recorder of events."""

from __future__ import annotations

import threading
from typing import Self

from typing_extensions import TypeVar

from asyncz import AsyncIOScheduler, Task, TaskError, TaskExecuted, TaskNotification, events
from asyncz.events import Event

EventT = TypeVar("EventT")

OUTCOMES = (events.TaskExecuted, events.TaskError, events.TaskMissed, events.TaskCancelled)
RUN_EVENTS = (events.TaskSubmitted, events.TaskRetrying, *OUTCOMES, events.SchedulerShutdown)


class EventRecorder:
    """Recorder of events in the order in which they are emitted, and of the threads that emit them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.threads: set[int] = set()

    @classmethod
    def of_scheduler(cls, scheduler: AsyncIOScheduler, *kinds: type[Event]) -> Self:
        """Record some kinds of events of a scheduler; by default those of runs and of the shutdown."""
        recorder = cls()
        for kind in kinds or RUN_EVENTS:
            scheduler.subscribe(kind, recorder.record)
        return recorder

    @classmethod
    def of_tasks(cls, *tasks: Task[object]) -> Self:
        """Record the outcomes of tasks."""
        recorder = cls()
        for task in tasks:
            task.on_done(recorder.record)
        return recorder

    def record(self, event: Event) -> None:
        self.events.append(event)
        self.threads.add(threading.get_ident())

    def of(self, kind: type[EventT]) -> list[EventT]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    @property
    def outcomes(self) -> list[TaskNotification[object]]:
        return [event for event in self.events if isinstance(event, OUTCOMES)]

    @property
    def exceptions(self) -> list[BaseException]:
        return [event.exception for event in self.of(TaskError)]

    def results(self, task: Task[object]) -> list[object]:
        return [each.result for each in self.of(TaskExecuted) if each.task_id == task.id]

    def kinds(self, task: Task[object]) -> list[type[object]]:
        return [type(each) for each in self.outcomes if each.task_id == task.id]
