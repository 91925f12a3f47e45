"""Tasks that a sweep marks and removes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from asyncz.stores._sweep import Program, sweep
from asyncz.stores.protocol import FORGET_REMOVED_AFTER, UNDECLARED_AFTER
from asyncz.stores.records import TaskRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GONE = NOW - UNDECLARED_AFTER - timedelta(seconds=1)
KEEP = timedelta(days=7)


def task(task_id: str, **values: object) -> TaskRecord:
    return TaskRecord.model_validate({"id": task_id, "function": "jobs:job", "next_due": NOW, **values})


class Queries:
    """Tables in memory, and the calls that change them."""

    def __init__(self, programs: Sequence[Program], *tasks: TaskRecord) -> None:
        self.kept = {each.node: each for each in programs}
        self.tasks = {each.id: each for each in tasks}
        self.calls: list[object] = []
        self.old: Sequence[TaskRecord] = ()
        self.over: Sequence[TaskRecord] = ()

    def programs(self) -> Sequence[Program]:
        return tuple(self.kept.values())

    def keep_program(self, node: str, task_ids: Sequence[str], /) -> None:
        self.kept[node] = self.kept[node]._replace(task_ids=task_ids)

    def known(self, task_ids: Sequence[str], /) -> Sequence[TaskRecord]:
        return [self.tasks[each] for each in task_ids if each in self.tasks]

    def undeclared(self, before: datetime, limit: int, /) -> Sequence[TaskRecord]:
        self.calls.append(("undeclared", before, limit))
        return self.old

    def finished(self, before: datetime, announced: Collection[str], limit: int, /) -> Sequence[TaskRecord]:
        self.calls.append(("finished", before, sorted(announced), limit))
        return self.over

    def write(self, tasks: Sequence[TaskRecord], /) -> None:
        self.calls.append("write")
        self.tasks.update((each.id, each) for each in tasks)

    def forget_removed(self, before: datetime, limit: int, /) -> None:
        self.calls.append(("forget", before, limit))


@pytest.mark.parametrize("gone_at", [None, GONE])
def test_tasks_of_gone_program_become_undeclared(gone_at: datetime | None) -> None:
    programs = [
        Program("gone", ("a", "shared", "parked", "removed", "lost"), gone_at),
        Program("here", ("shared",), NOW),
    ]
    queries = Queries(
        programs, task("a"), task("shared"), task("parked", state="parked"), task("removed", removed=True)
    )
    assert sweep(queries, NOW, KEEP, None, 10) == ["a"]
    assert queries.tasks["a"] == task("a", state="undeclared", inactive_since=NOW)
    assert (queries.kept["gone"].task_ids, queries.kept["here"].task_ids) == ([], ("shared",))
    assert queries.calls == [("undeclared", NOW - KEEP, 10), "write", ("forget", NOW - FORGET_REMOVED_AFTER, 10)]


def test_program_of_the_last_hour_is_kept() -> None:
    queries = Queries([Program("here", ("a",), NOW - UNDECLARED_AFTER)], task("a"))
    assert sweep(queries, NOW, KEEP, None, 10) == []
    assert queries.kept["here"].task_ids == ("a",)
    assert "write" not in queries.calls


def test_sweep_continues_after_its_limit() -> None:
    """Two programs that are gone share a task; each sweep marks as many tasks as its limit."""
    programs = [Program("one", ("a", "b", "c"), None), Program("two", ("a", "d"), None)]
    queries = Queries(programs, *map(task, "abcd"))
    assert sweep(queries, NOW, KEEP, None, 2) == ["a", "b"]
    assert [each.task_ids for each in queries.kept.values()] == [["c"], ["d"]]
    assert sweep(queries, NOW, KEEP, None, 2) == ["c", "d"]


def test_old_and_finished_tasks_are_removed() -> None:
    queries = Queries([Program("here", ("new",), NOW), Program("gone", ("past",), None)])
    queries.old, queries.over = [task("old")], [task("over")]
    assert sweep(queries, NOW, KEEP, timedelta(days=2), 10) == ["old", "over"]
    for task_id in ("old", "over"):
        assert queries.tasks[task_id] == task(task_id, removed=True, next_due=None, inactive_since=NOW)
    assert queries.calls[1] == ("finished", NOW - timedelta(days=2), ["new", "past"], 10)
    assert sweep(queries, NOW, timedelta.max, timedelta.max, 10)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert queries.calls[-4:-2] == [("undeclared", epoch, 10), ("finished", epoch, ["new"], 10)]
