"""Process-pool executor: runs in worker processes, each crash of which costs one run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Generic

from typing_extensions import TypeVar, override

from asyncz._checks import check_optional_count, check_optional_instance
from asyncz._constructors import explain_misuse
from asyncz.config import ProcessPoolKwargs
from asyncz.events import TaskNotification, Worker
from asyncz.exceptions import SerializationError
from asyncz.executors import _remote_progress
from asyncz.executors._serialization import (
    failure_of,
    is_plain_call,
    outcome_of,
    pickled,
    pickled_in_worker_thread,
    plain_outcome_of,
    run_header_of,
)
from asyncz.executors._start_checks import check_process_start
from asyncz.executors.base import limit_pickling
from asyncz.executors.pool import PoolExecutor, check_pool_kwargs
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
    """Process-pool executor: each run is executed in a worker process. Alias `processpool`.

    Functions, arguments and results are pickled. A coroutine function runs until it is done in an event loop of its
    worker. If a worker dies, the run that it was executing ends as `WorkerLostError`, and another worker replaces it.
    Log records of functions reach the logging of this process. Workers ignore SIGINT. They start by forkserver, or by
    spawn if that is not available, unless `mp_context` is given. If a run is cancelled, its worker is killed. If the
    function asks `current_run().is_cancelled()` or is a coroutine function, it has five seconds to return first.

    Args:
        max_workers: Maximum number of processes.
        pool_kwargs: Keyword arguments of the `concurrent.futures.ProcessPoolExecutor`.
        cancel_futures: Cancel the queued runs at shutdown.
        overwrite_wait: If set, it replaces the `wait` argument of `shutdown`.
        max_queue: Maximum number of queued runs; None for no limit.

    Raises:
        InvalidInputError: An argument is not valid.

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
        """Start the supervisor. Workers start when they are needed.

        Raises:
            RuntimeError: This process is a worker that imports the main module: the program starts its scheduler
                without `if __name__ == "__main__":`.
            WorkerStartError: The main module or the working directory is missing.
            InvalidInputError: `pool_kwargs` are not valid.
            DuplicateExecutorError: The executor is running already.
        """
        self.check_not_started()
        # Raises on this thread: the same error in the supervisor's thread would not end the program.
        check_process_start()
        supervisor = Supervisor(alias, self._max_workers, self._pool_kwargs, self.mark_broken)
        await super().start(scheduler, alias)
        supervisor.start()
        self._supervisor = supervisor

    @property
    @override
    def state(self) -> ExecutorState:
        """Snapshot of the state. Thread-safe."""
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
        """Reject a call that cannot be pickled, for example if its function is local or a lambda.

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
        # Not by the default executor of the loop: its threads may all be busy.
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        supervisor.stop_soon(lambda: loop.call_soon_threadsafe(ended.set))
        await ended.wait()
        supervisor.join()


explain_misuse(ProcessPoolExecutor)


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
            return (run_header_of(run) + pickled_in_worker_thread(run.call),)
        except SerializationError:
            # The function cannot be found: `pickle` reports that.
            return None

    @property
    def is_plain(self) -> bool:
        return is_plain_call(self._run.call)

    def limit_pickling(self) -> Callable[[], None]:
        return limit_pickling(self._executor, self._run)

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

    def progressed(self, content: bytes | bytearray) -> None:
        report = _remote_progress.unpack(content)
        if report is not None:
            self._run.report_progress(*report)

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
