"""Age of the plans that a connection with PostgreSQL has cached."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from asyncz.stores.records import RunRecord, TaskRecord

# New rows after which the statements are planned again. That costs about as much as ten outcomes.
_NEW_ROWS = 1000


class PlanAge:
    """Growth of the tables since the statements of a connection were planned.

    PostgreSQL keeps the plan of a prepared statement until it analyzes one of the tables, which may take a minute. The
    plan for a small table may read all rows, and would do so while the table grows. The numbers of rows that this node
    has seen show the growth, whichever node has added them.
    """

    def __init__(self) -> None:
        self._sequence = self._revision = 0
        self._planned = 0

    def note_runs(self, runs: Sequence[RunRecord], /) -> None:
        """Note runs that were written or read."""
        self._sequence = max(self._sequence, max((run.sequence for run in runs), default=0))

    def note_tasks(self, tasks: Sequence[TaskRecord], /) -> None:
        """Note tasks that were written or read."""
        self._revision = max(self._revision, max((task.revision for task in tasks), default=0))

    def renew(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        """Have the statements planned again if the tables may have grown."""
        rows = self._sequence + self._revision
        if rows >= self._planned + _NEW_ROWS:
            _ = connection.execute(b"DISCARD PLANS", prepare=False)
            self._planned = rows
