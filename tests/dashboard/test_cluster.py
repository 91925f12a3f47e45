"""Dashboards of a store: all nodes, with and without a scheduler in the process."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from typing_extensions import TypeVar, override

from asyncz import AsyncIOScheduler, CronTrigger, IntervalTrigger, InvalidInputError, Retry, current_run
from asyncz.clock import utc
from asyncz.dashboard import Dashboard, OperatorAction, StoreDashboard, User, _cluster_actions
from asyncz.dashboard._actions import Announcer
from asyncz.dashboard._cluster_actions import ClusterOperator
from asyncz.dashboard._cluster_shared import _joined, _Part
from asyncz.dashboard._problems import store_problem
from asyncz.dashboard._redaction import HIDDEN
from asyncz.dashboard._watch import StoreWatch
from asyncz.dashboard.states import (
    ActionReport,
    EventPage,
    ExecutorPage,
    RunDetail,
    RunPage,
    SchedulerInfo,
    TaskDetail,
    TaskPage,
    Timeline,
)
from asyncz.stores import NodeRecord, RunQuery, RunRecord, RunReport, SqliteStore, StoreOptions
from asyncz.stores._admin import StoreAdmin
from asyncz.stores._console import StoreConsole, console_of_url
from asyncz.stores._console_queries import ConsoleQueries
from asyncz.stores._console_records import CommandError
from asyncz.stores._report_texts import ReportDetails, ReportedAttempt, ReportedLog
from asyncz.stores.exceptions import StoreConnectionError, StoreError
from tests.dashboard.serving import add_tasks, by_header, client_of
from tests.helpers.waiting import until

ResultT = TypeVar("ResultT")

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def node(folder: Path) -> AsyncIterator[AsyncIOScheduler]:
    scheduler = AsyncIOScheduler(store=f"sqlite:///{folder}/jobs.db")
    add_tasks(scheduler)
    async with scheduler:
        yield scheduler
        for task in scheduler.tasks:
            task.cancel_runs()


def dashboard_of(folder: Path) -> StoreDashboard:
    return StoreDashboard(f"sqlite:///{folder}/jobs.db", lambda _: User("operate", "mara"), title="jobs")


async def get(client: httpx.AsyncClient, path: str, **parameters: str | int) -> str:
    answer = await client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.text


async def act(client: httpx.AsyncClient, action: str, *ids: str, **body: object) -> ActionReport:
    answer = await client.post("/api/actions", json={"action": action, "task_ids": ids, **body})
    return ActionReport.model_validate_json(answer.text)


async def test_store_dashboard_shows_runs_of_other_process(tmp_path: Path) -> None:
    async with node(tmp_path) as scheduler, client_of_store(tmp_path) as client:
        await finished(scheduler, "fail", "double")
        page = RunPage.model_validate_json(await get(client, "/api/runs", task="fail"))
        (run,) = page.runs
        assert (run.outcome, run.error) == ("error", "ValueError: password=••• was rejected")
        detail = RunDetail.model_validate_json(await get(client, "/api/run", id=f"{run.run_id}"))
        assert "Traceback" in detail.traceback
        assert "hunter2" not in detail.traceback
        assert f"{scheduler_name()}" in detail.run.worker
        task = TaskDetail.model_validate_json(await get(client, "/api/task", id="double"))
        assert (task.task.trigger, task.task.executed, task.result) == ("every 1 hour", 1, "8")
        assert [(each.name, each.value) for each in task.arguments] == [("1", HIDDEN)]
        assert len(task.due) == 10
        info = SchedulerInfo.model_validate_json(await get(client, "/api/info"))
        assert (info.scope, info.nodes, info.tasks) == ("cluster", 1, 4)


def scheduler_name() -> str:
    import os
    import socket

    return f"{socket.gethostname()}:{os.getpid()}"


@asynccontextmanager
async def client_of_store(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    dashboard = dashboard_of(folder)
    async with client_of(dashboard) as client:
        yield client
    dashboard.close()


async def finished(scheduler: AsyncIOScheduler, *ids: str) -> None:
    """Run tasks, and wait until the store has their outcomes."""
    for task_id in ids:
        await scheduler.get_task(task_id).run().notification()
    while True:
        runs = await scheduler.store.runs()
        if len([run for run in runs if run.done]) >= len(ids):
            return
        await asyncio.sleep(0.01)


def greet(name: str, password: str = "", tags: tuple[str, ...] = ()) -> str:
    return f"{name}{password}{tags}"


async def test_search_finds_shown_arguments(tmp_path: Path) -> None:
    """A search that matches a hidden text would reveal it letter by letter."""
    scheduler = AsyncIOScheduler(store=f"sqlite:///{tmp_path}/jobs.db")
    scheduler.add_task(partial(greet, name="Mara", password="hunter2"), id="a", trigger=None)
    scheduler.add_task(partial(greet, name="J\u00fcrgen 'x'", tags=("eu", "us")), id="b", trigger=None)
    scheduler.add_task(partial(greet, name="x" * 20_000), id="c", trigger=None)
    scheduler.add_task(partial(greet, "first"), id="d", trigger=None)
    searches = {
        "MARA": "a",
        "hunter2": "",
        "hunter": "",
        "\N{BULLET}": "",
        "j\u00fcrgen": "b",
        "'eu'": "b",
        "xxxx": "",
        "first": "",
    }
    async with scheduler, client_of_store(tmp_path) as client:
        for search, expected in searches.items():
            page = TaskPage.model_validate_json(await get(client, "/api/tasks", search=search))
            assert "".join(task.task_id for task in page.tasks) == expected, search


EVENTS: dict[str, asyncio.Event] = {}


async def report_slowly(name: str) -> None:
    run = current_run()
    logging.getLogger("jobs").warning("attempt %d with password=hunter2", run.attempt)
    if run.attempt == 1:
        raise ValueError("password=hunter2 was rejected")
    run.report(3, 4, "password=hunter2")
    await EVENTS[name].wait()


async def reported_run(client: httpx.AsyncClient) -> RunDetail:
    """Wait until the only run of a task has a progress and two log records, and return it."""
    while True:
        for run in RunPage.model_validate_json(await get(client, "/api/runs", task="slow")).runs:
            shown = RunDetail.model_validate_json(await get(client, "/api/run", id=f"{run.run_id}"))
            if shown.progress is not None and len(shown.logs) == 2:
                return shown
        await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_reports_of_other_process_are_shown(tmp_path: Path) -> None:
    reported = asyncio.Event()
    scheduler = AsyncIOScheduler(store=f"sqlite:///{tmp_path}/jobs.db")
    task = scheduler.add_task(report_slowly, "slow", id="slow", trigger=None, retry=Retry(attempts=2, delay=0.01))
    EVENTS["slow"] = reported
    jobs = logging.getLogger("jobs")
    async with scheduler, client_of_store(tmp_path) as client:
        jobs.addHandler(scheduler.store.log_handler)
        try:
            running = asyncio.ensure_future(task.run())
            shown = await reported_run(client)
            state = TaskPage.model_validate_json(await get(client, "/api/tasks", search="slow")).tasks[0]
            html = await get(client, "/run", id=f"{shown.run.run_id}")
            reported.set()
            await running
        finally:
            jobs.removeHandler(scheduler.store.log_handler)
    assert shown.progress is not None
    assert (shown.progress.done, shown.progress.total, shown.progress.message) == (3, 4, "password=•••")
    assert state.progress == shown.progress
    (attempt,) = shown.attempts
    assert (attempt.attempt, attempt.error) == (1, "ValueError: password=••• was rejected")
    assert scheduler_name() in attempt.worker
    assert [line.message for line in shown.logs] == ["attempt 1 with password=•••", "attempt 2 with password=•••"]
    assert "attempt 2 with password=•••" in html
    assert "hunter2" not in html


async def test_code_of_tasks_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "far_jobs.py").write_text("def work() -> None: ...\n")
    async with node(tmp_path), client_of_store(tmp_path) as client:
        with closing(sqlite3.connect(tmp_path / "jobs.db")) as database, database:
            database.execute(
                "UPDATE asyncz_tasks SET function = 'far_jobs:work', \"trigger\" = ? WHERE id = 'double'",
                ['{"type": "far_jobs:work"}'],
            )
        task = TaskDetail.model_validate_json(await get(client, "/api/task", id="double"))
        assert task.task.function == "far_jobs:work"
        assert "far_jobs" in task.task.trigger
        assert "far_jobs" not in sys.modules


async def test_each_page_names_its_scope(tmp_path: Path) -> None:
    scheduler = AsyncIOScheduler(store=f"sqlite:///{tmp_path}/jobs.db")
    dashboard = Dashboard(scheduler, by_header)
    add_tasks(scheduler)
    async with scheduler, client_of(dashboard) as shared, client_of_store(tmp_path) as alone:
        await finished(scheduler, "double")
        page = RunPage.model_validate_json(await get(alone, "/api/runs"))
        run = f"run?id={page.runs[0].run_id}"
        for path in ("tasks", "task?id=double", "runs", run, "timeline", "executors", "events"):
            for client in (shared, alone):
                text = await get_page(client, f"/{path}")
                assert "Shows the cluster: 1 node of jobs.db (SQLite)" in text
            if path.startswith("run?"):
                continue
            text = await get_page(shared, f"/process/{path}")
            assert "of process" in text or "Shows process" in text
            assert 'href="../' in text
        assert "show this process" not in await get_page(alone, "/tasks")
    dashboard.close()


async def get_page(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(path)
    assert answer.status_code == 200, f"{path}: {answer.text}"
    return answer.text


async def test_shared_dashboard_adds_what_process_knows(tmp_path: Path) -> None:
    scheduler = AsyncIOScheduler(store=f"sqlite:///{tmp_path}/jobs.db")
    dashboard = Dashboard(scheduler, by_header)
    add_tasks(scheduler)
    async with scheduler, client_of(dashboard) as client:
        await finished(scheduler, "double")
        task = TaskDetail.model_validate_json(await get(client, "/api/task", id="double"))
        assert [(each.name, each.value) for each in task.arguments] == [("number", "4")]
        executors = ExecutorPage.model_validate_json(await get(client, "/api/executors"))
        assert ([each.alias for each in executors.executors], len(executors.nodes)) == (["asyncio"], 1)
        assert "asyncz_tasks 4" in await get(client, "/metrics")
        assert "asyncz_store_nodes 1" in await get(client, "/metrics")
        assert "asyncz_store_nodes" not in await get(client, "/process/metrics")
    dashboard.close()


async def fail_once() -> None:
    logging.getLogger("tests.dashboard.owners").warning("attempt %d", current_run().attempt)
    if current_run().attempt == 1:
        raise ValueError("own attempt")
    await asyncio.sleep(60)


async def test_shared_run_page_shows_all_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports of another owner are joined with those of this node, each record once."""
    read = ConsoleQueries.reports

    def reports(queries: ConsoleQueries, run: RunRecord, limit: int) -> Sequence[RunReport]:
        earlier = [ReportedLog(at=utc(number), level="INFO", logger="a", message=f"{number}") for number in (1, 1, 2)]
        failed = ReportedAttempt(attempt=1, finished_at=utc(1), error="earlier attempt")
        details = ReportDetails(attempts=(failed,), attempts_dropped=3, logs=tuple(earlier), logs_dropped=4)
        first = RunReport(run_id=run.id, fence=1, node="first", details=details.model_dump_json())
        return [first, *read(queries, run, limit)]

    monkeypatch.setattr(ConsoleQueries, "reports", reports)
    scheduler = AsyncIOScheduler(store=f"sqlite:///{tmp_path}/jobs.db")
    dashboard = Dashboard(scheduler, by_header)
    task = scheduler.add_task(fail_once, id="once", trigger=None, retry=Retry(attempts=2, delay=0.01))
    handlers = (dashboard.log_handler, scheduler.store.log_handler)
    jobs = logging.getLogger("tests.dashboard.owners")
    for handler in handlers:
        jobs.addHandler(handler)
    async with scheduler, client_of(dashboard) as client:
        handle = task.run()
        while not any(report.details for report in await scheduler.store.reports(handle.run_id)):
            await asyncio.sleep(0.01)
        detail = RunDetail.model_validate_json(await get(client, "/api/run", id=f"{handle.run_id}"))
        handle.cancel()
    for handler in handlers:
        jobs.removeHandler(handler)
    dashboard.close()
    assert [line.message for line in detail.logs] == ["1", "1", "2", "attempt 1", "attempt 2"]
    assert [each.error for each in detail.attempts] == ["earlier attempt", "ValueError: own attempt"]
    assert (detail.logs_dropped, detail.attempts_dropped) == (4, 3)


