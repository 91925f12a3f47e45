"""Runs in worker processes, of which each crash costs one run."""

from __future__ import annotations

import asyncio
import multiprocessing.spawn
from collections.abc import Callable
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Generic

from typing_extensions import TypeVar, override

from asyncz._checks import check_optional_count, check_optional_instance
from asyncz.config import ProcessPoolKwargs
from asyncz.events import TaskNotification, Worker
from asyncz.exceptions import SerializationError
from asyncz.executors._pool import PoolExecutor, check_pool_kwargs
from asyncz.executors._serialization import ending_of, parcel_of, pickled
from asyncz.executors.process_pool._supervisor import Supervisor
from asyncz.protocols import Notifier
from asyncz.runs import TaskRun

if TYPE_CHECKING:
    from asyncz.states import ExecutorState

ResultT = TypeVar("ResultT")


class ProcessPoolExecutor(PoolExecutor):
    """Runs each run in a worker process of a `concurrent.futures` pool. Alias `processpool`.

    Functions, arguments and results are pickled. A coroutine function runs to its end in an event loop
    of its worker. A worker that dies costs the run that it was executing, which ends as
    `WorkerLostError`; another worker takes its place. What functions log reaches the logging of this
    process. Workers ignore SIGINT, and start by forkserver, or spawn, unless `mp_context` says otherwise.
    A run that is cancelled is killed together with its worker; one whose function asks
    `current_run().is_cancelled()` has five seconds to return before.

    Args:
        max_workers: The maximum number of processes.
        pool_kwargs: Keyword arguments of the `concurrent.futures.ProcessPoolExecutor`.
        cancel_futures: Cancel the runs that wait for a process at shutdown.
        overwrite_wait: Where set, it is used instead of the `wait` of `shutdown`.
        max_queue: How many runs may wait for a process at most; None is no limit.

    Raises:
        InvalidInputError: One of these is not what it should be.

    Example:
        >>> scheduler.add_executor(ProcessPoolExecutor(max_workers=4), alias="cpu")
    """

    def __init__(
        self,
        max_workers: int = 10,
        pool_kwargs: ProcessPoolKwargs | None = None,
        cancel_futures: bool = False,
        overwrite_wait: bool | None = None,
        max_queue: int | None = None,
    ) -> None:
        super().__init__(max_workers, cancel_futures=cancel_futures, overwrite_wait=overwrite_wait, max_queue=max_queue)
        check_pool_kwargs(pool_kwargs, ProcessPoolKwargs)
        self._pool_kwargs: ProcessPoolKwargs = {**(pool_kwargs or {})}
        check_optional_instance("mp_context", self._pool_kwargs.get("mp_context"), BaseContext)
        check_optional_count("max_tasks_per_child", self._pool_kwargs.get("max_tasks_per_child"))
        self._supervisor: Supervisor | None = None

    @override
    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        """Get ready to start workers, which start as they are needed.

        Raises:
            RuntimeError: This is a worker that is just importing the main module: the program starts
                its scheduler without `if __name__ == "__main__":`.
            InvalidInputError: `pool_kwargs` are not what the pool takes.
            DuplicateExecutorError: It runs already.
        """
        self.check_not_started()
        # Says so here, where the program fails; in a thread nobody would hear of it.
        multiprocessing.spawn.get_preparation_data("asyncz")
        supervisor = Supervisor(self._max_workers, self._pool_kwargs, self.mark_broken)
        await super().start(scheduler, alias)
        supervisor.start(alias)
        self._supervisor = supervisor

    @property
    @override
    def state(self) -> ExecutorState:
        """A snapshot of what it does. May be read from any thread."""
        supervisor = self._supervisor
        if supervisor is None:
            return super().state
        return super().state.model_copy(
            update={
                "workers": supervisor.workers,
                "lost_workers": supervisor.lost_workers,
                "replaced_workers": supervisor.replaced_workers,
            }
        )

    def check_call(self, call: Callable[[], object], /) -> None:
        """Reject what can be known not to be picklable: a local function, a lambda.

        Raises:
            SerializationError: The function or an argument cannot be pickled.
        """
        pickled(call)

    @override
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        assert self._supervisor is not None
        self._supervisor.put(_Job(self, run))

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        if self._supervisor is None:
            return False
        self._supervisor.kill(run.id)
        return True

    @override
    async def release(self, *, wait: bool) -> None:
        """End the workers, without blocking the loop."""
        if self._supervisor is not None:
            await asyncio.to_thread(self._supervisor.stop)


class _Job(Generic[ResultT]):
    """A run on its way through a worker; for the supervisor's thread."""

    __slots__ = ("executor", "run", "run_id")

    def __init__(self, executor: ProcessPoolExecutor, run: TaskRun[ResultT]) -> None:
        self.executor = executor
        self.run = run
        self.run_id = run.id

    def prepare(self) -> bytes | None:
        """Take the run out of the queue and pickle it; None where it has ended instead."""
        executor, run = self.executor, self.run
        if not executor.claim(run):
            return None
        if run.is_too_late():
            executor.finish(run, run.missed())
            return None
        try:
            return parcel_of(run)
        except SerializationError as error:
            executor.finish(run, run.failed(error))
            return None

    def started(self, at: float, worker: Worker) -> None:
        """Its function is called, by that worker."""
        self.run.begin(at, worker)
        if self.run.limits.timeout is not None:
            self.executor.start_timeout(self.run)

    def deliver(self, kind: int, content: bytes) -> None:
        """It ended as its worker has sent."""
        self.executor.finish(self.run, ending_of(self.run, kind, content))

    def fail(self, error: BaseException) -> None:
        """End it with an exception."""
        self._end(self.run.failed(error))

    def cancelled(self) -> None:
        """End it as cancelled."""
        self._end(self.run.cancelled())

    def _end(self, notification: TaskNotification[ResultT]) -> None:
        # In the queue it may have been cancelled before.
        if self.executor.claim(self.run):
            self.executor.finish(self.run, notification)
