"""Functions of traced tasks, for workers too."""

from __future__ import annotations

import asyncio
import logging

from opentelemetry import trace


def span_ids() -> tuple[int, int]:
    """Return the trace and the span that are current."""
    context = trace.get_current_span().get_span_context()
    return context.trace_id, context.span_id


async def span_ids_later() -> tuple[int, int]:
    await asyncio.sleep(0)
    return span_ids()


def returns_coroutine() -> object:
    """Return the ids from a coroutine of a plain function."""
    return span_ids_later()


def first_of(ids: tuple[int, int], /) -> int:
    return ids[0]


def fail(text: str) -> None:
    raise OSError(text)


def log_and_return_ids() -> tuple[int, int]:
    logging.getLogger("traced").warning("here")
    return span_ids()
