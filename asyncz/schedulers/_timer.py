"""The timer that handles due items and follows the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Generic

from typing_extensions import TypeVar

from asyncz._unsafe import as_driving_clock
from asyncz.clock import utc
from asyncz.protocols import Timer
from asyncz.schedulers._inbox import TIME_SLICE
from asyncz.schedulers._runtime import Runtime
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._timetable import Due, Timetable

DueT = TypeVar("DueT", bound=Due)

# A system clock can be set, or go on while the machine sleeps: the timer reads it at least every so many seconds.
_MAX_SLEEP = 10.0
# Calls in the inbox that due items may add before the calls are made: the calls of a whole time slice would be many.
_MAX_ADDED_CALLS = 32
# Seconds by which a clock has to be set back to count as that, and not as a small correction.
_CLOCK_STEP = 1.0


class DueTimer(Generic[DueT]):
    """Timetable and the one timer of a scheduler. For the loop's thread.

    Args:
        runtime: Shared state of the scheduler.
        all_items: Returns all items. Their schedules are restarted if the clock is set back.
    """

    def __init__(self, runtime: Runtime, all_items: Callable[[], Iterable[DueT]]) -> None:
        self._runtime = runtime
        self._all_items = all_items
        self._timetable: Timetable[DueT] = Timetable()
        self._handle: Timer | None = None
        self._due_at = 0.0
        self._last_seen = 0.0
        self._is_dispatching = False
        # A clock that drives its schedulers reports when it is set.
        self._max_sleep = float("inf") if as_driving_clock(runtime.clock) is not None else _MAX_SLEEP

    def __len__(self) -> int:
        """Return the number of entries in the timetable, outdated ones included."""
        return len(self._timetable)

    @property
    def earliest(self) -> float | None:
        """Return the due time of the next item, in seconds since the epoch; None if the timetable is empty."""
        return self._timetable.earliest

    def start(self) -> None:
        """Note the time at which the scheduler starts; `arm` sets the timer."""
        self._last_seen = self._runtime.clock.now()

    def schedule(self, item: DueT, at: float) -> None:
        """Call `on_due` of an item at a time, in seconds since the epoch."""
        self._timetable.put(item, at)
        if not self._is_dispatching and (self._handle is None or at < self._due_at):
            self.arm()

    def unschedule(self, item: DueT) -> None:
        """Do not call `on_due` of an item."""
        self._timetable.remove(item)

    def arm(self) -> None:
        """Set the timer for the earliest item, if the scheduler is running."""
        self.disarm()
        runtime = self._runtime
        if runtime.status != "running":
            return
        now = runtime.clock.now()
        earliest = self._timetable.earliest
        latest = now + self._max_sleep
        self._due_at = latest if earliest is None else min(earliest, latest)
        if self._due_at != float("inf"):
            self._handle = runtime.clock.call_later(max(0.0, self._due_at - now), self._on_timer)

    def disarm(self) -> None:
        """Cancel the timer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def check_clock(self) -> None:
        """Look at the clock, which was set."""
        self.disarm()
        self._on_timer()

    def _on_timer(self) -> None:
        self._handle = None
        # Not in the context of the caller that happened to set the timer.
        self._runtime.inbox.new_context().run(self._dispatch_due)

    def _dispatch_due(self) -> None:
        """Handle due items for one time slice; the rest has to wait until the loop has made its other calls."""
        runtime = self._runtime
        now = runtime.clock.now()
        if runtime.status == "running" and now < self._last_seen - _CLOCK_STEP:
            self._restart_schedules(now)
        self._last_seen = now
        inbox, clock, now_utc = runtime.inbox, time.perf_counter, utc(now)
        calls = inbox.calls
        deadline = clock() + TIME_SLICE
        # Many calls may be in the inbox before: making them at once would take the time slice from the due items.
        max_calls = len(inbox) + _MAX_ADDED_CALLS
        self._is_dispatching = True
        try:
            for at, item in self._timetable.due(now) if runtime.status == "running" else ():
                item.on_due(at, now_utc)
                if len(calls) >= max_calls:
                    inbox.make_calls(deadline)
                    max_calls = len(calls) + _MAX_ADDED_CALLS
                if clock() > deadline or runtime.status != "running":
                    return
            inbox.make_calls(deadline)
        finally:
            self._is_dispatching = False
            self.arm()

    def _restart_schedules(self, now: float) -> None:
        logger.warning("The clock was set back by %.0f seconds; all schedules are restarted", self._last_seen - now)
        for item in self._all_items():
            item.restart_schedule(utc(now))
