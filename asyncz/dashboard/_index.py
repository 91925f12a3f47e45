"""Selection and order of many tasks, without a snapshot of each of them at every request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import attrs

from asyncz.dashboard._reader import TaskSelection
from asyncz.dashboard._selecting import SCAN_SHARE, counts_of, due_key, filters_of, page_of
from asyncz.dashboard.states import TaskFilter, TaskOrder, TaskPage
from asyncz.schedulers import AsyncIOScheduler
from asyncz.states import TaskState
from asyncz.tasks import Task


@attrs.frozen
class _Row:
    next_due: datetime | None
    groups: frozenset[TaskFilter]
    key: str


_NO_ROWS: Mapping[str, _Row] = {}


def groups_of(state: TaskState) -> frozenset[TaskFilter]:
    """Return the filters that select a task."""
    return filters_of(
        running=bool(state.running),
        paused=state.paused,
        due=state.next_run_at is not None,
        failing=bool(state.recent_runs) and state.recent_runs[-1].outcome == "error",
    )


class TaskIndex:
    """Pages of the tasks of a scheduler. Thread-safe.

    The ids are always those of now. If tasks are filtered by state, or ordered by due time, a snapshot of each task is
    needed, which takes 0.3 s for 10,000 tasks. When such a scan was made, it is used again for up to 20 times its own
    duration. The tasks of a page are always read anew.

    Args:
        scheduler: Scheduler.
        shows_argument: Returns True if an argument of a call, as it is shown, contains a text.
    """

    def __init__(
        self,
        scheduler: AsyncIOScheduler,
        shows_argument: Callable[[object, str], bool] = lambda _call, _search: False,
    ) -> None:
        self._scheduler = scheduler
        self._shows_argument = shows_argument
        self._lock = threading.Lock()
        self._rows: Mapping[str, _Row] = {}
        self._valid_until = 0.0

    def page(self, selection: TaskSelection) -> TaskPage:
        """Return a page of tasks."""
        tasks = self._scheduler.tasks
        needs_rows = selection.filter is not None or selection.order == "next"
        rows = self._scan(tasks) if needs_rows else _NO_ROWS
        keyed = [(_key(task, rows, selection.order), task) for task in tasks if self._matches(task, rows, selection)]
        chosen, next_key = page_of(keyed, selection)
        return TaskPage(
            tasks=tuple(task.state for task in chosen), total=len(tasks), matching=len(keyed), next_key=next_key
        )

    def counts(self) -> dict[TaskFilter, int]:
        """Return the number of tasks that each filter selects."""
        return counts_of(row.groups for row in self._scan(self._scheduler.tasks).values())

    def coming(self, until: datetime, limit: int) -> tuple[Sequence[str], int]:
        """Return the ids of the tasks that are due next until a time, and the number of those left out."""
        rows = self._scan(self._scheduler.tasks)
        due = sorted(
            (row.next_due, task_id)
            for task_id, row in rows.items()
            if row.next_due is not None and row.next_due <= until
        )
        return [task_id for _, task_id in due[:limit]], max(0, len(due) - limit)

    def is_coming(self, task_id: str) -> bool:
        """Return True if the last scan has found a due time, as `coming` has made it."""
        row = self._rows.get(task_id)
        return row is not None and row.next_due is not None

    def _matches(self, task: Task[object], rows: Mapping[str, _Row], selection: TaskSelection) -> bool:
        if not _is_selected(task, rows, selection):
            return False
        search = selection.search.casefold()
        texts = (task.id, task.function, task.executor)
        return any(search in text.casefold() for text in texts) or self._shows_argument(task.call, search)

    def _scan(self, tasks: Sequence[Task[object]]) -> Mapping[str, _Row]:
        with self._lock:
            started = time.monotonic()
            if started >= self._valid_until:
                states = (task.state for task in tasks)
                self._rows = {state.task_id: _row_of(state) for state in states}
                finished = time.monotonic()
                self._valid_until = finished + (finished - started) * SCAN_SHARE
            return self._rows


def _is_selected(task: Task[object], rows: Mapping[str, _Row], selection: TaskSelection) -> bool:
    if selection.executor and task.executor != selection.executor:
        return False
    if selection.filter is not None:
        row = rows.get(task.id)
        # A task that was added after the scan has no row yet.
        if selection.filter not in (groups_of(task.state) if row is None else row.groups):
            return False
    return True


def _key(task: Task[object], rows: Mapping[str, _Row], order: TaskOrder) -> str:
    if order == "id":
        return task.id
    row = rows.get(task.id)
    return due_key(None, task.id) if row is None else row.key


def _row_of(state: TaskState) -> _Row:
    due = None if state.paused else state.next_run_at
    # Made here, because a page needs the keys of all tasks.
    return _Row(due, groups_of(state), due_key(due, state.task_id))
