"""Removal of tasks that are not needed any more: one procedure for all stores, over the queries of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from pydantic import ConfigDict, TypeAdapter

from asyncz.stores._checks import usable_age
from asyncz.stores.protocol import FORGET_REMOVED_AFTER, UNDECLARED_AFTER
from asyncz.stores.records import TaskRecord

# Built when it is used first: the import of a store waits for no schema.
IDS: TypeAdapter[list[str]] = TypeAdapter(list[str], config=ConfigDict(defer_build=True))
"""Ids of tasks as JSON."""


class Program(NamedTuple):
    """Tasks that the program of a node declares.

    Attributes:
        node: Id of the node.
        task_ids: Ids of the tasks.
        gone_at: Time when the node closed its session, or when its lease ends; None if the node is forgotten.
    """

    node: str
    task_ids: Sequence[str]
    gone_at: datetime | None


class SweepQueries(Protocol):
    """Queries of `sweep` in one transaction, in which no other node changes tasks."""

    def programs(self) -> Sequence[Program]:
        """Return the programs of all nodes."""
        ...

    def keep_program(self, node: str, task_ids: Sequence[str], /) -> None:
        """Note the tasks of a program, or forget it if there are none."""
        ...

    def known(self, task_ids: Sequence[str], /) -> Sequence[TaskRecord]:
        """Return the tasks with some ids."""
        ...

    def undeclared(self, before: datetime, limit: int, /) -> Sequence[TaskRecord]:
        """Return tasks that are undeclared since a time before."""
        ...

    def finished(self, before: datetime, announced: Collection[str], limit: int, /) -> Sequence[TaskRecord]:
        """Return tasks that are not due again, were idle since a time before, and are not announced."""
        ...

    def write(self, tasks: Sequence[TaskRecord], /) -> None:
        """Write tasks with their next versions."""
        ...

    def forget_removed(self, before: datetime, limit: int, /) -> None:
        """Delete tombstones of tasks that were removed before a time."""
        ...


def sweep(
    queries: SweepQueries, now: datetime, keep_undeclared: timedelta, keep_finished: timedelta | None, limit: int
) -> list[str]:
    """Mark and remove tasks; see `StoreSession.sweep`."""
    gone_before = now - UNDECLARED_AFTER
    programs = queries.programs()
    announced = {each for program in programs if not _is_gone(program, gone_before) for each in program.task_ids}
    changed: list[TaskRecord] = []
    for program in programs:
        if _is_gone(program, gone_before):
            room = limit - len(changed)
            candidates = [each for each in program.task_ids if each not in announced]
            now_undeclared = [task for task in queries.known(candidates[:room]) if _is_active(task)]
            changed += [
                task.model_copy(update={"state": "undeclared", "inactive_since": now}) for task in now_undeclared
            ]
            # The next sweep continues with the others.
            queries.keep_program(program.node, candidates[room:])
            announced.update(candidates[:room])
    removed = queries.undeclared(now - usable_age(keep_undeclared, now), limit)
    if keep_finished is not None:
        removed = [*removed, *queries.finished(now - usable_age(keep_finished, now), announced, limit)]
    update = {"removed": True, "next_due": None, "inactive_since": now}
    changed += [task.model_copy(update=update) for task in removed]
    if changed:
        queries.write(changed)
    queries.forget_removed(now - FORGET_REMOVED_AFTER, limit)
    return [task.id for task in changed]


def _is_gone(program: Program, before: datetime) -> bool:
    return program.gone_at is None or program.gone_at < before


def _is_active(task: TaskRecord) -> bool:
    return task.state == "active" and not task.removed
