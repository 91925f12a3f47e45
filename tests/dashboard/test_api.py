"""JSON API: answers, actions and rejections."""

from __future__ import annotations

import asyncio

import pytest

from asyncz import AsyncIOScheduler, TaskSubmitted
from asyncz.dashboard import Dashboard, OperatorAction, User
from asyncz.dashboard.states import ActionReport, EventPage, ExecutorPage, RunDetail, RunPage, SchedulerInfo, TaskPage
from asyncz.schedulers.stored import SchedulerStore
from asyncz.stores import MemoryStore, StoreConnectionError, StoreDataError
from tests.dashboard.serving import add_tasks, client_of, served
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


async def test_info_has_rights_of_user() -> None:
    async with served("look") as (_, __, client):
        info = SchedulerInfo.model_validate_json((await client.get("/api/info")).content)
        assert (info.access, info.status, info.tasks) == ("look", "running", 4)


async def test_tasks_are_paged_by_key() -> None:
    async with served() as (_, __, client):
        first = TaskPage.model_validate_json((await client.get("/api/tasks?limit=3")).content)
        assert first.next_key is not None
        rest = await client.get("/api/tasks", params={"limit": 3, "after": first.next_key})
        second = TaskPage.model_validate_json(rest.content)
        ids = [task.task_id for task in (*first.tasks, *second.tasks)]
        assert ids == ["a/b/../ü", "double", "fail", "long"]
        assert second.next_key is None


async def test_task_with_odd_id_is_found() -> None:
    async with served() as (_, __, client):
        answer = await client.get("/api/task", params={"id": "a/b/../ü"})
        assert answer.json()["task"]["task_id"] == "a/b/../ü"


async def test_run_action_submits_task() -> None:
    async with served() as (scheduler, _, client):
        answer = await client.post("/api/actions", json={"action": "run", "task_ids": ["double"]})
        assert ActionReport.model_validate_json(answer.content).done == ("double",)
        await until(lambda: scheduler.get_task("double").state.executed == 1)
        page = RunPage.model_validate_json((await client.get("/api/runs?task=double&outcome=executed")).content)
        assert len(page.runs) == 1
        detail = RunDetail.model_validate_json((await client.get(f"/api/run?id={page.runs[0].run_id}")).content)
        assert detail.run == page.runs[0]


async def test_pause_and_resume_actions_change_task() -> None:
    async with served() as (scheduler, _, client):
        await client.post("/api/actions", json={"action": "pause", "task_ids": ["double", "fail"]})
        assert [task.state.paused for task in scheduler.tasks] == [True, True, False, False]
        await client.post("/api/actions", json={"action": "resume", "task_ids": ["double"]})
        assert not scheduler.get_task("double").state.paused


async def test_remove_action_of_many_reports_failures() -> None:
    async with served() as (scheduler, _, client):
        ids = ["double", "missing", "fail", "double"]
        answer = await client.post("/api/actions", json={"action": "remove", "task_ids": ids})
        report = ActionReport.model_validate_json(answer.content)
        assert report.done == ("double", "fail")
        assert [failure.task_id for failure in report.failed] == ["missing"]
        assert sorted(task.id for task in scheduler.tasks) == ["a/b/../ü", "long"]


@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        ({"type": "interval", "minutes": 5}, "every 5 minutes"),
        ({"type": "cron", "expression": "30 2 * * *", "timezone": "UTC"}, "30 2 * * * in UTC"),
        ({"type": "on_demand"}, ""),
    ],
)
async def test_reschedule_action_replaces_trigger(trigger: dict[str, object], text: str) -> None:
    async with served() as (scheduler, _, client):
        body = {"action": "reschedule", "task_ids": ["double"], "trigger": trigger}
        assert (await client.post("/api/actions", json=body)).status_code == 200
        assert scheduler.get_task("double").state.trigger == text


