"""Coroutines of runs in an event loop of their own, with the standard library only: worker processes import this."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from asyncz._run_owners import FinishingAwaitable
from asyncz._text import traceback_of

ResultT = TypeVar("ResultT")

_CLEANUP_SECONDS = 5.0
_GENERATOR_SECONDS = 1.0
# Resources of asyncio's loops that need file descriptors.
_PARTS_OF_LOOP = ("_selector", "_ssock", "_csock")


class CoroutineCall(Generic[ResultT]):
    """One awaitable of a run: awaited in one thread, cancelled from any thread.

    The outcome is kept here and not raised inside of the event loop. asyncio inspects exceptions outside of any guard,
    so the `__class__` property of a user's exception could keep a loop from ever stopping, and `SystemExit` would stop
    it in the middle of other callbacks.

    Attributes:
        left_tasks: True if tasks that the awaitable has left behind ignored their cancellation.
    """

    def __init__(self, awaitable: Awaitable[ResultT]) -> None:
        self._awaitable = awaitable
        self._task: asyncio.Task[object] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cancel_requested = False
        self._done = False
        self._results: list[ResultT] = []
        self._error: BaseException | None = None
        self.left_tasks: bool = False

    def cancel(self) -> bool:
        """Cancel the awaitable where it awaits. Thread-safe.

        Returns:
            True if the request was made before the awaitable was done.
        """
        # `run` publishes its task and then reads the flag; this sets the flag and then reads the task. In either order
        # of the two threads, at least one of them sees the value that the other has written.
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
            self.left_tasks = await _cancel_tasks_left(task)

    def close(self) -> None:
        """Close an awaitable that was never started."""
        close_unstarted(self._awaitable)

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


def close_unstarted(awaitable: Awaitable[object]) -> None:
    """Close a coroutine that was never started, which Python would report as forgotten."""
    if isinstance(awaitable, FinishingAwaitable):
        awaitable = awaitable.awaitable
    if inspect.iscoroutine(awaitable) and inspect.getcoroutinestate(awaitable) == inspect.CORO_CREATED:
        awaitable.close()


def await_or_close(awaitable: Awaitable[object], await_outcome: Callable[[], ResultT]) -> ResultT:
    """Call a function that awaits an awaitable; close that if, without a thread or a loop for it, it was never started.

    Every awaitable that the function of a run returns comes through here, so that executors need not close it.
    """
    try:
        return await_outcome()
    except BaseException:
        close_unstarted(awaitable)
        raise


def await_in_new_loop(awaitable: Awaitable[ResultT]) -> ResultT:
    """Return the result of an awaitable, from an event loop made for it."""
    return run_in_new_loop(CoroutineCall(awaitable))


class CallLoop:
    """Event loop for the calls of one thread, made by the first call.

    `asyncio.Runner` is not used: its `close` waits without a limit for tasks and async generators that ignore their
    cancellation, and for functions in the default executor of the loop, so that one run could keep the thread from
    all others.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, call: CoroutineCall[ResultT]) -> ResultT:
        """Run a call to its end, and return its result. No other call may use the loop meanwhile."""
        running = call.run(owns_loop=True)
        try:
            loop = self._make_loop()
            # A copy, because the calls must not share one context.
            loop.run_until_complete(loop.create_task(running, context=contextvars.copy_context()))
        except BaseException as error:
            close_unstarted(running)
            call.close()
            _discard_half_made_loop(error)
            raise
        if call.left_tasks:
            # In this loop they would continue during the next call.
            self.close()
        return call.result()

    def _make_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            # A new loop needs file descriptors.
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop

    def close(self) -> None:
        """Close the loop, within bounds; the next call makes another one."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        try:
            loop.run_until_complete(_close_async_generators())
        finally:
            # This does not wait for the functions in the default executor.
            loop.close()
            asyncio.set_event_loop(None)


def run_in_new_loop(call: CoroutineCall[ResultT]) -> ResultT:
    """Run a call to its end in a loop made for it, and return its result."""
    call_loop = CallLoop()
    try:
        return call_loop.run(call)
    finally:
        call_loop.close()


async def _close_async_generators() -> None:
    """Close the async generators that runs have left open, within bounds."""
    closing = asyncio.ensure_future(asyncio.get_running_loop().shutdown_asyncgens())
    await asyncio.wait([closing], timeout=_GENERATOR_SECONDS)
    closing.cancel()


def _discard_half_made_loop(error: BaseException) -> None:
    """Release the resources of a loop after its constructor has raised an error.

    The constructor of asyncio's loops sets an attribute after another, and a loop that lacks one can never be closed:
    its finalizer would warn, and then fail. Only the frames of the error refer to such a loop.
    """
    entry = traceback_of(error)
    while entry is not None:
        loop: object = entry.tb_frame.f_locals.get("self")
        if isinstance(loop, asyncio.BaseEventLoop) and entry.tb_frame.f_code.co_name == "__init__":
            for name in _PARTS_OF_LOOP:
                close: object = getattr(getattr(loop, name, None), "close", None)
                if callable(close):
                    close()
            # What `close` does last; the finalizer asks for it first.
            setattr(loop, "_closed", True)  # noqa: B010  # private
        entry = entry.tb_next


async def _cancel_tasks_left(current: asyncio.Task[object] | None) -> bool:
    """Cancel the tasks that a run has started and not awaited, and wait for their cleanup, within bounds.

    Returns:
        True if some have ignored their cancellation.

    A loop that is reused stops with the run: its tasks would freeze, and continue during the next run.
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
    return bool(left)