@pytest.mark.parametrize(
    ("own", "local", "expected"),
    [
        (_Part("", 0), _Part("", 0), ("xyz", 10)),
        (_Part("bc", 300), _Part("abcd", 299), ("xyzabcd", 309)),
        (_Part("abcd", 0), _Part("cd", 2), ("xyzabcd", 10)),
        (_Part("aab", 1), _Part("ab", 0), ("xyzaab", 11)),
        (_Part("", 0), _Part("yab", 5), ("xzyab", 15)),
    ],
)
def test_parts_of_owners_are_joined(own: _Part[str], local: _Part[str], expected: tuple[str, int]) -> None:
    entries, dropped = _joined(_Part("xyz", 10), own, local, lambda entry: entry)
    assert ("".join(entries), dropped) == expected


@pytest.mark.slow
async def test_actions_reach_node_of_other_process(tmp_path: Path) -> None:
    async with node(tmp_path) as scheduler, client_of_store(tmp_path) as client:
        assert await act(client, "pause", "double", "missing") == ActionReport.model_validate(
            {
                "done": ["double"],
                "failed": [
                    {
                        "task_id": "missing",
                        "message": "TaskLookupError: the scheduler has no task with the id 'missing'",
                    }
                ],
            }
        )
        await until(lambda: scheduler.get_task("double").state.paused)
        assert (await act(client, "resume", "double")).done == ("double",)
        await until(lambda: not scheduler.get_task("double").state.paused)
        await act(client, "run", "long")
        await until(lambda: scheduler.get_task("long").state.running == 1)
        assert (await act(client, "cancel", "long")).done == ("long",)
        await until(lambda: scheduler.get_task("long").state.running == 0)
        cron = {"type": "cron", "expression": "0 4 * * *", "timezone": "UTC"}
        assert (await act(client, "reschedule", "double", trigger=cron)).done == ("double",)
        await until(lambda: scheduler.get_task("double").state.trigger == f"{CronTrigger('0 4 * * *')}")
        assert (await act(client, "reschedule", "double", trigger={"type": "on_demand"})).done == ("double",)
        await until(lambda: not scheduler.get_task("double").state.trigger)
        assert (await act(client, "remove", "fail")).done == ("fail",)
        await until(lambda: len(scheduler.tasks) == 3)
        answer = await client.post("/api/scheduler", json={"action": "pause"})
        assert answer.status_code == 200
        await until(lambda: scheduler.status == "paused")
        await client.post("/api/scheduler", json={"action": "resume"})
        await until(lambda: scheduler.status == "running")
        events = EventPage.model_validate_json(await get(client, "/api/events", limit=200)).events
        actions = [each for each in events if each.kind == "OperatorAction"]
        assert {each.user for each in actions} == {"mara"}
        assert {each.text.partition(":")[0] for each in actions} >= {
            *("pause", "resume", "run", "reschedule", "remove", "pause schedulers", "resume schedulers")
        }


