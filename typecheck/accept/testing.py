"""What tests of programs use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import assert_type

from asyncz import AsyncIOScheduler, Clock, Timer
from asyncz.testing import FakeClock
from asyncz.testing.clock import FakeTimer

clock = FakeClock()
as_clock: Clock = clock
as_timer: Timer = clock.call_later(1, lambda: None)
scheduler = AsyncIOScheduler(clock=clock)


async def fake_clock() -> None:
    assert_type(FakeClock(datetime(2030, 1, 1, tzinfo=UTC)).now(), float)
    await clock.advance(1.5)
    await clock.advance(seconds=1, minutes=2, hours=3, days=4)
    clock.set(datetime(2031, 1, 1, tzinfo=UTC))
    assert_type(clock.call_later(1.5, print), FakeTimer)
