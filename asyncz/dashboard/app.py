"""The dashboard: an ASGI app with pages, a JSON API, and a stream of changes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Never

import attrs
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import TypeVar

from asyncz._checks import check_callable, check_count, check_instance, check_text
from asyncz._text import exception_text, printable
from asyncz._unsafe import as_starlette_call
from asyncz.dashboard import _stream
from asyncz.dashboard._actions import Announcer, Operator, OperatorAction
from asyncz.dashboard._api import Api, document_endpoint, metrics_endpoint
from asyncz.dashboard._cluster import ClusterModel
from asyncz.dashboard._cluster_actions import ClusterOperator
from asyncz.dashboard._cluster_shared import SharedModel, console_of_scheduler
from asyncz.dashboard._http import Endpoint, problem_response
from asyncz.dashboard._journal import Journal, RunLogHandler
from asyncz.dashboard._pages import Pages
from asyncz.dashboard._problems import RequestError, problem_of
from asyncz.dashboard._reader import Actor, Reader
from asyncz.dashboard._reading import ReadModel
from asyncz.dashboard._redaction import Redact, Redactor, redact_secrets
from asyncz.dashboard._safe_logging import logger
from asyncz.dashboard._security import (
    HEADERS,
    SAFE_METHODS,
    Authorize,
    Rejection,
    User,
    check_host,
    check_origin,
    check_user,
    checked_hosts,
)
from asyncz.dashboard._static import static_files
from asyncz.dashboard._stream import ChangeStreams
from asyncz.dashboard._watch import StoreWatch
from asyncz.exceptions import AsynczError
from asyncz.schedulers import AsyncIOScheduler
from asyncz.stores._console import console_of_url
from asyncz.stores.exceptions import StoreError

ReturnT = TypeVar("ReturnT")

_OPERATE_ONLY = "the right to operate is missing"
_FAILED = "the request failed; the log has the reason"
# Headers of a response that a rejection by `authorize` does not replace.
_FIXED = {*HEADERS, "content-length", "content-type"} - {"cache-control"}


@attrs.frozen
class View:
    """States and actions of one scope.

    Attributes:
        prefix: Prefix of its paths; empty for the pages that are shown first.
        reader: Source of the states.
        actor: Actions.
        other: Relative address of the pages of the other scope; empty if there is none.
    """

    prefix: str
    reader: Reader
    actor: Actor
    other: str = ""


class DashboardApp:
    """ASGI app with the pages, the JSON API and the metrics of one scope or two.

    Args:
        authorize: Function that gives each request its right.
        allowed_hosts: Names of the host that requests may use; None allows all.
        streams: Streams of changes.
        announcer: Announces actions to the listeners.
        views: Scopes.
    """

    def __init__(
        self,
        authorize: Authorize,
        allowed_hosts: Iterable[str] | None,
        streams: ChangeStreams,
        announcer: Announcer,
        views: Sequence[View],
    ) -> None:
        self._authorize = authorize
        self._allowed_hosts: Sequence[str] | None = checked_hosts(allowed_hosts)
        self._streams = streams
        self._announcer = announcer
        self._pages: dict[str, Pages] = {view.prefix: Pages(view.reader, view.other) for view in views}
        self._routes: dict[str, dict[str, Endpoint]] = {}
        for view in views:
            self._add_routes(view)

    def _add_routes(self, view: View) -> None:
        found, prefix = Api(view.reader, view.actor).operations(), view.prefix
        routes: dict[str, dict[str, Endpoint]] = {"/": {"GET": _to_tasks}, "/stream": {"GET": self._stream}}
        routes["/api/openapi.json"] = {"GET": document_endpoint(found)}
        routes["/metrics"] = {"GET": metrics_endpoint(view.reader)}
        for operation in found:
            routes[operation.described.path] = {operation.method: operation.endpoint}
        for path, endpoint in (*self._pages[prefix].endpoints().items(), *static_files().items()):
            routes[path] = {"GET": endpoint}
        self._routes |= {f"{prefix}{path}": methods for path, methods in routes.items()}

    def on_action(self, listener: Callable[[OperatorAction], ReturnT], /) -> Callable[[OperatorAction], ReturnT]:
        """Call a listener with each action of a user of this dashboard, on the loop's thread. Usable as a decorator.

        Example:
            >>> @dashboard.on_action
            ... def audit(action: OperatorAction) -> None:
            ...     print(action.user, action.action, action.task_id)
        """
        check_callable("listener", listener)
        self._announcer.add_listener(listener)
        return listener

    async def __call__(
        self,
        scope: Mapping[str, object],
        receive: Callable[[], Awaitable[Mapping[str, object]]],
        send: Callable[[Never], Awaitable[None]],
    ) -> None:
        """Answer a request, by the ASGI specification."""
        typed_scope, typed_receive, typed_send = as_starlette_call(scope, receive, send)
        match typed_scope["type"]:
            case "http":
                await self._answer(typed_scope, typed_receive, typed_send)
            case "websocket":
                await typed_send({"type": "websocket.close", "code": 1000})
            case "lifespan":
                await _accept_lifespan(typed_receive, typed_send)
            case _:
                return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        response = await self._response(Request(scope, receive))
        await response(scope, receive, send_with_headers)

    async def _response(self, request: Request) -> Response:
        path = f"{request.scope['path']}"
        try:
            path = _path_of(request.scope)
            return await self._checked_response(request, path)
        except Exception:
            logger.exception("A request of the dashboard failed: %s", printable(path))
            return self._rejected(path, 500, _FAILED, None)

    async def _checked_response(self, request: Request, path: str) -> Response:
        rejection = check_host(request, self._allowed_hosts) or check_origin(request)
        if rejection is not None:
            return problem_response(rejection.status, rejection.message)
        user = await check_user(request, self._authorize)
        if isinstance(user, Rejection):
            response = self._rejected(path, user.status, user.message, None)
            response.headers.update({name: value for name, value in user.headers.items() if name.lower() not in _FIXED})
            return response
        methods = self._routes.get(path)
        if methods is None:
            return self._rejected(path, 404, "there is no such page", user)
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            response = problem_response(405, "the method is not allowed here")
            response.headers["allow"] = ", ".join((*methods, "HEAD") if "GET" in methods else methods)
            return response
        if request.method not in SAFE_METHODS and user.access != "operate":
            return problem_response(403, _OPERATE_ONLY)
        return await self._handled(endpoint, request, user, path)

    async def _handled(self, endpoint: Endpoint, request: Request, user: User, path: str) -> Response:
        try:
            return await endpoint(request, user)
        except AsynczError as error:
            if isinstance(error, StoreError):
                logger.warning("The store of the dashboard failed: %s", exception_text(error))
            problem = problem_of(error)
            return self._rejected(path, problem.status, problem.message, user)
        except Exception:
            logger.exception("A request of the dashboard failed: %s", printable(path))
            return self._rejected(path, 500, _FAILED, user)

    def _rejected(self, path: str, status: int, message: str, user: User | None) -> Response:
        prefix = next((each for each in self._pages if each and path.startswith(f"{each}/")), "")
        inner = path[len(prefix) :]
        if inner.startswith("/api/"):
            return problem_response(status, message)
        # The links of a page are relative to the place at which the dashboard is mounted.
        return self._pages[prefix].problem(status, message, user if inner.count("/") == 1 else None)

    async def _stream(self, request: Request, _: User) -> Response:
        if self._streams.open >= _stream.MAX_STREAMS:
            # A page tries again after some seconds, and shows the present state until then.
            raise RequestError(503, f"{_stream.MAX_STREAMS} streams are open, which is the maximum")
        return StreamingResponse(self._streams.messages(request), media_type="text/event-stream")


class Dashboard(DashboardApp):
    """Dashboard of a scheduler: an ASGI app with pages, and a JSON API below `api/`.

    If the scheduler keeps its tasks in SQLite or PostgreSQL, the dashboard shows all nodes of the store, and this
    process below `process/`; else it shows this process. It records the runs of this process from its creation on, by
    public subscriptions: make it before the scheduler starts. If it is served on another event loop than that of the
    scheduler, it cannot cancel runs of this process.

    Args:
        scheduler: Scheduler.
        authorize: Function or coroutine function that gives each request the right `look` or `operate`, or a `User`
            with a name; None or an `HTTPException` rejects the request. There is no default.
        redact: Function that hides secrets in arguments, results, errors, tracebacks, progress and log messages.
        title: Title of the pages.
        allowed_hosts: Names of the host that requests may use, without ports; None allows all, as behind a proxy that
            checks them.
        max_runs: Maximum number of recorded runs with an outcome, at least 1.
        max_events: Maximum number of recorded events, at least 1.

    Raises:
        InvalidInputError: An argument cannot be used.

    Example:
        >>> def authorize(request: Request) -> Access | None:
        ...     return "operate" if request.session.get("admin") else None
        >>> app.mount("/scheduler", Dashboard(scheduler, authorize))
    """

    def __init__(
        self,
        scheduler: AsyncIOScheduler,
        authorize: Authorize,
        *,
        redact: Redact = redact_secrets,
        title: str = "asyncz",
        allowed_hosts: Iterable[str] | None = None,
        max_runs: int = 2000,
        max_events: int = 1000,
    ) -> None:
        check_instance("scheduler", scheduler, AsyncIOScheduler)
        _check(authorize, redact, title)
        check_count("max_runs", max_runs)
        check_count("max_events", max_events)
        streams, redactor = ChangeStreams(), Redactor(redact)
        self._journal = Journal(scheduler, max_runs, max_events, streams.notify)
        announcer = Announcer(self._journal)
        self._model = ReadModel(scheduler, self._journal, redactor, title)
        self._console = console_of_scheduler(scheduler)
        views = [View("", self._model, Operator(scheduler, announcer))]
        if self._console is not None:
            cluster = SharedModel(self._console, self._model, redactor, title)
            actor = ClusterOperator(self._console, announcer, cluster.index.expire)
            streams.watch = StoreWatch(self._console, streams.notify).watch
            views = [View("", cluster, actor, "process/"), attrs.evolve(views[0], prefix="/process", other="../")]
        super().__init__(authorize, allowed_hosts, streams, announcer, views)
        self._log_handler = RunLogHandler(self._journal)

    @property
    def log_handler(self) -> logging.Handler:
        """Log handler that keeps the records of runs, to show them with the run; add it to a logger.

        Example:
            >>> logging.getLogger().addHandler(dashboard.log_handler)
        """
        return self._log_handler

    def close(self) -> None:
        """Stop recording runs and events. Thread-safe."""
        self._journal.close()
        self._model.close()
        if self._console is not None:
            self._console.close()


class StoreDashboard(DashboardApp):
    """Dashboard of a store, without a scheduler: it shows and steers all nodes, and runs nothing itself.

    The code of the tasks is not imported: their arguments and results are shown as the store keeps them.

    Args:
        url: URL of the store: sqlite:///path or postgresql://user@host/database.
        authorize: Function or coroutine function that gives each request its right; see `Dashboard`.
        redact: Function that hides secrets in arguments, results, errors and tracebacks.
        title: Title of the pages.
        allowed_hosts: Names of the host that requests may use, without ports; None allows all.

    Raises:
        InvalidInputError: An argument cannot be used.
        MissingExtraError: The extra `postgres` is not installed.

    Example:
        >>> app = StoreDashboard("postgresql:///jobs", authorize)
    """

    def __init__(
        self,
        url: str,
        authorize: Authorize,
        *,
        redact: Redact = redact_secrets,
        title: str = "asyncz",
        allowed_hosts: Iterable[str] | None = None,
    ) -> None:
        check_text("url", url)
        _check(authorize, redact, title)
        self._console = console_of_url(url)
        streams, announcer = ChangeStreams(), Announcer(None)
        model = ClusterModel(self._console, Redactor(redact), title)
        streams.watch = StoreWatch(self._console, streams.notify).watch
        actor = ClusterOperator(self._console, announcer, model.index.expire)
        super().__init__(authorize, allowed_hosts, streams, announcer, [View("", model, actor)])

    def close(self) -> None:
        """Disconnect from the store. Thread-safe."""
        self._console.close()


def _check(authorize: object, redact: object, title: str) -> None:
    check_callable("authorize", authorize)
    check_callable("redact", redact)
    check_text("title", title)


async def _to_tasks(request: Request, _: User) -> Response:
    # Relative, so that it is right behind every proxy.
    folder = _raw_path_of(request.scope).rpartition("/")[2]
    return RedirectResponse(f"{folder}/tasks" if folder else "tasks", 307)


def _path_of(scope: Scope) -> str:
    """Return the path below the place at which the dashboard is mounted."""
    path, root = f"{scope['path']}", f"{scope.get('root_path', '')}"
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    if path != "/" and path.endswith("/") and not _raw_path_of(scope).endswith("/"):
        # Litestar appends a slash to the paths of mounted apps.
        path = path[:-1]
    return path if path.startswith("/") else f"/{path}"


def _raw_path_of(scope: Scope) -> str:
    raw = scope.get("raw_path")
    return raw.decode("latin-1").partition("?")[0] if isinstance(raw, bytes) else f"{scope['path']}"


async def _accept_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
