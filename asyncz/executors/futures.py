"""Runs in any `concurrent.futures` pool that a user brings."""

from __future__ import annotations

import asyncio
import pickle
import queue
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial
from typing import Generic, TypeAlias

from typing_extensions import TypeVar, override

from asyncz.events import TaskNotification
from asyncz.exceptions import InvalidInputError, SerializationError, WorkerLostError
from asyncz.executors import _remote_worker
from asyncz.executors._pool import QueueExecutor
from asyncz.executors._serialization import ending_of_report, latest_start, parcel_of
from asyncz.executors._threads import ThreadedFunctions
from asyncz.protocols import Notifier
from asyncz.runs import TaskRun

ResultT = TypeVar("ResultT")

MakePool: TypeAlias = Callable[[], Executor]
"""What makes a pool of `concurrent.futures`."""

# A pool whose workers cannot even start breaks as soon as it is made.
_BREAKS_IN_A_ROW = 3
# A pool whose `submit` blocks holds the thread that calls it; a shutdown does not wait for that.
_SECONDS_TO_STOP_FEEDING = 1.0


class FuturesExecutor(QueueExecutor):
    """Runs each run in a `concurrent.futures` pool of any kind: threads, processes, loky, Dask, interpreters.

    In a pool of this process a run is called as a thread of asyncz would call it. In another process it is
    called as `ProcessPoolExecutor` would, but a pool does not tell when a function is called. A run waits in
    the queue until the pool pickles it for a worker, and from then on its `timeout` counts and the pool alone
    decides whether it can be cancelled; its function is never told. A worker that dies costs all runs that
    the pool had begun where that breaks the pool, as it does in the standard library; they end as
    `WorkerLostError`.

    Args:
        pool: A pool, which stays its owner's, or what makes one, which is called at each start, and in a
            thread of the executor's when the pool has broken. Where a given pool breaks, the executor is `broken`.
        dumps: How calls and results are pickled on their way to another process and back, for example
            `cloudpickle.dumps`.
        shutdown_pool: Whether the pool is shut down with the executor; by default one that was made is.
        cancel_futures: Cancel the runs that the pool has not begun at shutdown.
        overwrite_wait: Where set, it is used instead of the `wait` of `shutdown`.
        max_queue: How many runs may wait for the pool to begin them at most; None is no limit.

    Raises:
        InvalidInputError: `pool` is no pool and makes none, or `max_queue` is negative.

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
            raise InvalidInputError("pool", repr(pool), "it must be a concurrent.futures.Executor, or what makes one")
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

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        """Make the pool, where it is to be made.

        Raises:
            InvalidInputError: What was to make a pool has made something else.
            DuplicateExecutorError: It runs already.
        """
        self.check_not_started()
        if self._make_pool is not None:
            self._pool = _made(self._make_pool)
        self._breaks, self._lost = 0, None
        await super().start(scheduler, alias)
        self._functions.watch_exit()
        self._feed = queue.SimpleQueue()
        # Nobody knows whether the `submit` of a foreign pool blocks: a bounded one does.
        self._feeder = threading.Thread(target=_feed, args=(self._feed,), name=f"asyncz-feed-{alias}", daemon=True)
        self._feeder.start()

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        self._feed.put(_Call(self, run).submit)

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        future = self._futures.get(run.id)
        return future is not None and future.cancel()

    @override
    async def release(self, *, wait: bool) -> None:
        """Let go of the pool, and shut it down where that is this executor's business, without blocking the loop."""
        self._feed.put(None)
        if self._feeder is not None:
            await asyncio.to_thread(self._feeder.join, _SECONDS_TO_STOP_FEEDING)
            self._feeder = None
        if self._pool is not None and self._shutdown_pool:
            # Nobody knows when what was given up returns.
            await asyncio.to_thread(self._pool.shutdown, wait=not self.state.abandoned)

    # What a run's call needs, in any thread

    def _prepared(self, run: TaskRun[ResultT]) -> tuple[object, ...]:
        """A run as it is pickled for another process: what is called there, and with what."""
        if not self.claim(run):
            return (_remote_worker.nothing,)
        if run.is_too_late():
            self.finish(run, run.missed())
            return (_remote_worker.nothing,)
        try:
            content = parcel_of(run, self._dumps)
        except SerializationError as error:
            self.finish(run, run.failed(error))
            return (_remote_worker.nothing,)
        self.start_timeout(run)
        return _remote_worker.execute_parcel, content, self._dumps, latest_start(run)

    def _run_here(self, run: TaskRun[ResultT]) -> None:
        """Execute a run in the present thread, which belongs to a pool of this process."""
        if self.claim(run):
            self.start_timeout(run)
            self.finish(run, self._functions.call(run))

    def _submit_call(self, call: _Call[ResultT]) -> None:
        """Hand a run over to the pool."""
        pool = self._pool
        if self._lost is not None or pool is None:
            call.end(call.run.failed(self._lost or WorkerLostError("was never there: the executor has no pool")))
            return
        try:
            future = pool.submit(call)
        except BrokenExecutor as error:
            self._replace(pool, _lost_by(error))
            self._submit_call(call)
        except BaseException as error:
            # A pool that has been shut down takes nothing any more, and says so with a RuntimeError.
            call.end(call.run.failed(error))
        else:
            self._futures[call.run.id] = future
            future.add_done_callback(partial(self._ended, pool, call))

    def _ended(self, pool: Executor, call: _Call[ResultT], future: Future[_remote_worker.Report | None]) -> None:
        run = call.run
        self._futures.pop(run.id, None)
        if future.cancelled():
            call.end(run.cancelled())
            return
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            # A pool may hold its own lock while it tells this: what is done with it is done in another thread.
            lost = _lost_by(error)
            self._feed.put(lambda: self._replace(pool, lost))
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
                call.end(_ending_of(run, report))

    def _replace(self, broken: Executor, lost: WorkerLostError) -> None:
        """Have another pool in place of a broken one, or break down; in the feeding thread, once for each."""
        if self._pool is not broken or self._lost is not None:
            return
        self._breaks += 1
        if self._make_pool is None or self._breaks > _BREAKS_IN_A_ROW:
            self._lost = lost
        else:
            try:
                self._pool = _made(self._make_pool)
            except Exception:
                self.logger.exception("No pool could be made in place of the one that broke")
                self._lost = lost
        if self._lost is not None:
            self.mark_broken()
        if self._shutdown_pool:
            broken.shutdown(wait=False)


