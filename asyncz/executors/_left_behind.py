"""Tasks that coroutines leave behind on an event loop that they share with others."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from contextvars import Context
from typing import TypeAlias

from asyncz._running import running_run
from asyncz.runs import TaskRun

_CHECKS_SHARE = 50.0
"""Checks take at most one part in this many of the time."""

Report: TypeAlias = Callable[[str, asyncio.Task[object]], None]
"""Called with the id of a task of the scheduler, and with a task of the loop that its run has left behind."""


class TasksLeftBehind:
    """Tasks that the coroutines of one executor created and did not await: cancelled soon after the end of their run.

    If a coroutine creates a task, the task inherits the context of the coroutine, and thereby its run. When runs have
    ended, all tasks of the loop are checked, to find those of these runs. If the loop has few tasks, the check is made
    in its next iteration; if it has thousands, a few times a second. For the loop's thread only.

    Args:
        loop: The event loop.
        report: Receives each task before it is cancelled.

    Attributes:
        ended: Numbers of the runs that have ended since the last check; one is due unless this is empty.
    """

    __slots__ = ("_context", "_loop", "_next_check", "_report", "ended")

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Report) -> None:
        self._loop = loop
        self._report = report
        self.ended: list[int] = []
        self._next_check = 0.0
        # A check must not keep the context of the run after which it is scheduled, nor its objects.
        self._context = Context()

    def run_ended(self, run_id: int) -> None:
        """Cancel the tasks soon that a run has left behind."""
        if not self.ended:
            delay = self._next_check - time.perf_counter()
            if delay > 0.0:
                self._loop.call_later(delay, self.check, context=self._context)
            else:
                self._loop.call_soon(self.check, context=self._context)
        self.ended.append(run_id)

    def check(self) -> None:
        """Cancel the tasks that the runs which ended have left behind."""
        began = time.perf_counter()
        # Most checks find no task of a run: only the others make a set of the runs, which may be thousands.
        made_by_runs = [(task, *made_by) for task in asyncio.all_tasks(self._loop) if (made_by := _run_of(task))]
        ended = set(self.ended) if made_by_runs else ()
        self.ended.clear()
        for task, run_id, task_id in made_by_runs:
            if run_id in ended:
                self._report(task_id, task)
                task.cancel()
        now = time.perf_counter()
        self._next_check = now + _CHECKS_SHARE * (now - began)


def _run_of(task: asyncio.Task[object]) -> tuple[int, str] | None:
    """Return the ids of the run that made an asyncio task, and of its task; None if no run has made it."""
    context = _context_of(task)
    run = None if context is None else context.get(running_run)
    return (run.id, run.task_id) if isinstance(run, TaskRun) else None


def _context_of(task: asyncio.Task[object]) -> Context | None:
    if sys.version_info >= (3, 12):
        return task.get_context()
    # The context is the first one to which the task refers; there is no method for it in 3.11.
    return next((each for each in gc.get_referents(task) if type(each) is Context), None)
