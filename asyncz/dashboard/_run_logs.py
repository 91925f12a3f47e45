"""Log records of runs in memory, bounded for each run and for all runs together."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple
from uuid import UUID

_MAX_OF_RUN = 200
_MAX_TOGETHER = 20_000
_MAX_EARLY_RUNS = 100


class LogEntry(NamedTuple):
    """Log record of a run."""

    at: float
    level: str
    logger: str
    message: str


class RunLogs:
    """Last log records of runs. Not safe for threads: the journal calls it under its lock.

    If there are too many records, those of the run that has logged first are dropped. The runs of other schedulers log
    too, but are never announced: only the last ones of those are kept.
    """

    def __init__(self) -> None:
        self._lines: dict[UUID, deque[LogEntry]] = {}
        self._dropped: dict[UUID, int] = {}
        self._unannounced: dict[UUID, None] = {}
        self._together = 0

    def add(self, run_id: UUID, entry: LogEntry, *, announced: bool) -> None:
        """Keep a record of a run.

        Args:
            run_id: Id of the run.
            entry: Record.
            announced: True if the journal knows the run.
        """
        if not announced:
            self._unannounced[run_id] = None
            if len(self._unannounced) > _MAX_EARLY_RUNS:
                self.forget(next(iter(self._unannounced)))
        lines = self._lines.setdefault(run_id, deque())
        lines.append(entry)
        self._together += 1
        if len(lines) > _MAX_OF_RUN:
            lines.popleft()
            self._count_dropped(run_id, 1)
        elif self._together > _MAX_TOGETHER:
            oldest = next(iter(self._lines))
            self._count_dropped(oldest, len(self._lines.pop(oldest)))

    def _count_dropped(self, run_id: UUID, number: int) -> None:
        self._together -= number
        self._dropped[run_id] = self._dropped.get(run_id, 0) + number

    def announce(self, run_id: UUID) -> None:
        """Note that the journal knows a run."""
        self._unannounced.pop(run_id, None)

    def forget(self, run_id: UUID) -> None:
        """Drop the records of a run."""
        self._unannounced.pop(run_id, None)
        self._dropped.pop(run_id, None)
        self._together -= len(self._lines.pop(run_id, ()))

    def of(self, run_id: UUID) -> tuple[tuple[LogEntry, ...], int]:
        """Return the records of a run, oldest first, and the number of those that were dropped."""
        return tuple(self._lines.get(run_id, ())), self._dropped.get(run_id, 0)
