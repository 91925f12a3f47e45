"""Counts of submissions and outcomes, and the recent runs of a task."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from asyncz._run_ids import WantedRun
from asyncz._statuses import RunOutcome
from asyncz._text import type_name
from asyncz.events import (
    RunValues,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMaxInstances,
    TaskMissed,
    TaskNotification,
    TaskQueueFull,
    details_of,
)

if TYPE_CHECKING:
    from asyncz.states import RunSummary

_Ended: TypeAlias = tuple[type[object], RunValues, str]
"""Class of an outcome, its details, and the text of an exception."""

# Characters of the text of an exception that are kept.
_MAX_ERROR_LENGTH = 1000

_COUNTED: dict[str, tuple[type[object], ...]] = {
    "errors": (TaskError,),
    "missed": (TaskMissed,),
    "cancelled": (TaskCancelled,),
    "rejected": (TaskMaxInstances, TaskQueueFull),
}
_OUTCOMES: dict[type[object], RunOutcome] = {
    TaskExecuted: "executed",
    TaskError: "error",
    TaskMissed: "missed",
    TaskCancelled: "cancelled",
}


class RunCounters:
    """Numbers of submitted runs and of their outcomes, written on the loop's thread only.

    Attributes:
        submitted: Runs that were submitted.
        executed: Runs that ended with a result.
    """

    __slots__ = ("_others", "executed", "submitted")

    def __init__(self) -> None:
        self.submitted: int = 0
        # Most outcomes are results: counting them like the others would take a dict for each task.
        self.executed: int = 0
        self._others: dict[type[object], int] | None = None

    def increment(self, kind: type[object]) -> None:
        """Count an outcome other than a result, or a rejection."""
        others = self._others
        if others is None:
            others = self._others = dict[type[object], int]()
        others[kind] = others.get(kind, 0) + 1

    def snapshot(self) -> dict[str, int]:
        """Return all counts by the names that states use. Thread-safe."""
        others = self._others or {}
        counts = {name: sum(others.get(kind, 0) for kind in kinds) for name, kinds in _COUNTED.items()}
        counts["executed"] = self.executed
        # Read last, so that another thread never sees more outcomes than submissions.
        counts["submitted"] = self.submitted
        return counts


class TaskHistory(RunCounters):
    """Counts of one task, and its recent runs without their results; a base class, as each task would need an object.

    The task itself keeps its last notification; the history keeps the ones before.
    """

    __slots__ = ("_recent",)

    def __init__(self) -> None:
        super().__init__()
        self._recent: list[_Ended] | None = None

    def record(self, previous: TaskNotification[object], max_recent: int) -> None:
        """Keep the notification that was the last one until now.

        Args:
            previous: The notification.
            max_recent: Number of recent runs that `recent_runs` returns at most.
        """
        kept = max_recent - 1
        if kept < 1:
            return
        if self._recent is None:
            self._recent = []
        self._recent.append(_without_result(previous))
        if len(self._recent) > kept:
            del self._recent[0]

    def recent_runs(
        self, task_id: str, last: TaskNotification[object] | None, max_recent: int
    ) -> tuple[RunSummary, ...]:
        """Return summaries of the recent runs, the last one included. Thread-safe."""
        if last is None or not max_recent:
            return ()
        return tuple(_summary(task_id, ended) for ended in (*list(self._recent or ()), _without_result(last)))

    def find_ended(self, wanted: WantedRun, task_id: str, last: TaskNotification[object] | None) -> RunSummary | None:
        """Return the summary of a recent run; None if the run is not one. Thread-safe."""
        kept = list(self._recent or ())
        if last is not None:
            kept.append(_without_result(last))
        # The newest first: a run that went on after a lost lease has several outcomes.
        return next((_summary(task_id, ended) for ended in reversed(kept) if wanted.has(ended[1][0])), None)


class RunHistory:
    """Last runs of tasks that have finished or were removed, without results. Read in any thread.

    Args:
        max_runs: Maximum number of runs.

    Attributes:
        keep: Keep one run: id of the task, class of the outcome, details, text of an exception. For the loop's thread.
            A method of the container itself: each finished task needs it.
    """

    def __init__(self, max_runs: int) -> None:
        self._runs: deque[tuple[str, type[object], RunValues, str]] = deque(maxlen=max_runs)
        self.keep: Callable[[tuple[str, type[object], RunValues, str]], None] = self._runs.append

    def add(self, task_id: str, history: TaskHistory, last: TaskNotification[object]) -> None:
        """Keep the recent runs of a task that is gone. For the loop's thread."""
        if history._recent is not None:
            self._runs.extend((task_id, *ended) for ended in history._recent)
        self.keep((task_id, *_without_result(last)))

    def summaries(self) -> tuple[RunSummary, ...]:
        """Return summaries of all runs, the latest last."""
        return tuple(_summary(task_id, (kind, values, error)) for task_id, kind, values, error in self._runs.copy())

    def find(self, wanted: WantedRun) -> RunSummary | None:
        """Return the summary of a run; None if it is not kept."""
        for task_id, kind, values, error in reversed(self._runs.copy()):
            if wanted.has(values[0]):
                return _summary(task_id, (kind, values, error))
        return None


def _without_result(notification: TaskNotification[object]) -> _Ended:
    if isinstance(notification, TaskExecuted):
        # The values as they are: each run comes here, and most are never read.
        return TaskExecuted, notification._details, ""
    error = _error_text(notification.exception) if isinstance(notification, TaskError) else ""
    return type(notification), notification.details, error


def _summary(task_id: str, ended: _Ended) -> RunSummary:
    from asyncz.states import RunSummary

    kind, values, error = ended
    details = details_of(values)
    return RunSummary(
        run_id=details.run_id,
        task_id=task_id,
        outcome=_OUTCOMES[kind],
        attempt=details.attempt,
        scheduled_at=details.scheduled_at,
        started_at=details.started_at,
        finished_at=details.finished_at,
        error=error,
    )


def _error_text(exception: BaseException) -> str:
    name = type_name(exception)
    try:
        # A metaclass is user code as well.
        name = f"{type(exception).__qualname__}"
        return f"{name}: {exception}"[:_MAX_ERROR_LENGTH]
    except BaseException:
        return name
