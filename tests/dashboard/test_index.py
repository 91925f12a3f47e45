"""Pages of tasks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from asyncz import AsyncIOScheduler, DateTrigger, IntervalTrigger
from asyncz.dashboard._index import TaskIndex
from asyncz.dashboard._reader import TaskSelection
from asyncz.dashboard.states import TaskFilter, TaskOrder
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


def nothing() -> None: ...


def fail() -> None:
    raise ValueError("wrong")


def pages_of(index: TaskIndex, limit: int, **selection: object) -> list[str]:
    """Return the ids on all pages, in order."""
    found: list[str] = []
    after = None
    for _ in range(1000):
        page = index.page(TaskSelection(after=after, limit=limit, **selection))  # type: ignore[arg-type]  # by name
        assert len(page.tasks) <= limit
        found += [task.task_id for task in page.tasks]
        after = page.next_key
        if after is None:
            return found
    raise AssertionError("the pages do not end")


IDS = st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=25)


@given(IDS, st.integers(1, 7), st.sampled_from(("id", "next")))
def test_pages_give_each_task_once(ids: list[str], limit: int, order: TaskOrder) -> None:
    scheduler, start = AsyncIOScheduler(), datetime.now(UTC) + timedelta(hours=1)
    for number, task_id in enumerate(ids):
        trigger = DateTrigger(start + timedelta(seconds=number % 4)) if number % 3 else None
        scheduler.add_task(nothing, id=task_id, trigger=trigger)
    found = pages_of(TaskIndex(scheduler), limit, order=order)
    assert sorted(found) == sorted(ids)
    if order == "id":
        assert found == sorted(ids)
    else:
        due = [scheduler.get_task(task_id).next_run_at or datetime.max.replace(tzinfo=UTC) for task_id in found]
        assert due == sorted(due)


@given(IDS, st.text(max_size=2))
def test_search_finds_text_in_any_case(ids: list[str], search: str) -> None:
    scheduler = AsyncIOScheduler()
    for task_id in ids:
        scheduler.add_task(nothing, id=task_id, trigger=None, executor="debug")
    others = ("tests.dashboard.test_index:nothing", "debug")
    searched = search.casefold()
    wanted = [each for each in ids if any(searched in text for text in (each.casefold(), *others))]
    found = TaskIndex(scheduler).page(TaskSelection(search=search, limit=100))
    assert sorted(task.task_id for task in found.tasks) == sorted(wanted)
    assert (found.matching, found.total) == (len(wanted), len(ids))


@pytest.mark.parametrize(
    ("selected", "ids"),
    [
        ("scheduled", ["ticking"]),
        ("paused", ["held"]),
        ("failing", ["broken"]),
        ("idle", ["waiting"]),
        ("running", []),
    ],
)
async def test_filter_selects_tasks(selected: TaskFilter, ids: list[str]) -> None:
    async with AsyncIOScheduler() as scheduler:
        every_hour = IntervalTrigger(hours=1)
        scheduler.add_task(nothing, id="ticking", trigger=every_hour)
        scheduler.add_task(nothing, id="held", trigger=every_hour, paused=True)
        scheduler.add_task(nothing, id="waiting", trigger=None)
        broken = scheduler.add_task(fail, id="broken", trigger=None).run()
        await broken.notification()
        index = TaskIndex(scheduler)
        assert [task.task_id for task in index.page(TaskSelection(filter=selected)).tasks] == ids
        assert index.counts()[selected] == len(ids)


async def test_executor_selects_tasks() -> None:
    scheduler = AsyncIOScheduler(executors={"io": "threadpool"})
    scheduler.add_task(nothing, id="one", trigger=None, executor="io")
    scheduler.add_task(nothing, id="two", trigger=None)
    page = TaskIndex(scheduler).page(TaskSelection(executor="io"))
    assert [task.task_id for task in page.tasks] == ["one"]


async def test_task_added_after_scan_is_found() -> None:
    scheduler = AsyncIOScheduler()
    for number in range(300):
        scheduler.add_task(nothing, id=f"{number}", trigger=None)
    index = TaskIndex(scheduler)
    index.page(TaskSelection(filter="paused"))
    scheduler.add_task(nothing, id="new", trigger=IntervalTrigger(hours=1), paused=True)
    assert [task.task_id for task in index.page(TaskSelection(filter="paused")).tasks] == ["new"]


async def test_coming_tasks_are_those_due_next() -> None:
    scheduler, now = AsyncIOScheduler(), datetime.now(UTC)
    for number in (3, 1, 2, 9):
        scheduler.add_task(nothing, id=f"in {number} h", trigger=DateTrigger(now + timedelta(hours=number)))
    assert TaskIndex(scheduler).coming(now + timedelta(hours=5), 2) == (["in 1 h", "in 2 h"], 1)


async def test_running_task_is_selected() -> None:
    async with AsyncIOScheduler(executors={"io": "threadpool"}) as scheduler:
        import threading

        release = threading.Event()
        task = scheduler.add_task(release.wait, 60, id="long", trigger=None, executor="io")
        handle = task.run()
        index = TaskIndex(scheduler)
        assert [each.task_id for each in index.page(TaskSelection(filter="running")).tasks] == ["long"]
        release.set()
        await handle
        await until(lambda: not task.state.running)
