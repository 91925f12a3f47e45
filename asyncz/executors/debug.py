"""Debug executor."""

from __future__ import annotations

import threading
from collections.abc import Awaitable
from contextvars import copy_context

from typing_extensions import TypeVar, override

from asyncz._coroutines import CoroutineCall, run_in_new_loop
from asyncz.executors.base import InlineExecutor
from asyncz.runs import TaskRun

ResultT = TypeVar("ResultT")


class DebugExecutor(InlineExecutor):
    """Executor that calls each function inside of `submit`, for tests and debuggers. Alias `debug`.

    It blocks the event loop of the scheduler until the function returns. A coroutine runs to its end in another event
    loop, in a thread that the executor waits for. Timeouts cannot be enforced.
    """

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self._finish_inline(run, run.execute(_await_in_another_thread))


def _await_in_another_thread(awaitable: Awaitable[ResultT]) -> ResultT:
    """Run a coroutine in another thread: one that runs an event loop cannot run a second one."""
    call, context = CoroutineCall(awaitable), copy_context()
    results: list[ResultT] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(context.run(lambda: run_in_new_loop(call)))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="asyncz-debug")
    thread.start()
    thread.join()
    if errors:
        raise errors.pop()
    return results[0]