async def test_run_is_cancelled_by_its_page(tmp_path: Path) -> None:
    async with node(tmp_path) as scheduler, client_of_store(tmp_path) as client:
        await act(client, "run", "long")
        await until(lambda: scheduler.get_task("long").state.running == 1)
        page = RunPage.model_validate_json(await get(client, "/api/runs", task="long"))
        run_id = f"{page.runs[0].run_id}"
        assert f'data-run="{run_id}"' in await get_page(client, f"/run?id={run_id}")
        answer = await client.post("/api/cancel-run", json={"run_id": run_id})
        assert ActionReport.model_validate_json(answer.text).done == (run_id,)
        await until(lambda: scheduler.get_task("long").state.running == 0)
        assert (await client.post("/api/cancel-run", json={"run_id": f"{uuid4()}"})).status_code == 422


async def test_process_page_cancels_own_runs_only(tmp_path: Path) -> None:
    other = AsyncIOScheduler(store=f"sqlite:///{tmp_path}/jobs.db")
    dashboard = Dashboard(other, by_header)
    async with node(tmp_path) as scheduler:
        run_id = scheduler.get_task("long").run().run_id
        await until(lambda: scheduler.get_task("long").state.running == 1)
        async with other, client_of(dashboard) as client:
            other.add_task(asyncio.sleep, 60, id="own", trigger=None)
            own = other.get_task("own").run()
            await until(lambda: other.get_task("own").state.running == 1)
            while not await other.store.runs(RunQuery(run_id=run_id)):
                await asyncio.sleep(0.01)
            for path, is_offered in ((f"/process/run?id={run_id}", False), (f"/run?id={run_id}", True)):
                assert ("data-run=" in await get_page(client, path)) is is_offered, path
            assert "data-run=" in await get_page(client, f"/process/run?id={own.run_id}")
            own.cancel()
            await until(lambda: other.get_task("own").state.running == 0)
            assert "data-run=" not in await get_page(client, f"/process/run?id={own.run_id}")
    dashboard.close()


