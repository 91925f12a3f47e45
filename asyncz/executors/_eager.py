"""The eager start of asyncio's tasks, also for Python 3.11, whose own ones wait for the loop's next turn.

For 3.11 it looks at what asyncio keeps to itself, which is sound as that does not change any more; later ones are not
asked.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Coroutine, Sequence
from contextvars import Context
from typing import Never

from typing_extensions import TypeIs, TypeVar

ResultT = TypeVar("ResultT")


class EagerTasks:
    """Makes the tasks of a loop that go at once to where they first wait, where the loop lets them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready = ready_calls(loop) if sys.version_info < (3, 12) else None

    if sys.version_info >= (3, 12):

        def make(
            self, coroutine: Coroutine[object, Never, ResultT], name: str, context: Context | None
        ) -> asyncio.Task[ResultT]:
            """A task that has gone to where it first waits."""
            return asyncio.Task(coroutine, loop=self._loop, name=name, context=context, eager_start=True)

    else:

        def make(
            self, coroutine: Coroutine[object, Never, ResultT], name: str, context: Context | None
        ) -> asyncio.Task[ResultT]:
            """A task that has gone to where it first waits, unless its loop or a running task does not let it."""
            task = asyncio.Task(coroutine, loop=self._loop, name=name, context=context)
            if self._ready is not None:
                take_first_step(task, self._ready)
            return task


def ready_calls(loop: asyncio.AbstractEventLoop) -> Sequence[asyncio.Handle] | None:
    """The calls that a loop makes at its next turn; None for a loop that is not asyncio's own."""
    ready: object = getattr(loop, "_ready", None)
    put: object = getattr(type(loop), "call_soon", None)
    return ready if put is asyncio.BaseEventLoop.call_soon and _is_queue(ready) else None


def take_first_step(task: asyncio.Task[object], ready: Sequence[asyncio.Handle]) -> None:
    """Drive a task that was just made to where it first waits, unless another one is running.

    Args:
        task: The task, whose loop is running in this thread.
        ready: What `ready_calls` gave for its loop.
    """
    first_step = ready[-1]
    # Between its making and this, another thread may have put a call there.
    is_its_own = getattr(getattr(first_step, "_callback", None), "__self__", None) is task
    if not is_its_own or asyncio.current_task() is not None:
        return
    try:
        first_step._run()
    finally:
        # It stays there, as others may be putting calls behind it: the loop passes over what is cancelled.
        first_step.cancel()


def _is_queue(ready: object) -> TypeIs[deque[asyncio.Handle]]:
    return isinstance(ready, deque)
