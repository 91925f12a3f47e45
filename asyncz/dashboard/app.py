"""The dashboard: an ASGI app with pages, a JSON API, and a stream of changes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Never, cast

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import TypeVar

from asyncz._checks import check_callable, check_count, check_instance, check_text
from asyncz._text import exception_text, printable
from asyncz.dashboard import _stream
from asyncz.dashboard._actions import Operator, OperatorAction
from asyncz.dashboard._api import Api, document_endpoint
from asyncz.dashboard._http import Endpoint, problem_response
from asyncz.dashboard._journal import Journal, RunLogHandler
from asyncz.dashboard._pages import Pages
from asyncz.dashboard._problems import RequestError, problem_of
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
from asyncz.exceptions import AsynczError
from asyncz.logs import install_log_fields
from asyncz.schedulers import AsyncIOScheduler
from asyncz.stores.exceptions import StoreError

ReturnT = TypeVar("ReturnT")

_OPERATE_ONLY = "the right to operate is missing"
_FAILED = "the request failed; the log has the reason"
# Headers of a response that a rejection by `authorize` does not replace.
_FIXED = {*HEADERS, "content-length", "content-type"} - {"cache-control"}


class Dashboard:
    """Dashboard of a scheduler: an ASGI app with pages, and a JSON API below `api/`.

    The dashboard shows this process; if the scheduler has a store, it can show the stored runs and the nodes too. It
    records runs from its creation on, by public subscriptions: make it before the scheduler starts. If it is served on
    another event loop than that of the scheduler, it cannot cancel runs or read the store.

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
        check_callable("authorize", authorize)
        check_callable("redact", redact)
        check_text("title", title)
        check_count("max_runs", max_runs)
        check_count("max_events", max_events)
        self._authorize = authorize
        self._allowed_hosts: Sequence[str] | None = checked_hosts(allowed_hosts)
        self._streams = ChangeStreams()
        self._journal = Journal(scheduler, max_runs, max_events, self._streams.notify)
        self._operator = Operator(scheduler, self._journal)
        model = ReadModel(scheduler, self._journal, Redactor(redact), title)
        self._pages = Pages(model)
        self._routes: dict[str, dict[str, Endpoint]] = self._make_routes(model)
        self._log_handler = RunLogHandler(self._journal)
        install_log_fields(self._log_handler)

    def _make_routes(self, model: ReadModel) -> dict[str, dict[str, Endpoint]]:
        found = Api(model, self._operator).operations()
        routes: dict[str, dict[str, Endpoint]] = {"/": {"GET": _to_tasks}, "/stream": {"GET": self._stream}}
        routes["/api/openapi.json"] = {"GET": document_endpoint(found)}
        for operation in found:
            routes[operation.described.path] = {operation.method: operation.endpoint}
        for path, endpoint in (*self._pages.endpoints().items(), *static_files().items()):
            routes[path] = {"GET": endpoint}
        return routes

    @property
    def log_handler(self) -> logging.Handler:
        """Log handler that keeps the records of runs, to show them with the run; add it to a logger.

        Example:
            >>> logging.getLogger().addHandler(dashboard.log_handler)
        """
        return self._log_handler

    def on_action(self, listener: Callable[[OperatorAction], ReturnT], /) -> Callable[[OperatorAction], ReturnT]:
        """Call a listener with each action of a user, on the loop's thread. Usable as a decorator.

        Example:
            >>> @dashboard.on_action
            ... def audit(action: OperatorAction) -> None:
            ...     print(action.user, action.action, action.task_id)
        """
        check_callable("listener", listener)
        self._operator.add_listener(listener)
        return listener

    def close(self) -> None:
        """Record no more runs and events. Thread-safe."""
        self._journal.close()

    async def __call__(
        self,
        scope: Mapping[str, object],
        receive: Callable[[], Awaitable[Mapping[str, object]]],
        send: Callable[[Never], Awaitable[None]],
    ) -> None:
        """Answer a request, by the ASGI specification."""
        # Each framework has its own types for the three; the specification says that all are dicts.
        typed_scope, typed_receive = cast("Scope", scope), cast("Receive", receive)
        typed_send = cast("Send", send)
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
        if path.startswith("/api/"):
            return problem_response(status, message)
        # The links of a page are relative to the place at which the dashboard is mounted.
        return self._pages.problem(status, message, user if path.count("/") == 1 else None)

    async def _stream(self, request: Request, _: User) -> Response:
        if self._streams.open >= _stream.MAX_STREAMS:
            # A page tries again after some seconds, and shows the present state until then.
            raise RequestError(503, f"{_stream.MAX_STREAMS} streams are open, which is the maximum")
        return StreamingResponse(self._streams.messages(request), media_type="text/event-stream")


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
