"""Mistakes with what tests of programs use."""

from __future__ import annotations

from datetime import timedelta

from asyncz import SystemClock, Timer
from asyncz.testing import FakeClock

clock = FakeClock()
FakeClock(0.0)  # E
FakeClock("2030-01-01")  # E
clock.set(0.0)  # E
clock.now = 3.5  # E
clock.call_later(1, 3)  # E
clock.call_later("1 s", print)  # E
clock.call_later(1, print, "text")  # E
clock.now().year  # E
system: SystemClock = clock  # E
timer: Timer = clock.now()  # E


async def moved() -> None:
    clock.advance(1)  # E
    await clock.advance("1 s")  # E
    await clock.advance(timedelta(seconds=1))  # E
    await clock.advance(1, 2)  # E
    await clock.advance(weeks=1)  # E
