"""Dashboard for one user of this machine, as `asyncz dashboard` serves it."""

from __future__ import annotations

import getpass
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Never

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from asyncz._unsafe import as_starlette_call
from asyncz.dashboard._security import HEADERS, LOOPBACK_HOSTS, User, check_host
from asyncz.dashboard.app import Dashboard, StoreDashboard
from asyncz.schedulers import AsyncIOScheduler

_LOGIN: Final = "/login"


class LocalDashboard:
    """Dashboard on a loopback address. A browser opens it once, by a link with a token, and gets a cookie.

    If another page or program has the link after that, it is worthless. Programs send a token that the user chooses.
    Requests for another name of the host are rejected, so that no page can reach it by DNS rebinding.

    Args:
        source: Scheduler, or the URL of a store.
        title: Title of the pages.
        token: Token that programs send as `Authorization: Bearer`; empty for none.
    """

    def __init__(self, source: AsyncIOScheduler | str, title: str, token: str = "") -> None:
        self._login_token = secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(32)
        self._bearer = f"Bearer {token}" if token else ""
        self._user = _user_name()
        self.dashboard: Dashboard | StoreDashboard = (
            StoreDashboard(source, self._authorize, title=title, allowed_hosts=LOOPBACK_HOSTS)
            if isinstance(source, str)
            else Dashboard(source, self._authorize, title=title, allowed_hosts=LOOPBACK_HOSTS, max_runs=5000)
        )

    @property
    def log_handler(self) -> logging.Handler | None:
        """Log handler that keeps the records of runs; None if no scheduler runs in this process."""
        return self.dashboard.log_handler if isinstance(self.dashboard, Dashboard) else None

    @property
    def login_path(self) -> str:
        """Path of the link that can be opened once."""
        return f"{_LOGIN}?token={self._login_token}"

    def _authorize(self, request: Request) -> User | None:
        cookie, header = request.cookies.get(_cookie_of(request), ""), request.headers.get("authorization", "")
        known = _equal(cookie, self._session) or (self._bearer != "" and _equal(header, self._bearer))
        return User("operate", self._user) if known else None

    async def __call__(
        self,
        scope: Mapping[str, object],
        receive: Callable[[], Awaitable[Mapping[str, object]]],
        send: Callable[[Never], Awaitable[None]],
    ) -> None:
        """Answer a request, by the ASGI specification."""
        if scope["type"] != "http" or scope["path"] != _LOGIN:
            await self.dashboard(scope, receive, send)
            return
        called = as_starlette_call(scope, receive, send)
        request = Request(called.scope, called.receive)
        response = self._log_in(request)
        response.headers.update(HEADERS)
        await response(*called)

    def _log_in(self, request: Request) -> Response:
        rejection = check_host(request, LOOPBACK_HOSTS)
        if rejection is not None:
            return PlainTextResponse(rejection.message, rejection.status)
        given = request.query_params.get("token", "")
        if request.method != "GET" or not self._login_token or not _equal(given, self._login_token):
            return PlainTextResponse("The link is wrong, or was opened before; start the command again.", 403)
        self._login_token = ""
        response = RedirectResponse("tasks", 303)
        response.set_cookie(_cookie_of(request), self._session, httponly=True, samesite="strict")
        return response


def _cookie_of(request: Request) -> str:
    """Return the name of the cookie: it names the port, as all ports of a host get its cookies."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return f"asyncz_session_{port if port.isdecimal() else 80}"


def _equal(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode(), wanted.encode())


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