async def test_on_action_hears_actions(tmp_path: Path) -> None:
    dashboard, heard = dashboard_of(tmp_path), list[OperatorAction]()
    dashboard.on_action(heard.append)
    async with node(tmp_path), client_of(dashboard) as client:
        await act(client, "pause", "double", "missing")
        await client.post("/api/scheduler", json={"action": "resume"})
    dashboard.close()
    assert [(each.action, each.user, each.task_id, bool(each.failure)) for each in heard] == [
        ("pause", "mara", "missing", True),
        ("pause", "mara", "double", False),
        ("resume scheduler", "mara", "", False),
    ]


async def test_event_pages_give_each_event_once(tmp_path: Path) -> None:
    async with node(tmp_path) as scheduler, client_of_store(tmp_path) as client:
        await finished(scheduler, *(["double"] * 5))
        for _ in range(3):
            await act(client, "pause", "double")
        found, before = list[str](), dict[str, str]()
        while True:
            page = EventPage.model_validate_json(await get(client, "/api/events", limit=2, **before))
            found += [f"{each.kind} {each.number}" for each in page.events]
            if page.next_key is None:
                break
            before = {"before": page.next_key}
        assert sorted(found) == sorted(
            [*(f"TaskExecuted {number}" for number in range(1, 6)), *(f"OperatorAction {n}" for n in range(1, 4))]
        )
        for key in ("1.", "1.2.3", "x", "-1"):
            assert (await client.get("/api/events", params={"before": key})).status_code == 400


