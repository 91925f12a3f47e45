"""Mistakes with the clock of the machine."""

from __future__ import annotations

from asyncz import SystemClock

clock = SystemClock()
SystemClock(3)  # E
clock.now().year  # E
clock.call_later(1, 3)  # E
clock.call_later("1 s", print)  # E
clock.call_later(1, print, "text")  # E
clock.advance(1)  # E
