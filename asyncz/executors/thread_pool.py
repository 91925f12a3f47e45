"""Runs in a pool of threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import TypeVar, override

from asyncz._callables import as_coroutine
from asyncz.config import ThreadPoolKwargs
from asyncz.exceptions import InvalidInputError, WorkerStartError
from asyncz.executors._pool import PoolExecutor, check_pool_kwargs
from asyncz.executors._threads import ThreadedFunctions
from asyncz.protocols import Notifier
from asyncz.runs import TaskRun

if TYPE_CHECKING:
    from asyncz.states import ExecutorState

ResultT = TypeVar("ResultT")


class ThreadPoolExecutor(PoolExecutor):
    """Runs each run in a `concurrent.futures` thread pool. Aliases `threadpool` and `pool`.

    A coroutine function runs to its end in an event loop of its thread. A function that runs cannot be stopped. One
    that exceeds its time limit ends as `TaskTimeoutError` and stays counted until it returns.

    Args:
        max_workers: The maximum number of threads.
        pool_kwargs: Keyword arguments of the `concurrent.futures.ThreadPoolExecutor`.
        cancel_futures: Cancel the runs that wait for a thread at shutdown.
        overwrite_wait: Where set, it is used instead of the `wait` of `shutdown`.
        max_queue: How many runs may wait for a thread at most; None is no limit.

    Raises:
        InvalidInputError: One of these is not what it should be.

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
        self._pool_kwargs: ThreadPoolKwargs = {**(pool_kwargs or {})}
        self._pool_kwargs.setdefault("thread_name_prefix", "asyncz")
        self._functions = ThreadedFunctions(self)
        self._workers: _Workers | None = None

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        """Make the pool; its threads start as they are needed."""
        self.check_not_started()
        try:
            self._workers = _Workers(self._new_pool(), self._max_workers)
        except (TypeError, ValueError) as error:
            raise InvalidInputError("pool_kwargs", repr(self._pool_kwargs), str(error)) from error
        await super().start(scheduler, alias)
        self._functions.watch_exit()

    @property
    @override
    def state(self) -> ExecutorState:
        """A snapshot of what it does. May be read from any thread."""
        workers = self._workers
        return super().state.model_copy(update={"workers": 0 if workers is None else workers.busy})

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        assert self._workers is not None
        workers = self._workers
        workers.queue.append(partial(self._run_in_thread, run))
        if workers.busy < workers.most and workers.take_place():
            self._start_worker(workers)

    @override
    async def release(self, *, wait: bool) -> None:
        """End the threads, without blocking the loop; one that does not return is left to itself."""
        if self._workers is not None:
            pool = self._workers.pool
            pool.shutdown(wait=False, cancel_futures=True)
            if self.state.abandoned:
                self._functions.tell_unreturned("Not this shutdown, but the interpreter's exit")
            else:
                await asyncio.to_thread(pool.shutdown)
            self._workers = None

    def _new_pool(self) -> concurrent.futures.ThreadPoolExecutor:
        # A TypedDict that others extend cannot be closed.
        return concurrent.futures.ThreadPoolExecutor(self._max_workers, **self._pool_kwargs)  # pyrefly: ignore[open-unpacking]

    def _start_worker(self, workers: _Workers) -> None:
        try:
            future = workers.pool.submit(workers.work)
        except concurrent.futures.BrokenExecutor as error:
            self._fail_queued(workers, error)
        else:
            future.add_done_callback(lambda future: self._worker_ended(workers, future))

    def _run_in_thread(self, run: TaskRun[ResultT], loops: _Loops) -> None:
        if not self.claim(run):
            return
        if loops.broken_by is not None:
            self.finish(run, run.failed(loops.broken_by))
            return
        if run.limits.timeout is not None:
            self.start_timeout(run)
        self.finish(run, self._functions.call(run, loops.run))

    def _worker_ended(self, workers: _Workers, future: concurrent.futures.Future[None]) -> None:
        if not future.cancelled() and isinstance(error := future.exception(), BaseException):
            self._fail_queued(workers, error)

    def _fail_queued(self, workers: _Workers, error: BaseException) -> None:
        """End what waits, as no thread of the pool can start (its initializer raised), and use a new pool.

        Where other threads still work, they take what waits.
        """
        with workers.lock:
            workers.busy -= 1
            if workers.busy:
                return
            workers.pool = self._new_pool()
            # What is submitted from here on has a thread of the new pool.
            waiting = [workers.queue.popleft() for _ in range(len(workers.queue))]
        failure = WorkerStartError("could not start", hint=f"the initializer of the thread pool failed: {error}")
        failure.__cause__ = error
        for run in waiting:
            run(_Loops(broken_by=failure))


class _Workers:
    """The threads of one start of the executor, and what waits for them.

    A thread that a shutdown has left to itself goes on with its own, and counts no more in the next start.
    """

    def __init__(self, pool: concurrent.futures.ThreadPoolExecutor, most: int) -> None:
        self.pool = pool
        self.most = most
        self.queue: deque[Callable[[_Loops], None]] = deque()
        self.busy = 0
        self.lock = threading.Lock()

    def take_place(self) -> bool:
        """Count one more thread, where there may be one more."""
        with self.lock:
            if self.busy >= self.most:
                return False
            self.busy += 1
            return True

    def work(self) -> None:
        """Take run after run, as long as any waits: a future for each would cost more than the run itself."""
        with _Loops() as loops:
            while True:
                try:
                    run = self.queue.popleft()
                except IndexError:
                    loops.close()
                    with self.lock:
                        self.busy -= 1
                    # Looked at again: who put a run there before has seen this thread at work, and has started none.
                    if not self.queue or not self.take_place():
                        return
                else:
                    run(loops)
                    del run


class _Loops:
    """The event loop of one thread, made when a coroutine needs it, or the reason why there is no thread."""

    def __init__(self, broken_by: BaseException | None = None) -> None:
        self.broken_by = broken_by
        self._runner: asyncio.Runner | None = None

    def __enter__(self) -> _Loops:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the loop back; another is made when it is needed."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            runner.close()

    def run(self, awaitable: Awaitable[ResultT]) -> ResultT:
        """Run an awaitable to its end."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        # Without one, all runs of the thread would see the context of its first.
        return self._runner.run(as_coroutine(awaitable), context=copy_context())
