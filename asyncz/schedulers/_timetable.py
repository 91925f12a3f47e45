"""Items by the time at which they are due."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import Generic, Protocol

from typing_extensions import TypeVar


class Due(Protocol):
    """Item of a timetable.

    Attributes:
        heap_version: Number of the item's valid entry in the timetable, or 0 if it has no entry.
    """

    heap_version: int

    def on_due(self, at: float, now: datetime, /) -> None:
        """Handle that the time of the item's entry has come."""
        ...

    def restart_schedule(self, now: datetime, /) -> None:
        """Compute the next due time again, because the clock was set back."""
        ...


class Versioned(Protocol):
    """The only member of an item that the timetable itself uses.

    Attributes:
        heap_version: See `Due`.
    """

    heap_version: int


ItemT = TypeVar("ItemT", bound=Versioned)

# So few outdated entries are not worth a clean-up.
_MIN_OUTDATED = 64


class Timetable(Generic[ItemT]):
    """Items by due time, earliest first. For the loop's thread.

    Each item has at most one valid entry. Outdated entries stay until they are reached, or until they outnumber the
    valid ones.
    """

    def __init__(self) -> None:
        # Entries that are put in the order of their times need no sorting: only the others are in the heap.
        self._in_order: deque[tuple[float, int, ItemT]] = deque()
        self._heap: list[tuple[float, int, ItemT]] = []
        self._versions = itertools.count(1)
        self._outdated = 0

    def __len__(self) -> int:
        """Return the number of entries, outdated ones included."""
        return len(self._in_order) + len(self._heap)

    def put(self, item: ItemT, at: float) -> None:
        """Enter an item at a time, in seconds since the epoch, instead of its present entry."""
        if item.heap_version:
            self.remove(item)
        item.heap_version = version = next(self._versions)
        entry = (at, version, item)
        in_order = self._in_order
        if in_order and in_order[-1][0] > at:
            # Move an item that is due late into the heap: nothing could be entered in order behind it until then.
            heapq.heappush(self._heap, in_order.pop())
        if not in_order or in_order[-1][0] <= at:
            in_order.append(entry)
        else:
            heapq.heappush(self._heap, entry)

    def remove(self, item: ItemT) -> None:
        """Remove an item if it has an entry."""
        if not item.heap_version:
            return
        item.heap_version = 0
        self._outdated += 1
        if self._outdated > max(_MIN_OUTDATED, len(self) // 2):
            # In place: the caller may be a consumer of `due`.
            in_order, heap = self._in_order, self._heap
            kept = [entry for entry in in_order if entry[1] == entry[2].heap_version]
            in_order.clear()
            in_order.extend(kept)
            heap[:] = [entry for entry in heap if entry[1] == entry[2].heap_version]
            heapq.heapify(heap)
            self._outdated = 0

    def clear(self) -> None:
        """Remove all items."""
        for _, _, item in (*self._in_order, *self._heap):
            item.heap_version = 0
        self._in_order.clear()
        self._heap.clear()
        self._outdated = 0

    @property
    def earliest(self) -> float | None:
        """Return the due time of the next item, in seconds since the epoch; None if the timetable is empty."""
        in_order, heap = self._in_order, self._heap
        while in_order and in_order[0][1] != in_order[0][2].heap_version:
            in_order.popleft()
            self._outdated -= 1
        while heap and heap[0][1] != heap[0][2].heap_version:
            heapq.heappop(heap)
            self._outdated -= 1
        if in_order and (not heap or in_order[0][0] < heap[0][0]):
            return in_order[0][0]
        return heap[0][0] if heap else None

    def due(self, now: float) -> Iterator[tuple[float, ItemT]]:
        """Take due items out, earliest first, those that are entered meanwhile included: due time and item."""
        in_order, heap = self._in_order, self._heap
        while True:
            if in_order and (not heap or in_order[0][:2] < heap[0][:2]):
                entry = in_order[0]
                if entry[0] > now:
                    return
                in_order.popleft()
            elif heap:
                entry = heap[0]
                if entry[0] > now:
                    return
                heapq.heappop(heap)
            else:
                return
            at, version, item = entry
            if version == item.heap_version:
                item.heap_version = 0
                yield at, item
            else:
                self._outdated -= 1
