"""The dashboard, mounted in the apps of several frameworks, each of which takes it with its own types."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from datetime import datetime
from typing import assert_type
from uuid import UUID

import uvicorn
from fastapi import FastAPI
from litestar import Litestar, asgi
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount
from starlette.types import ASGIApp

from asyncz import AsyncIOScheduler
from asyncz.dashboard import (
    Access,
    Authorize,
    Dashboard,
    OperatorAction,
    Permission,
    Redact,
    RedactedKind,
    StoreDashboard,
    User,
    Verdict,
    redact_secrets,
)

scheduler = AsyncIOScheduler()


def by_session(request: Request) -> Access | None:
    return "operate" if "admin" in request.session else None


async def by_token(request: Request) -> User | None:
    name = request.headers.get("x-user")
    return None if name is None else User("look", name=name)


def by_role(request: Request) -> User:
    granted: set[Permission] = {"run", "scheduler"}
    assert_type(User("operate").permissions, frozenset[Permission])
    assert_type(User("operate").may("run"), bool)
    return User("operate", "mara", granted) if request.method == "GET" else User("operate", permissions=["pause"])


def verdict(request: Request) -> Verdict | Awaitable[Verdict]:
    return by_token(request) if request.method == "GET" else None


def hide(kind: RedactedKind, name: str, text: str) -> str:
    return "" if kind == "result" else redact_secrets(kind, name, text)


functions: list[Authorize] = [by_session, by_token, by_role, verdict, lambda _: "operate", lambda _: None]
redactions: list[Redact] = [hide, redact_secrets]
dashboard = Dashboard(scheduler, by_session)
with_options = Dashboard(
    scheduler,
    authorize=by_token,
    redact=hide,
    title="jobs",
    allowed_hosts=["jobs.example.org"],
    max_runs=10_000,
    max_events=100,
)

of_store = StoreDashboard("sqlite:///jobs.db", by_token)
of_store_with_options = StoreDashboard(
    "postgresql:///jobs", authorize=by_session, redact=hide, title="jobs", allowed_hosts=["jobs.example.org"]
)

app: ASGIApp = dashboard
app_of_store: ASGIApp = of_store
starlette_app: Starlette = Starlette(routes=[Mount("/jobs", dashboard)], lifespan=scheduler.lifespan)
fastapi_app: FastAPI = FastAPI(lifespan=scheduler.lifespan)
fastapi_app.mount("/jobs", dashboard)
mounted = asgi("/jobs", is_mount=True, copy_scope=True)(dashboard)
litestar_app: Litestar = Litestar([mounted], lifespan=[scheduler.lifespan])
alone = scheduler.asgi(dashboard)


def serve() -> None:
    uvicorn.run(dashboard)


@dashboard.on_action
def audit(action: OperatorAction) -> int:
    assert_type(action.user, str)
    assert_type(action.action, str)
    assert_type(action.task_id, str)
    assert_type(action.run_id, UUID | None)
    assert_type(action.detail, str)
    assert_type(action.failure, str)
    assert_type(action.at, datetime)
    return len(action.action)


def members(user: User) -> Access:
    assert_type(audit(OperatorAction(action="pause", user="mara", task_id="nightly")), int)
    logging.getLogger().addHandler(dashboard.log_handler)
    assert_type(user.name, str)
    dashboard.close()
    of_store.close()
    assert_type(of_store.on_action(audit)(OperatorAction(action="run", user="mara")), int)
    return user.access
