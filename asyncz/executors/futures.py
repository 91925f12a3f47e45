"""Executor on a `concurrent.futures` pool of any kind."""

from __future__ import annotations

import asyncio
import os
import pickle
import queue
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial
from typing import Generic, TypeAlias

from typing_extensions import TypeVar, override

from asyncz import _shutdown_limits
from asyncz._constructors import explain_misuse
from asyncz.events import TaskNotification
from asyncz.exceptions import InvalidInputError, SerializationError, WorkerLostError, WorkerStartError
from asyncz.executors import _remote_worker
from asyncz.executors._exit_hooks import ThreadedFunctions, call_in_own_thread
from asyncz.executors._helper_threads import HelperThreads
from asyncz.executors._progress_socket import ProgressSocket
from asyncz.executors._remote_call import safe_repr
from asyncz.executors._serialization import is_plain_call, latest_start, outcome_of, parcel_of, plain_outcome_of_report
from asyncz.executors.base import limit_pickling, log_broken, safe_logger, set_broken
from asyncz.executors.pool import QueueExecutor
from asyncz.protocols import Notifier
from asyncz.runs import TaskRun

ResultT = TypeVar("ResultT")

MakePool: TypeAlias = Callable[[], Executor]
"""Function that creates a pool of `concurrent.futures`."""

# A pool with workers that cannot start breaks as soon as it is created: it is not replaced more often than this.
_BREAKS_IN_A_ROW = 3
# A shutdown does not wait longer for the feeder thread, which may be blocked in `submit` of the pool.
_FEEDER_STOP_SECONDS = 1.0
# Seconds for which a pool waits for a call that is being pickled: all runs share the thread in which it waits.
_SECONDS_UNTIL_SLOW = 0.02