@pytest.mark.parametrize(
    "body",
    [
        {"action": "reschedule", "task_ids": ["double"]},
        {"action": "pause", "task_ids": ["double"], "trigger": {"type": "on_demand"}},
        {"action": "reschedule", "task_ids": ["double"], "trigger": {"type": "cron", "expression": "no"}},
        {"action": "reschedule", "task_ids": ["double"], "trigger": {"type": "interval"}},
        {"action": "explode", "task_ids": ["double"]},
        {"action": "run", "task_ids": []},
        {"action": "run", "task_ids": ["double"], "extra": 1},
        {"action": "run"},
        [],
    ],
)
async def test_wrong_action_changes_nothing(body: object) -> None:
    async with served() as (scheduler, _, client):
        before = scheduler.get_task("double").state
        answer = await client.post("/api/actions", json=body)
        assert (answer.status_code, answer.json()["status"]) == (422, 422)
        assert scheduler.get_task("double").state == before


async def test_cancel_action_ends_runs() -> None:
    async with served() as (scheduler, _, client):
        handles = [scheduler.get_task("long").run() for _ in range(2)]
        await asyncio.sleep(0)
        answer = await client.post("/api/cancel-run", json={"run_id": f"{handles[0].run_id}"})
        assert answer.json()["done"] == [f"{handles[0].run_id}"]
        await handles[0].notification()
        assert not handles[1].done()
        await client.post("/api/actions", json={"action": "cancel", "task_ids": ["long"]})
        await handles[1].notification()


async def test_cancel_of_ended_run_is_reported() -> None:
    async with served() as (scheduler, _, client):
        handle = scheduler.get_task("double").run()
        await handle.notification()
        answer = await client.post("/api/cancel-run", json={"run_id": f"{handle.run_id}"})
        assert "has ended" in answer.json()["failed"][0]["message"]


async def test_scheduler_is_paused_and_resumed() -> None:
    async with served() as (scheduler, _, client):
        for action, status in (("pause", "paused"), ("resume", "running")):
            assert (await client.post("/api/scheduler", json={"action": action})).status_code == 200
            assert scheduler.status == status


async def test_action_is_event_with_user() -> None:
    scheduler = AsyncIOScheduler()
    dashboard = Dashboard(scheduler, lambda _: User("operate", "mara"))
    add_tasks(scheduler)
    heard: list[OperatorAction] = []

    def broken(_: OperatorAction) -> None:
        raise ValueError("wrong")

    dashboard.on_action(broken)
    dashboard.on_action(heard.append)
    async with scheduler, client_of(dashboard) as client:
        body = {"action": "reschedule", "task_ids": ["double", "fail"], "trigger": {"type": "interval", "hours": 2}}
        await client.post("/api/actions", json=body)
        assert [(each.user, each.action, each.task_id, each.detail) for each in heard] == [
            ("mara", "reschedule", "double", "every 2 hours"),
            ("mara", "reschedule", "fail", "every 2 hours"),
        ]
        page = EventPage.model_validate_json((await client.get("/api/events")).content)
        actions = [event for event in page.events if event.kind == "OperatorAction"]
        assert [(event.user, event.task_id, event.text) for event in actions] == [
            ("mara", "fail", "reschedule: every 2 hours"),
            ("mara", "double", "reschedule: every 2 hours"),
        ]


async def test_executors_and_timeline_are_returned() -> None:
    async with served() as (scheduler, _, client):
        await scheduler.get_task("double").run()
        page = ExecutorPage.model_validate_json((await client.get("/api/executors")).content)
        assert [each.alias for each in page.executors] == ["asyncio"]
        lanes = (await client.get("/api/timeline?past=5&future=90")).json()["lanes"]
        assert [(lane["task_id"], len(lane["runs"]), len(lane["due"])) for lane in lanes] == [("double", 1, 1)]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("task?id=missing", 404),
        ("run?id=999", 404),
        ("run?id=x", 404),
        ("task", 400),
        ("tasks?limit=0", 400),
        ("tasks?limit=999999", 400),
        ("tasks?unknown=1", 400),
        ("tasks?limit=1&limit=2", 400),
        ("runs?before=-1", 400),
        ("runs?before=99999999999999999999999", 400),
        ("nothing", 404),
        ("", 404),
    ],
)
async def test_wrong_request_is_described(path: str, status: int) -> None:
    async with served() as (_, __, client):
        answer = await client.get(f"/api/{path}")
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert answer.json()["message"]


