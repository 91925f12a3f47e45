"""Sources of due runs: a trigger, or the results of an upstream task."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Generic, Never, Protocol

from typing_extensions import TypeVar

from asyncz._checks import is_aware
from asyncz._unsafe import as_catching_up
from asyncz.exceptions import InvalidInputError
from asyncz.protocols import Trigger
from asyncz.schedulers._submitted import MAX_RANGES, SubmittedRanges
from asyncz.triggers.base import start_trigger

ResultT_co = TypeVar("ResultT_co", covariant=True)

# Due times that are computed at once while a schedule catches up, and seconds that this may take: the loop then
# handles other tasks, because a trigger may have years to catch up with.
_MAX_DUE_TIMES = 500
_MAX_SECONDS = 0.002
# Shifts the start of a trigger in `_counts_from_start`; no interval is likely to be a divisor of this.
_PROBE = timedelta(microseconds=123_457)

# Due times that were skipped, by coalescing, for longer than this are submitted if the clock is set back to them.
_LONGEST_GAP = timedelta(minutes=1)

# Shifts due times that would be those of before the clock was set back.
_SHIFT = timedelta(microseconds=1)


class Schedule(Protocol[ResultT_co]):
    """Source of the due runs of a task."""

    @property
    def next_due(self) -> datetime | None:
        """Next due time, UTC; None if it is not known or the schedule is exhausted."""
        ...

    @property
    def is_exhausted(self) -> bool:
        """True if no run can come due any more."""
        ...

    @property
    def text(self) -> str:
        """Description for users; empty if the task runs on demand only."""
        ...

    @property
    def failure(self) -> BaseException | None:
        """Exception that ended the schedule; None if none has."""
        ...

    def advance(self, now: datetime, coalesce: bool) -> Sequence[float]:
        """Return due times up to `now`, in seconds since the epoch, and set the next one."""
        ...

    def call_on_demand(self) -> Callable[[], ResultT_co | Awaitable[ResultT_co]] | None:
        """Return the call of a run that is not due but demanded; None for the one of the task.

        Raises:
            NoResultError: The upstream task has no result.
        """
        ...


class TriggerSchedule:
    """Schedule by a trigger, which is user code: it is called here only.

    On the loop's thread, except for the constructor, which the adding thread calls outside of the lock. What the
    trigger raises there is raised; later it ends the schedule, and is kept in `failure`.

    Due times before `now` are not made up for. A trigger with one due time only, in the past, is due at once.

    Args:
        trigger: Trigger, or None for a task that runs on demand only.
        now: Current time, UTC.

    Attributes:
        due_at: `next_due` in seconds since the epoch.
        failure: Exception that the trigger raised; the schedule is over then.
        is_exhausted: True if the trigger has no more due times; a task without a trigger always runs on demand.
    """

    # False for schedules that are kept when the trigger has no more due times.
    _ends: ClassVar[bool] = True

    __slots__ = (
        "_first_due",
        "_last_due",
        "_not_before",
        "_submitted",
        "_trigger",
        "due_at",
        "failure",
        "is_exhausted",
        "next_due",
    )

    def __init__(self, trigger: Trigger | None, now: datetime) -> None:
        self._trigger = trigger
        self.failure: BaseException | None = None
        self.next_due: datetime | None = None
        self.due_at: float = 0.0
        self.is_exhausted: bool = False
        self._not_before = 0.0
        # The first and the last of the due times that were submitted, since the start of the schedule or since the
        # clock was set.
        self._first_due: datetime | None = None
        self._last_due: datetime | None = None
        # The same from before, if the clock was set back: no due time between them is submitted again.
        self._submitted: SubmittedRanges | None = None
        if trigger is not None:
            self._trigger = trigger = start_trigger(trigger, now)
            self._set_first(trigger, now)

    @property
    def text(self) -> str:
        """Text of the trigger."""
        return "" if self._trigger is None else trigger_text(self._trigger)

    def due_times(self, limit: int) -> tuple[datetime, ...]:
        """Return the next due times, at most `limit`. Thread-safe; call it outside of locks.

        What the trigger raises ends the result: the schedule handles it when the task is due.
        """
        trigger, due = self._trigger, self.next_due
        found: list[datetime] = []
        try:
            while trigger is not None and due is not None and len(found) < limit:
                found.append(due)
                following = trigger.next_due_time(due, due)
                due = None if following is None else _checked(trigger, following, due)
        except BaseException:
            return tuple(found)
        return tuple(found)

    def call_on_demand(self) -> Callable[[], Never] | None:
        """Return None: the task is called as it is."""
        return None

    def replaced(self, trigger: Trigger | None, now: datetime) -> TriggerSchedule:
        """Return the schedule of another trigger, which starts now."""
        return TriggerSchedule(trigger, now)

    def advance(self, now: datetime, coalesce: bool) -> Sequence[float]:
        """Return due times up to `now`, in seconds since the epoch, and set the next one.

        If more remain, `next_due` is still not later than `now`, and the next call goes on. With `coalesce` only the
        latest due time is returned, and none before that is known.
        """
        trigger, previous, at = self._trigger, self.next_due, self.due_at
        assert trigger is not None
        assert previous is not None
        try:
            next_due = trigger.next_due_time(previous, now)
            if next_due is None:
                self.next_due, self.is_exhausted = None, self._ends
                return (at,) if at >= self._not_before else ()
            next_due = _checked(trigger, next_due, previous)
            if next_due <= now:
                return self._catch_up(trigger, previous, next_due, now, coalesce)
        except BaseException as error:
            self.failure, next_due = error, None
        if self._first_due is None:
            self._first_due = previous
        self._last_due = previous
        self._set_next(next_due if self._submitted is None else self._skip_submitted(trigger, next_due, now))
        return (at,) if at >= self._not_before else ()

    def restart(self, now: datetime) -> None:
        """Compute the next due time again, because the clock was set back. A trigger that counts, counts from now.

        No due time that was submitted is submitted again.
        """
        trigger, first, last = self._trigger, self._first_due, self._last_due
        if trigger is None or self.next_due is None:
            return
        try:
            self._trigger = start_trigger(trigger, now)
            next_due = self._set_first(self._trigger, now)
            if first is None or last is None:
                # Nothing was submitted since the clock was set the last time.
                pass
            elif _counts_from_start(trigger, last, now):
                self._submitted = submitted = SubmittedRanges() if self._submitted is None else self._submitted
                submitted.add_counted(trigger, first, last)
                shift = timedelta(0)
                while submitted.coincides(self._trigger) and shift < MAX_RANGES * _SHIFT:
                    # The clock was set back by a multiple of the interval.
                    shift += _SHIFT
                    self._trigger = start_trigger(trigger, now + shift)
                    next_due = self._set_first(self._trigger, now)
            else:
                self._remember_submitted(first, last)
            self._set_next(self._skip_submitted(self._trigger, next_due, now))
            self._first_due = self._last_due = None
        except BaseException as error:
            self.failure = error
            self._set_next(None)

    def _catch_up(
        self, trigger: Trigger, previous: datetime, next_due: datetime, now: datetime, coalesce: bool
    ) -> Sequence[float]:
        """Return the due times from `previous` on; `next_due` is the one after it, and not later than `now`."""
        catching_up = as_catching_up(trigger) if coalesce else None
        due = [previous]
        upcoming: datetime | None = next_due
        deadline = time.perf_counter() + _MAX_SECONDS
        try:
            if catching_up is not None:
                latest = catching_up.latest_due_time(previous, now)
                if latest is not None and latest >= next_due:
                    due, upcoming = [latest], _next_due_time(trigger, latest, now)
            while upcoming is not None and upcoming <= now and len(due) < _MAX_DUE_TIMES:
                due.append(upcoming)
                upcoming = _next_due_time(trigger, upcoming, now)
                if time.perf_counter() > deadline:
                    break
        except BaseException as error:
            self.failure, upcoming = error, None
        self._set_next(self._skip_submitted(trigger, upcoming, now))
        if coalesce:
            if upcoming is not None and upcoming <= now:
                # The latest due time is not known yet.
                return ()
            del due[:-1]
        first, last = self._first_due, self._last_due
        if coalesce and first is not None and last is not None and due[0] - last > _LONGEST_GAP:
            # The clock may have been set to a wrong time: if it is set back, the skipped due times are still to come.
            self._remember_submitted(first, last)
            first = None
        self._first_due, self._last_due = first or due[0], due[-1]
        return [at for each in due if (at := each.timestamp()) >= self._not_before and not self._was_submitted(each)]

    def _was_submitted(self, due: datetime) -> bool:
        return self._submitted is not None and self._submitted.end_around(due) is not None

    def _remember_submitted(self, first: datetime, last: datetime) -> None:
        if self._submitted is None:
            self._submitted = SubmittedRanges()
        self._submitted.add(first, last)

    def _skip_submitted(self, trigger: Trigger, next_due: datetime | None, now: datetime) -> datetime | None:
        """Return the due time, or the first one after those that were submitted before the clock was set back."""
        submitted = self._submitted
        try:
            while submitted is not None and next_due is not None:
                end = submitted.end_around(next_due)
                if end is None:
                    break
                next_due = _next_due_time(trigger, end, now)
        except BaseException as error:
            self.failure, next_due = error, None
        return next_due

    def _set_first(self, trigger: Trigger, now: datetime) -> datetime | None:
        """Set and return the first due time from `now` on, or an earlier one that `advance` is going to skip."""
        self._not_before = 0.0
        first = trigger.next_due_time(None, now)
        if first is now:
            # Due immediately, as most one-off tasks are: nothing to check.
            self.next_due, self.due_at = now, now.timestamp()
            return now
        if first is not None:
            first = _checked(trigger, first, None)
        if first is not None and first < now:
            second = _next_due_time(trigger, first, now)
            if second is not None:
                self._not_before = now.timestamp()
                first = second
                catching_up = as_catching_up(trigger)
                latest = None if catching_up is None else catching_up.latest_due_time(first, now)
                if latest is not None and latest >= first:
                    first = latest
                if first < now:
                    first = _next_due_time(trigger, first, now)
        self._set_next(first)
        return first

    def _set_next(self, next_due: datetime | None) -> None:
        self.next_due = next_due
        self.is_exhausted = self._ends and next_due is None and self._trigger is not None
        if next_due is not None:
            self.due_at = next_due.timestamp()


class ChainSchedule(Generic[ResultT_co]):
    """Schedule by the results of an upstream task, which a `ChainLink` offers to the controller.

    Args:
        upstream_id: Id of the upstream task.
        call_on_demand: Returns the call with the last result of the upstream task.

    Attributes:
        next_due: Always None.
        failure: Always None.
        upstream_is_gone: Whether no more results can follow.
    """

    __slots__ = ("_call_on_demand", "_upstream_id", "failure", "next_due", "upstream_is_gone")

    def __init__(
        self, upstream_id: str, call_on_demand: Callable[[], Callable[[], ResultT_co | Awaitable[ResultT_co]]]
    ) -> None:
        self._upstream_id = upstream_id
        self._call_on_demand = call_on_demand
        self.next_due: datetime | None = None
        self.failure: BaseException | None = None
        self.upstream_is_gone = False

    @property
    def is_exhausted(self) -> bool:
        """True if no more results can follow."""
        return self.upstream_is_gone

    @property
    def text(self) -> str:
        """Name of the upstream task."""
        return f"after {self._upstream_id!r}"

    def advance(self, now: datetime, coalesce: bool) -> Sequence[float]:  # noqa: ARG002  # as `Schedule` has it
        """Return nothing: results of the upstream task are no due times."""
        return ()

    def call_on_demand(self) -> Callable[[], ResultT_co | Awaitable[ResultT_co]]:
        """Return the call with the last result of the upstream task; see `Schedule`."""
        return self._call_on_demand()


def trigger_text(trigger: Trigger | None) -> str:
    """Return the text of a trigger, or the name of its class if `str()` raises; `none` for None."""
    if trigger is None:
        return "none"
    try:
        return str(trigger)
    except BaseException:
        return type(trigger).__name__


def _next_due_time(trigger: Trigger, previous: datetime | None, now: datetime) -> datetime | None:
    """Return the due time after another one, UTC.

    Raises:
        InvalidInputError: The trigger does not keep its contract.
    """
    next_due = trigger.next_due_time(previous, now)
    return None if next_due is None else _checked(trigger, next_due, previous)


def _checked(trigger: Trigger, next_due: datetime, previous: datetime | None) -> datetime:
    """Return a due time in UTC, if it is aware and later than the previous one; see `_next_due_time`."""
    if not is_aware(next_due):
        raise InvalidInputError("a due time", repr(next_due), f"{trigger!r} must return time zone aware datetimes")
    if previous is not None and next_due <= previous:
        raise InvalidInputError("a due time", repr(next_due), f"{trigger!r} must return one later than {previous!r}")
    return next_due if next_due.tzinfo is UTC else next_due.astimezone(UTC)


def _counts_from_start(trigger: Trigger, previous: datetime, now: datetime) -> bool:
    """Return True if the due times of a trigger depend on the time of its start."""
    due_times = {start_trigger(trigger, start).next_due_time(previous, now) for start in (now, now + _PROBE)}
    return len(due_times) > 1
