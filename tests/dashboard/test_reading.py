"""Read model: pages of tasks, runs, executors, timeline and events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from asyncz import AsyncIOScheduler, AsynczError, IntervalTrigger, TaskLookupError, current_run
from asyncz.clock import utc
from asyncz.dashboard._journal import Journal
from asyncz.dashboard._problems import problem_of
from asyncz.dashboard._reader import RunSelection, TaskSelection
from asyncz.dashboard._reading import ReadModel
from asyncz.dashboard._redaction import Redactor, redact_secrets
from asyncz.dashboard._runs import run_of_store
from asyncz.dashboard.states import Run
from asyncz.stores import MemoryStore
from asyncz.stores.records import RunRecord, RunRecordState

pytestmark = pytest.mark.anyio


def double(number: int) -> int:
    return 2 * number


def fail(password: str) -> None:
    raise ValueError(f"password={password} was rejected")


@asynccontextmanager
async def reading(scheduler: AsyncIOScheduler, max_runs: int = 100) -> AsyncIterator[ReadModel]:
    journal = Journal(scheduler, max_runs, 100, len)
    async with scheduler:
        yield ReadModel(scheduler, journal, Redactor(redact_secrets), "jobs")


async def all_runs(model: ReadModel, limit: int, selection: Callable[[int | None, int], RunSelection]) -> list[Run]:
    found: list[Run] = []
    before = None
    for _ in range(1000):
        page = await model.runs(selection(before, limit))
        assert len(page.runs) <= limit
        found += page.runs
        if page.next_key is None:
            return found
        before = int(page.next_key)
    raise AssertionError("the pages do not end")


async def test_task_has_arguments_due_times_and_result() -> None:
    async with reading(AsyncIOScheduler()) as model:
        task = model._scheduler.add_task(double, 4, id="double", trigger=IntervalTrigger(hours=1), timeout=3)
        await task.run()
        detail = await model.task("double")
        assert [(each.name, each.value) for each in detail.arguments] == [("number", "4")]
        assert ("timeout", "3") in [(each.name, each.value) for each in detail.options]
        assert (detail.result, len(detail.due)) == ("8", 10)
        assert detail.due[1] - detail.due[0] == timedelta(hours=1)


async def test_unknown_task_is_reported() -> None:
    async with reading(AsyncIOScheduler()) as model:
        with pytest.raises(TaskLookupError):
            await model.task("missing")


async def test_errors_are_redacted_everywhere() -> None:
    async with reading(AsyncIOScheduler()) as model:
        handle = model._scheduler.add_task(fail, "hunter2", id="fail", trigger=None).run()
        await handle.notification()
        shown = (
            await model.task("fail"),
            await model.tasks(TaskSelection()),
            await model.runs(RunSelection()),
            await model.run(f"{handle.run_id}"),
            await model.timeline(timedelta(hours=1), timedelta(hours=1)),
            await model.events(None, 100),
        )
        for each in shown:
            assert "hunter2" not in each.model_dump_json()
        assert "was rejected" in shown[2].model_dump_json()
        assert "Traceback" in shown[3].model_dump_json()


@pytest.mark.parametrize("limit", [1, 3, 7, 50])
@pytest.mark.parametrize("max_runs", [1, 4, 100])
async def test_run_pages_give_each_run_once(limit: int, max_runs: int) -> None:
    async with reading(AsyncIOScheduler(recent_runs=20), max_runs) as model:
        task = model._scheduler.add_task(double, 1, id="double", trigger=None)
        numbers = [(await run_once(task.run)) for _ in range(8)]
        found = await all_runs(model, limit, lambda before, size: RunSelection("double", None, before, size))
        assert [run.run_id for run in found] == [*reversed(numbers)]


async def run_once(run: Callable[[], object]) -> UUID:
    from asyncz import RunHandle

    handle = run()
    assert isinstance(handle, RunHandle)
    await handle
    return handle.run_id


async def test_outcome_selects_runs() -> None:
    async with reading(AsyncIOScheduler()) as model:
        good = model._scheduler.add_task(double, 1, id="good", trigger=None).run()
        bad = model._scheduler.add_task(fail, "", id="bad", trigger=None).run()
        await good.notification()
        await bad.notification()
        for outcome, number in (("executed", good.run_id), ("error", bad.run_id)):
            page = await model.runs(RunSelection(outcome="executed" if outcome == "executed" else "error"))
            assert [run.run_id for run in page.runs] == [number]
        assert (await model.runs(RunSelection(outcome="running"))).runs == ()


async def test_run_that_journal_dropped_is_found() -> None:
    async with reading(AsyncIOScheduler(), max_runs=1) as model:
        task = model._scheduler.add_task(double, 1, id="double", trigger=None)
        first = await run_once(task.run)
        await run_once(task.run)
        assert (await model.run(f"{first}")).run.outcome == "executed"


@pytest.mark.parametrize("run_id", [f"{UUID(int=5)}", "99999", "x", "", "-1", "s5", "²", "1e3"])
async def test_unknown_run_is_reported(run_id: str) -> None:
    async with reading(AsyncIOScheduler()) as model:
        with pytest.raises(AsynczError, match="no run") as caught:
            await model.run(run_id)
        assert repr(run_id).strip("'") in f"{caught.value}"
        assert problem_of(caught.value).status == 404


async def test_timeline_has_past_and_coming_runs() -> None:
    async with reading(AsyncIOScheduler()) as model:
        task = model._scheduler.add_task(double, 1, id="double", trigger=IntervalTrigger(minutes=10))
        number = await run_once(task.run)
        timeline = await model.timeline(timedelta(minutes=5), timedelta(minutes=35))
        (lane,) = timeline.lanes
        assert [run.run_id for run in lane.runs] == [number]
        assert len(lane.due) == 3
        assert timeline.start < timeline.now < timeline.end


async def test_paused_task_is_not_coming() -> None:
    async with reading(AsyncIOScheduler()) as model:
        model._scheduler.add_task(double, 1, id="double", trigger=IntervalTrigger(minutes=10), paused=True)
        assert (await model.timeline(timedelta(minutes=5), timedelta(minutes=35))).lanes == ()


async def test_progress_of_run_is_read() -> None:
    def work() -> None:
        current_run().report(2, 4, "half")

    async with reading(AsyncIOScheduler()) as model:
        number = await run_once(model._scheduler.add_task(work, trigger=None).run)
        progress = (await model.run(f"{number}")).progress
        assert progress is not None
        assert (progress.fraction, progress.message) == (0.5, "half")


async def test_info_names_process_and_scheduler() -> None:
    async with reading(AsyncIOScheduler()) as model:
        info = model.info()
        assert (info.status, info.store, info.title) == ("running", "", "jobs")


async def test_executors_are_listed_without_tasks() -> None:
    async with reading(AsyncIOScheduler(executors={"io": "threadpool"})) as model:
        page = await model.executors()
        assert [each.alias for each in page.executors] == ["io"]
        assert page.nodes == ()


async def test_store_gives_runs_and_nodes(tmp_path: Path) -> None:
    scheduler = AsyncIOScheduler(store=MemoryStore())
    async with reading(scheduler) as model:
        scheduler.add_task(double, 4, id="double", trigger=IntervalTrigger(seconds=0.02))
        from tests.helpers.waiting import until

        await until(lambda: len(model._journal.runs(lambda run: run.outcome is not None, 9)) >= 4)
        scheduler.pause_task("double")
        page = await model.executors()
        assert len(page.nodes) == 1
        found = await all_runs(
            model, 2, lambda before, size: RunSelection("double", "executed", before, size, stored=True)
        )
        assert len({run.run_id for run in found}) == len(found) >= 1
        detail = await model.run(f"{found[-1].run_id}")
        assert (detail.run.run_id, detail.run.outcome) == (found[-1].run_id, "executed")


async def test_waiting_selects_no_run_of_process() -> None:
    async with reading(AsyncIOScheduler()) as model:
        release = asyncio.Event()
        handle = model._scheduler.add_task(release.wait, id="long", trigger=None).run()
        await asyncio.sleep(0)
        assert [run.state for run in (await model.runs(RunSelection())).runs] == ["running"]
        assert (await model.runs(RunSelection(outcome="waiting"))).runs == ()
        release.set()
        await handle


@pytest.mark.parametrize("state", ["waiting", "running", "error"])
def test_stored_run_has_its_state(state: RunRecordState) -> None:
    record = RunRecord(id=uuid4(), sequence=1, task_id="t", state=state, scheduled_at=utc(0.0), error="")
    run = run_of_store(record, Redactor(redact_secrets))
    assert (run.state, run.outcome) == (state, "error" if state == "error" else None)
