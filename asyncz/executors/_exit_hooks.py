"""Functions called in threads, which cannot be stopped, and the interpreter's exit, which waits for them."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib
import os
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Protocol

from typing_extensions import TypeVar

from asyncz._coroutines import CoroutineCall, run_in_new_loop
from asyncz.events import TaskNotification
from asyncz.executors.base import BaseExecutor, safe_logger
from asyncz.runs import TaskRun

ResultT = TypeVar("ResultT")

_NAMES_SHOWN = 10


class CoroutineRunner(Protocol):
    """Function that runs a coroutine of any type to its end."""

    def __call__(self, call: CoroutineCall[ResultT], /) -> ResultT: ...


class ThreadedFunctions:
    """The functions that the threads of one executor are calling.

    A function cannot be stopped, so a log message names the tasks that a shutdown or the exit has to wait for. A
    coroutine that a function returned can be cancelled.
    """

    def __init__(self, executor: BaseExecutor) -> None:
        self._executor = executor
        # The task of each run with a function that was called and has not returned.
        self.task_ids: dict[int, str] = {}
        self._cancels: dict[int, Callable[[], bool]] = {}

    def coroutine_ids(self) -> frozenset[int]:
        """Return the ids of the runs with a coroutine in one of the threads. Thread-safe."""
        # Copied in one step of the interpreter: threads change the dictionary.
        return frozenset(self._cancels.copy())

    def watch_exit(self) -> None:
        """At the interpreter's exit, cancel the queue, and log which tasks the exit waits for."""
        _watched.add(self)

    def call(
        self, run: TaskRun[ResultT], run_coroutine: CoroutineRunner = run_in_new_loop
    ) -> TaskNotification[ResultT]:
        """Execute a run in this thread.

        Args:
            run: The run.
            run_coroutine: Runs the coroutine that the function returned to its end.
        """
        return FunctionCaller(self, run_coroutine).call(run)

    def call_coroutine(self, run_id: int, awaitable: Awaitable[ResultT], run_coroutine: CoroutineRunner) -> ResultT:
        """Run the coroutine that the function of a run returned to its end; `cancel` cancels it meanwhile."""
        call = CoroutineCall(awaitable)
        # In this order: a timeout that does not find the call has abandoned the run before it looks again.
        self._cancels[run_id] = call.cancel
        try:
            if self._executor._base_executor_state.registry.is_abandoned(run_id):
                call.cancel()
            return run_coroutine(call)
        finally:
            del self._cancels[run_id]

    def cancel(self, run_id: int) -> bool:
        """Cancel the coroutine of a run. Thread-safe.

        Returns:
            False if no coroutine of the run is running.
        """
        cancel = self._cancels.get(run_id)
        return cancel is not None and cancel()

    def cancel_queue(self, waiting: str) -> None:
        """Cancel the queue, and log which functions are still running."""
        self._executor.cancel_queued()
        self.log_running(waiting)

    def log_running(self, waiting: str) -> None:
        """Log the tasks with functions that have not returned, if there are any."""
        task_ids = sorted(set(self.task_ids.values()))
        if task_ids:
            names = ", ".join(repr(task_id) for task_id in task_ids[:_NAMES_SHOWN])
            more = f" and {len(task_ids) - _NAMES_SHOWN} more" if len(task_ids) > _NAMES_SHOWN else ""
            safe_logger(self._executor).warning(
                "%s waits until the functions of these tasks have returned, as a thread cannot be stopped: %s%s",
                waiting,
                names,
                more,
            )


class FunctionCaller:
    """Caller of the functions of runs in one thread, one after the other.

    A thread of a pool keeps one for all its runs: a closure for each run would cost more than the call.
    """

    __slots__ = ("_functions", "_run_coroutine", "_run_id")

    def __init__(self, functions: ThreadedFunctions, run_coroutine: CoroutineRunner) -> None:
        self._functions = functions
        self._run_coroutine = run_coroutine
        self._run_id = 0

    def call(self, run: TaskRun[ResultT]) -> TaskNotification[ResultT]:
        """Execute a run."""
        run_id, task_ids = run.id, self._functions.task_ids
        self._run_id = run_id
        task_ids[run_id] = run.task_id
        notification = run.execute(self._await_outcome)
        del task_ids[run_id]
        return notification

    def _await_outcome(self, awaitable: Awaitable[ResultT]) -> ResultT:
        return self._functions.call_coroutine(self._run_id, awaitable, self._run_coroutine)


async def call_in_own_thread(call: Callable[[], object], name: str) -> None:
    """Call a function in a thread made for it, and wait until it returns; a shutdown uses this.

    The default executor of the loop may be full of functions that never return, and is not used. If no thread can be
    started, the function is called in this one.
    """
    loop = asyncio.get_running_loop()
    returned: asyncio.Future[None] = loop.create_future()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)
        # The loop is closed if the shutdown was cut short.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(wake)

    def wake() -> None:
        # The future is done if the shutdown was cancelled.
        if not returned.done():
            returned.set_result(None)

    try:
        # A daemon: the interpreter's exit must not wait for a call that hangs.
        threading.Thread(target=work, name=name, daemon=True).start()
    except RuntimeError:
        call()
        return
    await returned
    if errors:
        raise errors.pop()


_watched: weakref.WeakSet[ThreadedFunctions] = weakref.WeakSet()


def call_before_exit_waits(call: Callable[[], object]) -> None:
    """Register a function for the interpreter's exit, called before the exit waits for threads and pools.

    Functions are called in reverse order: a module of the standard library that registers one too, and whose function
    must be called later, must be imported first.
    """
    # `atexit` functions are called after that wait. This private hook, which pools use themselves, comes before it.
    getattr(threading, "_register_atexit", atexit.register)(call)


def _at_exit() -> None:
    for functions in list(_watched):
        functions.cancel_queue("The interpreter's exit")


# This module registers a function that waits for its threads: it must be called after `_at_exit`.
importlib.import_module("concurrent.futures.thread")
call_before_exit_waits(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watched.clear)
