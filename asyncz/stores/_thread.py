"""Thread of a connection: database drivers block, event loops must not."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from functools import partial

from typing_extensions import TypeVar

ResultT = TypeVar("ResultT")

NO_ANSWER_AFTER = 60.0
"""Seconds after which a transaction is interrupted: a proxy may keep a connection open whose other end is gone."""


class ConnectionThread:
    """Daemon thread that makes calls one after another, and gives their results to event loops.

    A daemon, so that a database that does not answer cannot hold the exit of the interpreter. Calls are accepted
    from the threads of event loops.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def call(self, call: Callable[[], ResultT], interrupt: Callable[[], object] | None = None) -> ResultT:
        """Make a call in the thread, and return its result.

        A cancellation does not interrupt the call: a transaction is never left half done.

        Args:
            call: The call.
            interrupt: Function that is called if there is no result after `NO_ANSWER_AFTER` seconds; None for no limit.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ResultT] = loop.create_future()
        self._calls.put(lambda: deliver(call, loop, future))
        if interrupt is None:
            return await future
        watchdog = loop.call_later(NO_ANSWER_AFTER, interrupt)
        try:
            return await future
        finally:
            watchdog.cancel()

    def post(self, call: Callable[[], object]) -> None:
        """Make a call in the thread, without its result and errors. Thread-safe."""

        def guarded() -> None:
            with contextlib.suppress(Exception):
                _ = call()

        self._calls.put(guarded)

    def stop(self) -> None:
        """End the thread after the calls that were made before. Does not wait for it."""
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            # Until the next call, nothing refers to the arguments and the result of this one.
            del call


def deliver(call: Callable[[], ResultT], loop: asyncio.AbstractEventLoop, future: asyncio.Future[ResultT]) -> None:
    """Make a call, and set its outcome in the thread of the loop."""
    settle: Callable[[], None]
    try:
        settle = partial(future.set_result, call())
    except BaseException as error:
        settle = partial(future.set_exception, error)

    def settle_unless_cancelled() -> None:
        if not future.done():
            settle()

    # If the loop has been closed, the caller is gone.
    with contextlib.suppress(RuntimeError):
        _ = loop.call_soon_threadsafe(settle_unless_cancelled)
