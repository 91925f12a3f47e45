"""Executor on the event loop of the scheduler."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Never, TypeAlias

from typing_extensions import TypeVar, override

from asyncz import _shutdown_limits
from asyncz._constructors import explain_misuse
from asyncz._coroutines import CoroutineCall, close_unstarted
from asyncz._running import running_run
from asyncz.events import TaskNotification
from asyncz.exceptions import WorkerStartError
from asyncz.executors._eager_start import HAS_EAGER_START, start_task
from asyncz.executors._exit_hooks import ThreadedFunctions
from asyncz.executors._left_behind import TasksLeftBehind
from asyncz.executors.base import InlineExecutor, safe_logger
from asyncz.protocols import Notifier
from asyncz.runs import TaskRun, this_worker

ResultT = TypeVar("ResultT")

# A coroutine over its timeout has this long for its cleanup.
_TIMEOUT_CLEANUP_SECONDS = 5.0

_Tracked: TypeAlias = tuple[asyncio.Task[object], Callable[[object], None]]
"""The asyncio task of a run, and the callback that finishes the run."""


class AsyncIOExecutor(InlineExecutor):
    """Executor of coroutines on the event loop, and of functions in the default executor of the loop.

    Aliases `asyncio` and `default`. On Python 3.12 and later a coroutine runs to its first wait while its run is
    submitted, unless the loop has a task factory; else it starts in the next iteration of the loop. If a function
    returns an awaitable, that is awaited on the loop. A coroutine can be cancelled, a running function cannot. A
    coroutine over its timeout is cancelled, and has 5 seconds for its cleanup before its outcome is reported.

    Tasks that a coroutine creates and does not await are cancelled soon after its run. One that is created with
    `context=contextvars.Context()` does not belong to the run, and goes on.
    """

    has_queue = True

    def __init__(self) -> None:
        super().__init__()
        self._base_executor_state.cleanup_seconds = _TIMEOUT_CLEANUP_SECONDS
        self._aio_tasks: dict[int, _Tracked] = {}
        self._functions = ThreadedFunctions(self)
        self._watch: asyncio.Task[None] | None = None
        # The coroutine that is running to its first wait, and the id of the run that did so last.
        self._starting: Coroutine[object, Never, object] | None = None
        self._starting_id = 0

    @override
    async def start(self, notifier: Notifier, alias: str, /) -> None:
        """Use the running loop; its default executor stays its own."""
        await super().start(notifier, alias)
        if not HAS_EAGER_START:
            # Without an eager start no coroutine is over inside of `submit`: each run gets a record anyway.
            self._base_executor_state.runs_inline = False
        self._running_loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._worker = this_worker()
        self._left_behind = TasksLeftBehind(self._running_loop, self._log_left_behind)
        self._functions.watch_exit()

    @override
    def waits_in_queue(self, run: TaskRun[ResultT], /) -> bool:
        return not run.task.is_coroutine

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        if not run.task.is_coroutine:
            self._submit_function(run)
            return
        if run.limits.misfire_grace_time is not None and run.is_too_late():
            self._finish_inline(run, run.missed())
            return

        loop = self._running_loop
        execution = (
            run._execute_async_in_own_context(self._worker) if HAS_EAGER_START else self._execute_and_finish(run)
        )
        context = None if run._context is None else run._context.copy()
        # A coroutine that is submitted by one that is starting does not start eagerly: the nesting could be endless.
        if self._starting is not None or loop.get_task_factory() is not None:
            # A task factory that was written for Python 3.13 or older does not accept a name.
            aio_task = loop.create_task(execution, context=context)
            aio_task.set_name(run.task_id)
        else:
            self._starting = execution
            self._starting_id = run.id
            try:
                aio_task = start_task(loop, execution, run.task_id, context)
            finally:
                self._starting = None
        if not aio_task.done():
            self._finish_when_done(run, aio_task)
            return
        try:
            notification = aio_task.result()
        except asyncio.CancelledError:
            notification = run.cancelled()
        ended = self._left_behind.ended
        if ended:
            # A check is due, as `run_ended` finds too.
            ended.append(run.id)
        else:
            self._left_behind.run_ended(run.id)
        self._finish_inline(run, notification)

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        if self._running_loop.is_closed():
            # The loop was closed before the shutdown: its coroutines never go on.
            return self._functions.cancel(run.id)
        if threading.get_ident() == self._thread:
            is_starting = self._starting is not None and run.id == self._starting_id
            aio_task = self._starting_task() if is_starting else self._aio_task_of(run.id)
            return self._functions.cancel(run.id) if aio_task is None else aio_task.cancel()
        aio_task = self._aio_task_of(run.id)
        if aio_task is None:
            return self._functions.cancel(run.id)
        if aio_task.done():
            return False
        self._running_loop.call_soon_threadsafe(aio_task.cancel)
        return True

    @override
    async def release(self, *, wait: bool) -> None:
        """Wait for the cleanup of coroutines that were cancelled, for at most 3 seconds."""
        hanging: set[asyncio.Task[object]] = set()
        if self._running_loop.is_closed():
            self._aio_tasks.clear()
            self._watch = None
        else:
            self._left_behind.check()
        if self._aio_tasks:
            aio_tasks = [aio_task for aio_task, _ in self._aio_tasks.values()]
            _, hanging = await asyncio.wait(aio_tasks, timeout=_shutdown_limits.CLEANUP_SECONDS)
        if hanging:
            safe_logger(self).warning(
                "%d coroutine(s) are still running although they were cancelled: %s", len(hanging), hanging
            )
        else:
            self._functions.log_running("Not this shutdown, but the end of the event loop")
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
            self._watch = None

    def _finish_when_done(self, run: TaskRun[ResultT], aio_task: asyncio.Task[TaskNotification[ResultT]]) -> None:
        """Finish a run when its asyncio task is done."""

        # A coroutine that is cancelled before its first step never runs its body: only this callback is called then.
        def on_done(_: object) -> None:
            self._aio_tasks.pop(run.id, None)
            self._left_behind.run_ended(run.id)
            self.finish(run, run.cancelled() if aio_task.cancelled() else aio_task.result())

        self._aio_tasks[run.id] = aio_task, on_done
        aio_task.add_done_callback(on_done)
        if run.limits.timeout is not None:
            self.start_timeout(run)

    async def _execute_and_finish(self, run: TaskRun[ResultT]) -> TaskNotification[ResultT]:
        """Execute a run and finish it at the end of its task, instead of in an iteration of the loop after that.

        For coroutines that did not start eagerly: a tenth of the cost of a run. One that is cancelled before its first
        step does not come here, and one that starts eagerly would pay for the call.
        """
        notification = await run._execute_async_in_own_context(self._worker)
        tracked = self._aio_tasks.pop(run.id, None)
        if tracked is not None:
            aio_task, on_done = tracked
            aio_task.remove_done_callback(on_done)
            self._left_behind.run_ended(run.id)
            self.finish(run, notification)
        return notification

    def _aio_task_of(self, run_id: int) -> asyncio.Task[object] | None:
        tracked = self._aio_tasks.get(run_id)
        return None if tracked is None else tracked[0]

    def _starting_task(self) -> asyncio.Task[object] | None:
        # Not always the current task: the starting one may itself start another task eagerly, which calls this.
        tasks = asyncio.all_tasks(self._running_loop)
        return next((task for task in tasks if task.get_coro() is self._starting), None)

    async def _watch_end_of_loop(self) -> None:
        # `asyncio.run` cancels all tasks, and then waits for the threads of the default executor.
        loop = self._running_loop
        try:
            await loop.create_future()
        finally:
            # If the loop was closed before, this coroutine ends when it is collected, maybe while another loop is used.
            if self._running_loop is loop and not loop.is_closed() and self.state.status == "running":
                self._functions.cancel_queue("The end of the event loop")

    def _submit_function(self, run: TaskRun[ResultT]) -> None:
        if self._watch is None:
            self._watch = self._running_loop.create_task(self._watch_end_of_loop())

        # The owner of the default executor may cancel the queued calls.
        def ended(future: asyncio.Future[None]) -> None:
            if future.cancelled() and self.claim(run):
                self.finish(run, run.cancelled())

        try:
            future = self._running_loop.run_in_executor(None, self._run_in_thread, run)
        except RuntimeError as error:
            # No thread could be started, or the pool was shut down. The pool may still call `_run_in_thread` later,
            # which finds that the run is over.
            failure = WorkerStartError("could not start", hint=f"the default executor of the event loop: {error}")
            failure.__cause__ = error
            if self.claim(run):
                self.finish(run, run.failed(failure))
        else:
            future.add_done_callback(ended)

    def _run_in_thread(self, run: TaskRun[ResultT]) -> None:
        if not self.claim(run):
            return
        if run.limits.timeout is not None:
            self.start_timeout(run)
        self.finish(run, self._functions.call(run, self._run_on_loop))

    def _log_left_behind(self, task_id: str, task: asyncio.Task[object]) -> None:
        message = "A run of the task %r has left the asyncio task %r behind, which is cancelled"
        safe_logger(self).warning(message, task_id, task.get_name())

    def _run_on_loop(self, call: CoroutineCall[ResultT], /) -> ResultT:
        """Run the coroutine that a function has returned on the loop, and wait for it in this thread."""
        running = call.run(owns_loop=False)
        try:
            asyncio.run_coroutine_threadsafe(running, self._running_loop).result()
        except concurrent.futures.CancelledError:
            # The task was cancelled before its first step.
            raise asyncio.CancelledError from None
        except RuntimeError:
            # The loop is closed.
            close_unstarted(running)
            raise
        run = running_run.get(None)
        if isinstance(run, TaskRun):
            self._base_executor_state.call_on_loop(partial(self._left_behind.run_ended, run.id))
        return call.result()


explain_misuse(AsyncIOExecutor)
