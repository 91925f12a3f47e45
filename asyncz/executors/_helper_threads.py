"""Threads that call user code for executors without a supervisor, as pickling does: no run delays another one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from asyncz.executors._safe_logging import logger

_IDLE_SECONDS = 1.0
_MESSAGE = "Pickling, unpickling or a log handler raised an exception outside of a run"


class HelperThreads:
    """Threads for calls of user code, which may raise anything and take any time.

    A call that finds no idle thread starts one, up to a maximum; an idle thread ends after a second. The lock protects
    the calls and the counts, and no user code is called under it.

    Args:
        name: Name of the threads.
        maximum: Maximum number of threads.
    """

    def __init__(self, name: str, maximum: int = 64) -> None:
        self._name = name
        self._maximum = maximum
        self._condition = threading.Condition()
        self._calls: deque[Callable[[], object]] = deque()
        self._threads = 0
        self._idle = 0

    def call(self, call: Callable[[], object]) -> None:
        """Make a call soon, in another thread. Thread-safe."""
        with self._condition:
            self._calls.append(call)
            # An idle thread takes one call, and wakes up some time after it was notified.
            if self._idle >= len(self._calls):
                self._condition.notify()
                return
            if self._threads >= self._maximum:
                return
            self._threads += 1
        try:
            # Daemons: the interpreter's exit must not wait for a call that hangs.
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        except RuntimeError:
            # No thread can be started at the moment: another one makes the call, or this one if there is none.
            with self._condition:
                self._threads -= 1
                if self._threads:
                    return
            self._run_pending()

    def _run(self) -> None:
        while (call := self._next()) is not None:
            _make(call)
            # Else the thread would keep the objects of the call while it is idle.
            del call

    def _next(self) -> Callable[[], object] | None:
        """Return the next call; None, and count this thread out, if there was none for a while."""
        with self._condition:
            if not self._calls:
                self._idle += 1
                self._condition.wait(_IDLE_SECONDS)
                self._idle -= 1
            if self._calls:
                return self._calls.popleft()
            self._threads -= 1
            return None

    def _run_pending(self) -> None:
        while True:
            with self._condition:
                if not self._calls:
                    return
                call = self._calls.popleft()
            _make(call)


class OrderedCalls:
    """Calls that helper threads make one after another, in order.

    `call` and `is_idle` are for one thread, which adds the calls. A helper thread that finds no call left notes that
    under the lock, so that the next call asks for a thread again.

    Args:
        threads: Threads that make the calls.
    """

    def __init__(self, threads: HelperThreads) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._calls: deque[Callable[[], object]] = deque()
        self._is_idle = True

    @property
    def is_idle(self) -> bool:
        """True if all calls have returned."""
        with self._lock:
            return self._is_idle

    def call(self, call: Callable[[], object]) -> None:
        """Make a call after the earlier ones."""
        with self._lock:
            self._calls.append(call)
            is_served = not self._is_idle
            self._is_idle = False
        if not is_served:
            self._threads.call(self._serve)

    def _serve(self) -> None:
        while True:
            with self._lock:
                if not self._calls:
                    self._is_idle = True
                    return
                call = self._calls.popleft()
            _make(call)


def _make(call: Callable[[], object]) -> None:
    try:
        call()
    except BaseException:
        logger.exception(_MESSAGE)