async def test_timeline_shows_runs_and_due_times(tmp_path: Path) -> None:
    async with node(tmp_path) as scheduler, client_of_store(tmp_path) as client:
        scheduler.add_task(int, id="soon", trigger=IntervalTrigger(minutes=1))
        await finished(scheduler, "fail")
        await until(lambda: scheduler.get_task("soon").state.next_run_at is not None)
        timeline = Timeline.model_validate_json(await get(client, "/api/timeline", past=30, future=30))
        lanes = {lane.task_id: lane for lane in timeline.lanes}
        assert [run.outcome for run in lanes["fail"].runs] == ["error"]
        assert len(lanes["soon"].due) in {29, 30}


async def test_tasks_are_filtered_and_paged(tmp_path: Path) -> None:
    async with node(tmp_path) as scheduler, client_of_store(tmp_path) as client:
        await finished(scheduler, "fail")
        first = TaskPage.model_validate_json(await get(client, "/api/tasks", limit=3))
        assert (len(first.tasks), first.total, first.next_key) == (3, 4, "fail")
        rest = TaskPage.model_validate_json(await get(client, "/api/tasks", limit=3, after=first.next_key or ""))
        assert [task.task_id for task in rest.tasks] == ["long"]
        failing = TaskPage.model_validate_json(await get(client, "/api/tasks", filter="failing"))
        assert [task.task_id for task in failing.tasks] == ["fail"]
        found = TaskPage.model_validate_json(await get(client, "/api/tasks", search="DOUB", order="next"))
        assert [task.task_id for task in found.tasks] == ["double", "a/b/../ü"] or len(found.tasks) == 2


