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
        """Whether the run is to end: its cancellation was asked for, or it was given up. From any thread.

        A thread cannot be stopped, so a function that runs there long asks this now and then, and returns where it is
        true; what it returns still counts, unless its end was told before, as after a time limit. In a worker process
        the function that asks this is given a few seconds to return, before its worker is killed; on a cluster it goes
        on until it returns. A coroutine need not ask, as it is cancelled where it awaits.

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
