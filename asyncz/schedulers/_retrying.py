"""Further attempts that wait for their delay, or for a slot after a rejection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

import attrs
from typing_extensions import TypeVar

from asyncz._run_ids import RunKey
from asyncz.events import TaskError
from asyncz.protocols import Clock, Timer
from asyncz.schedulers._live_run import LiveRun

ResultT = TypeVar("ResultT")

# Seconds after which a rejected attempt is submitted again, if no run of its task has ended before.
_REJECTED_DELAY = 1.0


@attrs.define(eq=False)
class PendingAttempt(Generic[ResultT]):
    """An attempt that was not submitted yet.

    Attributes:
        run: The attempt.
        failure: Outcome of the attempt before, which becomes that of the run if this one is not made.
        timer: Ends the delay.
        rejected: True if the attempt was rejected before.
    """

    run: LiveRun[ResultT]
    failure: TaskError
    timer: Timer
    rejected: bool = False


class Retrying(Generic[ResultT]):
    """Pending attempts of one task by the keys of their runs. For the loop's thread."""

    __slots__ = ("_clock", "_pending")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending: dict[RunKey, PendingAttempt[ResultT]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def schedule(self, run: LiveRun[ResultT], failure: TaskError, delay: float, on_delay: Callable[[], object]) -> None:
        """Call `on_delay` after a delay; it is to `withdraw` the attempt and submit it."""
        self._pending[run._key] = PendingAttempt(run, failure, self._clock.call_later(delay, on_delay))

    def schedule_again(self, attempt: PendingAttempt[ResultT], on_delay: Callable[[], object]) -> None:
        """Keep an attempt that was withdrawn and then rejected."""
        attempt.rejected = True
        attempt.timer = self._clock.call_later(_REJECTED_DELAY, on_delay)
        self._pending[attempt.run._key] = attempt

    def rejected(self) -> tuple[RunKey, ...]:
        """Return the keys of the runs with rejected attempts."""
        return tuple(key for key, attempt in self._pending.items() if attempt.rejected)

    def withdraw(self, key: RunKey) -> PendingAttempt[ResultT] | None:
        """Remove and return the pending attempt of a run; None if the run has none."""
        attempt = self._pending.pop(key, None)
        if attempt is not None:
            attempt.timer.cancel()
        return attempt

    def withdraw_all(self) -> tuple[PendingAttempt[ResultT], ...]:
        """Remove and return all pending attempts."""
        pending, self._pending = self._pending, dict[RunKey, PendingAttempt[ResultT]]()
        for attempt in pending.values():
            attempt.timer.cancel()
        return tuple(pending.values())
