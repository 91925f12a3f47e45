"""Selection and order of the tasks of a store, by an index in memory that is read again after some time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from asyncz.dashboard._reader import TaskSelection
from asyncz.dashboard._selecting import SCAN_SHARE, counts_of, due_key, filters_of, page_of
from asyncz.dashboard.states import TaskFilter
from asyncz.stores._console_queries import ConsoleQueries
from asyncz.stores._console_records import TaskRow


class ClusterIndex:
    """Ids of the tasks of a store by selection. For the thread of the console, except for the attributes.

    Args:
        shows_argument: Function that returns True if stored arguments contain a text in lower case, as they are shown.

    Attributes:
        total: Number of tasks at the last scan.
        executors: Aliases of executors at the last scan.
    """

    def __init__(self, shows_argument: Callable[[str, str], bool]) -> None:
        self._shows_argument = shows_argument
        self.total: int = 0
        self.executors: Sequence[str] = ()
        self._rows: Sequence[TaskRow] = ()
        self._valid_until = 0.0

    def rows(self, queries: ConsoleQueries) -> Sequence[TaskRow]:
        """Return all tasks, as a scan has found them some time ago."""
        started = time.monotonic()
        if started >= self._valid_until:
            self._rows = queries.task_rows()
            finished = time.monotonic()
            self._valid_until = finished + (finished - started) * SCAN_SHARE
            self.total, self.executors = len(self._rows), sorted({row.executor for row in self._rows})
        return self._rows

    def expire(self) -> None:
        """Let the next call read the tasks again. Thread-safe: one assignment."""
        self._valid_until = 0.0

    def page(self, queries: ConsoleQueries, selection: TaskSelection) -> tuple[Sequence[str], str | None, int]:
        """Return the ids of a page, the key of the next page, and the number of matching tasks."""
        keyed = [(_key(row, selection), row.id) for row in self.rows(queries) if self._matches(row, selection)]
        chosen, following = page_of(keyed, selection)
        return chosen, following, len(keyed)

    def counts(self, queries: ConsoleQueries) -> dict[TaskFilter, int]:
        """Return the number of tasks that each filter selects."""
        return counts_of(groups_of(row) for row in self.rows(queries))

    def _matches(self, row: TaskRow, selection: TaskSelection) -> bool:
        if selection.executor and row.executor != selection.executor:
            return False
        if selection.filter is not None and selection.filter not in groups_of(row):
            return False
        search = selection.search.casefold()
        texts = (row.id, row.function, row.executor)
        return any(search in text.casefold() for text in texts) or self._shows_argument(row.arguments, search)


def groups_of(row: TaskRow) -> frozenset[TaskFilter]:
    """Return the filters that select a task."""
    due = row.is_active and row.next_due is not None
    return filters_of(running=bool(row.running), paused=row.paused, due=due, failing=row.last == "error")


def _key(row: TaskRow, selection: TaskSelection) -> str:
    if selection.order == "id":
        return row.id
    return due_key(None if row.paused or not row.is_active else row.next_due, row.id)
