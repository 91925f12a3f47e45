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
from asyncz.executors._remote_call import run_header
from asyncz.executors._serialization import (
    failure_of,
    is_plain_call,
    outcome_of,
    pickled,
    pickled_in_worker_thread,
    plain_outcome_of,
    run_header_of,
)
from asyncz.executors.process_pool._supervisor import Supervisor
from asyncz.protocols import Notifier
from asyncz.runs import TaskRun

if TYPE_CHECKING:
    from asyncz.states import ExecutorState
else:
    # `typing.get_type_hints` needs the name; importing pydantic here would double the time of the import.
    ExecutorState = object

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
        supervisor = Supervisor(alias, self._max_workers, self._pool_kwargs, self.mark_broken)
        await super().start(scheduler, alias)
        supervisor.start()
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
        self._supervisor.submit(_RunJob(self, run))

    @override
    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:
        if self._supervisor is None:
            return False
        self._supervisor.cancel(run.id)
        return True

    @override
    async def release(self, *, wait: bool) -> None:
        """End the workers, without blocking the loop."""
        supervisor = self._supervisor
        if supervisor is None:
            return
        # Not by the default executor of the loop, whose threads may all be busy.
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        supervisor.stop_soon(lambda: loop.call_soon_threadsafe(ended.set))
        await ended.wait()
        supervisor.join()


class _RunJob(Generic[ResultT]):
    """A run on its way through a worker; for the supervisor's thread, and the threads for user code."""

    __slots__ = ("_executor", "_is_limited", "_run", "can_return", "run_id")

    def __init__(self, executor: ProcessPoolExecutor, run: TaskRun[ResultT]) -> None:
        self._executor = executor
        self._run = run
        self._is_limited = run.limits.timeout is not None
        self.run_id: int = run.id
        self.can_return: bool = run.task.is_coroutine

    def claim(self) -> bool:
        executor, run = self._executor, self._run
        if not executor.claim(run):
            return False
        if run.limits.misfire_grace_time is not None and run.is_too_late():
            executor.finish(run, run.missed())
            return False
        return True

    def pickle_plain(self) -> tuple[bytes, ...] | None:
        run = self._run
        if not is_plain_call(run.call):
            return None
        try:
            return (run_header(run.run_id, run.attempt, run.scheduled, run.task_id) + pickled(run.call),)
        except SerializationError:
            # The function cannot be found: `pickle` reports that.
            return None

    def pickle(self) -> tuple[bytes, ...]:
        return run_header_of(self._run), pickled_in_worker_thread(self._run.call)

    def handed_over(self) -> None:
        if self._is_limited:
            self._is_limited = False
            self._executor.start_timeout(self._run)

    def started(self, at: float, worker: Worker) -> None:
        self._run.begin(at, worker)
        if self._is_limited:
            self.handed_over()

    def deliver_plain(self, kind: int, content: bytes | bytearray) -> bool:
        outcome = plain_outcome_of(self._run, kind, content)
        if outcome is None:
            return False
        self._executor.finish(self._run, outcome)
        return True

    def deliver(self, kind: int, content: bytes | bytearray) -> None:
        self._executor.finish(self._run, outcome_of(self._run, kind, content))

    def fail(self, error: BaseException) -> None:
        self._end(failure_of(self._run, error))

    def cancelled(self) -> None:
        self._end(self._run.cancelled())

    def _end(self, notification: TaskNotification[ResultT]) -> None:
        # In the queue it may have been cancelled before.
        if self._executor.claim(self._run):
            self._executor.finish(self._run, notification)
