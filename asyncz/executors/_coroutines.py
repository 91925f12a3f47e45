"""Coroutines of runs in an event loop of their own, with the standard library only: worker processes import this."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable
from types import CoroutineType
from typing import Generic, TypeVar

ResultT = TypeVar("ResultT")

_CLEANUP_SECONDS = 5.0
# The class without its type parameters, which a check cannot know.
_COROUTINE: type[object] = CoroutineType


class CoroutineCall(Generic[ResultT]):
    """One awaitable of a run: awaited in one thread, cancelled from any thread.

    The outcome is kept here and not raised inside of the event loop. asyncio inspects exceptions outside of any guard,
    so the `__class__` property of a user's exception could keep a loop from ever stopping, and `SystemExit` would stop
    it in the middle of other callbacks.
    """

    def __init__(self, awaitable: Awaitable[ResultT]) -> None:
        self._awaitable = awaitable
        self._task: asyncio.Task[object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cancel_requested = False
        self._done = False
        self._results: list[ResultT] = []
        self._error: BaseException | None = None

    def cancel(self) -> bool:
        """Cancel the awaitable where it awaits. May be called from any thread.

        Returns:
            True if the request was made before the awaitable was done.
        """
        # `run` publishes its task and then reads the flag; this sets the flag and then reads the task. In either order
        # of the two threads, at least one of them sees what the other has written.
        self._cancel_requested = True
        loop, task = self._loop, self._task
        if self._done:
            return False
        if loop is not None and task is not None:
            try:
                loop.call_soon_threadsafe(task.cancel)
            except RuntimeError:
                # The loop was closed meanwhile, so the awaitable is done.
                return False
        return True

    async def run(self, *, owns_loop: bool) -> None:
        """Await the awaitable and keep its outcome for `result`.

        Args:
            owns_loop: Cancel the tasks that are left in the loop at the end: no other run shares it.
        """
        task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._task = task
        try:
            if self._cancel_requested and task is not None:
                task.cancel()
            self._results.append(await self._awaitable)
        except BaseException as error:
            self._error = error
        self._done = True
        if owns_loop:
            await _cancel_tasks_left(task)

    def close(self) -> None:
        """Close an awaitable that was never started, which Python would report as forgotten."""
        if isinstance(self._awaitable, _COROUTINE):
            close: object = getattr(self._awaitable, "close", None)
            if callable(close):
                close()

    def result(self) -> ResultT:
        """Return the result of the awaitable, or raise its exception, after `run`."""
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                # The traceback of the exception holds this frame, which must not hold the exception.
                del error
        return self._results[0]


def run_in_loop(runner: asyncio.Runner, call: CoroutineCall[ResultT]) -> ResultT:
    """Run a call to its end in a loop that no other run uses meanwhile, and return its result.

    The call gets a copy of the context: a `Runner` would let all its calls share the context of the first.
    """
    try:
        # Makes the loop at the first call, which needs file descriptors.
        runner.get_loop()
    except BaseException:
        call.close()
        raise
    runner.run(call.run(owns_loop=True), context=contextvars.copy_context())
    return call.result()


def run_in_new_loop(call: CoroutineCall[ResultT]) -> ResultT:
    """Run a call to its end in a loop made for it, and return its result."""
    # Not `with`, which makes the loop: without one, `run_in_loop` closes the awaitable.
    runner = asyncio.Runner()
    try:
        return run_in_loop(runner, call)
    finally:
        runner.close()


async def _cancel_tasks_left(current: asyncio.Task[object] | None) -> None:
    """Cancel the tasks that a run has started and not awaited, and wait for their cleanup, within bounds.

    A loop that is reused stops with the run: its tasks would freeze, and go on during the next run.
    """
    left: set[asyncio.Task[object]] = {task for task in asyncio.all_tasks() if task is not current}
    for task in left:
        task.cancel()
    done: set[asyncio.Task[object]] = set()
    while left:
        try:
            done, left = await asyncio.wait(left, timeout=_CLEANUP_SECONDS)
            break
        except asyncio.CancelledError:
            # The outcome of the run is decided: a late request to cancel it has no effect.
            continue
    for task in done:
        if not task.cancelled() and task.exception() is not None:
            context = {"message": "A task that a run left behind failed while it was cancelled", "task": task}
            asyncio.get_running_loop().call_exception_handler(context)