async def test_store_that_is_away_is_reported(tmp_path: Path) -> None:
    async with client_of_store(tmp_path) as client:
        for path in ("/tasks", "/api/runs", "/metrics", "/api/info"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert f"{tmp_path}" not in answer.text
        answer = await client.post("/api/actions", json={"action": "pause", "task_ids": ["a"]})
        assert "cannot be reached" in answer.text
        assert f"{tmp_path}" not in answer.text


async def test_hostile_ids_are_unknown(tmp_path: Path) -> None:
    async with node(tmp_path), client_of_store(tmp_path) as client:
        for task_id in ("\0", "' OR 1=1 --", "x" * 2000, "../../etc/passwd"):
            assert (await client.get("/api/task", params={"id": task_id})).status_code == 404
            assert (await client.get("/api/runs", params={"task": task_id})).status_code == 200
            assert (await act(client, "pause", task_id)).failed
        for run_id in ("1", "-1", "s1", "9" * 40, "1'", f"{uuid4()}", f"{uuid4()}' OR 1"):
            assert (await client.get("/api/run", params={"id": run_id})).status_code == 404
        answer = await client.get("/api/run", params={"id": "\0"})
        assert answer.json()["message"] == r"no run with the id '\x00' is stored"
        assert (await client.get("/api/runs", params={"text": "\0"})).json()["runs"] == []
        for moment in ("0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "x"):
            assert (await client.get("/api/runs", params={"since": moment})).status_code in {200, 400}


async def test_metrics_need_a_right(tmp_path: Path) -> None:
    scheduler = AsyncIOScheduler()
    dashboard = Dashboard(scheduler, by_header)
    async with scheduler, client_of(dashboard, "none") as stranger, client_of(dashboard, "look") as prometheus:
        assert (await stranger.get("/metrics")).status_code == 403
        answer = await prometheus.get("/metrics")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert "asyncz_task_overdue_seconds 0" in answer.text
        assert (await prometheus.post("/metrics", json={})).status_code == 405
    dashboard.close()


async def test_watch_notifies_of_changes(tmp_path: Path) -> None:
    async with node(tmp_path) as scheduler:
        console, seen = console_of_url(f"sqlite:///{tmp_path}/jobs.db"), list[object]()
        watch = StoreWatch(console, seen.append)
        await watch._poll()
        await watch._poll()
        assert not seen
        await finished(scheduler, "double")
        await watch._poll()
        assert seen
        console.close()


class BrokenConsole(StoreConsole):
    """Console whose calls raise an error after a number of them."""

    def __init__(self, console: StoreConsole, error: Exception, after: int = 0) -> None:
        super().__init__(console._url, console.description)
        self.error = error
        self.left = after

    @override
    async def call(self, call: Callable[[StoreAdmin], ResultT]) -> ResultT:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return await super().call(call)


async def test_watch_goes_on_after_any_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    console = console_of_url(f"sqlite:///{tmp_path}/jobs.db")
    for error in (StoreConnectionError("jobs", "away"), RuntimeError("broken")):
        watch = StoreWatch(BrokenConsole(console, error), lambda _: None)
        await watch._poll()
        await watch._poll()
        messages = [record for record in caplog.records if "store of the dashboard failed" in record.message]
        assert len(messages) == 1
        caplog.clear()


async def test_failed_actions_on_runs_are_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    heard, run_id = list[OperatorAction](), uuid4()
    announcer = Announcer(None)
    announcer.add_listener(heard.append)
    console = console_of_url(f"sqlite:///{tmp_path}/jobs.db")
    with caplog.at_level(logging.INFO):
        async with node(tmp_path):
            operator = ClusterOperator(console, announcer, lambda: None)
            with pytest.raises(CommandError):
                await operator.cancel_run(run_id, "mara")
        away = ClusterOperator(BrokenConsole(console, StoreConnectionError("s", "away")), announcer, lambda: None)
        with pytest.raises(StoreError):
            await away.set_paused(True, "mara")
    console.close()
    assert [(each.action, each.run_id, each.user) for each in heard] == [
        ("cancel", run_id, "mara"),
        ("pause scheduler", None, "mara"),
    ]
    assert f"no run with the id {run_id}" in heard[0].failure
    assert heard[1].failure == store_problem(StoreError())
    assert "pause scheduler failed: " in caplog.text


@pytest.mark.parametrize("fault", ["record", "store", "node"])
async def test_missing_answer_ends_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr(_cluster_actions, "_PATIENCE", 0.1)
    console = console_of_url(f"sqlite:///{tmp_path}/jobs.db")
    if fault == "record":
        monkeypatch.setattr(ConsoleQueries, "commands", lambda *_: ())
    elif fault == "store":
        console = BrokenConsole(console, StoreConnectionError("s", "away"), after=1)
    session = await SqliteStore(f"{tmp_path}/jobs.db").connect(NodeRecord(id="n1"), timedelta(seconds=60))
    async with asyncio.timeout(20):
        report = await ClusterOperator(console, Announcer(None), lambda: None).set_paused(True, "mara")
    await session.close()
    console.close()
    (failed,) = report.failed
    assert ("the node n1 has not answered yet" if fault == "node" else "could not be read") in failed.message


class Base64Codec:
    """Codec of which the encoded values are easily read."""

    name = "base64"

    def encode(self, value: object) -> str:
        return base64.b64encode(json.dumps(value).encode()).decode()

    def decode(self, text: str) -> object:
        return json.loads(base64.b64decode(text))


async def test_encoded_values_are_not_shown(tmp_path: Path) -> None:
    scheduler = AsyncIOScheduler(store=f"sqlite:///{tmp_path}/jobs.db", store_options=StoreOptions(codec=Base64Codec()))
    add_tasks(scheduler)
    async with scheduler, client_of_store(tmp_path) as client:
        await finished(scheduler, "double")
        task = TaskDetail.model_validate_json(await get(client, "/api/task", id="double"))
        assert [(each.name, each.value) for each in task.arguments] == [("arguments", "encoded by the codec 'base64'")]
        assert task.result == "encoded by the codec 'base64'"


async def test_trigger_with_odd_type_is_shown(tmp_path: Path) -> None:
    async with node(tmp_path), client_of_store(tmp_path) as client:
        with closing(sqlite3.connect(tmp_path / "jobs.db")) as database, database:
            database.execute("UPDATE asyncz_tasks SET \"trigger\" = ? WHERE id = 'double'", ['{"type": []}'])
        task = TaskDetail.model_validate_json(await get(client, "/api/task", id="double"))
        assert task.task.trigger == '{"type": []}'
        await get_page(client, "/tasks")


def test_store_dashboard_rejects_arguments() -> None:
    for url in ("", "mysql://x", "jobs.db"):
        with pytest.raises(InvalidInputError):
            StoreDashboard(url, lambda _: None)
    with pytest.raises(InvalidInputError):
        StoreDashboard("sqlite:///x.db", 3)  # type: ignore[arg-type]  # the test
