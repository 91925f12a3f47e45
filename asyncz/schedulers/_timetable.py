"""Which entry is due next."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterator
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

    An entry has one place at most. Places that it has left stay here until they are come upon, or until they are more
    than those that are taken.
    """

    def __init__(self) -> None:
        # What is put in the order of its times needs no sorting: only the rest is in the heap.
        self._in_order: deque[tuple[float, int, PlacedT]] = deque()
        self._heap: list[tuple[float, int, PlacedT]] = []
        self._places = itertools.count(1)
        self._outdated = 0

    def __len__(self) -> int:
        """How many places there are, with those that were left."""
        return len(self._in_order) + len(self._heap)

    def put(self, entry: PlacedT, at: float) -> None:
        """Give an entry its place, seconds since the epoch, instead of the one it has."""
        self.remove(entry)
        entry.place = next(self._places)
        item = (at, entry.place, entry)
        in_order = self._in_order
        if in_order and in_order[-1][0] > at:
            # What is due far off makes room: behind it, nothing would be in order until then.
            heapq.heappush(self._heap, in_order.pop())
        if not in_order or in_order[-1][0] <= at:
            in_order.append(item)
        else:
            heapq.heappush(self._heap, item)

    def remove(self, entry: PlacedT) -> None:
        """Take an entry out, if it is here."""
        if not entry.place:
            return
        entry.place = 0
        self._outdated += 1
        if self._outdated > max(_FEW, len(self) // 2):
            # In place: whoever takes out what is due may be in the middle of it.
            in_order, heap = self._in_order, self._heap
            kept = [item for item in in_order if item[1] == item[2].place]
            in_order.clear()
            in_order.extend(kept)
            heap[:] = [item for item in heap if item[1] == item[2].place]
            heapq.heapify(heap)
            self._outdated = 0

    def clear(self) -> None:
        """Take all entries out."""
        for _, _, entry in (*self._in_order, *self._heap):
            entry.place = 0
        self._in_order.clear()
        self._heap.clear()
        self._outdated = 0

    @property
    def earliest(self) -> float | None:
        """When the next entry is due, in seconds since the epoch; None if there is none."""
        in_order, heap = self._in_order, self._heap
        while in_order and in_order[0][1] != in_order[0][2].place:
            in_order.popleft()
            self._outdated -= 1
        while heap and heap[0][1] != heap[0][2].place:
            heapq.heappop(heap)
            self._outdated -= 1
        if in_order and (not heap or in_order[0][0] < heap[0][0]):
            return in_order[0][0]
        return heap[0][0] if heap else None

    def due(self, now: float) -> Iterator[tuple[float, int, PlacedT]]:
        """Take out what is due, the earliest first, also what is put in meanwhile: its time, its place and itself."""
        in_order, heap = self._in_order, self._heap
        while True:
            if in_order and (not heap or in_order[0][:2] < heap[0][:2]):
                item = in_order[0]
                if item[0] > now:
                    return
                in_order.popleft()
            elif heap:
                item = heap[0]
                if item[0] > now:
                    return
                heapq.heappop(heap)
            else:
                return
            _, place, entry = item
            if place == entry.place:
                entry.place = 0
                yield item
            else:
                self._outdated -= 1
