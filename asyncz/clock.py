"""System clock: the only place that reads the time, so that a test can replace it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime


def utc(timestamp: float) -> datetime:
    """Return the UTC datetime of seconds since the epoch. Thread-safe."""
    return datetime.fromtimestamp(timestamp, UTC)


def in_utc(time: datetime) -> datetime:
    """Return a time zone aware datetime in UTC. Thread-safe."""
    return time.astimezone(UTC)


class SystemClock:
    """Clock of the machine: `time.time()`, and timers of the running event loop."""

    def now(self) -> float:
        """Return the seconds since the epoch, UTC. Thread-safe."""
        return time.time()

    def call_later(self, delay: float, callback: Callable[[], object], /) -> asyncio.TimerHandle:
        """Call `callback` on the running loop after `delay` seconds. For the loop's thread only."""
        return asyncio.get_running_loop().call_later(delay, callback)
