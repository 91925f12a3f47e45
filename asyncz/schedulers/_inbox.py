"""Calls that any thread leaves for the event loop's thread, in order."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Protocol

from asyncz._running import context_for_later
from asyncz._safe_logging import is_interrupt
from asyncz.schedulers._safe_logging import logger

TIME_SLICE = 0.0025
"""Maximum seconds of one time slice: the scheduler then lets the other callbacks of the loop run.

Nothing in the scheduler may hold the loop for more than 10 ms.
"""


class InboxCall(Protocol):
    """A function, a bound method or an instance; not a class, which has another `__call__` of its own."""

    def __call__(self) -> object:
        """Make the call."""
        ...


class Inbox:
    """Queue of calls for the loop's thread; one wake-up of the loop serves a whole burst of calls.

    Putting a call is lock-free. Any thread appends its call first and reads `awake` afterwards; the loop's thread
    clears `awake` first and looks at the calls afterwards. Each step is one operation of a deque or one attribute,
    which is atomic under the GIL. So either the thread finds the inbox asleep and wakes it, or the loop finds the call.
    A free-threaded build needs sequentially consistent access to `awake`.

    Attributes:
        calls: Calls in the order in which they were put.
        awake: True if the loop is going to look at the calls without being woken.
        logs_info: True if records of the level INFO are logged; looked up once for each burst of calls.
        logs_debug: The same for the level DEBUG.
        last_call: Call that is made once, after the calls of the present burst; None if there is none. For the loop's
            thread.
    """

    def __init__(self) -> None:
        self.calls: deque[InboxCall] = deque()
        self.awake: bool = False
        self.logs_info: bool = False
        self.logs_debug: bool = False
        self.last_call: InboxCall | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id: int | None = None
        self._context = Context()

    def __len__(self) -> int:
        return len(self.calls)

    @property
    def called_off_loop(self) -> bool:
        """Return True if calls are made in another thread than the current one."""
        loop = self._loop
        return loop is not None and threading.get_ident() != self._thread_id and not loop.is_closed()

    @property
    def has_closed_loop(self) -> bool:
        """Return True if the loop was closed before the inbox was."""
        return self._loop is not None and self._loop.is_closed()

    def is_open_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return True if calls are made on this loop."""
        return self._loop is loop

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make the calls on this loop from now on; the current thread is the loop's thread."""
        self._loop = loop
        self._thread_id = threading.get_ident()
        # Calls do not run in the context of the caller of `put`: its run would live as long as the effects of the call.
        self._context = context_for_later()
        self._look_up_levels()
        self.awake = False
        if self.calls:
            self.wake()

    def new_context(self) -> Context:
        """Return a copy of the context variables of the start, for one piece of work on the loop."""
        return self._context.copy()

    def close(self) -> None:
        """Make the pending calls, and keep later ones until the next `open`."""
        self.drain()
        self._loop = None

    def leave_thread(self) -> None:
        """Drop the pending calls: after a fork, no thread of this process makes them."""
        self._thread_id = None
        self.calls.clear()

    def put(self, call: Callable[[], object]) -> None:
        """Make a call on the loop's thread soon. Thread-safe."""
        self.calls.append(call)
        if not self.awake:
            self.wake()

    def drain(self) -> None:
        """Make all pending calls, and those that they add. For the loop's thread."""
        while self.calls:
            self.make_calls(time.perf_counter() + TIME_SLICE)

    def make_calls(self, deadline: float) -> None:
        """Make the calls that are pending now, until `deadline` of the performance counter. For the loop's thread."""
        try:
            self._make_pending(deadline)
        finally:
            last_call, self.last_call = self.last_call, None
            if last_call is not None:
                last_call()

    def _make_pending(self, deadline: float) -> None:
        calls, clock = self.calls, time.perf_counter
        self._look_up_levels()
        # Calls that are added meanwhile have to wait: calls that add calls must not hold the loop.
        for _ in range(len(calls)):
            if not calls:
                # One of the calls has drained the inbox.
                return
            call = calls.popleft()
            try:
                # Most calls are live runs: a method is called without the detour through C that `call()` would make.
                call.__call__()
            except BaseException as error:
                # Code of users may exit: the other calls, and the loop, are not its own.
                if is_interrupt(error):
                    raise
                logger.exception("A call on the scheduler's loop failed")
            if clock() > deadline:
                return

    def _look_up_levels(self) -> None:
        self.logs_info = logger.is_enabled_for(logging.INFO)
        self.logs_debug = logger.is_enabled_for(logging.DEBUG)

    def wake(self) -> None:
        """Wake the loop, which then makes the calls. Thread-safe."""
        loop = self._loop
        if loop is None:
            return
        self.awake = True
        put = loop.call_soon if threading.get_ident() == self._thread_id else loop.call_soon_threadsafe
        try:
            put(self._make_due_calls, context=self.new_context())
        except RuntimeError:
            logger.debug("The event loop was closed while the scheduler was running")

    def _make_due_calls(self) -> None:
        if self._loop is None:
            return
        if self.calls:
            try:
                self.make_calls(time.perf_counter() + TIME_SLICE)
            finally:
                # Cross-thread wake-ups are expensive and calls come in bursts: stay awake one more iteration. An
                # interrupt that leaves `make_calls` must not leave the inbox asleep with `awake` set.
                self.wake()
            return
        # In this order, see the class.
        self.awake = False
        if self.calls:
            self.wake()
