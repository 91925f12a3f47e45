"""Schedule of a task that a store keeps: due times become runs only if the store accepts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Never

import attrs
from typing_extensions import override

from asyncz.exceptions import InvalidInputError
from asyncz.protocols import Trigger
from asyncz.schedulers._schedules import TriggerSchedule

MAX_CATCH_UP = 100
"""Maximum number of runs for the due times of a downtime, if they are not coalesced; the others count as missed."""


@attrs.frozen
class Step:
    """Step of a task from one due time to the next one that is not over.

    Attributes:
        due: Due time that the step leaves.
        next_due: Next due time; None if there are no more.
        times: Due times with a run each, in seconds since the epoch.
        missed: Number of earlier due times without a run.
    """

    due: datetime
    next_due: datetime | None
    times: tuple[float, ...]
    missed: int = 0

    def then(self, following: Step, coalesce: bool) -> Step:
        """Return this step and the one that follows it as one, because the store was slow or away meanwhile.

        Args:
            following: Step from the next due time.
            coalesce: True if only the latest due time has a run.
        """
        times = self.times + following.times
        return limited_step(
            self.due, following.next_due, times[-1:] if coalesce else times, self.missed + following.missed
        )


def limited_step(due: datetime, next_due: datetime | None, times: tuple[float, ...], missed: int) -> Step:
    """Return a step; its earliest due times are missed if there are too many."""
    excess = max(0, len(times) - MAX_CATCH_UP)
    return Step(due, next_due, times[excess:], missed + excess)


@attrs.frozen(eq=False)
class ScheduleHooks:
    """Functions that the schedule of a stored task calls.

    Attributes:
        hand_over: Takes a step of the task. Called on the loop's thread.
        encode: Returns a trigger as JSON, or raises if it cannot be stored.
        begin_call: Returns the call of a run that is submitted now.
        clock_offset: Returns the seconds by which the clock of the scheduler is ahead of that of the store.
    """

    hand_over: Callable[[Step], object]
    encode: Callable[[Trigger | None], str | None]
    begin_call: Callable[[], Callable[[], Never] | None]
    clock_offset: Callable[[], float]


class StoredSchedule(TriggerSchedule):
    """Schedule by a trigger that hands over each step to the store, and returns no due times itself.

    Each node computes the steps of each task; the store accepts a step from one of them. A new schedule has no due time
    before the store knows the task; see `continue_at`.

    Args:
        trigger: Trigger as declared, which counts from `started_at`.
        text: Trigger as JSON.
        started_at: Time from which the trigger counts.
        hooks: Functions that the schedule calls.
        upstream: Id of the task whose results the task receives; None if it receives none.

    Attributes:
        first_due: First due time of a new task.
        is_new: True if the store does not know this trigger yet.
    """

    # The store keeps tasks that are not due again.
    _ends = False

    __slots__ = (
        "_begin",
        "_missed",
        "_times",
        "declared",
        "first_due",
        "hooks",
        "is_new",
        "started_at",
        "trigger_json",
        "upstream",
    )

    def __init__(
        self,
        trigger: Trigger | None,
        text: str | None,
        started_at: datetime,
        hooks: ScheduleHooks,
        upstream: str | None = None,
    ) -> None:
        super().__init__(trigger, started_at)
        self.declared: Trigger | None = trigger
        self.trigger_json: str | None = text
        self.started_at: datetime = started_at
        self.first_due: datetime | None = self.next_due
        self.is_new: bool = False
        self.upstream: str | None = upstream
        self.hooks: ScheduleHooks = hooks
        self._begin: datetime | None = None
        self._times: tuple[float, ...] = ()
        self._missed: int = 0
        self.next_due: datetime | None = None

    @property
    @override
    def text(self) -> str:
        """Text of the trigger, or the name of the upstream task."""
        return super().text if self.upstream is None else f"after {self.upstream!r}"

    def continue_at(self, next_due: datetime | None) -> None:
        """Continue with the next due time that the store has."""
        self._begin, self._times, self._missed, self._not_before = None, (), 0, 0.0
        self._set_next(None if self._trigger is None else next_due)

    @override
    def call_on_demand(self) -> Callable[[], Never] | None:
        """Return the call of a run that is submitted now, and is going to be stored."""
        return self.hooks.begin_call()

    @override
    def replaced(self, trigger: Trigger | None, now: datetime) -> StoredSchedule:
        """Return the schedule of another trigger, which the store is going to accept or reject."""
        if self.upstream is not None:
            reason = "the task is due by the results of another one; add a separate task for the trigger"
            raise InvalidInputError("trigger", repr(trigger), reason)
        hooks = self.hooks
        start = now - timedelta(seconds=hooks.clock_offset())
        schedule = StoredSchedule(trigger, hooks.encode(trigger), start, hooks)
        schedule.is_new = True
        schedule.continue_at(schedule.first_due)
        return schedule

    @override
    def restart(self, now: datetime) -> None:
        """Do nothing: the clock of the store decides, and it was not set back."""

    @override
    def advance(self, now: datetime, coalesce: bool) -> Sequence[float]:
        """Hand over the step to the next due time after `now`; return no due times."""
        begin = self.next_due if self._begin is None else self._begin
        assert begin is not None
        times = (*self._times, *super().advance(now, coalesce))
        if self.failure is not None:
            return ()
        if self.next_due is not None and self.next_due <= now:
            # The trigger catches up in several time slices.
            step = limited_step(begin, None, times, self._missed)
            self._begin, self._times, self._missed = begin, step.times, step.missed
            return ()
        step = limited_step(begin, self.next_due, times, self._missed)
        self._begin, self._times, self._missed = None, (), 0
        self.hooks.hand_over(step)
        return ()
