"""Errors of requests."""

from __future__ import annotations

from typing import Final

import attrs

from asyncz.exceptions import AsynczError

STORE_PROBLEM: Final = "the store cannot be reached; the log has the reason"
"""Message for an error of the store."""


@attrs.frozen
class RequestError(AsynczError):
    """A request cannot be answered.

    Attributes:
        status: Status of the response.
        message: Reason.
    """

    status: int
    message: str