class _Call(Generic[ResultT]):
    """What a pool is given of a run.

    Called in this process, it executes the run. Pickled, which is when the pool takes it out of its queue, it
    becomes a call that does so in another process.
    """

    __slots__ = ("_away", "executor", "has_left", "run")

    def __init__(self, executor: FuturesExecutor, run: TaskRun[ResultT]) -> None:
        self.executor = executor
        self.run = run
        self.has_left = False
        self._away: tuple[object, ...] | None = None

    def __call__(self) -> _remote_worker.Report | None:
        self.has_left = True
        self.executor._run_here(self.run)
        return None

    @override
    def __reduce__(self) -> tuple[object, ...]:
        self.has_left = True
        # Some pools try several ways of pickling, one after another.
        if self._away is None:
            self._away = self.executor._prepared(self.run)
        return partial, self._away

    def __dask_tokenize__(self) -> str:
        # Dask takes calls that look the same for one call.
        return uuid.uuid4().hex

    def submit(self) -> None:
        """Hand it over to the pool."""
        self.executor._submit_call(self)

    def end(self, notification: TaskNotification[ResultT]) -> None:
        """Tell how the run ended, unless it was cancelled while it waited."""
        if self.executor.claim(self.run):
            self.executor.finish(self.run, notification)


def _lost_by(error: BrokenExecutor) -> WorkerLostError:
    lost = WorkerLostError(f"died and broke the pool: {error}")
    lost.__cause__ = error
    return lost


def _ending_of(run: TaskRun[ResultT], report: _remote_worker.Report) -> TaskNotification[ResultT]:
    try:
        return ending_of_report(run, report)
    except Exception as error:
        # A worker with another version of asyncz may report in another way; a pool swallows what is raised here.
        return run.failed(error)


def _made(make_pool: MakePool) -> Executor:
    pool = make_pool()
    if not _is_pool(pool):
        raise InvalidInputError("pool", repr(pool), "what makes it must give a concurrent.futures.Executor")
    return pool


def _is_pool(value: object) -> bool:
    return isinstance(value, Executor)


def _feed(calls: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (call := calls.get()) is not None:
        call()
        del call
