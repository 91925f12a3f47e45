"""Attacks on the dashboard, one per item of its defence."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from asyncz import AsyncIOScheduler, InvalidInputError
from asyncz.dashboard import Dashboard, Permission, User, _http, _stream, app
from asyncz.dashboard._security import CONTENT_SECURITY_POLICY, HEADERS, LOOPBACK_HOSTS
from asyncz.dashboard.states import PERMISSIONS
from tests.dashboard.serving import JSON, add_tasks, client_of, served
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio

PAGES = ["tasks", "task?id=double", "runs", "timeline", "executors", "events", "task?id=missing", "nothing"]
READS = [*PAGES, "", "api/info", "api/tasks", "api/openapi.json", "stream", "static/dashboard.js", "api/nothing"]
ACTION = {"action": "pause", "task_ids": ["double"]}
HOSTILE = "\"><img src=x onerror='alert(1)'><script>alert(1)</script>{{ 7*7 }}"


# Access


@pytest.mark.parametrize("path", READS)
async def test_user_without_right_sees_nothing(path: str) -> None:
    async with served("none") as (_, __, client):
        answer = await client.get(f"/{path}")
        assert answer.status_code == 403
        assert "double" not in answer.text


def test_dashboard_without_authorize_is_rejected() -> None:
    with pytest.raises(TypeError):
        Dashboard(AsyncIOScheduler())  # type: ignore[call-arg]  # on purpose
    with pytest.raises(InvalidInputError):
        Dashboard(AsyncIOScheduler(), None)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize(
    ("path", "body"),
    [("actions", ACTION), ("cancel-run", {"run_id": f"{uuid4()}"}), ("scheduler", {"action": "pause"})],
)
async def test_user_who_may_look_cannot_act(path: str, body: dict[str, object]) -> None:
    async with served("look") as (scheduler, _, client):
        assert (await client.post(f"/api/{path}", json=body)).status_code == 403
        assert scheduler.status == "running"
        assert not scheduler.get_task("double").state.paused


ATTEMPTS: list[tuple[Permission, str, dict[str, object]]] = [
    ("run", "actions", {"action": "run", "task_ids": ["long"]}),
    ("pause", "actions", {"action": "pause", "task_ids": ["long"]}),
    ("resume", "actions", {"action": "resume", "task_ids": ["long"]}),
    ("cancel", "actions", {"action": "cancel", "task_ids": ["long"]}),
    ("cancel", "cancel-run", {"run_id": f"{uuid4()}"}),
    ("reschedule", "actions", {"action": "reschedule", "task_ids": ["long"], "trigger": {"type": "on_demand"}}),
    ("remove", "actions", {"action": "remove", "task_ids": ["long"]}),
    ("scheduler", "scheduler", {"action": "pause"}),
    ("scheduler", "scheduler", {"action": "resume"}),
]


def with_run(body: dict[str, object], run_id: UUID) -> dict[str, object]:
    return {**body, "run_id": f"{run_id}"} if "run_id" in body else body


@asynccontextmanager
async def served_to(user: User) -> AsyncIterator[tuple[AsyncIOScheduler, httpx.AsyncClient, UUID]]:
    """Run a scheduler with a live run, and yield it with a client of a user and the id of the run."""
    scheduler = AsyncIOScheduler()
    add_tasks(scheduler)
    async with scheduler, client_of(Dashboard(scheduler, lambda _: user)) as client:
        task = scheduler.get_task("long")
        handle = task.run()
        await until(lambda: scheduler.get_task("long").state.running == 1)
        yield scheduler, client, handle.run_id
        # The action `run` has started the next one.
        task.cancel_runs()


@pytest.mark.parametrize(("permission", "path", "body"), ATTEMPTS)
async def test_each_action_needs_its_permission(permission: Permission, path: str, body: dict[str, object]) -> None:
    others: list[Permission] = [each for each in PERMISSIONS if each != permission]
    async with served_to(User("operate", permissions=others)) as (scheduler, client, run_id):
        before = scheduler.state
        answer = await client.post(f"/api/{path}", json=with_run(body, run_id))
        assert (answer.status_code, permission in answer.json()["message"]) == (403, True)
        assert scheduler.state == before
    async with served_to(User("operate", permissions=[permission])) as (_, client, run_id):
        assert (await client.post(f"/api/{path}", json=with_run(body, run_id))).status_code == 200


async def test_permissions_without_right_to_operate_are_void() -> None:
    async with served_to(User("look", permissions=PERMISSIONS)) as (_, client, __):
        assert (await client.get("/api/info")).json()["permissions"] == []
        for _permission, path, body in ATTEMPTS:
            assert (await client.post(f"/api/{path}", json=body)).status_code == 403


@pytest.mark.parametrize("page", ["tasks", "task?id=long", "run"])
@pytest.mark.parametrize("permission", PERMISSIONS)
async def test_pages_have_only_buttons_of_permissions(permission: Permission, page: str) -> None:
    async with served_to(User("operate", permissions=[permission])) as (_, client, run_id):
        text = (await client.get(f"/{page}" if page != "run" else f"/run?id={run_id}")).text
    found = set(re.findall(r'data-action="(\w+)"', text))
    found |= {"cancel"} if 'data-run="' in text else set()
    found |= {"scheduler"} if 'data-scheduler="' in text else set()
    found |= {"reschedule"} if 'data-dialog="reschedule"' in text else set()
    assert found <= {permission}
    assert ('<dialog id="reschedule"' in text) == ("reschedule" in found)
    if page == "task?id=long" and permission != "resume":
        assert found == {permission}
    if permission == "scheduler":
        assert "data-pick" not in text


@pytest.mark.parametrize("given", ["run", ["delete"], {"run", ""}, None, 5, [["run"]]])
def test_unknown_permission_is_rejected(given: list[Permission]) -> None:
    with pytest.raises(InvalidInputError, match="permissions"):
        User("operate", permissions=given)


@pytest.mark.parametrize("page", ["tasks", "task?id=double"])
async def test_user_who_may_look_gets_no_buttons(page: str) -> None:
    async with served("look") as (_, __, client):
        assert "data-action" not in (await client.get(f"/{page}")).text


async def test_user_who_may_look_can_read() -> None:
    async with served("look") as (_, __, client):
        assert (await client.get("/api/tasks")).status_code == 200


def raising(_: Request) -> None:
    raise ValueError("the session is broken: secret-cookie")


async def raising_async(_: Request) -> User | None:
    raise ValueError("secret-cookie")


def truthy(_: Request) -> object:
    return True


def unknown_right(_: Request) -> object:
    return "admin"


@pytest.mark.parametrize("authorize", [raising, raising_async, truthy, unknown_right])
async def test_broken_authorize_rejects(authorize: Callable[[Request], Awaitable[User | None]]) -> None:
    dashboard = Dashboard(AsyncIOScheduler(), authorize)
    async with client_of(dashboard) as client:
        for path in ("tasks", "api/tasks"):
            answer = await client.get(f"/{path}")
            assert answer.status_code == 500
            assert "secret-cookie" not in answer.text


async def test_async_authorize_is_awaited() -> None:
    async def authorize(request: Request) -> User | None:
        return User("look", "mara") if request.headers.get("x-key") == "right" else None

    dashboard = Dashboard(AsyncIOScheduler(), authorize)
    async with client_of(dashboard, **{"x-key": "right"}) as client:
        assert (await client.get("/api/info")).json()["user"] == "mara"
    async with client_of(dashboard) as client:
        assert (await client.get("/api/info")).status_code == 403


def _outside_of_context(_: object) -> type[object]:
    raise RuntimeError("no context")


UnreadableClass = type("UnreadableClass", (), {"__class__": property(_outside_of_context)})
"""Proxy that is used outside of its context."""


async def test_search_finds_no_hidden_argument() -> None:
    """A search that matches a hidden text would reveal it letter by letter."""
    scheduler = AsyncIOScheduler()

    def log_in(user: object, password: str = "") -> None: ...

    scheduler.add_task(log_in, "mara", "hunter2", id="login", trigger=None)
    async with client_of(Dashboard(scheduler, lambda _: "look")) as client:
        scheduler.add_task(log_in, UnreadableClass(), id="proxy", trigger=None)
        for search, matching in (("MARA", 1), ("hunter2", 0), ("hunter", 0), ("•••", 0)):
            answer = await client.get("/api/tasks", params={"search": search})
            assert answer.json()["matching"] == matching, search


# Requests of other sites


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://testserver"}, 403),
        ({"origin": "http://testserver"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://testserver.evil.example"}, 403),
        ({"origin": "http://testserver:8080"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({}, 200),
    ],
)
async def test_action_of_other_site_is_rejected(headers: dict[str, str], status: int) -> None:
    async with served() as (scheduler, _, client):
        answer = await client.post("/api/actions", json=ACTION, headers=headers)
        assert answer.status_code == status
        assert scheduler.get_task("double").state.paused == (status == 200)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_body_that_a_form_can_send_is_rejected(content_type: str) -> None:
    async with served() as (scheduler, _, client):
        body = b'{"action": "pause", "task_ids": ["double"]}'
        answer = await client.post("/api/actions", content=body, headers={"content-type": content_type})
        assert answer.status_code == 415
        assert not scheduler.get_task("double").state.paused


async def test_reading_changes_nothing() -> None:
    async with served() as (scheduler, _, client):
        before = scheduler.state
        for path in READS:
            if path != "stream":
                await client.get(f"/{path}")
        assert scheduler.state == before


async def test_cross_origin_sharing_is_never_allowed() -> None:
    async with served() as (_, __, client):
        preflight = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        answer = await client.options("/api/actions", headers=preflight)
        assert answer.status_code == 405
        assert not any(name.startswith("access-control") for name in answer.headers)


# Names of the host


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 400),
        ("evil.example:8000", 400),
        ("localhost.evil.example", 400),
        ("127.0.0.1.evil.example:80", 400),
        ("localhost:80@evil.example", 400),
        ("", 400),
    ],
)
async def test_rebound_name_is_rejected(host: str, status: int) -> None:
    dashboard = Dashboard(AsyncIOScheduler(), lambda _: "operate", allowed_hosts=LOOPBACK_HOSTS)
    async with client_of(dashboard) as client:
        for path in ("api/info", "tasks", "static/dashboard.js"):
            assert (await client.get(f"/{path}", headers={"host": host})).status_code == status


# Headers


@pytest.mark.parametrize("path", [path for path in READS if path != "stream"])
@pytest.mark.parametrize("access", ["operate", "none"])
async def test_every_answer_has_headers(path: str, access: str) -> None:
    async with served(access) as (_, __, client):
        answer = await client.get(f"/{path}")
        for name, value in HEADERS.items():
            if not (path.startswith("static/") and name == "cache-control"):
                assert answer.headers[name] == value, name


def test_policy_allows_no_inline_code() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY
    assert "base-uri 'none'" in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("page", PAGES)
async def test_page_has_no_inline_code(page: str) -> None:
    async with served() as (_, __, client):
        text = (await client.get(f"/{page}")).text
        assert re.findall(r"<script(?![^>]*\ssrc=)", text) == []
        assert re.findall(r"\s(?:on\w+|style)=", text) == []
        assert "javascript:" not in text
        assert re.findall(r"(?:src|href)=\"(?:https?:)?//", text) == []


# Hostile values


async def test_hostile_texts_are_escaped() -> None:
    scheduler = AsyncIOScheduler()
    dashboard = Dashboard(scheduler, lambda _: User("operate", HOSTILE), title=HOSTILE, redact=lambda *given: given[2])

    def work(value: str) -> str:
        raise ValueError(value)

    scheduler.add_task(work, HOSTILE, id=HOSTILE, trigger=None)
    async with scheduler, client_of(dashboard) as client:
        handle = scheduler.get_task(HOSTILE).run()
        await handle.notification()
        await client.post("/api/actions", json={"action": "pause", "task_ids": [HOSTILE]})
        found = 0
        for path in ("tasks", "runs", "timeline", "executors", "events", f"run?id={handle.run_id}"):
            text = (await client.get(f"/{path}")).text
            found += html.escape(HOSTILE, quote=False)[:20] in text.replace("&#34;", '"')
            assert "<img src=x" not in text
            assert "<script>alert" not in text
        page = await client.get("/task", params={"id": HOSTILE})
        assert page.status_code == 200
        assert "<img src=x" not in page.text
        assert "<script>alert" not in page.text
        search = await client.get("/tasks", params={"search": HOSTILE})
        assert "<img src=x" not in search.text
        assert found


async def test_links_lead_to_tasks_with_hostile_ids() -> None:
    ids = [HOSTILE, "../../etc/passwd", "a?b=c&d#e%2F", "\x00\x1b[31m", "ü/ñ", " "]
    scheduler = AsyncIOScheduler()
    for task_id in ids:
        scheduler.add_task(print, id=task_id, trigger=None)
    dashboard = Dashboard(scheduler, lambda _: "operate")
    async with client_of(dashboard) as client:
        text = (await client.get("/tasks")).text
        links = re.findall(r'data-open href="([^"]+)"', text)
        assert len(links) == len(ids)
        for link in links:
            answer = await client.get("/" + html.unescape(link))
            assert answer.status_code == 200, link


@pytest.mark.parametrize(
    "path",
    [
        "static/../app.py",
        "static/%2e%2e/app.py",
        "static//etc/passwd",
        "static/..%2f..%2fpyproject.toml",
        "static/",
        "static/dashboard.css/",
        "templates/base.html",
        "//evil.example/",
        "tasks/../../x",
        "%00",
        "static/dashboard.js%00.png",
    ],
)
async def test_path_trick_finds_nothing(path: str) -> None:
    async with served() as (_, __, client):
        answer = await client.get(f"/{path}")
        assert answer.status_code == 404
        assert "jinja" not in answer.text.lower()


@pytest.mark.parametrize("given", ["os:system", "subprocess.Popen", "tests.dashboard.serving:double", "and", "or"])
async def test_reschedule_imports_no_module(given: str) -> None:
    async with served() as (_, __, client):
        trigger = {"type": given, "triggers": [{"type": "on_demand"}]}
        body = {"action": "reschedule", "task_ids": ["double"], "trigger": trigger}
        assert (await client.post("/api/actions", json=body)).status_code == 422


async def test_large_body_is_rejected() -> None:
    async with served() as (_, __, client):
        answer = await client.post("/api/actions", content=b" " * 2_000_000, headers=JSON)
        assert answer.status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"action": NaN}', b"null"])
async def test_malformed_body_is_rejected(body: bytes) -> None:
    async with served() as (_, __, client):
        assert (await client.post("/api/actions", content=body, headers=JSON)).status_code == 422


async def test_websocket_is_closed() -> None:
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def send(message: object) -> None:
        sent.append(message)

    await Dashboard(AsyncIOScheduler(), lambda _: "operate")({"type": "websocket", "path": "/"}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1000}]


# Secrets


async def test_secrets_are_on_no_page(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "asyncz.dashboard")
    async with served() as (scheduler, _, client):
        handle = scheduler.get_task("fail").run()
        await handle.notification()
        run = f"run?id={handle.run_id}"
        paths = ["tasks", "task?id=fail", "runs", run, "timeline", "executors", "events"]
        for path in [*paths, *(f"api/{path}" for path in paths)]:
            text = (await client.get(f"/{path}")).text
            assert "hunter2" not in text, path
        await client.post("/api/actions", json={"action": "run", "task_ids": ["fail"]})
        assert not any("hunter2" in record.getMessage() for record in caplog.records if "dashboard" in record.name)


async def test_redact_replaces_each_kind_of_text() -> None:
    kinds = set[str]()

    def redact(kind: str, _name: str, _text: str) -> str:
        kinds.add(kind)
        return "XXX"

    scheduler = AsyncIOScheduler()
    dashboard = Dashboard(scheduler, lambda _: "look", redact=redact)
    add_tasks(scheduler)
    async with scheduler, client_of(dashboard) as client:
        failed = scheduler.get_task("fail").run()
        await failed.notification()
        await scheduler.get_task("double").run()
        assert "hunter2" not in (await client.get(f"/api/run?id={failed.run_id}")).text
        assert (await client.get("/api/task?id=double")).json()["result"] == "XXX"
    assert kinds == {"argument", "result", "error", "traceback"}


async def test_server_error_tells_no_details() -> None:
    async with served() as (_, dashboard, client):

        async def broken(*_: object) -> None:
            raise RuntimeError("secret-detail")

        dashboard._routes["/tasks"] = {"GET": broken}  # type: ignore[dict-item]  # on purpose
        answer = await client.get("/tasks")
        assert answer.status_code == 500
        assert "secret-detail" not in answer.text


async def test_rejected_message_escapes_request() -> None:
    async with served() as (_, __, client):
        answer = await client.get("/task", params={"id": "<script>alert(1)</script>"})
        assert answer.status_code == 404
        assert "<script>alert" not in answer.text


# Requests that cannot be parsed, and rejections by authorize


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "null", "//", "http://a]b"])
async def test_malformed_origin_is_rejected(origin: str) -> None:
    async with served() as (scheduler, _, client):
        for host in ("testserver", ""):
            answer = await client.post("/api/actions", json=ACTION, headers={"origin": origin, "host": host})
            assert answer.status_code == 403
        assert not scheduler.get_task("double").state.paused


async def test_check_that_raises_rejects(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Request) -> None:
        raise RuntimeError("secret-detail")

    monkeypatch.setattr(app, "check_origin", broken)
    async with served() as (_, __, client):
        for path in ("/tasks", "/api/info"):
            answer = await client.get(path)
            assert answer.status_code == 500
            assert "secret-detail" not in answer.text


@pytest.mark.parametrize("hosts", ["example.org", ["example.org:80"], [""], [" "], ["[::1]:80"], ["a/b"]])
def test_wrong_allowed_hosts_are_rejected(hosts: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="allowed_hosts"):
        Dashboard(AsyncIOScheduler(), lambda _: "operate", allowed_hosts=hosts)


async def test_allowed_host_has_any_case() -> None:
    dashboard = Dashboard(AsyncIOScheduler(), lambda _: "operate", allowed_hosts=["Example.ORG"])
    async with client_of(dashboard, host="example.org:8000") as client:
        assert (await client.get("/api/info")).status_code == 200


async def test_rejection_of_framework_is_passed_on() -> None:
    headers = {"WWW-Authenticate": "Bearer", "X-Frame-Options": "ALLOWALL", "content-length": "1"}

    def authorize(_: Request) -> User | None:
        raise HTTPException(401, "log in first", headers)

    async with client_of(Dashboard(AsyncIOScheduler(), authorize)) as client:
        for path in ("/tasks", "/api/info"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert answer.headers["x-frame-options"] == "DENY"
            assert "log in first" in answer.text


# Floods, slow clients and injected headers


def http_scope(path: str, method: str = "GET", query: bytes = b"") -> dict[str, object]:
    headers = [(b"host", b"testserver"), (b"x-access", b"operate"), (b"content-type", b"application/json")]
    shared: dict[str, object] = {"type": "http", "path": path, "raw_path": path.encode(), "query_string": query}
    return {**shared, "method": method, "headers": headers, "scheme": "http", "server": ("testserver", 80)}


async def test_flood_of_streams_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stream, "MAX_STREAMS", 3)
    async with served() as (_, dashboard, client):
        statuses: list[object] = []

        async def open_stream() -> None:
            async def send(message: Mapping[str, object]) -> None:
                if message["type"] == "http.response.start":
                    statuses.append(message["status"])

            await dashboard(http_scope("/stream"), asyncio.Event().wait, send)  # type: ignore[arg-type]  # waits for ever

        streams = [asyncio.ensure_future(open_stream()) for _ in range(3)]
        await until(lambda: dashboard._streams.open == 3)
        answer = await client.get("/stream")
        assert (answer.status_code, statuses) == (503, [200] * 3)
        assert (await client.get("/tasks")).status_code == 200
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        assert dashboard._streams.open == 0


async def test_unread_stream_keeps_each_name_once() -> None:
    async with served() as (_, dashboard, __):
        messages = dashboard._streams.messages(Request({"type": "http"}, asyncio.Event().wait))  # type: ignore[arg-type]
        await anext(messages)
        for number in range(100_000):
            dashboard._streams.notify(frozenset({("tasks", "runs")[number % 2]}))
        assert len(await anext(messages)) < 100
        await messages.aclose()


async def test_body_that_does_not_arrive_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http, "MAX_SECONDS", 0.01)

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"action": "pause", "task_ids": ["double"'
        await asyncio.Event().wait()

    async with served() as (scheduler, _, client):
        answer = await client.post("/api/actions", content=slow(), headers=JSON)
        assert answer.status_code == 408
        assert not scheduler.get_task("double").state.paused


async def test_lost_client_writes_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Else a client fills the log by requests that it breaks off."""
    sent: list[Mapping[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, object]) -> None:
        sent.append(message)

    async with served() as (_, dashboard, __):
        await dashboard(http_scope("/api/actions", "POST"), receive, send)
    assert sent[0]["status"] == 400
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("path", ["/\r\nset-cookie: a=b", "//evil.example/\r\nx: y/", "/%0d%0aset-cookie: a=b/"])
async def test_path_injects_no_header(path: str) -> None:
    sent: list[Mapping[str, object]] = []

    async def send(message: Mapping[str, object]) -> None:
        sent.append(message)

    async with served() as (_, dashboard, __):
        scope = {**http_scope("/"), "raw_path": path.encode()}
        await dashboard(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]  # waits for ever
    headers = sent[0]["headers"]
    assert isinstance(headers, list)
    assert not any(b"\r" in part or b"\n" in part for header in headers for part in header)
    location = dict(headers)[b"location"].decode()
    assert not location.startswith(("//", "http"))


@pytest.mark.parametrize("kind", ["long", "many"])
async def test_huge_query_is_rejected(kind: str) -> None:
    queries = {"long": b"search=" + b"x" * 1_000_000, "many": b"&".join(b"p%d=1" % each for each in range(50_000))}
    sent: list[Mapping[str, object]] = []

    async def send(message: Mapping[str, object]) -> None:
        sent.append(message)

    async with served() as (_, dashboard, __):
        await dashboard(http_scope("/api/tasks", query=queries[kind]), asyncio.Event().wait, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 400
    body = sent[1]["body"]
    assert isinstance(body, bytes)
    assert len(body) < 2000
