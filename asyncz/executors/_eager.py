"""The eager start of asyncio's tasks, also for Python 3.11, whose own ones wait for the loop's next turn.

For 3.11 it looks at what asyncio keeps to itself, which is sound as that does not change any more; later ones are not
asked.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context
from typing import Never, Protocol

from typing_extensions import TypeIs, TypeVar

ResultT = TypeVar("ResultT")


class _ReadyCall(Protocol):
    """What asyncio's own `Handle` of 3.11 keeps of a call that it makes at the next turn."""

    _callback: Callable[[], object] | None
    _context: Context | None
    _cancelled: bool


class EagerTasks:
    """Makes the tasks of a loop that go at once to where they first wait, where the loop lets them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        if sys.version_info < (3, 12):
            self._ready = ready_calls(loop)
            self._running_tasks = _running_tasks()

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
            loop = self._loop
            task = asyncio.Task(coroutine, loop=loop, name=name, context=context)
            if self._ready is not None and self._running_tasks.get(loop) is None:
                take_first_step(task, self._ready)
            return task


def ready_calls(loop: asyncio.AbstractEventLoop) -> Sequence[_ReadyCall] | None:
    """The calls that a loop makes at its next turn; None for a loop that is not asyncio's own."""
    ready: object = getattr(loop, "_ready", None)
    put: object = getattr(type(loop), "call_soon", None)
    return ready if put is asyncio.BaseEventLoop.call_soon and _is_queue(ready) else None


def take_first_step(task: asyncio.Task[object], ready: Sequence[_ReadyCall]) -> None:
    """Drive a task that was just made to where it first waits.

    Args:
        task: The task, whose loop is running in this thread, and runs no task at the moment.
        ready: What `ready_calls` gave for its loop.
    """
    first_step = ready[-1]
    callback, context = first_step._callback, first_step._context
    # Between its making and this, another thread may have put a call there.
    if callback is None or context is None or getattr(callback, "__self__", None) is not task:
        return
    # It stays there, as others may be putting calls behind it: the loop passes over what is cancelled.
    first_step._cancelled = True
    first_step._callback = first_step._context = None
    context.run(callback)


def _running_tasks() -> Mapping[asyncio.AbstractEventLoop, object]:
    """What `asyncio.current_task` looks into."""
    running: Mapping[asyncio.AbstractEventLoop, object] = vars(asyncio.tasks)["_current_tasks"]
    return running


def _is_queue(ready: object) -> TypeIs[deque[_ReadyCall]]:
    return isinstance(ready, deque)
