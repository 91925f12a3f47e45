"""What executors that call functions in threads have in common: a thread cannot be stopped.

Whoever has to wait for one that does not return is told for which task.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401  # the hook that it registers waits: it must come after ours
import os
import threading
import weakref
from collections.abc import Callable

from asyncz.executors.base import BaseExecutor

_NAMES_SHOWN = 10

_started: weakref.WeakSet[BaseExecutor] = weakref.WeakSet()


def tell_at_exit(executor: BaseExecutor) -> None:
    """At the interpreter's exit, drop what waits on an executor, and tell for which functions the exit waits."""
    _started.add(executor)


def tell_unreturned(executor: BaseExecutor, who_waits: str) -> None:
    """Log the tasks whose functions run on an executor, where there are any."""
    with executor._lock:
        task_ids = sorted({live.task_id for live in executor._live.values() if not live.queued})
    if task_ids:
        names = ", ".join(repr(task_id) for task_id in task_ids[:_NAMES_SHOWN])
        more = f" and {len(task_ids) - _NAMES_SHOWN} more" if len(task_ids) > _NAMES_SHOWN else ""
        executor.logger.warning(
            "%s waits until the functions of these tasks have returned, as a thread cannot be stopped: %s%s",
            who_waits,
            names,
            more,
        )


def call_before_exit_waits(call: Callable[[], object]) -> None:
    """Have a function called at the interpreter's exit, before that waits for threads and pools.

    Only what the standard library registered before is sure to come after: import that first.
    """
    # `atexit` comes after the wait; the one hook that comes before it is this one, which pools use themselves.
    getattr(threading, "_register_atexit", atexit.register)(call)


def _at_exit() -> None:
    for executor in list(_started):
        executor.cancel_queued()
        tell_unreturned(executor, "The interpreter's exit")


call_before_exit_waits(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_started.clear)
