"""A scheduler on a given clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from typing_extensions import override

from asyncz import AsyncIOScheduler, IntervalTrigger, TaskTimeoutError
from asyncz.clock import SystemClock
from asyncz.protocols import ClockClient
from asyncz.testing import FakeClock
from asyncz.testing.clock import FakeTimer
from tests.helpers.payloads import do_nothing
from tests.helpers.times import START

pytestmark = pytest.mark.anyio

HOURLY = IntervalTrigger(hours=1)


async def test_timeout_follows_given_clock() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        handle = scheduler.add_task(asyncio.Event().wait, trigger=None, timeout=3600).run()
        await clock.advance(3599)
        assert not handle.done()
        await clock.advance(1)
        with pytest.raises(TaskTimeoutError):
            await handle


async def test_duration_does_not_change_with_clock() -> None:
    """Measure the duration of a run by the monotonic time of the clock, which nobody sets."""
    clock, go_on = FakeClock(), asyncio.Event()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        handle = scheduler.add_task(go_on.wait, trigger=None).run()
        await clock.advance(5)
        clock.set(START + timedelta(days=1))
        go_on.set()
        details = (await handle.notification()).details
    assert details.started_at == START
    assert details.duration == 5


class DrivingClock(FakeClock):
    """Clock that records the delays of its timers, and the schedulers that it drives."""

    def __init__(self) -> None:
        super().__init__()
        self.delays: list[float] = []
        self.driven: list[ClockClient] = []

    @override
    def call_later(self, delay: float, callback: Callable[[], object], /) -> FakeTimer:
        self.delays.append(delay)
        return super().call_later(delay, callback)

    @override
    def attach(self, client: ClockClient, /) -> None:
        self.driven.append(client)
        super().attach(client)

    @override
    def detach(self, client: ClockClient, /) -> None:
        self.driven.remove(client)
        super().detach(client)


async def test_driving_clock_is_not_polled() -> None:
    """Set no timer without a due time, because a clock that drives a scheduler reports when it is set."""
    clock = DrivingClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        await clock.advance(60)
        assert clock.delays == []
        scheduler.add_task(do_nothing, trigger=HOURLY)
        await clock.advance()
        assert clock.delays == [3600]


async def test_clock_drives_scheduler_until_shutdown() -> None:
    clock = DrivingClock()
    for _ in range(2):
        async with AsyncIOScheduler(clock=clock):
            assert len(clock.driven) == 1
        assert clock.driven == []


class PolledClock(SystemClock):
    """Real clock that records the delays of its timers."""

    def __init__(self) -> None:
        self.delays: list[float] = []

    @override
    def call_later(self, delay: float, callback: Callable[[], object], /) -> asyncio.TimerHandle:
        self.delays.append(delay)
        return super().call_later(delay, callback)


async def test_other_clock_is_read_every_ten_seconds() -> None:
    """Set a timer for ten seconds at the most: a system clock can be set, and does not report that."""
    clock = PolledClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(do_nothing, trigger=HOURLY)
        await asyncio.sleep(0)
        assert task.next_run_at is not None
    assert set(clock.delays) == {10.0}
