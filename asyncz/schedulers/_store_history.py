"""Deletion of old runs from the history, in small steps."""

from __future__ import annotations

import random
from itertools import islice

from asyncz.stores.options import Retention
from asyncz.stores.protocol import StoreSession

# Runs of one step, each of which is a transaction.
_BATCH = 500
_TASKS = 100
# Seconds between two calls of `prune`, and until the next one if there may be more to delete.
_INTERVAL = 60.0
_SHORT_INTERVAL = 0.5
# A task is trimmed after a tenth of `per_task` further runs, on average.
_EXCESS = 10


class HistoryLimit:
    """Limit of the history. Each node may prune at any time: a step deletes outdated runs only.

    Args:
        retention: Time and number of runs for which the history is kept.
    """

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self._to_trim: dict[str, None] = {}

    def on_stored(self, task_id: str) -> None:
        """Note that a run of a task has got its outcome.

        By chance instead of a count: a node trims also if it never lives long enough for the counted runs.
        """
        per_task = self._retention.per_task
        if per_task is not None and random.random() * (per_task // _EXCESS) < 1:  # noqa: S311  # not a secret
            self._to_trim[task_id] = None

    async def prune(self, session: StoreSession) -> float:
        """Delete a bounded number of runs, and return the number of seconds until the next call."""
        deleted = await session.prune(self._retention.ages, _BATCH)
        trimmed, per_task = 0, self._retention.per_task
        if self._to_trim and per_task is not None:
            page = tuple(islice(self._to_trim, _TASKS))
            trimmed = await session.trim(page, per_task, _BATCH)
            if trimmed < _BATCH:
                for task_id in page:
                    _ = self._to_trim.pop(task_id, None)
        if max(deleted, trimmed) >= _BATCH or len(self._to_trim) >= _TASKS:
            return _SHORT_INTERVAL
        # Nodes that were started together prune at different times.
        return _INTERVAL * random.uniform(0.5, 1)  # noqa: S311  # not a secret
