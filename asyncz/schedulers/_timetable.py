"""Which entry is due next."""

from __future__ import annotations

import heapq
import itertools
from typing import Generic, Protocol

from typing_extensions import TypeVar


class Placed(Protocol):
    """What a timetable holds: it knows its valid place there, as it may have left others behind."""

    place: int


PlacedT = TypeVar("PlacedT", bound=Placed)

# So many outdated places are not worth a clean-up.
_FEW = 64


class Timetable(Generic[PlacedT]):
    """Entries by the time at which they are due, the earliest first. For the loop's thread.

    An entry has one place at most. Places that it has left stay in the heap until they are come upon, or
    until they are more than those that are taken.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, PlacedT]] = []
        self._places = itertools.count(1)
        self._outdated = 0

    def put(self, entry: PlacedT, at: float) -> None:
        """Give an entry its place, seconds since the epoch, instead of the one it has."""
        self.remove(entry)
        entry.place = next(self._places)
        heapq.heappush(self._heap, (at, entry.place, entry))

    def remove(self, entry: PlacedT) -> None:
        """Take an entry out, if it is here."""
        if not entry.place:
            return
        entry.place = 0
        self._outdated += 1
        if self._outdated > max(_FEW, len(self._heap) // 2):
            self._heap = [item for item in self._heap if item[1] == item[2].place]
            heapq.heapify(self._heap)
            self._outdated = 0

    def clear(self) -> None:
        """Take all entries out."""
        for _, _, entry in self._heap:
            entry.place = 0
        self._heap.clear()
        self._outdated = 0

    @property
    def earliest(self) -> float | None:
        """When the next entry is due, in seconds since the epoch; None if there is none."""
        while self._heap:
            at, place, entry = self._heap[0]
            if place == entry.place:
                return at
            heapq.heappop(self._heap)
            self._outdated -= 1
        return None

    def pop_due(self, now: float) -> PlacedT | None:
        """Take out the earliest entry, if it is due."""
        while self._heap and self._heap[0][0] <= now:
            _, place, entry = heapq.heappop(self._heap)
            if place == entry.place:
                entry.place = 0
                return entry
            self._outdated -= 1
        return None
