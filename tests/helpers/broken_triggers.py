"""Triggers that are broken on purpose, each in one way, and the rules that each breaks."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Self

import attrs
from typing_extensions import override

from asyncz import BaseTrigger, Trigger
from asyncz.testing import Rule, rules

HOUR = timedelta(hours=1)


class FullHours(BaseTrigger):
    """Correct trigger: the common part of the others."""

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return (previous or now).replace(minute=0, second=0, microsecond=0) + HOUR

    @override
    def __str__(self) -> str:
        return "each full hour"


class RaisesInTheEnd(FullHours):
    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        if previous is not None and previous.day > 1:
            raise StopIteration
        return super().next_due_time(previous, now)


class RaisesForOtherTimes(FullHours):
    """Takes for granted that it is only asked about due times of its own."""

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        if previous is not None and previous.year < 2030:
            raise KeyError(previous)
        return super().next_due_time(previous, now)


class TellsLocalTimes(FullHours):
    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        due = super().next_due_time(previous, now)
        return None if due is None else due.replace(tzinfo=None)


class TellsTexts(FullHours):
    @override
    def next_due_time(  # type: ignore[override]  # the types forbid it, too
        self, previous: datetime | None, now: datetime, /
    ) -> str:
        return f"{super().next_due_time(previous, now)}"


class StandsStill(FullHours):
    """Is due when an hour begins, and so again at once."""

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return (previous or now).replace(minute=0, second=0, microsecond=0)


class GoesBack(FullHours):
    """Knows the time of the day only."""

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        time = previous or now
        return time.replace(hour=(time.hour + 1) % 24, minute=0, second=0, microsecond=0)


class Blocks(FullHours):
    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        time.sleep(0.05)
        return super().next_due_time(previous, now)


class NeverComesBack(FullHours):
    """Trigger that searches for a common due time of triggers that have none."""

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        threading.Event().wait()
        return None


class CountsItsAnswers(FullHours):
    """Ends after so many answers, whomever it gave them."""

    def __init__(self) -> None:
        self._left = 24

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        self._left -= 1
        return super().next_due_time(previous, now) if self._left > 0 else None


class RemembersWhenItBegan(BaseTrigger):
    """Counts from the time when it was last asked for its first due time."""

    def __init__(self) -> None:
        self._begin: datetime | None = None

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        if previous is None or self._begin is None:
            self._begin = now
        return (previous or now) + HOUR - ((previous or now) - self._begin) % HOUR

    @override
    def __str__(self) -> str:
        return "each hour"


class ThrowsDice(FullHours):
    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        due = super().next_due_time(previous, now)
        return None if due is None else due + timedelta(seconds=random.randrange(3000))


class Drifts(FullHours):
    """Trigger that counts an hour from now, or from the previous due time if that is later."""

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return now + HOUR if previous is None else max(previous, now) + HOUR


class CountsFromTheTimeBefore(FullHours):
    """An hour after whatever was due before: combined with others it waits for ever."""

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return (previous or now) + HOUR


class BeginsAgain(FullHours):
    """Has no due time in the night, but in the next morning."""

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        due = super().next_due_time(previous, now)
        return None if due is None or (previous is not None and due.hour > 20) else due


class StartsItself(FullHours):
    """Counts from its start, which it notes in itself: only the last task has its own."""

    def __init__(self) -> None:
        self._start: datetime | None = None

    def started(self, now: datetime, /) -> Trigger:
        self._start = now
        return Started(self)

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        start = self._start or now
        time = previous or start
        return time + HOUR - (time - start) % HOUR


class Started(BaseTrigger):
    def __init__(self, given: StartsItself) -> None:
        self._given = given

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        return self._given.next_due_time(previous, now)

    @override
    def __str__(self) -> str:
        return f"{self._given}"


class HoldsALock(FullHours):
    def __init__(self) -> None:
        self._lock = threading.Lock()


class LosesItsOptions(FullHours):
    def __init__(self, distance: timedelta = HOUR * 2) -> None:
        self._distance = distance

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        midnight = (previous or now).replace(hour=0, minute=0, second=0, microsecond=0)
        return (previous or now) + self._distance - ((previous or now) - midnight) % self._distance

    @override
    def __reduce__(self) -> tuple[type[Self], tuple[timedelta]]:
        return type(self), (HOUR,)


class CatchesUpWithTheFirst(FullHours):
    """Returns the first of the missed due times."""

    def latest_due_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        due = self.next_due_time(previous, now)
        return due if due is not None and due <= now else None


class CatchesUpWithNow(FullHours):
    """Returns a time that is not due."""

    def latest_due_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        return now if (now - previous) >= HOUR else None


class RaisesWhenCatchingUp(FullHours):
    """Works for long times only."""

    def latest_due_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        if now - previous < timedelta(days=1000):
            raise NotImplementedError
        return now.replace(minute=0, second=0, microsecond=0)


class CatchesUpHourByHour(FullHours):
    """Walks through all the due times."""

    def latest_due_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        last, due = None, self.next_due_time(previous, now)
        if now - previous > timedelta(days=3000):
            time.sleep(0.05)
        if now - previous > timedelta(days=30):
            due = now.replace(minute=0, second=0, microsecond=0)
        while due is not None and due <= now:
            last, due = due, self.next_due_time(due, now)
        return last


class HasNoText(FullHours):
    __str__ = object.__str__


class HasAnEmptyText(FullHours):
    @override
    def __str__(self) -> str:
        return ""


@attrs.frozen
class Broken:
    """A broken trigger.

    Attributes:
        make: Makes it.
        breaks: The rules that it breaks; the suite has to find these, and no other.
    """

    make: Callable[[], Trigger]
    breaks: set[Rule]


BROKEN = [
    Broken(RaisesInTheEnd, {rules.RAISES_NOTHING}),
    Broken(RaisesForOtherTimes, {rules.RAISES_NOTHING}),
    Broken(TellsLocalTimes, {rules.TIME_ZONE}),
    Broken(TellsTexts, {rules.TIME_ZONE}),  # type: ignore[arg-type]  # the types forbid it, too
    Broken(StandsStill, {rules.ALWAYS_LATER}),
    Broken(GoesBack, {rules.ALWAYS_LATER}),
    Broken(Blocks, {rules.DOES_NOT_BLOCK}),
    Broken(NeverComesBack, {rules.DOES_NOT_BLOCK}),
    Broken(CountsItsAnswers, {rules.STATELESS}),
    Broken(RemembersWhenItBegan, {rules.STATELESS}),
    Broken(ThrowsDice, {rules.STATELESS}),
    Broken(Drifts, {rules.DOES_NOT_DRIFT}),
    Broken(CountsFromTheTimeBefore, {rules.ANY_TIME_BEFORE}),
    Broken(BeginsAgain, {rules.THE_END}),
    Broken(StartsItself, {rules.OWN_START}),
    Broken(HoldsALock, {rules.SURVIVES_PICKLING}),
    Broken(LosesItsOptions, {rules.SURVIVES_PICKLING}),
    Broken(CatchesUpWithTheFirst, {rules.CATCHES_UP}),
    Broken(CatchesUpWithNow, {rules.CATCHES_UP}),
    Broken(RaisesWhenCatchingUp, {rules.CATCHES_UP}),
    Broken(CatchesUpHourByHour, {rules.DOES_NOT_BLOCK}),
    Broken(HasNoText, {rules.TEXT_FOR_PEOPLE}),
    Broken(HasAnEmptyText, {rules.TEXT_FOR_PEOPLE}),
]
