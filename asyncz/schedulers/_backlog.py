"""Due runs that wait in the scheduler for a slot, and the overlap policies."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, Never

import attrs
from typing_extensions import TypeVar

from asyncz.limits import TaskLimits
from asyncz.protocols import Timer

ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)


@attrs.frozen(eq=False)
class DueRun(Generic[ResultT_co]):
    """A run that is due.

    Attributes:
        at: Time at which it came due, in seconds since the epoch.
        call: Function to call; None for the one of the task.
        must_run: True if an executor with a full queue is asked again later. If False, the run is rejected.
    """

    at: float
    call: Callable[[], ResultT_co | Awaitable[ResultT_co]] | None = None
    must_run: bool = False


@attrs.frozen
class OverlapDecision(Generic[ResultT_co]):
    """Consequences of the overlap policy for the other runs of a task.

    Attributes:
        cancel_oldest: True if the cancellation of the oldest live run is requested.
        rejected: Runs that gave way.
    """

    cancel_oldest: bool = False
    rejected: tuple[DueRun[ResultT_co], ...] = ()


_NO_CONSEQUENCES: OverlapDecision[Never] = OverlapDecision()


class Backlog(Generic[ResultT]):
    """Queue of the due runs of one task. For the loop's thread.

    Attributes:
        timer: Asks an executor again that has rejected the first run of the queue.
    """

    __slots__ = ("_waiting", "timer")

    def __init__(self) -> None:
        self._waiting: deque[DueRun[ResultT]] = deque()
        self.timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def next(self) -> DueRun[ResultT]:
        """Return the run that waits longest."""
        return self._waiting[0]

    @property
    def first_due(self) -> float | None:
        """Return the due time of the run that waits longest. Thread-safe."""
        try:
            return self._waiting[0].at
        except IndexError:
            return None

    def pop(self) -> DueRun[ResultT]:
        """Remove and return the run that waits longest."""
        return self._waiting.popleft()

    def append(self, due: DueRun[ResultT]) -> None:
        """Add a run without regard to the overlap policy."""
        self._waiting.append(due)

    def admit(self, due: DueRun[ResultT], limits: TaskLimits, live_runs: int) -> OverlapDecision[ResultT]:
        """Add a run for which there is no slot, under any policy but `skip`, and decide about the other runs.

        Runs that must run follow `coalesce`: the latest one waits, or all of them.
        """
        overlap = limits.overlap_policy
        if due.must_run:
            overlap = "queue_one" if limits.coalesce else "queue_all"
        self._waiting.append(due)
        if overlap == "queue_all":
            return _NO_CONSEQUENCES
        capacity = 1 if overlap == "queue_one" else limits.max_instances
        # Rejected with an event each: no due run disappears silently.
        rejected = tuple(self._waiting.popleft() for _ in range(len(self._waiting) - capacity))
        return OverlapDecision(overlap == "cancel_running" and live_runs >= limits.max_instances, rejected)

    def take_all(self) -> tuple[DueRun[ResultT], ...]:
        """Remove and return all runs."""
        self.stop_timer()
        waiting, self._waiting = self._waiting, deque()
        return tuple(waiting)

    def stop_timer(self) -> None:
        """Cancel the timer, if one is set."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
