"""A clock that a test moves."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime

import attrs

from asyncz.exceptions import InvalidInputError, RunsNotFinishedError
from asyncz.protocols import ClockClient

# Callbacks that schedule callbacks take an iteration of the loop each; no chain of the scheduler is longer than this.
_MAX_CHAINED_CALLBACKS = 10


@attrs.define(eq=False)
class FakeTimer:
    """Call that a `FakeClock` makes when its time has come.

    Attributes:
        callback: Function to call; None once the timer was cancelled.
    """

    callback: Callable[[], object] | None

    def cancel(self) -> None:
        """Cancel the call."""
        self.callback = None

    def _call(self, raised: list[BaseException]) -> None:
        try:
            if self.callback is not None:
                self.callback()
        except BaseException as error:
            raised.append(error)


class FakeClock:
    """Clock that moves only when a test moves it: a year of schedules takes milliseconds.

    One clock drives any number of schedulers on one loop; their due runs are submitted in the order of their times.

    Args:
        now: Initial time, a time zone aware datetime; by default 2030-01-01, midnight UTC.
        hang_timeout: Real seconds after which `advance` stops waiting for runs, so that a test that hangs fails.

    Raises:
        InvalidInputError: `now` has no time zone.

    Example:
        >>> clock = FakeClock()
        >>> async with AsyncIOScheduler(clock=clock) as scheduler:
        ...     task = scheduler.add_task(report, trigger=IntervalTrigger(days=1), executor="threadpool")
        ...     await clock.advance(days=7, wait_for_runs=True)
        ...     assert task.state.executed == 7
    """

    def __init__(self, now: datetime = datetime(2030, 1, 1, tzinfo=UTC), *, hang_timeout: float = 10.0) -> None:
        # Timers go by a time that `set` does not change, as on a real machine. Both are equal until then.
        self._monotonic = _timestamp(now)
        self._offset = 0.0
        self._hang_timeout = hang_timeout
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._sequence = itertools.count()
        self._clients: list[ClockClient] = []

    def now(self) -> float:
        """Return the time in seconds since the epoch. Thread-safe."""
        return self._monotonic + self._offset

    def monotonic(self) -> float:
        """Return a time that `set` does not change: durations and time limits go by it. Thread-safe."""
        return self._monotonic

    def call_later(self, delay: float, callback: Callable[[], object], /) -> FakeTimer:
        """Call `callback` once the clock has moved by `delay` seconds. For the loop's thread only."""
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (self._monotonic + delay, next(self._sequence), timer))
        return timer

    def attach(self, client: ClockClient, /) -> None:
        """Drive a scheduler, which calls this at its start."""
        self._clients.append(client)

    def detach(self, client: ClockClient, /) -> None:
        """Stop driving a scheduler."""
        if client in self._clients:
            self._clients.remove(client)

    def set(self, now: datetime) -> None:
        """Set the clock, as an administrator does: timers are not affected, and the schedulers look at the clock.

        Raises:
            InvalidInputError: `now` has no time zone.
        """
        self._offset = _timestamp(now) - self._monotonic
        for client in self._clients:
            client.clock_set()

    async def advance(
        self,
        seconds: float = 0,
        *,
        minutes: float = 0,
        hours: float = 0,
        days: float = 0,
        wait_for_runs: bool = False,
    ) -> None:
        """Move the clock, make each timer's call at its time, and let the loop handle the consequences.

        Without `wait_for_runs` the clock moves on as soon as the loop is idle: runs that take real time, in a thread,
        in a process or by awaiting, may still be running when the next ones are due. With it, all runs have ended
        before the clock moves on, so that a test does not depend on the speed of the machine.

        Args:
            seconds: Distance in seconds, added to the following ones.
            minutes: Minutes.
            hours: Hours.
            days: Days of 24 hours.
            wait_for_runs: Let the runs of all schedulers end before the clock moves on. Leave it out if a run waits
                for something that the test does later.

        Raises:
            InvalidInputError: The distance is negative; use `set`.
            RunsNotFinishedError: With `wait_for_runs`, runs have not ended in time.
        """
        distance = seconds + 60 * (minutes + 60 * (hours + 24 * days))
        if not distance >= 0:
            raise InvalidInputError(
                "the distance of advance()", f"{distance} seconds", "it must not be negative; use set() to go back"
            )
        target = self._monotonic + distance
        await self._settle(wait_for_runs)
        while self._timers and self._timers[0][0] <= target:
            at, _, timer = heapq.heappop(self._timers)
            if timer.callback is None:
                continue
            self._monotonic = max(self._monotonic, at)
            # By the loop, as a real timer: a run that starts inside a coroutine may behave differently.
            raised: list[BaseException] = []
            asyncio.get_running_loop().call_soon(timer._call, raised)
            await self._settle(wait_for_runs)
            for error in raised:
                raise error
        self._monotonic = max(self._monotonic, target)
        await self._settle(wait_for_runs)

    async def _settle(self, wait_for_runs: bool) -> None:
        await self._let_loop_go_on()
        if not wait_for_runs:
            return
        give_up_at = time.monotonic() + self._hang_timeout
        # A short run in a thread ends before the shortest real sleep does.
        naps = itertools.chain(itertools.repeat(0.0, 5), itertools.repeat(0.001))
        while running := self._running_tasks():
            if time.monotonic() > give_up_at:
                raise RunsNotFinishedError(running, self._hang_timeout)
            await asyncio.sleep(next(naps))
        await self._let_loop_go_on()

    async def _let_loop_go_on(self) -> None:
        for _ in range(_MAX_CHAINED_CALLBACKS):
            await asyncio.sleep(0)
            for client in tuple(self._clients):
                await client.settle()

    def _running_tasks(self) -> tuple[str, ...]:
        return tuple(task_id for client in self._clients for task_id in client.running_tasks())


def _timestamp(now: datetime) -> float:
    if now.tzinfo is None:
        raise InvalidInputError("the time of a FakeClock", repr(now), "it needs a time zone, such as UTC")
    return now.timestamp()
