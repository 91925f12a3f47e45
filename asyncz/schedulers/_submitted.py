"""Ranges of due times that were submitted before a clock was set back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta

from asyncz.protocols import Trigger

# A clock is set rarely: with more ranges, the two that are closest are joined.
MAX_RANGES = 8
_JUST_BEFORE = timedelta(microseconds=1)


class SubmittedRanges:
    """Ranges of due times, a bounded number of them, in order and apart from each other.

    One range from the first to the last due time would not do: a clock that is set forward by a year, and back again,
    would keep a schedule from its due times for that year.
    """

    __slots__ = ("_counted", "_ranges")

    def __init__(self) -> None:
        self._ranges: list[tuple[datetime, datetime]] = []
        self._counted: list[tuple[Trigger, datetime, datetime]] = []

    def __iter__(self) -> Iterator[tuple[datetime, datetime]]:
        return iter(self._ranges)

    def add(self, first: datetime, last: datetime) -> None:
        """Add the due times from one to another."""
        apart: list[tuple[datetime, datetime]] = []
        for each in self._ranges:
            if each[1] < first or last < each[0]:
                apart.append(each)
            else:
                first, last = min(first, each[0]), max(last, each[1])
        self._ranges = sorted([*apart, (first, last)])
        if len(self._ranges) > MAX_RANGES:
            self._join_closest()

    def add_counted(self, trigger: Trigger, first: datetime, last: datetime) -> None:
        """Add the due times, from one to another, of a trigger that has been started anew and has others now.

        In a union, only a part of the due times may be others.
        """
        self._counted = [*self._counted, (trigger, first, last)][-MAX_RANGES:]

    def coincides(self, trigger: Trigger) -> bool:
        """Return True if a trigger has the last due time of one that was added with `add_counted`."""
        return any(trigger.next_due_time(last - _JUST_BEFORE, last) == last for _, _, last in self._counted)

    def end_around(self, due: datetime) -> datetime | None:
        """Return the end of the range in which a due time is; None if it was not submitted. Calls triggers."""
        end = next((last for first, last in self._ranges if first <= due <= last), None)
        if end is None and any(
            first <= due <= last and trigger.next_due_time(due - _JUST_BEFORE, due) == due
            for trigger, first, last in self._counted
        ):
            end = due
        return end

    def _join_closest(self) -> None:
        ranges = self._ranges
        gaps = [following[0] - before[1] for before, following in itertools.pairwise(ranges)]
        index = gaps.index(min(gaps))
        ranges[index : index + 2] = [(ranges[index][0], ranges[index + 1][1])]
