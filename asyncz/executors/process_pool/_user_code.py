"""Threads that call user code on behalf of the supervisor, which never calls any itself.

Pickling, unpickling and log handlers may raise anything and take any time. Calls that must keep an order, such as the
log records of a worker and the outcome of its run, share a `Lane`. Lanes are independent of each other: if a call takes
longer than 20 ms, another thread takes the lanes that wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from asyncz.executors._safe_logging import logger

_SECONDS_UNTIL_HELP = 0.02
_MAX_THREADS = 64
_CALLS_AT_ONCE = 64
_SECONDS_TO_DRAIN = 1.0


class Lane:
    """Calls that are made one after another, in order.

    Attributes:
        is_scheduled: False if all calls have returned.
    """

    __slots__ = ("calls", "is_scheduled")

    def __init__(self) -> None:
        self.calls: deque[Callable[[], None]] = deque()
        self.is_scheduled = False


class UserCodeThreads:
    """Threads that make the calls of lanes.

    `call` and `help_late_lanes` are for the supervisor's thread. The lock protects `_lanes`, the counts, and `calls`
    and `is_scheduled` of every lane; user code is never called under it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._condition = threading.Condition()
        self._lanes: deque[Lane] = deque()
        self._threads = 0
        self._idle = 0
        self._last_progress = 0.0
        self._closed = False

    def call(self, lane: Lane, call: Callable[[], None]) -> None:
        """Make a call after the earlier calls of its lane."""
        with self._condition:
            lane.calls.append(call)
            if lane.is_scheduled:
                return
            lane.is_scheduled = True
            if not self._lanes:
                self._last_progress = time.monotonic()
            self._lanes.append(lane)
            if self._idle:
                self._condition.notify()
                return
            missing = self._threads == 0
        if missing:
            self._start_thread()

    def help_late_lanes(self, now: float) -> float | None:
        """Start another thread if a lane has waited for too long.

        Returns:
            The time of the next call, None if it is not needed.
        """
        with self._condition:
            if not self._lanes or self._closed:
                return None
            at = self._last_progress + _SECONDS_UNTIL_HELP
            if self._threads and now < at:
                return at
            self._last_progress = now
        self._start_thread()
        return now + _SECONDS_UNTIL_HELP

    def close(self) -> None:
        """Stop the threads after the calls that wait. Calls that take longer than a second are left behind."""
        deadline = time.monotonic() + _SECONDS_TO_DRAIN
        with self._condition:
            self._closed = True
            self._condition.notify_all()
            while self._threads and (left := deadline - time.monotonic()) > 0:
                self._condition.wait(left)

    def _start_thread(self) -> None:
        with self._condition:
            if self._threads >= _MAX_THREADS:
                return
            self._threads += 1
        try:
            threading.Thread(target=self._run, name=f"{self._name}-user-code", daemon=True).start()
        except RuntimeError:
            # No thread can be started at the moment: `help_late_lanes` tries again.
            with self._condition:
                self._threads -= 1

    def _run(self) -> None:
        try:
            while (lane := self._next_lane()) is not None:
                self._serve(lane)
        finally:
            with self._condition:
                self._threads -= 1
                self._condition.notify_all()

    def _next_lane(self) -> Lane | None:
        with self._condition:
            while not self._lanes:
                # One thread that waits is enough: the others were started because a call took long.
                if self._closed or self._idle:
                    return None
                self._idle += 1
                self._condition.wait()
                self._idle -= 1
            self._last_progress = time.monotonic()
            return self._lanes.popleft()

    def _serve(self, lane: Lane) -> None:
        """Make some calls of a lane, then let the other lanes have their turn."""
        for _ in range(_CALLS_AT_ONCE):
            with self._condition:
                if not lane.calls:
                    lane.is_scheduled = False
                    return
                call = lane.calls.popleft()
            try:
                call()
            except BaseException as error:
                _log_failure(error)
            # The next call may take long: do not keep this one's objects until then.
            del call
        with self._condition:
            self._lanes.append(lane)


def _log_failure(error: BaseException) -> None:
    logger.error("User code of a process pool raised an exception outside of a run", exc_info=error)
