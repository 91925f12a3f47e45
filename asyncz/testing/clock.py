"""A clock that a test moves."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime

import attrs


@attrs.define(eq=False)
class FakeTimer:
    """A call that a `FakeClock` makes when its time has come."""

    callback: Callable[[], object] | None

    def cancel(self) -> None:
        """Do not make the call."""
        self.callback = None


class FakeClock:
    """A clock that stands still until it is moved: a scheduler's test of a day takes milliseconds.

    Args:
        now: Where it starts, a time zone aware datetime; by default 2030-01-01, midnight UTC.

    Example:
        >>> clock = FakeClock()
        >>> async with AsyncIOScheduler(clock=clock) as scheduler:
        ...     scheduler.add_task(report, trigger=IntervalTrigger(days=1))
        ...     await clock.advance(days=1)
    """

    def __init__(self, now: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._now = now.timestamp()
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._sequence = itertools.count()

    def now(self) -> float:
        """Seconds since the epoch, UTC. May be called from any thread."""
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> FakeTimer:
        """Call `callback` once the clock was moved by `delay` seconds."""
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (self._now + delay, next(self._sequence), timer))
        return timer

    def set(self, now: datetime) -> None:
        """Set the clock, as an administrator would: no timer follows it."""
        self._now = now.timestamp()

    async def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Move the clock, making each call at its time, and let the loop do what follows from it.

        What takes a thread or a process takes real time: await the runs themselves.
        """
        target = self._now + seconds + 60 * (minutes + 60 * (hours + 24 * days))
        await _settled()
        while self._timers and self._timers[0][0] <= target:
            at, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                self._now = max(self._now, at)
                timer.callback()
                await _settled()
        self._now = target
        await _settled()


async def _settled() -> None:
    # Callbacks that callbacks schedule take a turn of the loop each; this is deeper than any chain of ours.
    for _ in range(10):
        await asyncio.sleep(0)
