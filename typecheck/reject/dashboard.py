"""Mistakes with the dashboard."""

from __future__ import annotations

from starlette.requests import Request

from asyncz import AsyncIOScheduler
from asyncz.dashboard import Dashboard, OperatorAction, StoreDashboard, User, redact_secrets

scheduler = AsyncIOScheduler()


def unknown_right(request: Request) -> str:
    return request.method


def flag(request: Request) -> bool:
    return request.method == "GET"


def of_text(text: str) -> None:
    print(text)


def of_user(user: User) -> None:
    print(user)


def two_arguments(kind: str, text: str) -> str:
    return kind + text


Dashboard(scheduler)  # E
Dashboard("scheduler", lambda _: None)  # E
Dashboard(scheduler, None)  # E
Dashboard(scheduler, unknown_right)  # E
Dashboard(scheduler, flag)  # E
Dashboard(scheduler, of_text)  # E
Dashboard(scheduler, lambda _: None, redact=two_arguments)  # E
Dashboard(scheduler, lambda _: None, title=3)  # E
Dashboard(scheduler, lambda _: None, allowed_hosts=3)  # E
Dashboard(scheduler, lambda _: None, max_runs="many")  # E
Dashboard(scheduler, lambda _: None, max_events="many")  # E
Dashboard(scheduler, lambda _: None, colour="red")  # E
StoreDashboard("sqlite:///jobs.db")  # E
StoreDashboard(scheduler, lambda _: None)  # E
StoreDashboard("sqlite:///jobs.db", of_text)  # E
StoreDashboard("sqlite:///jobs.db", lambda _: None, max_runs=3)  # E
StoreDashboard("sqlite:///jobs.db", lambda _: None, redact=two_arguments)  # E
StoreDashboard("sqlite:///jobs.db", lambda _: None, title=3)  # E
StoreDashboard("sqlite:///jobs.db", lambda _: None, allowed_hosts=3)  # E
User("admin")  # E
User("operate", permissions=["delete"])  # E
User("operate", permissions=3)  # E
User("operate").may("delete")  # E
User("look").access = "operate"  # E
redact_secrets("password", "name", "text")  # E
redact_secrets("error", 3, "text")  # E
redact_secrets("error", "name", 3)  # E
OperatorAction("pause", "mara")  # E
Dashboard(scheduler, lambda _: None).on_action(of_user)  # E
