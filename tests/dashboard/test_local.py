"""Dashboard of one user: a link that works once, a cookie, a token for programs, and loopback names only."""

from __future__ import annotations

import pytest

from asyncz import AsyncIOScheduler
from asyncz.dashboard.local import LocalDashboard
from tests.dashboard.serving import client_of

pytestmark = pytest.mark.anyio

LOOPBACK = {"host": "127.0.0.1:8000"}


async def test_link_gives_cookie_once() -> None:
    local = LocalDashboard(AsyncIOScheduler(), "jobs")
    link = local.login_path
    async with client_of(local, **LOOPBACK) as browser:
        assert (await browser.get("/tasks")).status_code == 403
        answer = await browser.get(link)
        assert (answer.status_code, answer.headers["location"]) == (303, "tasks")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert answer.headers["content-security-policy"]
        name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
        session = {"cookie": f"{name}={value}"}
        assert name == "asyncz_session_8000"
        assert (await browser.get("/tasks", headers=session)).status_code == 200
        # A dashboard on another port has a cookie of its own.
        assert (await browser.get("/tasks", headers={**session, "host": "127.0.0.1:8001"})).status_code == 403
        assert value not in (await browser.get("/tasks", headers=session)).text
    async with client_of(local, **LOOPBACK) as other:
        assert (await other.get(link)).status_code == 403
        assert (await other.get("/tasks")).status_code == 403


@pytest.mark.parametrize("path", ["/login", "/login?token=", "/login?token=wrong", "/login?token=%C3%BC"])
async def test_wrong_link_is_rejected(path: str) -> None:
    local = LocalDashboard(AsyncIOScheduler(), "jobs")
    async with client_of(local, **LOOPBACK) as browser:
        assert (await browser.get(path)).status_code == 403
        assert (await browser.get(local.login_path)).status_code == 303


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
async def test_link_under_other_name_is_rejected(host: str) -> None:
    local = LocalDashboard(AsyncIOScheduler(), "jobs")
    async with client_of(local, host=host) as browser:
        assert (await browser.get(local.login_path)).status_code == 400
    async with client_of(local, **LOOPBACK) as browser:
        assert (await browser.get(local.login_path)).status_code == 303


@pytest.mark.parametrize(
    ("token", "header", "status"),
    [
        ("right", "Bearer right", 200),
        ("right", "Bearer wrong", 403),
        ("right", "right", 403),
        ("right", "", 403),
        ("", "Bearer ", 403),
        ("", "", 403),
        ("", "Bearer None", 403),
    ],
)
async def test_token_of_program_is_compared(token: str, header: str, status: int) -> None:
    local = LocalDashboard(AsyncIOScheduler(), "jobs", token)
    async with client_of(local, authorization=header, **LOOPBACK) as program:
        assert (await program.get("/api/info")).status_code == status