class FuturesExecutor(QueueExecutor):
    """Executor of each run in a `concurrent.futures` pool of any kind: threads, processes, loky, Dask, interpreters.

    In a pool of this process, a run executes as in `ThreadPoolExecutor`. In a pool of other processes, it executes as
    in `ProcessPoolExecutor`, but such a pool does not report when a function is called. A run is queued until the pool
    pickles it for a worker. From then on its `timeout` counts, and only the pool can cancel it. If a worker dies and
    that breaks the pool, as in the standard library, all runs that the pool had begun end as `WorkerLostError`.

    Args:
        pool: A pool, which stays the caller's; or a function that creates one, called at each start and again, in a
            thread of the executor, after the pool has broken. If a given pool breaks, the executor is `broken`.
        dumps: The function that pickles calls and results for other processes, for example `cloudpickle.dumps`.
        shutdown_pool: Shut the pool down with the executor. By default True for a pool that the executor created.
        cancel_futures: At shutdown, cancel the runs that the pool has not begun.
        overwrite_wait: If set, it replaces the `wait` argument of `shutdown`.
        max_queue: The maximum number of queued runs; None for no limit.

    Raises:
        InvalidInputError: `pool` is neither a pool nor callable, or another argument is not valid.

    Example:
        >>> scheduler.add_executor(FuturesExecutor(lambda: get_reusable_executor(max_workers=4)), alias="loky")
    """

    def __init__(
        self,
        pool: Executor | MakePool,
        *,
        dumps: Callable[[object], bytes] = pickle.dumps,
        shutdown_pool: bool | None = None,
        cancel_futures: bool = False,
        overwrite_wait: bool | None = None,
        max_queue: int | None = None,
    ) -> None:
        super().__init__(cancel_futures=cancel_futures, overwrite_wait=overwrite_wait, max_queue=max_queue)
        if not isinstance(pool, Executor) and not callable(pool):
            raise InvalidInputError("pool", repr(pool), "it must be a concurrent.futures.Executor, or create one")
        self._make_pool: MakePool | None = None if isinstance(pool, Executor) else pool
        self._pool: Executor | None = pool if isinstance(pool, Executor) else None
        self._shutdown_pool = self._make_pool is not None if shutdown_pool is None else shutdown_pool
        self._dumps = dumps
        self._functions = ThreadedFunctions(self)
        self._breaks = 0
        self._lost: WorkerLostError | None = None
        self._futures: dict[int, Future[_remote_worker.Report | None]] = {}
        self._feed: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._feeder: threading.Thread | None = None
        # Threads of their own: a call that hangs while it is pickled must not delay the results of others.
        self._picklers = HelperThreads("asyncz-futures-pickle")
        self._readers = HelperThreads("asyncz-futures-read")
        self._progress: ProgressSocket | None = None

    @override
    async def start(self, notifier: Notifier, alias: str, /) -> None:
        """Create the pool, if it was not given.

        Raises:
            InvalidInputError: The function that creates the pool has returned something else.
            DuplicateExecutorError: The executor is running already.
            WorkerStartError: The system has refused to start a thread.
        """
        self.check_not_started()
        feed: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # `submit` is called in a thread, as that of a foreign pool may block: one with a bounded queue does.
        feeder = threading.Thread(target=_feed, args=(feed,), name=f"asyncz-feed-{alias}", daemon=True)
        try:
            feeder.start()
        except RuntimeError as error:
            raise WorkerStartError("could not start", hint=f"the system has refused a thread: {error}") from error
        try:
            if self._make_pool is not None:
                self._pool = _create(self._make_pool)
            self._breaks, self._lost = 0, None
            await super().start(notifier, alias)
        except BaseException:
            feed.put(None)
            raise
        self._functions.watch_exit()
        self._progress = ProgressSocket(asyncio.get_running_loop())
        self._feed, self._feeder = feed, feeder

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self._feed.put(_Call(self, run).submit)

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        if self._functions.cancel(run.id):
            return True
        future = self._futures.get(run.id)
        return future is not None and future.cancel()

    @override
    async def release(self, *, wait: bool) -> None:
        """Stop using the pool, and shut it down if `shutdown_pool` says so, without blocking the loop."""
        self._feed.put(None)
        if self._feeder is not None:
            await call_in_own_thread(partial(self._feeder.join, _FEEDER_STOP_SECONDS), "asyncz-shutdown")
            self._feeder = None
        # Coroutines that were cancelled return soon, functions may never return.
        coroutines = self._functions.coroutine_ids()
        if coroutines:
            await self._base_executor_state.wait_until_over(coroutines, _shutdown_limits.CLEANUP_SECONDS)
        if self._pool is not None and self._shutdown_pool:
            # A function of an abandoned run may never return.
            shutdown = partial(self._pool.shutdown, wait=not self.state.abandoned)
            await call_in_own_thread(shutdown, "asyncz-shutdown")
        if self._progress is not None:
            self._progress.close()

    def _log_failure(self, error: BaseException) -> None:
        # All runs share the feeder thread, and a log handler may hang.
        self._readers.call(partial(safe_logger(self).error, "The pool has failed", exc_info=error))

    # For `_Call`, in any thread

    def _prepared(self, call: _Call[ResultT]) -> tuple[object, ...]:
        """Return the function that executes a run in another process, and its arguments."""
        run = call.run
        if self._base_executor_state.registry.is_over(run.id):
            return (_remote_worker.nothing,)
        try:
            content = self._content_of(call)
            if content is None or not self.claim(run):
                return (_remote_worker.nothing,)
            if run.is_too_late():
                self.finish(run, run.missed())
                return (_remote_worker.nothing,)
        except SerializationError as error:
            call.end(run.failed(error))
            return (_remote_worker.nothing,)
        self.start_timeout(run)
        address = "" if self._progress is None else self._progress.add(run.id, run.report_progress)
        return _remote_worker.execute_parcel, content, self._dumps, latest_start(run), address, run.id, os.getpid()

    def _content_of(self, call: _Call[ResultT]) -> bytes | None:
        """Return the parcel of a run; None if pickling takes long: the pool then gets another call later.

        Raises:
            SerializationError: The function or an argument cannot be pickled.
        """
        if call.pickling is None:
            if is_plain_call(call.run.call):
                return parcel_of(call.run, self._dumps)
            call.pickling = _Pickling(call, self._dumps)
            self._picklers.call(call.pickling.pickle)
        return call.pickling.wait()

    def _run_here(self, run: TaskRun[ResultT]) -> None:
        """Execute a run in this thread, which belongs to a pool of this process."""
        if self.claim(run):
            self.start_timeout(run)
            self.finish(run, self._functions.call(run))

    def _submit_call(self, call: _Call[ResultT]) -> None:
        """Submit a call to the pool; in the feeder thread."""
        pool = self._pool
        if self._lost is not None or pool is None:
            call.end(call.run.failed(self._lost or WorkerLostError("does not exist: the executor has no pool")))
            return
        try:
            future = pool.submit(call)
        except BrokenExecutor as error:
            self._replace(pool, _lost_by(error))
            self._submit_call(call)
        except BaseException as error:
            # Such as the RuntimeError of a pool that has been shut down.
            call.end(call.run.failed(error))
        else:
            if not call.is_withdrawn:
                self._futures[call.run.id] = future
            future.add_done_callback(partial(self._ended, pool, call))

    def _ended(self, pool: Executor, call: _Call[ResultT], future: Future[_remote_worker.Report | None]) -> None:
        run = call.run
        if call.is_withdrawn:
            # The future of the run is that of the second call.
            error = None if future.cancelled() else future.exception()
            if error is not None and issubclass(type(error), BrokenExecutor):
                self._replace_soon(pool, _lost_by(error))
            return
        self._futures.pop(run.id, None)
        if self._progress is not None:
            # The worker has sent its last report before the outcome.
            self._progress.remove(run.id)
        if future.cancelled():
            call.end(run.cancelled())
            return
        error = future.exception()
        # Not `isinstance`: it reads `__class__`, which an exception's class may define as a property that raises.
        if error is not None and issubclass(type(error), BrokenExecutor):
            lost = _lost_by(error)
            self._replace_soon(pool, lost)
            if call.has_left:
                call.end(run.failed(lost))
            else:
                self._feed.put(call.submit)
        elif error is not None:
            call.end(run.failed(error))
        else:
            self._breaks = 0
            report = future.result()
            if report is not None:
                self._deliver(call, report)

    def _deliver(self, call: _Call[ResultT], report: _remote_worker.Report) -> None:
        """End a run with the report of its worker. All runs share the thread of the pool that calls this."""
        run = call.run
        try:
            outcome = plain_outcome_of_report(run, report)
        except Exception as error:
            # A worker with another version of asyncz may send another report. A pool ignores errors of callbacks.
            outcome = run.failed(error)
        if outcome is None:
            self._readers.call(lambda: call.end(outcome_of(run, report[0], report[1])))
        else:
            call.end(outcome)

    def _replace_soon(self, broken: Executor, lost: WorkerLostError) -> None:
        # A pool may call its callbacks under its own lock, so it is replaced in another thread.
        self._feed.put(lambda: self._replace(broken, lost))

    def _replace(self, broken: Executor, lost: WorkerLostError) -> None:
        """Replace a broken pool, or mark the executor as broken. Called in the feeder thread, once per pool."""
        if self._pool is not broken or self._lost is not None:
            return
        self._breaks += 1
        if self._make_pool is None or self._breaks > _BREAKS_IN_A_ROW:
            self._lost = lost
        else:
            try:
                self._pool = _create(self._make_pool)
            except BaseException as error:
                self._log_failure(error)
                self._lost = lost
        if self._lost is not None and set_broken(self):
            # All runs share this thread, and a log handler may hang.
            self._readers.call(partial(log_broken, self))
        if self._shutdown_pool:
            try:
                broken.shutdown(wait=False)
            except BaseException as error:
                self._log_failure(error)


