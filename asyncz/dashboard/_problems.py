"""Errors of requests, and the statuses and texts of errors."""

from __future__ import annotations

from typing import Final

import attrs
from pydantic import ValidationError

from asyncz._text import printable
from asyncz.dashboard.states import Problem
from asyncz.exceptions import AsynczError, RunLookupError, SchedulerNotRunningError, TaskLookupError
from asyncz.stores.exceptions import StoreDataError, StoreError, StoreUnavailableError

_UNREACHABLE: Final = "the store cannot be reached; the log has the reason"
_UNAVAILABLE: Final = "the store rejects that now; the log has the reason"


@attrs.frozen
class RequestError(AsynczError):
    """A request cannot be answered.

    Attributes:
        status: Status of the response.
        message: Reason.
    """

    status: int
    message: str


def store_problem(error: AsynczError) -> str:
    """Return the message for an error of the store. Its own text may name paths and hosts; the log has it."""
    return _UNAVAILABLE if isinstance(error, StoreUnavailableError) else _UNREACHABLE


def problem_of(error: AsynczError) -> Problem:
    """Return the status and the text for an error."""
    status = 422
    if isinstance(error, RequestError):
        return Problem(status=error.status, message=error.message)
    if isinstance(error, TaskLookupError | RunLookupError):
        status = 404
    elif isinstance(error, SchedulerNotRunningError):
        status = 409
    elif isinstance(error, StoreDataError):
        return Problem(status=400, message="the store does not accept a value of the request")
    elif isinstance(error, StoreError):
        return Problem(status=503, message=store_problem(error))
    return Problem(status=status, message=printable(f"{error}"))


def validation_text(error: ValidationError) -> str:
    """Return the problems without the values, which may be long or secret."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    texts = (f"{'.'.join(str(part) for part in each['loc']) or 'the body'}: {each['msg']}" for each in problems[:5])
    return printable("; ".join(texts))
