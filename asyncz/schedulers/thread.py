"""Scheduler for a program without an event loop: the loop runs in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Generic, Never, Protocol, Self, overload

from typing_extensions import TypeVar, Unpack

from asyncz._aliases import ClusterAlias, LoopAlias, OtherAlias, PoolAlias
from asyncz._checks import check_optional_seconds
from asyncz.exceptions import (
    ResultTimeoutError,
    SchedulerAlreadyRunningError,
    SchedulerNotRunningError,
    WrongThreadError,
)
from asyncz.executors._exit_hooks import call_before_exit_waits
from asyncz.protocols import Executor, UniversalExecutor
from asyncz.retries import Retry
from asyncz.schedulers._signals import handle_signals
from asyncz.schedulers.batches import (
    MAX_INSTANCES,
    BatchOptions,
    BatchPlanner,
    ThreadBatch,
    check_items,
    thread_batch_of,
)
from asyncz.tasks import AwaitedT, Task

CallT = TypeVar("CallT")
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
SendT = TypeVar("SendT")
YieldT = TypeVar("YieldT")

# A signal that arrives just before a thread starts to wait is handled after this many seconds at the latest.
_SIGNAL_INTERVAL = 0.5


class ThreadedScheduler(Protocol):
    """Members of a scheduler that its thread calls."""

    async def start(self) -> None:
        """Start the scheduler on the running loop."""
        ...

    async def shutdown(self, wait: bool = True, timeout: float | None = None) -> None:
        """Drain and stop the scheduler."""
        ...

    async def wait_closed(self) -> None:
        """Wait for the end of a shutdown."""
        ...


SchedulerT_co = TypeVar("SchedulerT_co", bound=ThreadedScheduler, covariant=True)


class SchedulerThread(Generic[SchedulerT_co]):
    """Thread that runs a scheduler, with methods for other threads to wait for results.

    Made by `AsyncIOScheduler.in_thread`. Call the thread-safe methods of the scheduler and its tasks, such as
    `add_task` or `Task.then`, directly. The methods here block; they may be called from any thread except that of the
    scheduler. `with` runs the scheduler for a block; `start()` and `stop()` need no block.

    Args:
        scheduler: Scheduler to run.
        stop_soon: Begins or shortens a shutdown of the scheduler, on the loop's thread.
        batches: Checks batches of the scheduler and describes them.
        drain_timeout: See `AsyncIOScheduler.in_thread`.
        loop_factory: See `AsyncIOScheduler.in_thread`.

    Example:
        >>> with AsyncIOScheduler().in_thread() as thread:
        ...     task = thread.scheduler.add_task(pow, 2, 10, executor="processpool")
        ...     print(thread.result(task, timeout=30))
    """

    def __init__(
        self,
        scheduler: SchedulerT_co,
        stop_soon: Callable[[bool, float | None], object],
        batches: BatchPlanner,
        *,
        drain_timeout: float | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        check_optional_seconds("drain_timeout", drain_timeout, zero_allowed=True)
        self._scheduler: SchedulerT_co = scheduler
        self._stop_soon = stop_soon
        self._batches = batches
        self._drain_timeout = drain_timeout
        self._loop_factory = loop_factory
        self._thread: threading.Thread | None = None
        # Held during a start: another one is rejected after it, and `stop()` waits for it.
        self._start_lock = threading.RLock()
        # Protects the loop, which is None while the scheduler does not run, and the waiting calls.
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[concurrent.futures.Future[None]] = set()
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._closed = threading.Event()
        self._failure: BaseException | None = None
        # Whether `start()` was interrupted: the thread then stops its scheduler, once that has started.
        self._start_interrupted = False
        # Id of the process that ran the thread when a fork made this process, else 0.
        self._parent = 0

    @property
    def scheduler(self) -> SchedulerT_co:
        """Scheduler that runs in the thread."""
        return self._scheduler

    def __enter__(self) -> Self:
        """Start the thread and its scheduler; raise the error of a failed start."""
        return self.start()

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        """Shut the scheduler down and join the thread; on an exception, runs are cancelled."""
        self._end(exc_type is None, self._drain_timeout)
        failure, self._failure = self._failure, None
        if failure is not None and exc_type is None:
            raise failure

    def start(self) -> Self:
        """Start the thread and its scheduler, in a program that has no block for `with`; `stop()` ends both.

        Threads do not survive a fork. In a server with several processes, start in each process, after its fork.

        If `stop()` is never called, the exit of the interpreter ends the thread. The runs then have `drain_timeout`
        seconds to finish, or none if there is no limit, before they are cancelled. `atexit` functions are called after
        that.

        Returns:
            This object.

        Raises:
            SchedulerAlreadyRunningError: The thread is running.
            SchedulerNotRunningError: The thread was running when a fork made this process.
            Exception: Error of an executor that did not start.

        Example:
            >>> thread = scheduler.in_thread(drain_timeout=25).start()
        """
        if self._parent:
            raise SchedulerNotRunningError("starting the scheduler again", parent=self._parent)
        with self._start_lock:
            if self._thread is not None and self._thread.is_alive():
                raise SchedulerAlreadyRunningError
            self._started, self._failure = concurrent.futures.Future(), None
            self._closed.clear()
            self._start_interrupted = False
            self._thread = threading.Thread(target=self._run, name="asyncz-scheduler")
            _open.add(self)
            try:
                self._thread.start()
                self._started.result()
            except BaseException:
                # This thread sets the flag and then reads the loop; the scheduler's thread sets the loop and then reads
                # the flag. In either order, one of them sees the other's step, and stops the scheduler.
                self._start_interrupted = True
                self._stop(wait=False)
                if self._thread.ident is not None:
                    self._thread.join()
                _open.discard(self)
                raise
        return self

    def stop(self, wait: bool = True, *, timeout: float | None = None) -> None:
        """Shut the scheduler down and join the thread. May be called again, and before the start.

        In the child process of a fork, which has no such thread, this does nothing.

        Args:
            wait: Let the runs finish; if False, cancel them.
            timeout: Maximum seconds to wait for runs, which are then cancelled; None for the `drain_timeout`.

        Raises:
            InvalidInputError: `timeout` is negative.
            WrongThreadError: This is the thread of the scheduler.
            Exception: Error that ended the thread before.
        """
        check_optional_seconds("timeout", timeout, zero_allowed=True)
        self._reject_own_thread("SchedulerThread.stop()")
        with self._start_lock:
            # A start in another thread is over now.
            if self._thread is None:
                return
        self._end(wait, self._drain_timeout if timeout is None else timeout)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _end(self, wait: bool, timeout: float | None) -> None:
        if self._parent:
            return
        assert self._thread is not None
        try:
            with contextlib.suppress(SchedulerNotRunningError):
                self.shutdown(wait=wait, timeout=timeout)
        except BaseException:
            # An interrupt: do not wait for the runs any longer.
            self._stop(wait=False)
            raise
        finally:
            self._thread.join()
            _open.discard(self)

    def run(self, task: Task[ResultT], *, timeout: float | None = None) -> ResultT:
        """Run a task once now, beside its schedule, and wait for the typed result.

        Args:
            task: Task of this scheduler.
            timeout: Maximum seconds to wait; None for no limit. The run continues after that.

        Raises:
            ResultTimeoutError: The run has not ended in time.
            Exception: Error of the run, or of `Task.run`.

        Example:
            >>> page = thread.run(task, timeout=30)
        """

        async def run() -> ResultT:
            return await task.run()

        return self._wait_for(run, task.id, timeout)

    def result(self, task: Task[ResultT], *, timeout: float | None = None) -> ResultT:
        """Wait for the next run of a task that ends, and return its typed result; for a finished task, the last one.

        Args:
            task: Task of this scheduler.
            timeout: Maximum seconds to wait; None for no limit. The task continues after that.

        Raises:
            ResultTimeoutError: No run has ended in time.
            Exception: Error of the run, or of `Task.result`.
        """
        return self._wait_for(task.result, task.id, timeout)

    def cancel(self, task: Task[object], *, timeout: float | None = None) -> int:
        """Cancel all queued and running runs of a task, as `Task.cancel_runs` does.

        Args:
            task: Task of this scheduler.
            timeout: Maximum seconds to wait for the requests, not for the ends of the runs; None for no limit.

        Returns:
            The number of runs that accepted the request; each still ends in its one notification.

        Raises:
            ResultTimeoutError: The requests were not made in time.
            SchedulerNotRunningError: The scheduler has been shut down.

        Example:
            >>> thread.cancel(task)
        """

        async def cancel() -> int:
            return task.cancel_runs()

        return self._wait_for(cancel, task.id, timeout)

    # The overloads are those of `AsyncIOScheduler.map`.
    @overload
    def map(
        self,
        fn: Callable[[ItemT], Coroutine[YieldT, SendT, AwaitedT]],
        items: Iterable[ItemT],
        /,
        *,
        executor: UniversalExecutor | PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        max_instances: int = MAX_INSTANCES,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        ordered: bool = True,
    ) -> ThreadBatch[ItemT, AwaitedT]: ...
    @overload
    def map(
        self,
        fn: Callable[[ItemT], CallT],
        items: Iterable[ItemT],
        /,
        *,
        executor: UniversalExecutor | PoolAlias | ClusterAlias | LoopAlias | OtherAlias | None = None,
        id: str | None = None,
        max_instances: int = MAX_INSTANCES,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        ordered: bool = True,
    ) -> ThreadBatch[ItemT, CallT]: ...
    @overload
    def map(
        self,
        fn: Callable[[ItemT], Coroutine[YieldT, SendT, AwaitedT]],
        items: Iterable[ItemT],
        /,
        *,
        executor: Executor[AwaitedT],
        id: str | None = None,
        max_instances: int = MAX_INSTANCES,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        ordered: bool = True,
    ) -> ThreadBatch[ItemT, AwaitedT]: ...
    @overload
    def map(
        self,
        fn: Callable[[ItemT], CallT],
        items: Iterable[ItemT],
        /,
        *,
        executor: Executor[CallT],
        id: str | None = None,
        max_instances: int = MAX_INSTANCES,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        ordered: bool = True,
    ) -> ThreadBatch[ItemT, CallT]: ...
    def map(
        self,
        fn: Callable[[ItemT], ResultT | Awaitable[ResultT]],
        items: Iterable[ItemT],
        /,
        *,
        executor: Executor[ResultT] | OtherAlias | None = None,
        id: str | None = None,
        ordered: bool = True,
        **options: Unpack[BatchOptions],
    ) -> ThreadBatch[ItemT, ResultT]:
        """Return an iterator of the typed results of a function for each of many items, as `AsyncIOScheduler.map` does.

        Items are read in the thread that iterates, within `next()`, so that a cursor of a database can be used.

        Args:
            fn: Function of one argument, coroutine function, or another callable; partials give it more arguments.
            items: Iterable, also an endless one.
            executor: Alias of an executor, or an executor, which is registered on first use. None: the executor that
                is registered as `default`, or else `asyncio`.
            id: Id of the task; by default derived from the name of the function.
            max_instances: Maximum number of runs at the same time.
            timeout: Maximum seconds of an attempt of an item; None for no limit. By default that of `defaults`.
            retry: Retry policy of failed items; None for no retries. By default that of `defaults`.
            ordered: Return the results in the order of the items; if False, as they are completed.

        Raises:
            Exception: Error of `AsyncIOScheduler.map`.

        Example:
            >>> for thumbnail in thread.map(shrink, paths, executor="processpool"):
            ...     print(thumbnail)
        """
        check_items(items, (Iterable,), "a list or another iterable")
        runs = self._batches.plan(fn, executor, id, options, ordered=ordered)
        return thread_batch_of(runs, items, self._run_on_loop)

    def wait_closed(self) -> None:
        """Wait for the end of a shutdown, by `shutdown()`, SIGINT or SIGTERM.

        The signals are handled while the main thread waits here, and restored afterwards: the first one lets the runs
        finish, for `drain_timeout` seconds at most, a second one cancels them.

        Raises:
            WrongThreadError: This is the thread of the scheduler.
        """
        self._reject_own_thread("SchedulerThread.wait_closed()")
        with self._lock:
            if self._loop is None:
                return
        with handle_signals(self._stop):
            while not self._closed.wait(_SIGNAL_INTERVAL):
                pass

    def shutdown(self, wait: bool = True, *, timeout: float | None = None) -> None:
        """Shut the scheduler down and wait for the end, as `AsyncIOScheduler.shutdown` does.

        Args:
            wait: Let the runs finish; if False, cancel them.
            timeout: Maximum seconds to wait for runs, which are then cancelled; None for no limit.

        Raises:
            InvalidInputError: `timeout` is negative.
            SchedulerNotRunningError: The scheduler has been shut down before.
        """
        self._wait_for(lambda: self._scheduler.shutdown(wait, timeout), "", None)

    def _run_on_loop(self, make: Callable[[], Coroutine[object, Never, ResultT]], /) -> ResultT:
        """Run a coroutine on the loop, and wait for its result."""
        return self._wait_for(make, "", None)

    def _wait_for(
        self, make: Callable[[], Coroutine[object, Never, ResultT]], task_id: str, timeout: float | None
    ) -> ResultT:
        check_optional_seconds("timeout", timeout, zero_allowed=True)
        self._reject_own_thread("waiting for the scheduler")
        with self._lock:
            if self._loop is None:
                raise SchedulerNotRunningError("waiting for the scheduler's thread", parent=self._parent)
            future = asyncio.run_coroutine_threadsafe(make(), self._loop)
            # The scheduler's thread waits for it before it closes its loop. Set by a callback of `future`, not by this
            # thread, which a signal may interrupt at any moment.
            received: concurrent.futures.Future[None] = concurrent.futures.Future()
            future.add_done_callback(lambda _: received.set_result(None))
            self._waiting.add(received)
        try:
            deadline = None if timeout is None else time.monotonic() + timeout
            while not future.done():
                remaining = _SIGNAL_INTERVAL if deadline is None else deadline - time.monotonic()
                if timeout is not None and remaining <= 0:
                    raise ResultTimeoutError(task_id, timeout)
                concurrent.futures.wait([future], min(remaining, _SIGNAL_INTERVAL))
            return future.result()
        finally:
            # Cancels the coroutine that waits, not the run.
            future.cancel()
            self._waiting.discard(received)

    def _reject_own_thread(self, action: str) -> None:
        current = threading.current_thread()
        if current is self._thread:
            raise WrongThreadError(action, current.name, "it would wait for itself; await it instead")

    def _stop(self, wait: bool) -> None:
        """Begin or shorten a shutdown, without waiting. Also called by signal handlers."""
        loop = self._loop
        if loop is not None:
            # The loop may be closed by now.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._stop_soon, wait, self._drain_timeout)

    def _stop_at_exit(self) -> None:
        """Begin the shutdown at the exit of the interpreter."""
        # Another thread may be waiting in `start()`.
        concurrent.futures.wait([self._started])
        self._stop(wait=self._drain_timeout is not None)

    def _after_fork(self, parent: int) -> None:
        """Adapt to the child process of a fork: it has no such thread, and a copied lock may be held for ever."""
        self._parent = parent
        self._loop, self._thread = None, None
        self._start_lock, self._lock = threading.RLock(), threading.Lock()
        self._waiting = set()
        self._closed.set()

    # In the thread

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._loop_factory) as runner:
                runner.run(self._main())
        except BaseException as error:
            if self._started.done():
                self._failure = error
            else:
                self._started.set_exception(error)
        finally:
            self._closed.set()

    async def _main(self) -> None:
        try:
            await self._scheduler.start()
            try:
                self._loop = asyncio.get_running_loop()
                self._started.set_result(None)
                if self._start_interrupted:
                    self._stop_soon(False, None)
                await self._scheduler.wait_closed()
            except BaseException:
                await self._scheduler.shutdown(wait=False)
                raise
        finally:
            with self._lock:
                self._loop = None
        # Waiting threads receive their results before the loop is closed.
        while pending := [received for received in list(self._waiting) if not received.done()]:
            await asyncio.gather(*map(asyncio.wrap_future, pending))


_open: weakref.WeakSet[SchedulerThread[ThreadedScheduler]] = weakref.WeakSet()


def _stop_all() -> None:
    threads = list(_open)
    try:
        for thread in threads:
            thread._stop_at_exit()
        for thread in threads:
            thread._closed.wait()
    except BaseException:
        # An interrupt: do not wait for the runs any longer.
        for thread in threads:
            thread._stop(wait=False)
        raise


# The exit of the interpreter joins the thread, which would never end if its `with` block was not left. Executors and
# their threads still work in this function, so that runs can finish.
call_before_exit_waits(_stop_all)


def _after_fork() -> None:
    for thread in list(_open):
        thread._after_fork(os.getppid())
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
