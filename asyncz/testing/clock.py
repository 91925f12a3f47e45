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
from asyncz.schedulers import AsyncIOScheduler


@attrs.define(eq=False)
class FakeTimer:
    """A call that a `FakeClock` makes when its time has come."""

    callback: Callable[[], object] | None

    def cancel(self) -> None:
        """Do not make the call."""
        self.callback = None

    def _go_off(self, raised: list[BaseException]) -> None:
        try:
            if self.callback is not None:
                self.callback()
        except BaseException as error:
            raised.append(error)


class FakeClock:
    """A clock that stands still until it is moved: a scheduler's test of a year takes milliseconds.

    One clock serves any number of schedulers on one loop; what is due on them is submitted in the order
    of its time.

    Args:
        now: Where it starts, a time zone aware datetime; by default 2030-01-01, midnight UTC.
        hang_timeout: After how many real seconds `advance` no longer waits for runs; a test that hangs fails.

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
        self._now = _timestamp(now)
        self._hang_timeout = hang_timeout
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._sequence = itertools.count()
        self._schedulers: dict[int, AsyncIOScheduler] = {}
        self._was_set = False

    def now(self) -> float:
        """Seconds since the epoch, UTC. May be called from any thread."""
        return self._now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> FakeTimer:
        """Call `callback` once the clock was moved by `delay` seconds. For the loop's thread only."""
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (self._now + delay, next(self._sequence), timer))
        scheduler = _scheduler_of(callback)
        if scheduler is not None:
            self._schedulers[id(scheduler)] = scheduler
        return timer

    def set(self, now: datetime) -> None:
        """Set the clock, as an administrator would: no timer follows it.

        Raises:
            InvalidInputError: `now` has no time zone.
        """
        self._now = _timestamp(now)
        self._was_set = True

    async def advance(
        self,
        seconds: float = 0,
        *,
        minutes: float = 0,
        hours: float = 0,
        days: float = 0,
        wait_for_runs: bool = False,
    ) -> None:
        """Move the clock, making each call at its time, and let the loop do what follows from it.

        Without `wait_for_runs` the time goes on as soon as the loop has nothing to do at once: runs that
        take real time, in a thread, in a process or by awaiting something, may still run when the next
        ones are due. With it, everything that is due has ended before the time goes on, so that what a
        test sees does not depend on the speed of the machine.

        Args:
            seconds: How far, together with the following.
            minutes: Minutes.
            hours: Hours.
            days: Days of 24 hours.
            wait_for_runs: Let the runs of all its schedulers end before the time goes on. Leave it out
                where a run waits for something that the test does later.

        Raises:
            InvalidInputError: It would go back; see `set`.
            RunsNotFinishedError: With `wait_for_runs`, runs have not ended in time.
        """
        distance = seconds + 60 * (minutes + 60 * (hours + 24 * days))
        if not distance >= 0:
            raise InvalidInputError(
                "the distance of advance()", f"{distance} seconds", "time goes on; use set() instead"
            )
        target = self._now + distance
        await self._settle(wait_for_runs)
        while self._timers and self._timers[0][0] <= target:
            at, _, timer = heapq.heappop(self._timers)
            if timer.callback is None:
                continue
            self._now = max(self._now, min(target, self._next_event_after(at, timer)))
            # As by a real clock: a coroutine that is started within this one would wait where others do not.
            raised: list[BaseException] = []
            asyncio.get_running_loop().call_soon(timer._go_off, raised)
            await self._settle(wait_for_runs)
            for error in raised:
                raise error
        self._now = max(self._now, target)
        self._was_set = False
        await self._settle(wait_for_runs)

    def _next_event_after(self, at: float, timer: FakeTimer) -> float:
        """When something can happen, for a timer that is to go off at `at`.

        A scheduler looks at its clock every few seconds even where nothing is due, as a real clock may
        be set at any time. A look that finds nothing is put off until something else happens.
        """
        scheduler = None if timer.callback is None else _scheduler_of(timer.callback)
        if scheduler is None or self._was_set:
            return at
        due = scheduler._core.timetable.earliest
        others = self._timers[0][0] if self._timers else float("inf")
        return max(at, min(others, float("inf") if due is None else due))

    async def _settle(self, wait_for_runs: bool) -> None:
        await self._let_the_loop_go_on()
        if not wait_for_runs:
            return
        abandon_at = time.monotonic() + self._hang_timeout
        # A short run in a thread has ended before the shortest sleep would be over.
        naps = itertools.chain(itertools.repeat(0.0, 5), itertools.repeat(0.001))
        while running := self._running_tasks():
            if time.monotonic() > abandon_at:
                raise RunsNotFinishedError(running, self._hang_timeout)
            await asyncio.sleep(next(naps))
        await self._let_the_loop_go_on()

    async def _let_the_loop_go_on(self) -> None:
        loop = asyncio.get_running_loop()
        # Callbacks that callbacks schedule take a turn of the loop each; this is deeper than any chain of ours.
        for _ in range(10):
            await asyncio.sleep(0)
            for scheduler in tuple(self._schedulers.values()):
                inbox = scheduler._core.inbox
                # For what it has to do a scheduler may need several turns, and on a busy machine does.
                if inbox.calls and inbox.is_on(loop):
                    all_made = asyncio.Event()
                    inbox.put(all_made.set)
                    await all_made.wait()

    def _running_tasks(self) -> tuple[str, ...]:
        running: list[str] = []
        for scheduler in self._schedulers.values():
            core = scheduler._core
            # Not by its state, which is built anew at each look.
            with core.lock:
                entries = list(core.entries.values())
            # A run that waits for its next attempt waits for this clock.
            running += (entry.task.id for entry in entries if entry.run_count() > len(entry.attempts or ()))
        return tuple(running)


def _scheduler_of(callback: Callable[[], object]) -> AsyncIOScheduler | None:
    """The scheduler that a callback is a method of: a scheduler sets its timer so."""
    owner: object = getattr(callback, "__self__", None)
    return owner if isinstance(owner, AsyncIOScheduler) else None


def _timestamp(now: datetime) -> float:
    if now.tzinfo is None:
        raise InvalidInputError("the time of a FakeClock", repr(now), "it needs a time zone, such as UTC")
    return now.timestamp()
