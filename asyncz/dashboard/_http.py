"""Parsing of requests, and responses for errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from typing_extensions import TypeVar

from asyncz._text import exception_text, quoted
from asyncz.dashboard._problems import RequestError, validation_text
from asyncz.dashboard._security import User
from asyncz.dashboard.states import Problem

ModelT = TypeVar("ModelT", bound=BaseModel)

Endpoint: TypeAlias = Callable[[Request, User], Awaitable[Response]]
"""Function that answers a request of a user."""

MAX_BODY: Final = 1_000_000
"""Maximum size of a body, in bytes."""

MAX_SECONDS: float = 30.0
"""Maximum time in which a body has to arrive, in seconds."""


def json_response(model: BaseModel, status: int = 200) -> Response:
    """Return a response with a model as JSON."""
    return Response(model.model_dump_json(), status, media_type="application/json")


def problem_response(status: int, message: str) -> Response:
    """Return a response that names a problem as JSON."""
    return json_response(Problem(status=status, message=message), status)


def parse_query(request: Request, model: type[ModelT], *, of_form: bool = False) -> ModelT:
    """Return the parameters of a request.

    Args:
        request: Request.
        model: Model of the parameters.
        of_form: Ignore empty parameters: if a field of a form is empty, a browser sends it all the same.

    Raises:
        RequestError: A parameter is unknown, given twice, or has a wrong value.
    """
    values = dict[str, str]()
    for name, value in request.query_params.multi_items():
        if name in values:
            raise RequestError(400, f"the parameter {quoted(name, 100)} is given twice")
        if value or not of_form:
            values[name] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise RequestError(400, validation_text(error)) from None


async def parse_body(request: Request, model: type[ModelT]) -> ModelT:
    """Return the body of a request.

    Raises:
        RequestError: The body is too large or too slow, is not JSON, or has wrong values.
    """
    try:
        async with asyncio.timeout(MAX_SECONDS):
            received = await _received(request)
    except TimeoutError:
        raise RequestError(408, f"the body has not arrived within {MAX_SECONDS:g} s") from None
    except ClientDisconnect:
        raise RequestError(400, "the client has disconnected") from None
    try:
        return model.model_validate_json(received)
    except ValidationError as error:
        raise RequestError(422, validation_text(error)) from None


async def _received(request: Request) -> bytes:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY:
            raise RequestError(413, f"the body is larger than {MAX_BODY} bytes")
    return bytes(received)


def unexpected(error: Exception) -> str:
    """Return the text for the log about an error that is a fault of the dashboard."""
    return exception_text(error)
