"""Pages with a store, with progress and attempts, and while nothing has happened."""

from __future__ import annotations

import asyncio
import logging
import re
from uuid import UUID

import pytest

from asyncz import AsyncIOScheduler, IntervalTrigger, current_run
from asyncz.clock import utc
from asyncz.dashboard import Dashboard
from asyncz.dashboard._views import ordered_logs
from asyncz.dashboard.states import LogLine, Run, RunDetail, RunPage
from asyncz.retries import Retry
from asyncz.stores import MemoryStore
from tests.dashboard.serving import client_of, double, served
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_pages_without_tasks_explain_themselves() -> None:
    scheduler = AsyncIOScheduler()
    dashboard = Dashboard(scheduler, lambda _: "operate")
    async with scheduler, client_of(dashboard) as client:
        for path, text in (
            ("tasks", "No tasks yet"),
            ("runs", "No runs"),
            ("timeline", "Nothing in this window"),
            ("executors", "No executors"),
            ("tasks?search=x", "No tasks yet"),
        ):
            assert text in (await client.get(f"/{path}")).text, path


async def test_pages_with_store_show_all_nodes() -> None:
    scheduler = AsyncIOScheduler(store=MemoryStore())
    dashboard = Dashboard(scheduler, lambda _: "operate")
    async with scheduler, client_of(dashboard) as client:
        scheduler.add_task(double, 4, id="double", trigger=IntervalTrigger(seconds=0.02))
        await until(lambda: scheduler.get_task("double").state.executed >= 3)
        scheduler.pause_task("double")
        assert "Lease until" in (await client.get("/executors")).text
        text = (await client.get("/runs?stored=true")).text
        link = re.search(r'href="(run\?id=([-0-9a-f]{36}))" title="\2">([^<]+)</a>', text)
        assert link is not None
        assert f"<h1>Run {link[3]}</h1>" in (await client.get(f"/{link[1]}")).text
        assert "Shows the stored runs of all nodes" in text


async def test_run_page_shows_attempts_and_progress() -> None:
    def work() -> None:
        run = current_run()
        run.report(3, 4, "nearly done")
        if run.attempt < 3:
            raise ConnectionError(f"attempt {run.attempt}")

    scheduler = AsyncIOScheduler()
    dashboard = Dashboard(scheduler, lambda _: "operate")
    async with scheduler, client_of(dashboard) as client:
        task = scheduler.add_task(work, id="work", trigger=None, retry=Retry(attempts=3, delay=0.001))
        handle = task.run()
        await handle
        text = (await client.get(f"/run?id={handle.run_id}")).text
        assert "Failed attempts" in text
        assert "ConnectionError: attempt 1" in text
        assert "nearly done" in text
        assert "75 %" in text


async def test_pages_follow_each_other() -> None:
    scheduler = AsyncIOScheduler()
    for number in range(120):
        scheduler.add_task(double, number, id=f"task-{number:03}", trigger=None)
    dashboard = Dashboard(scheduler, lambda _: "look")
    async with client_of(dashboard) as client:
        found: list[str] = []
        path: str | None = "tasks"
        while path is not None:
            text = (await client.get(f"/{path}")).text
            found += re.findall(r"data-open href=\"task\?id=(task-\d+)\"", text)
            following = re.search(r'href="([^"]+)" rel="next"', text)
            path = None if following is None else following[1].replace("&amp;", "&")
        assert found == [f"task-{number:03}" for number in range(120)]


async def test_id_with_lone_surrogate_is_escaped() -> None:
    scheduler = AsyncIOScheduler()
    scheduler.add_task(double, 1, id="plain", trigger=None)
    scheduler.add_task(double, 1, id="odd\udc80", trigger=IntervalTrigger(seconds=5))
    dashboard = Dashboard(scheduler, lambda _: "look")
    async with scheduler, client_of(dashboard) as client:
        await scheduler.get_task("odd\udc80").run()
        for path in ("tasks", "runs", "timeline", "events"):
            answer = await client.get(f"/{path}")
            assert (answer.status_code, "odd\\udc80" in answer.text) == (200, True), path
        (run,) = RunPage.model_validate_json((await client.get("/api/runs")).text).runs
        assert (await client.get(f"/run?id={run.run_id}")).status_code == 200