explain_misuse(FuturesExecutor)


class _Call(Generic[ResultT]):
    """The call of a run that is submitted to a pool.

    If it is called in this process, it executes the run. If the pool pickles it for another process, which happens when
    the pool takes it out of its queue, the pickled form is a call that executes the run there.
    """

    __slots__ = ("_remote_form", "executor", "has_left", "pickling", "run")

    def __init__(
        self, executor: FuturesExecutor, run: TaskRun[ResultT], pickling: _Pickling[ResultT] | None = None
    ) -> None:
        self.executor = executor
        self.run = run
        self.has_left = False
        self.pickling = pickling
        self._remote_form: tuple[object, ...] | None = None

    @property
    def is_withdrawn(self) -> bool:
        """True if a second call was or will be submitted in place of this one."""
        return self.pickling is not None and self.pickling.replaces(self)

    def __call__(self) -> _remote_worker.Report | None:
        self.has_left = True
        self.executor._run_here(self.run)
        return None

    @override
    def __reduce__(self) -> tuple[object, ...]:
        self.has_left = True
        # Kept, as some pools pickle a call several times, with one pickler after another.
        if self._remote_form is None:
            self._remote_form = self.executor._prepared(self)
        return partial, self._remote_form

    def __dask_tokenize__(self) -> str:
        # Dask executes calls with equal tokens once.
        return uuid.uuid4().hex

    def submit(self) -> None:
        """Submit the call to the pool."""
        try:
            self.executor._submit_call(self)
        except BaseException as error:
            # Such as that of a pool with a `submit` that returns no future.
            self.end(self.run.failed(error))

    def end(self, notification: TaskNotification[ResultT]) -> None:
        """Report the outcome of the run, unless it was cancelled in the queue."""
        if self.executor.claim(self.run):
            self.executor.finish(self.run, notification)


