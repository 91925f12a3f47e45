"""JSON API: one table of operations, which routes requests and describes them in the OpenAPI document.

If an operation is added here, it is routed, validated and documented.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Literal, TypeAlias

import attrs
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypeVar

from asyncz.dashboard._http import Endpoint, json_response, parse_body, parse_query
from asyncz.dashboard._openapi import Described, document
from asyncz.dashboard._problems import RequestError
from asyncz.dashboard._reader import Actor, Reader
from asyncz.dashboard._security import User
from asyncz.dashboard.requests import (
    CancelRunRequest,
    EventQuery,
    IdQuery,
    NoQuery,
    RunQueryParameters,
    SchedulerActionRequest,
    TaskActionRequest,
    TaskQuery,
    TimelineQuery,
    run_selection_of,
    selection_of,
)
from asyncz.dashboard.states import (
    PERMISSIONS,
    ActionReport,
    EventPage,
    ExecutorPage,
    Permission,
    RunDetail,
    RunPage,
    SchedulerInfo,
    TaskDetail,
    TaskPage,
    Timeline,
)
from asyncz.prometheus import CONTENT_TYPE

QueryT = TypeVar("QueryT", bound=BaseModel)
BodyT = TypeVar("BodyT", bound=BaseModel)
Method: TypeAlias = Literal["GET", "POST"]


@attrs.frozen
class Operation:
    """Operation of the API.

    Attributes:
        method: Method of the request.
        described: Description for the OpenAPI document, with the path.
        endpoint: Function that answers the request.
    """

    method: Method
    described: Described
    endpoint: Endpoint


class Api:
    """Operations of the API.

    Args:
        model: Source of the states.
        operator: Actions.
    """

    def __init__(self, model: Reader, operator: Actor) -> None:
        self._model = model
        self._operator = operator

    def operations(self) -> Sequence[Operation]:
        """Return all operations, without the one of the document itself."""
        return (
            _reading("info", "Scheduler, process, and rights of the user", NoQuery, SchedulerInfo, self._info),
            _reading("tasks", "Page of tasks", TaskQuery, TaskPage, self._tasks),
            _reading("task", "A task with its arguments and next due times", IdQuery, TaskDetail, self._task),
            _reading("runs", "Page of runs, newest first", RunQueryParameters, RunPage, self._runs),
            _reading("run", "A run with its traceback, attempts and log records", IdQuery, RunDetail, self._run),
            _reading("executors", "Executors, and nodes of the store", NoQuery, ExecutorPage, self._executors),
            _reading("timeline", "Past and coming runs in a window", TimelineQuery, Timeline, self._timeline),
            _reading("events", "Page of events, newest first", EventQuery, EventPage, self._events),
            _acting("actions", "Run, pause, resume, cancel, reschedule or remove tasks", TaskActionRequest, self._act),
            _acting("cancel-run", "Cancel a run", CancelRunRequest, self._cancel_run),
            _acting("scheduler", "Pause or resume the scheduler", SchedulerActionRequest, self._set_paused),
        )

    async def _info(self, _: NoQuery, user: User) -> SchedulerInfo:
        await self._model.refresh()
        return info_for(self._model, user)

    async def _tasks(self, query: TaskQuery, _: User) -> TaskPage:
        return await self._model.tasks(selection_of(query))

    async def _task(self, query: IdQuery, _: User) -> TaskDetail:
        return await self._model.task(query.id)

    async def _runs(self, query: RunQueryParameters, _: User) -> RunPage:
        return await self._model.runs(run_selection_of(query))

    async def _run(self, query: IdQuery, _: User) -> RunDetail:
        return await self._model.run(query.id)

    async def _executors(self, _: NoQuery, __: User) -> ExecutorPage:
        return await self._model.executors()

    async def _timeline(self, query: TimelineQuery, _: User) -> Timeline:
        return await self._model.timeline(timedelta(minutes=query.past), timedelta(minutes=query.future))

    async def _events(self, query: EventQuery, _: User) -> EventPage:
        return await self._model.events(query.before, query.limit)

    async def _act(self, body: TaskActionRequest, user: User) -> ActionReport:
        _check_permission(user, body.action)
        return await self._operator.act(body.action, body.task_ids, user.name, body.trigger)

    async def _cancel_run(self, body: CancelRunRequest, user: User) -> ActionReport:
        _check_permission(user, "cancel")
        return await self._operator.cancel_run(body.run_id, user.name)

    async def _set_paused(self, body: SchedulerActionRequest, user: User) -> ActionReport:
        _check_permission(user, "scheduler")
        return await self._operator.set_paused(body.action == "pause", user.name)


def info_for(model: Reader, user: User) -> SchedulerInfo:
    """Return the scheduler, with the name and the rights of a user."""
    permissions = tuple(each for each in PERMISSIONS if user.may(each))
    return model.info().model_copy(update={"access": user.access, "permissions": permissions, "user": user.name})


def _check_permission(user: User, permission: Permission) -> None:
    """Reject an action that the user may not carry out.

    Raises:
        RequestError: The permission is missing.
    """
    if not user.may(permission):
        raise RequestError(403, f"the permission {permission!r} is missing")


def document_endpoint(found: Sequence[Operation]) -> Endpoint:
    """Return the endpoint of the OpenAPI document for some operations."""
    content = document(tuple((operation.method, operation.described) for operation in found))

    async def openapi(_: Request, __: User) -> Response:
        return JSONResponse(content)

    return openapi


def metrics_endpoint(model: Reader) -> Endpoint:
    """Return the endpoint of the metrics."""

    async def metrics(_: Request, __: User) -> Response:
        return Response(await model.metrics(), headers={"content-type": CONTENT_TYPE})

    return metrics


def _reading(
    name: str,
    summary: str,
    query: type[QueryT],
    response: type[BaseModel],
    read: Callable[[QueryT, User], Awaitable[BaseModel]],
) -> Operation:
    async def endpoint(request: Request, user: User) -> Response:
        return json_response(await read(parse_query(request, query), user))

    return Operation("GET", Described(f"/api/{name}", summary, query, None, response), endpoint)


def _acting(
    name: str, summary: str, body: type[BodyT], act: Callable[[BodyT, User], Awaitable[ActionReport]]
) -> Operation:
    async def endpoint(request: Request, user: User) -> Response:
        return json_response(await act(await parse_body(request, body), user))

    return Operation("POST", Described(f"/api/{name}", summary, NoQuery, body, ActionReport), endpoint)
