"""Runs in the thread of the scheduler, one after another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from contextvars import copy_context

from typing_extensions import TypeVar, override

from asyncz._callables import as_coroutine
from asyncz.executors.base import BaseExecutor
from asyncz.runs import TaskRun

ResultT = TypeVar("ResultT")


class DebugExecutor(BaseExecutor):
    """Runs each run inline, at once and alone: for tests and debuggers. Alias `debug`.

    It blocks the loop while a function runs; a coroutine runs to its end in a loop of its own, in
    another thread that is waited for. A time limit cannot be enforced here.
    """

    _runs_inside = True

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self._finish_at_once(run, run.execute(_run_in_another_thread))


def _run_in_another_thread(awaitable: Awaitable[ResultT]) -> ResultT:
    # A thread that runs an event loop cannot run a second one.
    context = copy_context()
    results: list[ResultT] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(context.run(lambda: asyncio.run(as_coroutine(awaitable))))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="asyncz-debug")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