async def test_search_of_empty_form_shows_all() -> None:
    scheduler = AsyncIOScheduler()
    scheduler.add_task(double, 1, id="double", trigger=None)
    dashboard = Dashboard(scheduler, lambda _: "look")
    async with client_of(dashboard) as client:
        answer = await client.get("/tasks?search=&executor=&order=id")
        assert answer.status_code == 200
        assert "double" in answer.text


async def test_timeline_marks_dense_due_times() -> None:
    scheduler = AsyncIOScheduler()
    scheduler.add_task(double, 1, id="often", trigger=IntervalTrigger(seconds=1))
    dashboard = Dashboard(scheduler, lambda _: "look")
    async with client_of(dashboard) as client:
        lane = (await client.get("/api/timeline?past=1&future=30")).json()["lanes"][0]
        assert (len(lane["due"]), lane["more"]) == (100, True)
        assert 'class="more"' in (await client.get("/timeline?past=1&future=30")).text


async def test_axis_of_timeline_names_different_times() -> None:
    scheduler = AsyncIOScheduler()
    scheduler.add_task(double, 1, id="often", trigger=IntervalTrigger(seconds=10))
    dashboard = Dashboard(scheduler, lambda _: "look")
    async with client_of(dashboard) as client:
        for minutes in (1, 5, 30, 180, 720):
            text = (await client.get(f"/timeline?past={minutes}&future={minutes}")).text
            times = re.findall(r'data-tick="[^"]*">([\d:]+)<', text)
            assert len(times) == len(set(times)) > 2, times


async def test_stored_run_has_no_button(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served() as (scheduler, dashboard, client):
        handle = scheduler.get_task("long").run()
        assert "data-run" in (await client.get(f"/run?id={handle.run_id}")).text

        async def stored(_: str) -> RunDetail:
            return RunDetail(run=Run(run_id=UUID(int=1), task_id="long", state="waiting"))

        monkeypatch.setattr(dashboard._model, "run", stored)
        text = (await client.get("/run?id=x")).text
        assert "data-run" not in text
        assert '<span class="badge waiting">waiting</span>' in text


async def test_footer_names_scope_of_page() -> None:
    scheduler = AsyncIOScheduler(store=MemoryStore())
    dashboard = Dashboard(scheduler, lambda _: "look")
    async with scheduler, client_of(dashboard) as client:
        for path, text in (
            ("tasks", "Shows process"),
            ("runs", "Shows the runs of process"),
            ("runs?stored=true", "Shows the stored runs of all nodes"),
            ("executors", "and the nodes of its store"),
        ):
            assert text in (await client.get(f"/{path}")).text, path


@pytest.mark.parametrize(
    ("order", "expected"), [("", "abcd"), ("oldest", "abcd"), ("newest", "dcba"), ("level", "bdac")]
)
async def test_run_page_orders_logs(order: str, expected: str) -> None:
    async with served() as (scheduler, dashboard, client):
        task = scheduler.add_task(log_levels, id="levels", trigger=None)
        jobs = logging.getLogger("levels")
        jobs.addHandler(dashboard.log_handler)
        jobs.setLevel(logging.DEBUG)
        try:
            await task.run()
        finally:
            jobs.removeHandler(dashboard.log_handler)
        (run,) = (await client.get("/api/runs", params={"task": "levels"})).json()["runs"]
        page = await client.get("/run", params={"id": run["run_id"], **({"logs": order} if order else {})})
        assert "".join(re.findall(r">message ([a-d])<", page.text)) == expected
        assert len(re.findall('aria-current="true"', page.text)) == 1
        assert (await client.get("/run", params={"id": run["run_id"], "logs": "random"})).status_code == 400


def test_unnamed_levels_have_an_order() -> None:
    """A record of another process may have a level that this one does not know: it counts as a warning."""
    levels = ("INFO", "NOTICE", "Level 45", "DEBUG", "Level -3", "ERROR", "WARNING", "Level", f"Level {'9' * 9999}")
    logs = [LogLine(at=utc(0), level=level, logger="jobs", message="") for level in levels]
    ordered = [line.level[:8] for line in ordered_logs(logs, "level")]
    warnings = ["NOTICE", "WARNING", "Level", "Level 99"]
    assert ordered == ["Level 45", "ERROR", *warnings, "INFO", "DEBUG", "Level -3"]


async def log_levels() -> None:
    for level, name in ((logging.INFO, "a"), (logging.ERROR, "b"), (logging.DEBUG, "c"), (logging.WARNING, "d")):
        logging.getLogger("levels").log(level, "message %s", name)
        await asyncio.sleep(0.002)
