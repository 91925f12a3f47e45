"""Selection and order of tasks: the same rules for the tasks of a scheduler and for those of a store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from typing_extensions import TypeVar

from asyncz.dashboard._reader import TaskSelection
from asyncz.dashboard.states import TaskFilter

TaskT = TypeVar("TaskT")

SCAN_SHARE = 20
"""A scan of all tasks may take this part of the time: after one of 0.1 s, its rows are used for 2 s."""

# After every time.
_NEVER = "~"


def filters_of(*, running: bool, paused: bool, due: bool, failing: bool) -> frozenset[TaskFilter]:
    """Return the filters that select a task."""
    found = set[TaskFilter]()
    if running:
        found.add("running")
    if paused:
        found.add("paused")
    elif due:
        found.add("scheduled")
    if failing:
        found.add("failing")
    return frozenset(found or {"idle"})


def counts_of(tasks: Iterable[Iterable[TaskFilter]]) -> dict[TaskFilter, int]:
    """Return the number of tasks that each filter selects."""
    counts: dict[TaskFilter, int] = {"scheduled": 0, "running": 0, "paused": 0, "failing": 0, "idle": 0}
    for filters in tasks:
        for each in filters:
            counts[each] += 1
    return counts


def due_key(due: datetime | None, task_id: str) -> str:
    """Return the key of a task in the order of due times; None comes last."""
    # ISO times are in the order of their texts.
    return f"{_NEVER if due is None else due.isoformat(timespec='microseconds')} {task_id}"


def page_of(keyed: list[tuple[str, TaskT]], selection: TaskSelection) -> tuple[Sequence[TaskT], str | None]:
    """Return the tasks of a page, and the key of the next page; None on the last page.

    Args:
        keyed: Selected tasks with their keys.
        selection: Selection with the key after which the page begins, and the size of the page.
    """
    keyed.sort(key=lambda entry: entry[0])
    after = selection.after
    remaining = keyed if after is None else [entry for entry in keyed if entry[0] > after]
    chosen = remaining[: selection.limit]
    return [task for _, task in chosen], chosen[-1][0] if len(remaining) > len(chosen) else None
