"""`asyncz dashboard`: a scheduler with its dashboard, or the dashboard of a store, on a loopback address."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING

import attrs
from typing_extensions import override

from asyncz.cli._client import TOKEN_VARIABLE, environment_token
from asyncz.cli._logs import report_logs
from asyncz.exceptions import AsynczError, MissingExtraError
from asyncz.schedulers import AsyncIOScheduler

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

_HOST = "127.0.0.1"


@attrs.frozen
class DashboardStartError(AsynczError):
    """The scheduler of a dashboard cannot be started."""

    @override
    def __str__(self) -> str:
        return "the scheduler cannot be started; the log has the reason"


def serve_dashboard(source: AsyncIOScheduler | str, title: str, port: int, drain_timeout: float | None) -> None:
    """Run a scheduler with its dashboard, or the dashboard of a store, until SIGINT or SIGTERM.

    Args:
        source: Scheduler, or the URL of a store.
        title: Title of the pages.
        port: Port on the loopback address; 0 for a free one.
        drain_timeout: Seconds after a signal until the remaining runs are cancelled; None for no limit.

    Raises:
        MissingExtraError: A package of the extra `dashboard` is not installed.
        OSError: The port is in use.
        RemoteCommandError: The token in the environment cannot be used.
        DashboardStartError: The scheduler cannot be started.
        StoreError: The store cannot be used.
    """
    try:
        import uvicorn

        from asyncz.dashboard.local import LocalDashboard
    except ModuleNotFoundError as error:
        raise MissingExtraError("the dashboard", f"{error.name}", "dashboard") from error
    app = LocalDashboard(source, title, environment_token())
    if isinstance(source, str):
        _check_store(source)
        served: ASGIApp = app
    else:
        if app.log_handler is not None:
            logging.getLogger().addHandler(app.log_handler)
        report_logs(source)
        served = source.asgi(app, drain_timeout=drain_timeout)
    config = uvicorn.Config(served, log_level="warning", access_log=False, lifespan="on")
    with socket.create_server((_HOST, port)) as listening:
        address = f"http://{_HOST}:{listening.getsockname()[1]}"
        _run(uvicorn.Server(config), listening, f"{address}{app.login_path}")


def _check_store(url: str) -> None:
    """Check that the store can be used, before a browser shows that it cannot.

    Raises:
        StoreError: It cannot.
    """
    from asyncz.stores._admin_urls import opened_admin

    with opened_admin(url, "write") as admin:
        admin.require_schema()


def _run(server: uvicorn.Server, listening: socket.socket, link: str) -> None:
    """Run a server until a signal. The server raises the signal again at its end: a signal is a normal end here."""
    signals: list[int] = []

    def stop(number: int, _: object) -> None:
        signals.append(number)
        server.should_exit = True

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        # Not before: who reads the link may stop the server at once.
        print(f"Dashboard: {link}", flush=True)
        print(f"The link can be opened once. Programs use the token in {TOKEN_VARIABLE}.", file=sys.stderr)
        server.run(sockets=[listening])
    except SystemExit:
        # Versions of uvicorn differ: some exit here if the start fails, others return.
        if server.started:
            raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if not server.started and not signals:
        raise DashboardStartError