async def test_method_that_is_not_allowed_is_rejected() -> None:
    async with served() as (_, __, client):
        answer = await client.get("/api/actions")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        answer = await client.delete("/api/tasks", headers={"content-type": "application/json"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_action_without_running_scheduler_conflicts() -> None:
    scheduler = AsyncIOScheduler()
    dashboard = Dashboard(scheduler, lambda _: "operate")
    add_tasks(scheduler)
    async with client_of(dashboard) as client:
        answer = await client.post("/api/scheduler", json={"action": "pause"})
        assert answer.status_code == 409
        answer = await client.post("/api/actions", json={"action": "run", "task_ids": ["double"]})
        assert "SchedulerNotRunningError" in answer.json()["failed"][0]["message"]


async def test_closed_dashboard_leaves_no_listener() -> None:
    scheduler = AsyncIOScheduler()
    Dashboard(scheduler, lambda _: None).close()
    assert TaskSubmitted not in scheduler._parts.runtime.dispatcher.listeners


async def test_failure_of_one_task_does_not_stop_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = AsyncIOScheduler()
    dashboard = Dashboard(scheduler, lambda _: User("operate", "mara"))
    add_tasks(scheduler)
    heard: list[OperatorAction] = []
    dashboard.on_action(heard.append)
    pause = scheduler.pause_task

    def broken(task_id: str) -> None:
        if task_id == "double":
            raise RuntimeError("secret-detail")
        pause(task_id)

    monkeypatch.setattr(scheduler, "pause_task", broken)
    async with scheduler, client_of(dashboard) as client:
        body = {"action": "pause", "task_ids": ["double", "missing", "fail"]}
        report = ActionReport.model_validate_json((await client.post("/api/actions", json=body)).content)
        assert report.done == ("fail",)
        assert [each.task_id for each in report.failed] == ["double", "missing"]
        assert report.failed[0].message == "failed; see the log"
        assert "secret-detail" in caplog.text
        assert [(each.task_id, bool(each.failure)) for each in heard] == [
            ("double", True),
            ("missing", True),
            ("fail", False),
        ]
        page = EventPage.model_validate_json((await client.get("/api/events")).content)
        texts = [event.text for event in page.events if event.kind == "OperatorAction"]
        assert texts[0] == "pause"
        assert texts[2] == "pause failed: failed; see the log"


@pytest.mark.parametrize("run_id", ["s1", "²", "9" * 33, "9" * 2000, "{" * 40])
async def test_impossible_run_id_is_not_found(run_id: str) -> None:
    scheduler = AsyncIOScheduler(store=MemoryStore())
    async with scheduler, client_of(Dashboard(scheduler, lambda _: "look")) as client:
        answer = await client.get("/api/run", params={"id": run_id})
        assert answer.status_code == 404
        assert run_id[:90] in answer.json()["message"]


@pytest.mark.parametrize(
    ("error", "status"),
    [(StoreConnectionError("/secret/jobs.db", "detail"), 503), (StoreDataError("db", "detail"), 400)],
)
async def test_error_of_store_has_no_details(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, status: int
) -> None:
    async def broken(*_: object) -> None:
        raise error

    scheduler = AsyncIOScheduler(store=MemoryStore())
    async with scheduler, client_of(Dashboard(scheduler, lambda _: "look")) as client:
        monkeypatch.setattr(SchedulerStore, "runs", broken)
        monkeypatch.setattr(SchedulerStore, "nodes", broken)
        answer = await client.get("/api/runs?stored=true")
        assert answer.status_code == status
        problem = (await client.get("/api/executors")).json()["problem"]
        assert problem
        for text in (answer.text, problem):
            assert "detail" not in text
            assert "/secret" not in text
        assert "detail" in caplog.text


def fail_of_customer() -> None:
    raise ValueError("no such customer")


async def test_stored_runs_are_searched_by_text_and_time() -> None:
    scheduler = AsyncIOScheduler(store=MemoryStore())
    async with scheduler, client_of(Dashboard(scheduler, lambda _: "look")) as client:
        scheduler.add_task(fail_of_customer, id="fail")
        while not (runs := (await client.get("/api/runs?stored=true&outcome=error")).json()["runs"]):
            await asyncio.sleep(0.01)
        for search, found in (("text=no such", 1), ("text=other", 0), ("since=2100-01-01T00:00:00", 0)):
            answer = await client.get(f"/api/runs?stored=true&{search}")
            assert len(answer.json()["runs"]) == found * len(runs), search
