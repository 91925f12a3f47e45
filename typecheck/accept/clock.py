"""The clock of the machine."""

from __future__ import annotations

import asyncio
from typing import assert_type

from asyncz import AsyncIOScheduler, Clock, SystemClock

clock = SystemClock()
as_clock: Clock = clock
scheduler = AsyncIOScheduler(clock=clock)


def system_clock() -> None:
    assert_type(clock.now(), float)
    assert_type(clock.call_later(1.5, print), asyncio.TimerHandle)
