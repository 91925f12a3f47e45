"""Ranges of due times that were submitted before a clock was set back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime

# A clock is set rarely: with more ranges, the two that are closest are joined.
_MAX_RANGES = 8


class SubmittedRanges:
    """Ranges of due times, a bounded number of them, in order and apart from each other.

    One range from the first to the last due time would not do: a clock that is set forward by a year, and back again,
    would keep a schedule from its due times for that year.
    """

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        self._ranges: list[tuple[datetime, datetime]] = []

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
        if len(self._ranges) > _MAX_RANGES:
            self._join_closest()

    def end_around(self, due: datetime) -> datetime | None:
        """Return the end of the range in which a due time is; None if it was not submitted."""
        return next((last for first, last in self._ranges if first <= due <= last), None)

    def _join_closest(self) -> None:
        ranges = self._ranges
        gaps = [following[0] - before[1] for before, following in itertools.pairwise(ranges)]
        index = gaps.index(min(gaps))
        ranges[index : index + 2] = [(ranges[index][0], ranges[index + 1][1])]
