"""Coroutine functions that fetch feeds, with decorators as applications have them."""

# mypy: disallow-any-explicit=False

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from typing_extensions import ParamSpec, TypeVar

from tests.examples.ingest.models import Feed, Page

P = ParamSpec("P")
ResultT = TypeVar("ResultT")

calls: dict[str, list[float]] = {}
"""Durations of the traced calls in seconds, by the name of the function."""


class FetchError(OSError):
    """A feed could not be fetched; another attempt may succeed."""


class Transport(Protocol):
    """A client that returns the body of an address."""

    async def get(self, url: str, /) -> bytes:
        """Return the body.

        Raises:
            FetchError: The server did not answer.
        """
        ...


def traced(function: Callable[P, Awaitable[ResultT]]) -> Callable[P, Awaitable[ResultT]]:
    """Record the duration of each call."""

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> ResultT:
        started = time.perf_counter()
        try:
            return await function(*args, **kwargs)
        finally:
            calls.setdefault(function.__qualname__, []).append(time.perf_counter() - started)

    return call


@traced
async def fetch(transport: Transport, feed: Feed, *, limit: int = 1 << 20) -> Page:
    """Fetch a feed.

    Args:
        transport: The client.
        feed: The feed.
        limit: Maximum number of bytes.

    Raises:
        FetchError: The server did not answer, or the body is larger than `limit`.
    """
    body = await transport.get(feed.url)
    if len(body) > limit:
        raise FetchError(f"{feed.url} has more than {limit} bytes")
    return Page(feed.name, body)


async def announce(payload: dict[str, Any], *, retries: int = 0) -> str:
    """Send a message whose payload has no fixed shape; the result is typed all the same."""
    return f"{payload['kind']}:{retries}"
