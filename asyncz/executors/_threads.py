"""What executors that call functions in threads have in common: a thread cannot be stopped.

Whoever has to wait for one that does not return is told for which task.
"""

from __future__ import annotations

import atexit
import importlib
import os
import threading
import weakref
from collections.abc import Awaitable, Callable

from typing_extensions import TypeVar

from asyncz.events import TaskNotification
from asyncz.executors.base import BaseExecutor
from asyncz.runs import TaskRun

ResultT = TypeVar("ResultT")

_NAMES_SHOWN = 10


class ThreadedFunctions:
    """The functions that the threads of one executor are calling."""

    def __init__(self, executor: BaseExecutor) -> None:
        self._executor = executor
        self._task_ids: dict[int, str] = {}

    def watch_exit(self) -> None:
        """At the interpreter's exit, drop what waits, and tell for what the exit waits."""
        _watched.add(self)

    def call(
        self, run: TaskRun[ResultT], await_outcome: Callable[[Awaitable[ResultT]], ResultT] | None = None
    ) -> TaskNotification[ResultT]:
        """Execute a run in the present thread."""
        self._task_ids[run.id] = run.task_id
        notification = run.execute(await_outcome)
        del self._task_ids[run.id]
        return notification

    def drop_queue(self, who_waits: str) -> None:
        """End as cancelled what has not begun, and tell which functions are still to return."""
        self._executor.cancel_queued()
        self.tell_unreturned(who_waits)

    def tell_unreturned(self, who_waits: str) -> None:
        """Log the tasks whose functions have not returned, where there are any."""
        task_ids = sorted(set(self._task_ids.values()))
        if task_ids:
            names = ", ".join(repr(task_id) for task_id in task_ids[:_NAMES_SHOWN])
            more = f" and {len(task_ids) - _NAMES_SHOWN} more" if len(task_ids) > _NAMES_SHOWN else ""
            self._executor.logger.warning(
                "%s waits until the functions of these tasks have returned, as a thread cannot be stopped: %s%s",
                who_waits,
                names,
                more,
            )


_watched: weakref.WeakSet[ThreadedFunctions] = weakref.WeakSet()


def call_before_exit_waits(call: Callable[[], object]) -> None:
    """Have a function called at the interpreter's exit, before that waits for threads and pools.

    Only what the standard library registered before is sure to come after: import that first.
    """
    # `atexit` comes after the wait; the one hook that comes before it is this one, which pools use themselves.
    getattr(threading, "_register_atexit", atexit.register)(call)


def _at_exit() -> None:
    for functions in list(_watched):
        functions.drop_queue("The interpreter's exit")


# The hook that it registers waits, and so must come after the one here.
importlib.import_module("concurrent.futures.thread")
call_before_exit_waits(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watched.clear)
