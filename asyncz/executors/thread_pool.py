"""Executor with a pool of threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Protocol

from typing_extensions import TypeVar, override

from asyncz import _shutdown_limits
from asyncz._constructors import explain_misuse
from asyncz._coroutines import CallLoop
from asyncz.config import ThreadPoolKwargs
from asyncz.exceptions import InvalidInputError, WorkerStartError
from asyncz.executors._exit_hooks import FunctionCaller, ThreadedFunctions, call_in_own_thread
from asyncz.executors._run_registry import RunConsumer, for_all_runs
from asyncz.executors.base import safe_logger
from asyncz.executors.pool import PoolExecutor, check_pool_kwargs
from asyncz.protocols import Notifier
from asyncz.runs import TaskRun

if TYPE_CHECKING:
    from asyncz.states import ExecutorState
else:
    # `typing.get_type_hints` needs the name; importing pydantic here would double the time of the import.
    ExecutorState = object

ResultT = TypeVar("ResultT")

_CLEANUP_SECONDS = 5.0
# A thread that the system refuses to start is tried again after these delays.
_START_DELAYS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


class ThreadPoolExecutor(PoolExecutor):
    """Executor of each run in a `concurrent.futures` thread pool. Aliases `threadpool` and `pool`.

    A coroutine runs to its end in an event loop of its thread; tasks that it leaves behind are cancelled then. A
    coroutine can be cancelled, and one over its timeout has 5 seconds for its cleanup before its outcome is reported. A
    running function cannot be stopped. If it exceeds its timeout the run ends at once as `TaskTimeoutError`, but counts
    as abandoned until the function returns.

    Args:
        max_workers: The maximum number of threads.
        pool_kwargs: Keyword arguments of the `concurrent.futures.ThreadPoolExecutor`.
        cancel_futures: Cancel the queued runs at shutdown.
        overwrite_wait: If set, it replaces the `wait` argument of `shutdown`.
        max_queue: The maximum number of queued runs; None for no limit.

    Raises:
        InvalidInputError: An argument is not valid.

    Example:
        >>> scheduler.add_executor(ThreadPoolExecutor(max_workers=20), alias="io")
    """

    def __init__(
        self,
        max_workers: int = 10,
        pool_kwargs: ThreadPoolKwargs | None = None,
        cancel_futures: bool = False,
        overwrite_wait: bool | None = None,
        max_queue: int | None = None,
    ) -> None:
        super().__init__(max_workers, cancel_futures=cancel_futures, overwrite_wait=overwrite_wait, max_queue=max_queue)
        check_pool_kwargs(pool_kwargs, ThreadPoolKwargs)
        self._base_executor_state.cleanup_seconds = _CLEANUP_SECONDS
        self._pool_kwargs: ThreadPoolKwargs = {**(pool_kwargs or {})}
        self._pool_kwargs.setdefault("thread_name_prefix", "asyncz")
        self._functions = ThreadedFunctions(self)
        self._workers: _Workers | None = None

    @override
    async def start(self, notifier: Notifier, alias: str, /) -> None:
        """Create the pool; its threads start as they are needed."""
        self.check_not_started()
        try:
            self._workers = _Workers(self._new_pool(), self._max_workers, self._execute, self._functions)
        except (TypeError, ValueError) as error:
            raise InvalidInputError("pool_kwargs", repr(self._pool_kwargs), str(error)) from error
        await super().start(notifier, alias)
        self._functions.watch_exit()

    @property
    @override
    def state(self) -> ExecutorState:
        """Snapshot of the executor. Thread-safe."""
        workers = self._workers
        return super().state.model_copy(update={"workers": 0 if workers is None else workers.busy})

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        workers = self._workers
        assert workers is not None
        workers.put(run)
        if workers.busy < workers.maximum and workers.count_in():
            self._start_worker(workers)

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        return self._functions.cancel(run.id)

    @override
    async def release(self, *, wait: bool) -> None:
        """End the threads without blocking the loop; a thread is left behind if its function does not return."""
        if self._workers is None:
            return
        pool = self._workers.pool
        pool.shutdown(wait=False, cancel_futures=True)
        end = asyncio.ensure_future(call_in_own_thread(pool.shutdown, "asyncz-shutdown"))
        # Coroutines that were cancelled return soon, functions may never return.
        coroutines = self._functions.coroutine_ids()
        if coroutines:
            await self._base_executor_state.wait_until_over(coroutines, _shutdown_limits.CLEANUP_SECONDS)
        if self.state.abandoned:
            end.cancel()
            self._functions.log_running("Not this shutdown, but the interpreter's exit")
        else:
            await end
        self._workers = None

    def _new_pool(self) -> concurrent.futures.ThreadPoolExecutor:
        # A TypedDict that others extend cannot be closed.
        return concurrent.futures.ThreadPoolExecutor(self._max_workers, **self._pool_kwargs)  # pyrefly: ignore[open-unpacking]

    def _start_worker(self, workers: _Workers, failures: int = 0) -> None:
        """Start a thread for the queue; it was counted in."""
        start = _WorkerStart(workers)
        try:
            future = workers.pool.submit(start.work)
        except concurrent.futures.BrokenExecutor as error:
            self._fail_queued(workers, f"the initializer of the thread pool failed: {error}", error)
        except RuntimeError as error:
            # The system has refused another thread. The pool keeps the call, and a thread that it has may make it.
            if start.revoke():
                self._start_refused(workers, failures, error)
        else:
            future.add_done_callback(lambda future: self._worker_ended(workers, future))

    def _start_refused(self, workers: _Workers, failures: int, error: RuntimeError) -> None:
        """Count a thread out that could not be started, and try again later if no other thread is working."""
        if workers.count_out() or not workers.queue:
            return
        if failures < len(_START_DELAYS):
            delay = _START_DELAYS[failures]
            self._base_executor_state.call_on_loop(partial(self._retry_later, workers, failures + 1, delay))
            safe_logger(self).warning("A thread could not be started, next try in %g s: %s", delay, error)
        elif workers.count_in():
            self._fail_queued(workers, f"the system has refused to start a thread: {error}", error)

    def _retry_later(self, workers: _Workers, failures: int, delay: float) -> None:
        def retry() -> None:
            if workers.queue and workers.busy == 0 and workers.count_in():
                self._start_worker(workers, failures)

        asyncio.get_running_loop().call_later(delay, retry)

    def _execute(self, run: TaskRun[ResultT], thread: _PoolThread, /) -> None:
        """Execute a run in a thread of the pool, or end it if there can be no thread."""
        if not self.claim(run):
            return
        if thread.failure is not None:
            self.finish(run, run.failed(thread.failure))
            return
        if run.limits.timeout is not None:
            self.start_timeout(run)
        self.finish(run, thread.caller.call(run))

    def _worker_ended(self, workers: _Workers, future: concurrent.futures.Future[None]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self._fail_queued(workers, f"the initializer of the thread pool failed: {error}", error)

    def _fail_queued(self, workers: _Workers, reason: str, error: BaseException) -> None:
        """End the queued runs, as no thread of the pool can start, and create a new pool.

        If other threads are working, they take over the queue.
        """
        with workers.lock:
            workers.busy -= 1
            if workers.busy:
                return
            workers.pool = self._new_pool()
            # Runs that are submitted from here on get a thread of the new pool.
            runs = [workers.queue.popleft() for _ in range(len(workers.queue))]
        failure = WorkerStartError("could not start", hint=reason)
        failure.__cause__ = error
        thread = _PoolThread(self._functions, failure)
        for run in runs:
            self._execute(run, thread)


explain_misuse(ThreadPoolExecutor)


class _PoolThread:
    """One thread of the pool, with an event loop created for the first coroutine; or the reason why it is missing."""

    def __init__(self, functions: ThreadedFunctions, failure: BaseException | None = None) -> None:
        self.failure: BaseException | None = failure
        self._call_loop = CallLoop()
        self.caller: FunctionCaller = FunctionCaller(functions, self._call_loop.run)

    def close_loop(self) -> None:
        """Close the loop; the next coroutine gets another one."""
        self._call_loop.close()


class _ExecuteRun(Protocol):
    """`ThreadPoolExecutor._execute`."""

    def __call__(self, run: TaskRun[ResultT], thread: _PoolThread, /) -> None: ...


class _Workers:
    """Threads of one start of the executor, and the queue.

    Threads that a shutdown left behind keep their own object, and do not count in the next start.
    """

    def __init__(
        self,
        pool: concurrent.futures.ThreadPoolExecutor,
        maximum: int,
        execute: _ExecuteRun,
        functions: ThreadedFunctions,
    ) -> None:
        self.pool = pool
        self.maximum = maximum
        self.queue: deque[TaskRun[object]] = deque()
        self.put: RunConsumer = for_all_runs(self.queue.append)
        self.busy = 0
        self._execute = execute
        self._functions = functions
        # Reentrant: a signal handler may submit a run.
        self.lock = threading.RLock()

    def count_in(self) -> bool:
        """Count one more thread; False if there may not be more."""
        with self.lock:
            if self.busy >= self.maximum:
                return False
            self.busy += 1
            return True

    def count_out(self) -> int:
        """Count one thread less, and return the number of the others."""
        with self.lock:
            self.busy -= 1
            return self.busy

    def work(self) -> None:
        """Execute the queued runs until the queue is empty: a future for each would cost more than the run."""
        thread, queue, execute = _PoolThread(self._functions), self.queue, self._execute
        try:
            while True:
                try:
                    run = queue.popleft()
                except IndexError:
                    thread.close_loop()
                    self.count_out()
                    # The submitting thread appends a run and then reads `busy`; this thread lowers `busy` and then
                    # reads the queue. In either order, one of them sees the other's step: no run is left alone.
                    if not queue or not self.count_in():
                        return
                else:
                    execute(run, thread)
                    # Else the thread would keep the last run while it is idle.
                    del run
        finally:
            thread.close_loop()


class _WorkerStart:
    """One start of a thread, which is revoked if the system refuses the thread.

    The pool has the call in its queue by then, and calls it later in any of its threads: it must not work uncounted.
    """

    def __init__(self, workers: _Workers) -> None:
        self._workers: _Workers | None = workers
        self._all_workers = workers

    def _take(self) -> _Workers | None:
        with self._all_workers.lock:
            workers, self._workers = self._workers, None
            return workers

    def work(self) -> None:
        """Work, unless the start was revoked."""
        workers = self._take()
        if workers is not None:
            workers.work()

    def revoke(self) -> bool:
        """Revoke the start; False if a thread has begun to work."""
        return self._take() is not None
