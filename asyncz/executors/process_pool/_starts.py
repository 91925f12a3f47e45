"""Starts of worker processes, and the delays and limits after starts that fail."""

from __future__ import annotations

import signal
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias

from asyncz.config import ProcessPoolKwargs
from asyncz.exceptions import WorkerStartError
from asyncz.executors._safe_logging import logger
from asyncz.executors._serialization import error_of
from asyncz.executors._start_checks import start_error
from asyncz.executors.process_pool import _process
from asyncz.executors.process_pool._link import WorkerLink
from asyncz.executors.process_pool._process import WorkerProcess
from asyncz.executors.process_pool._slot import Slot
from asyncz.executors.process_pool._user_code import Lane, UserCodeThreads

WorkerSlot: TypeAlias = Slot[WorkerProcess, WorkerLink]

_STARTS_BEFORE_BROKEN = 3
# A start that is killed from outside, or lacks a resource, says little about the next one.
_TEMPORARY_FAILURES_BEFORE_END = 30
FIRST_BACK_OFF = 0.1
LONGEST_BACK_OFF = 1.0


class StartsOwner(Protocol):
    """The part of the supervisor that `WorkerStarts` uses, on the supervisor's thread except for `post`."""

    is_stopping: bool

    def post(self, call: Callable[[], None]) -> None:
        """Make a call on the supervisor's thread."""
        ...

    def on_spawned(self, slot: WorkerSlot, process: WorkerProcess, link: WorkerLink) -> None:
        """Note that the process of a slot was started."""
        ...

    def on_not_spawned(self, slot: WorkerSlot) -> bool:
        """Drop a slot after its process could not be started; return False if it was dropped before."""
        ...

    def on_starts_failed(self, error: WorkerStartError) -> None:
        """Report an error for the jobs in the queue: no worker can be started at the moment."""
        ...

    def on_broken(self, error: BaseException) -> None:
        """Report an error for all jobs from now on: no worker can be started."""
        ...


class WorkerStarts:
    """Starts of the worker processes of one executor. For the supervisor's thread, except for `close_after_fork`.

    Args:
        owner: Receives processes and failures.
        pool_kwargs: Start method and initializer.
        user_code: Threads that start the processes: `initargs` are pickled.
    """

    def __init__(self, owner: StartsOwner, pool_kwargs: ProcessPoolKwargs, user_code: UserCodeThreads) -> None:
        self._owner = owner
        self._context = pool_kwargs.get("mp_context") or _process.default_context()
        self._initializer = pool_kwargs.get("initializer")
        self._initargs = pool_kwargs.get("initargs", ())
        self._user_code = user_code
        self._log_lane = Lane()
        self._links: weakref.WeakSet[WorkerLink] = weakref.WeakSet()
        self._failed = 0
        self._failed_at = 0.0
        self.next_start_at = 0.0

    def close_after_fork(self) -> None:
        """Close the copied descriptors of all workers in a forked process."""
        for link in list(self._links):
            link.close_after_fork()

    def start(self, slot: WorkerSlot) -> None:
        """Start the process of a slot."""
        self._user_code.call(Lane(), partial(self._spawn, slot))

    def _spawn(self, slot: WorkerSlot) -> None:
        """Start the process of a slot, on a thread for user code."""
        try:
            process, link = _process.spawn(self._context, self._initializer, self._initargs, self._links.add)
        except BaseException as error:
            failure, is_temporary = start_error(error), _process.is_temporary(error)
            self._owner.post(partial(self._on_spawn_failed, slot, failure, is_temporary))
        else:
            self._owner.post(partial(self._owner.on_spawned, slot, process, link))

    def _on_spawn_failed(self, slot: WorkerSlot, failure: WorkerStartError, is_temporary: bool) -> None:
        if self._owner.on_not_spawned(slot):
            self._delay_next(slot)
            self._on_failure(failure, is_temporary)

    def discard(self, process: WorkerProcess, link: WorkerLink) -> None:
        """Kill a process that has no slot, and close its connections."""

        def close() -> None:
            process.kill()
            process.wait_exit_code()
            link.close()
            process.close()

        self._user_code.call(Lane(), close)

    def note_success(self) -> None:
        """Note that a worker is ready: failures count from zero again."""
        self._failed = 0

    def on_early_exit(self, slot: WorkerSlot, exit_code: int | None) -> None:
        """Note that a process has ended before it was ready."""
        self._delay_next(slot)
        self._user_code.call(slot.lane, partial(self._explain_exit, slot, exit_code))

    def _explain_exit(self, slot: WorkerSlot, exit_code: int | None) -> None:
        """Make the error of a failed start, on a thread for user code: the initializer's exception is unpickled."""
        cause = None if slot.start_report is None else error_of(slot.start_report)[0]
        failure = _process.exit_error(cause, exit_code, slot.worker.pid)
        self._owner.post(partial(self._on_failure, failure, is_temporary=False))

    def _delay_next(self, slot: WorkerSlot) -> None:
        """Delay the next start. Processes that end together, for example by Ctrl-C, count once."""
        now = time.monotonic()
        if slot.created_at >= self._failed_at:
            self._failed += 1
            self._failed_at = now
        self.next_start_at = now + min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2**self._failed)

    def _on_failure(self, failure: WorkerStartError, is_temporary: bool) -> None:
        if self._owner.is_stopping:
            return
        # Log handlers are user code.
        text = "A worker process could not start (%d in a row): %s"
        self._user_code.call(self._log_lane, partial(logger.error, text, self._failed, failure))
        if is_temporary or failure.exit_code in {-signal.SIGKILL, -signal.SIGTERM}:
            if self._failed >= _TEMPORARY_FAILURES_BEFORE_END:
                self._failed = 0
                self._owner.on_starts_failed(failure)
        elif self._failed >= _STARTS_BEFORE_BROKEN:
            self._owner.on_broken(failure)