class _Pickling(Generic[ResultT]):
    """Pickling of a run's call in a helper thread, as user code may hang.

    The pool waits for `_SECONDS_UNTIL_SLOW` at most. If pickling takes longer, the pool gets a call that does nothing,
    and another one when the run is pickled. `_lock` decides between the two threads: either `wait` finds `_done` set
    and returns the content, or it sets `_was_slow` first, and `pickle`, which reads that after setting `_done` under
    the lock, submits the second call.

    Args:
        call: The call that the pool has begun to pickle.
        dumps: The function that pickles.
    """

    def __init__(self, call: _Call[ResultT], dumps: Callable[[object], bytes]) -> None:
        self._call = call
        self._dumps = dumps
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._was_slow = False
        self._content: bytes | None = None
        self._error: SerializationError | None = None

    def replaces(self, call: _Call[ResultT]) -> bool:
        """Return True if a second call was or will be submitted in place of this one."""
        return self._was_slow and call is self._call

    def wait(self) -> bytes | None:
        """Return the parcel of the run; None if it is not ready.

        Raises:
            SerializationError: The function or an argument cannot be pickled.
        """
        self._done.wait(_SECONDS_UNTIL_SLOW)
        with self._lock:
            if not self._done.is_set():
                self._was_slow = True
                return None
        if self._error is not None:
            raise self._error
        return self._content

    def pickle(self) -> None:
        """Pickle the run, in a helper thread."""
        call = self._call
        stop_timeout = limit_pickling(call.executor, call.run)
        try:
            self._content = parcel_of(call.run, self._dumps)
        except SerializationError as error:
            self._error = error
        except BaseException as error:
            self._error = SerializationError("function or argument", f"of {call.run.task_id!r}", safe_repr(error))
        stop_timeout()
        with self._lock:
            self._done.set()
        if self._was_slow:
            call.executor._feed.put(_Call(call.executor, call.run, self).submit)


def _lost_by(error: BaseException) -> WorkerLostError:
    lost = WorkerLostError(f"died and broke the pool: {error}")
    lost.__cause__ = error
    return lost


def _create(make_pool: MakePool) -> Executor:
    pool = make_pool()
    if not _is_pool(pool):
        raise InvalidInputError("pool", repr(pool), "the function must return a concurrent.futures.Executor")
    return pool


def _is_pool(value: object) -> bool:
    """Return True if a value is a pool; not every author of a function that makes one uses a type checker."""
    return isinstance(value, Executor)


def _feed(calls: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    # No call raises: an error is the outcome of a run, or is logged.
    while (call := calls.get()) is not None:
        call()
        # Else this thread would keep the run while it waits.
        del call
