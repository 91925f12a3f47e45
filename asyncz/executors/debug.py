"""Debug executor."""

from __future__ import annotations

import threading
from contextvars import copy_context

from typing_extensions import TypeVar, override

from asyncz._coroutines import CoroutineCall, run_in_new_loop
from asyncz.executors._exit_hooks import ThreadedFunctions
from asyncz.executors.base import InlineExecutor
from asyncz.runs import TaskRun

ResultT = TypeVar("ResultT")


class DebugExecutor(InlineExecutor):
    """Executor that calls each function inside of `submit`, for tests and debuggers. Alias `debug`.

    It blocks the event loop of the scheduler until the function returns. A coroutine runs to its end in another event
    loop, in a thread that the executor waits for. Timeouts cannot be enforced.
    """

    def __init__(self) -> None:
        super().__init__()
        self._functions = ThreadedFunctions(self)

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self._finish_inline(run, self._functions.call(run, _run_in_another_thread))


def _run_in_another_thread(call: CoroutineCall[ResultT]) -> ResultT:
    """Run a coroutine in another thread: one that runs an event loop cannot run a second one."""
    context = copy_context()
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
