"""What a function can know of the run that is calling it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import attrs

from asyncz._running import running_run
from asyncz.clock import utc
from asyncz.exceptions import NoCurrentRunError


@attrs.frozen(eq=False)
class CurrentRun:
    """The run that is running, as its function sees it: see `current_run`.

    Attributes:
        run_id: The number of the run, the same for all its attempts; its events carry it too.
        task_id: The id of its task.
        attempt: 1 for its first attempt, 2 for its first retry, and so on.
        scheduled: When it was due, in seconds since the epoch.
    """

    run_id: int
    task_id: str
    attempt: int
    scheduled: float
    _is_cancelled: Callable[[], bool]

    @property
    def scheduled_at(self) -> datetime:
        """When it was due, UTC."""
        return utc(self.scheduled)

    def is_cancelled(self) -> bool:
        """Return True if the run should end: it was cancelled, or it was abandoned. May be called from any thread.

        A thread cannot be stopped, so a long function calls this now and then, and returns if it is True. The run then
        ends as cancelled on every executor, whatever the function returns or raises, unless its outcome was reported
        before, as after a timeout. In a worker process, a function that calls this has a few seconds to return before
        its worker is killed; on a cluster it runs until it returns. A coroutine need not call this: it is cancelled at
        its next `await`.

        Example:
            >>> for block in blocks:
            ...     if current_run().is_cancelled():
            ...         return
            ...     work_on(block)
        """
        return self._is_cancelled()


def current_run() -> CurrentRun:
    """The run whose function is calling this, or calls what calls this.

    It works in coroutines and the asyncio tasks that they create, in threads, `asyncio.to_thread` included, and in
    worker processes; a thread that the function starts itself knows no run. May be called from any thread.

    Raises:
        NoCurrentRunError: Nothing that runs here was called by a run.

    Example:
        >>> def fetch(url: str) -> bytes:
        ...     run = current_run()
        ...     logger.info("run %d of %s, attempt %d", run.run_id, run.task_id, run.attempt)
    """
    run = running_run.get(None)
    if run is None:
        raise NoCurrentRunError
    return CurrentRun(run.run_id, run.task_id, run.attempt, run.scheduled, run.is_cancelled)
