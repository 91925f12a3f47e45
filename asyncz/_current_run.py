"""The run that calls the current code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import attrs

from asyncz._running import running_run
from asyncz.clock import utc
from asyncz.exceptions import NoCurrentRunError


@attrs.frozen(eq=False)
class CurrentRun:
    """A run, as its own function sees it; `current_run` returns it.

    Attributes:
        run_id: Number of the run, the same for all its attempts; its events carry this number.
        task_id: Id of the task.
        attempt: 1 for the first attempt, 2 for the first retry, and so on.
        scheduled: Due time, in seconds since the epoch.
    """

    run_id: int
    task_id: str
    attempt: int
    scheduled: float
    _is_cancelled: Callable[[], bool]

    @property
    def scheduled_at(self) -> datetime:
        """Due time, UTC."""
        return utc(self.scheduled)

    def is_cancelled(self) -> bool:
        """Return True if the run should end: it was cancelled, or it was abandoned. May be called from any thread.

        A thread cannot be stopped, so a long function calls this now and then, and returns if it is True. The run then
        ends as cancelled on every executor, whatever the function returns or raises, unless its outcome was reported
        before, as after a timeout. In a worker process, a function that calls this has a few seconds to return before
        its worker is killed; on a cluster it runs until it returns. A coroutine need not call this, as it is cancelled
        at its next `await`.

        Example:
            >>> for block in blocks:
            ...     if current_run().is_cancelled():
            ...         return
            ...     work_on(block)
        """
        return self._is_cancelled()


def current_run() -> CurrentRun:
    """Return the run whose function calls this, directly or through other functions. May be called from any thread.

    Works in coroutines and the asyncio tasks that they create, in threads, in `asyncio.to_thread` and in worker
    processes; not in a thread that the function starts itself.

    Raises:
        NoCurrentRunError: The call does not come from a run.

    Example:
        >>> def fetch(url: str) -> bytes:
        ...     run = current_run()
        ...     logger.info("run %d of %s, attempt %d", run.run_id, run.task_id, run.attempt)
    """
    run = running_run.get(None)
    if run is None:
        raise NoCurrentRunError
    return CurrentRun(run.run_id, run.task_id, run.attempt, run.scheduled, run.is_cancelled)
