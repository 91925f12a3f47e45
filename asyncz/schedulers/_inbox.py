"""Where every thread puts what is to happen on the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context

from asyncz._running import context_for_later

logger = logging.getLogger("asyncz.scheduler")

TURN = 0.0025
"""For so many seconds at once the scheduler makes calls, or submits runs: nothing may hold the loop for 10 ms."""


class Inbox:
    """Calls that wait for the loop's thread, in their order; one wake-up serves a whole burst.

    Attributes:
        calls: Those that wait.
        awake: Whether the loop will look at them soon; who adds one and finds it asleep calls `wake`.
    """

    def __init__(self) -> None:
        self.calls: deque[Callable[[], object]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id: int | None = None
        self._context = Context()
        self.awake = False

    def __len__(self) -> int:
        return len(self.calls)

    @property
    def is_elsewhere(self) -> bool:
        """Whether calls are made in another thread than the present one."""
        loop = self._loop
        return loop is not None and threading.get_ident() != self._thread_id and not loop.is_closed()

    def is_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether calls are made on this loop."""
        return self._loop is loop

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on, make the calls on this loop, whose thread is the present one."""
        self._loop = loop
        self._thread_id = threading.get_ident()
        # Not that of whoever puts a call here: a run that does would live as long as what its call leads to.
        self._context = context_for_later()
        self.awake = False
        if self.calls:
            self.wake()

    def new_context(self) -> Context:
        """The context variables for what the loop is to do: a copy, as what is set in it is not for others to see."""
        return self._context.copy()

    def close(self) -> None:
        """Make what waits, and keep what comes later until the next `open`."""
        self.drain_all()
        self._loop = None

    def put(self, call: Callable[[], object]) -> None:
        """Make a call on the loop's thread, soon. May be called from any thread."""
        self.calls.append(call)
        if not self.awake:
            self.wake()

    def drain_all(self) -> None:
        """Make all calls that wait. For the loop's thread."""
        while self.calls:
            self.make_calls(time.perf_counter() + TURN)

    def make_calls(self, deadline: float) -> None:
        """Make the calls that wait now, until some time of the performance counter. For the loop's thread."""
        calls, now = self.calls, time.perf_counter
        # What is added meanwhile has its turn later, so that calls which add calls cannot hold the loop.
        for _ in range(len(calls)):
            if not calls:
                # One of them has made all others.
                return
            call = calls.popleft()
            try:
                call()
            except Exception:
                logger.exception("A call on the scheduler's loop failed")
            if now() > deadline:
                return

    def wake(self) -> None:
        """Have the loop look at what waits. From any thread."""
        loop = self._loop
        if loop is None:
            return
        self.awake = True
        put = loop.call_soon if threading.get_ident() == self._thread_id else loop.call_soon_threadsafe
        try:
            put(self._drain, context=self.new_context())
        except RuntimeError:
            logger.debug("The event loop was closed while the scheduler was running")

    def _drain(self) -> None:
        if self._loop is None:
            return
        if self.calls:
            self.make_calls(time.perf_counter() + TURN)
            # Awake for one more turn: a wake-up from another thread costs more than all that it announces, and
            # who adds one call often has another.
            self.wake()
            return
        # In this order: who adds a call after the look below finds nobody awake, and wakes the loop itself.
        self.awake = False
        if self.calls:
            self.wake()
