"""`asyncz dashboard`: a scheduler with its dashboard, on a loopback address."""

from __future__ import annotations

import logging
import os
import socket
import sys

from asyncz.cli._client import TOKEN_VARIABLE
from asyncz.exceptions import MissingExtraError
from asyncz.schedulers import AsyncIOScheduler

_HOST = "127.0.0.1"


def serve_dashboard(scheduler: AsyncIOScheduler, title: str, port: int, drain_timeout: float | None) -> None:
    """Run a scheduler with its dashboard until SIGINT or SIGTERM.

    Args:
        scheduler: Scheduler.
        title: Title of the pages.
        port: Port on the loopback address; 0 for a free one.
        drain_timeout: Seconds after a signal until the remaining runs are cancelled; None for no limit.

    Raises:
        MissingExtraError: A package of the extra `dashboard` is not installed.
        OSError: The port is in use.
    """
    try:
        import uvicorn

        from asyncz.dashboard.local import LocalDashboard
    except ModuleNotFoundError as error:
        raise MissingExtraError("the dashboard", f"{error.name}", "dashboard") from error
    app = LocalDashboard(scheduler, title, os.environ.get(TOKEN_VARIABLE, ""))
    logging.getLogger().addHandler(app.dashboard.log_handler)
    config = uvicorn.Config(
        scheduler.asgi(app, drain_timeout=drain_timeout), log_level="warning", access_log=False, lifespan="on"
    )
    with socket.create_server((_HOST, port)) as listening:
        address = f"http://{_HOST}:{listening.getsockname()[1]}"
        print(f"Dashboard: {address}{app.login_path}", flush=True)
        print(f"The link can be opened once. Programs use the token in {TOKEN_VARIABLE}.", file=sys.stderr)
        uvicorn.Server(config).run(sockets=[listening])
