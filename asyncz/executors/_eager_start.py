"""Eager start of asyncio tasks, on the Python versions that have it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextvars import Context
from typing import Final, Never

from typing_extensions import TypeVar

ResultT = TypeVar("ResultT")

HAS_EAGER_START: Final = sys.version_info >= (3, 12)
"""True if `start_task` lets a coroutine run to its first wait."""


# The version is compared here, not in the function: a comparison takes a tenth of the time of creating a task.
if sys.version_info >= (3, 12):

    def start_task(
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[object, Never, ResultT],
        name: str,
        context: Context | None,
    ) -> asyncio.Task[ResultT]:
        """Create a task that has run to its first wait when this returns.

        For a loop without a task factory: the class is called itself, which saves two calls of methods of the loop.
        """
        return asyncio.Task(coroutine, loop=loop, name=name, context=context, eager_start=True)

else:

    def start_task(
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[object, Never, ResultT],
        name: str,
        context: Context | None,
    ) -> asyncio.Task[ResultT]:
        """Create a task, which has not started when this returns."""
        return asyncio.Task(coroutine, loop=loop, name=name, context=context)
