"""Fake clock for tests of schedules."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from typing_extensions import override

from asyncz import AsyncIOScheduler, IntervalTrigger, InvalidInputError, Retry, RunsNotFinishedError, TaskExecuted
from asyncz.testing import FakeClock
from asyncz.testing.clock import FakeTimer
from tests.helpers.payloads import Flaky
from tests.helpers.times import START

pytestmark = pytest.mark.anyio


def work_for_a_while() -> str:
    time.sleep(0.01)
    return "done"


async def await_for_a_while() -> str:
    await asyncio.sleep(0.01)
    return "done"


@pytest.mark.parametrize("executor", ["asyncio", "threadpool", "processpool", "debug"])
async def test_advance_runs_daily_task_on_each_day(executor: str) -> None:
    clock = FakeClock()
    finished: list[datetime | None] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        for function in (work_for_a_while, await_for_a_while):
            task = scheduler.add_task(function, trigger=IntervalTrigger(days=1), executor=executor)
            task.on_executed(lambda event: finished.append(event.details.finished_at))
        await clock.advance(days=7, wait_for_runs=True)
        assert scheduler.state.rejected == 0
    days = [START + timedelta(days=day) for day in range(1, 8)]
    assert finished == sorted(days * 2)


@pytest.mark.usefixtures("cut_slices")
async def test_advance_waits_for_busy_scheduler() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        tasks = [scheduler.add_task(pow, 2, 2, trigger=IntervalTrigger(days=day)) for day in range(50, 0, -1)]
        await clock.advance(days=1)
        assert tasks[-1].state.executed == 1


async def test_advance_ignores_stopped_scheduler() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as over:
        await clock.advance()
    over.add_task(pow, 2, 2)
    async with asyncio.timeout(30), AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(pow, 2, 2, trigger=IntervalTrigger(days=1), executor="debug")
        await clock.advance(days=2, wait_for_runs=True)
        assert task.state.executed == 2


def test_advance_ignores_closed_loop() -> None:
    clock = FakeClock()
    left = AsyncIOScheduler(clock=clock)

    async def main() -> None:
        async with asyncio.timeout(30), AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(pow, 2, 2, trigger=IntervalTrigger(days=1), executor="debug")
            await clock.advance(days=2)
            assert task.state.executed == 2

    loop = asyncio.new_event_loop()
    loop.run_until_complete(left.start())
    loop.run_until_complete(clock.advance())
    left.add_task(pow, 2, 2)
    loop.close()
    asyncio.run(main())


async def test_advance_ends_despite_endless_submissions() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(pow, 2, 2, trigger=None, executor="debug")
        task.on_executed(lambda _: task.submit())
        task.submit()
        await clock.advance(seconds=1)
        executed = task.state.executed
        await clock.advance(seconds=1)
        assert task.state.executed > executed > 0


async def test_advance_orders_schedulers_by_time() -> None:
    clock = FakeClock()
    order: list[str] = []

    def heard(name: str) -> Callable[[TaskExecuted[str]], None]:
        return lambda _: order.append(name)

    async with AsyncIOScheduler(clock=clock) as first, AsyncIOScheduler(clock=clock) as second:
        for name, scheduler, hours in (("every 2", first, 2), ("every 3", second, 3)):
            task = scheduler.add_task(work_for_a_while, trigger=IntervalTrigger(hours=hours), executor="threadpool")
            task.on_executed(heard(name))
        await clock.advance(hours=5, wait_for_runs=True)
    assert order == ["every 2", "every 3", "every 2"]


async def test_advance_year_needs_few_timers() -> None:
    class CountingClock(FakeClock):
        timers = 0

        @override
        def call_later(self, delay: float, callback: Callable[[], object], /) -> FakeTimer:
            self.timers += 1
            return super().call_later(delay, callback)

    clock = CountingClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(await_for_a_while, trigger=IntervalTrigger(days=1), max_instances=400)
        await clock.advance(days=365)
        assert task.state.submitted == 365
    assert clock.timers < 3 * 365


async def test_task_added_during_advance_is_on_time() -> None:
    clock = FakeClock()
    due: list[datetime | None] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:

        def add_another() -> None:
            if not due:
                task = scheduler.add_task(work_for_a_while, trigger=IntervalTrigger(minutes=1), executor="debug")
                task.on_executed(lambda event: due.append(event.details.finished_at))

        scheduler.add_task(add_another, trigger=IntervalTrigger(days=1), executor="debug")
        await clock.advance(days=1, minutes=2)
    assert due == [START + timedelta(days=1, minutes=minutes) for minutes in (1, 2)]


async def test_advance_with_hanging_run_raises() -> None:
    clock = FakeClock(hang_timeout=0.05)
    go_on = threading.Event()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(
            go_on.wait, 30, trigger=IntervalTrigger(days=1), executor="threadpool", id="waits-for-the-test"
        )
        with pytest.raises(RunsNotFinishedError, match="waits-for-the-test"):
            await clock.advance(days=1, wait_for_runs=True)
        await clock.advance(days=1)
        assert (task.state.running, task.state.rejected) == (1, 1)
        go_on.set()
        assert await task.result()


def test_fake_clock_requires_time_zone_and_progress() -> None:
    with pytest.raises(InvalidInputError, match="time zone"):
        FakeClock(datetime(2030, 1, 1))
    clock = FakeClock()
    with pytest.raises(InvalidInputError, match="use set"):
        asyncio.run(clock.advance(-1))
    with pytest.raises(InvalidInputError, match="time zone"):
        clock.set(datetime(2030, 1, 1))
    assert clock.now() == START.timestamp()


async def test_advance_does_not_wait_for_pending_attempt() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(Flaky(2), retry=Retry(attempts=3, delay=60), trigger=None)
        handle = task.run()
        await clock.advance(seconds=59, wait_for_runs=True)
        assert (task.state.running, task.state.retrying) == (1, 1)
        await clock.advance(minutes=2, wait_for_runs=True)
        assert handle.done()
        assert await handle == 3
