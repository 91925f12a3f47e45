"""State that all parts of a scheduler share."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Never

from typing_extensions import override

from asyncz._statuses import SchedulerStatus
from asyncz._unsafe import monotonic_time
from asyncz.clock import SystemClock
from asyncz.events import Event
from asyncz.exceptions import InvalidInputError, SchedulerNotRunningError, WrongThreadError
from asyncz.protocols import Clock
from asyncz.runs import RunClock
from asyncz.schedulers._counters import RunCounters, RunHistory
from asyncz.schedulers._dispatcher import Dispatcher
from asyncz.schedulers._inbox import Inbox
from asyncz.schedulers._run_hook import RunHook

_TRANSITIONS: Mapping[SchedulerStatus, frozenset[SchedulerStatus]] = {
    "created": frozenset({"running", "paused"}),
    "running": frozenset({"paused", "draining"}),
    "paused": frozenset({"running", "draining"}),
    "draining": frozenset({"stopped"}),
    "stopped": frozenset({"running", "paused"}),
}


def check_clock(clock: object) -> None:
    """Check that an object has the methods of a clock, or is None.

    Raises:
        InvalidInputError: The object has not.
    """
    if clock is not None and not all(callable(getattr(clock, name, None)) for name in ("now", "call_later")):
        raise InvalidInputError("clock", repr(clock), "pass an object with the methods now and call_later")


class Runtime:
    """Clock, inbox, dispatcher, counters, lock and status of a scheduler.

    Attributes:
        clock: Source of the time.
        now: Returns the time in seconds since the epoch.
        run_clock: `clock`, as runs read it: with the time that measures durations.
        inbox: Calls for the loop's thread.
        dispatcher: Listeners of events.
        counters: Counts of all runs.
        lock: Protects the registries of tasks and executors, the pending changes and the status. See
            `asyncz.schedulers` for what may be called while holding it.
        status: Status of the scheduler. Set by `set_status` only, and after a fork.
        chains_continue: True if results are still handed to downstream tasks while the scheduler drains.
        pending_changes: Changes that wait for the loop's thread. Under the lock.
        recent_runs: Number of recent runs that are kept for each task.
        history: Last runs of tasks that are gone.
        run_hook: Hook that sees each attempt before its executor; None if nothing traces the scheduler.
        parent: Id of the process in which the scheduler was running when a fork made this process; 0 if none was.
    """

    def __init__(self, clock: Clock, recent_runs: int, max_history: int = 0) -> None:
        self.clock = clock
        # Read twice a run: the system clock is read without a method in between.
        self.now: Callable[[], float] = time.time if type(clock) is SystemClock else clock.now
        self.run_clock: RunClock = (
            RunClock(self.now)
            if isinstance(clock, SystemClock)
            else RunClock(self.now, monotonic_time(clock), clock.call_later)
        )
        self.inbox: Inbox = Inbox()
        self.dispatcher: Dispatcher = Dispatcher()
        self.counters: RunCounters = RunCounters()
        self.lock: AbstractContextManager[object] = threading.RLock()
        self.status: SchedulerStatus = "created"
        self.chains_continue: bool = False
        self.recent_runs = recent_runs
        self.history: RunHistory = RunHistory(max_history)
        self.run_hook: RunHook | None = None
        self.parent: int = 0
        self.pending_changes: deque[Callable[[], object]] = deque()
        self._deferred: dict[Callable[[], object], None] = {}
        _runtimes.add(self)

    @property
    def running(self) -> bool:
        """Return True if the scheduler has been started and not shut down. Thread-safe."""
        return self.status == "running" or self.status == "paused"

    def require_running(self, action: str) -> None:
        """Check that the scheduler is running.

        Raises:
            SchedulerNotRunningError: The scheduler has not been started, or has been shut down.
        """
        if not self.running:
            raise SchedulerNotRunningError(action, self.status, self.parent)

    def check_started(self, action: str) -> None:
        """Check that the scheduler has been started before.

        Raises:
            SchedulerNotRunningError: The scheduler was never started.
        """
        if self.status == "created":
            raise SchedulerNotRunningError(action, self.status, self.parent)

    def check_process(self, action: str) -> None:
        """Check that the scheduler was not running when a fork made this process.

        Raises:
            SchedulerNotRunningError: It was; its executors cannot be started again here.
        """
        if self.parent:
            raise SchedulerNotRunningError(action, self.status, self.parent)

    def check_thread(self, action: str) -> None:
        """Check that the current thread may do something that only the loop's thread may do.

        Raises:
            SchedulerNotRunningError: The scheduler was running when a fork made this process.
            WrongThreadError: The scheduler runs in another thread.
        """
        if self.inbox.called_off_loop:
            self.check_process(action)
            advice = (
                "it must be called on the scheduler's event loop; in other threads use task.submit(), or the"
                " SchedulerThread that scheduler.in_thread() returned: thread.run(task), thread.cancel(task)"
            )
            raise WrongThreadError(action, threading.current_thread().name, advice)

    def set_status(self, status: SchedulerStatus) -> None:
        """Set the status; threads that found the old one under the lock have done their work by then."""
        with self.lock:
            assert status in _TRANSITIONS[self.status], f"{status} cannot follow {self.status}"
            self.status = status

    # Changes of other threads

    def apply_pending_changes(self) -> bool:
        """Apply the changes that other threads have deferred, if this is the loop's thread. Under the lock.

        Returns:
            False in another thread, where a change has to be deferred instead of being made at once.
        """
        if self.inbox.called_off_loop:
            return False
        self._apply_changes()
        return True

    def defer_change(self, change: Callable[[], object]) -> None:
        """Make a change on the loop's thread, after those that were deferred before. Under the lock.

        Before the start there is no such thread, and the change is made at once.
        """
        self.pending_changes.append(change)
        if self.inbox.called_off_loop:
            self.inbox.put(self._apply_deferred_changes)
        else:
            self._apply_changes()

    def change(self, change: Callable[[], object]) -> None:
        """Make a change on the loop's thread, in the order of the calls. Thread-safe."""
        with self.lock:
            self.defer_change(change)

    def _apply_deferred_changes(self) -> None:
        with self.lock:
            self._apply_changes()

    def _apply_changes(self) -> None:
        while self.pending_changes:
            self.pending_changes.popleft()()

    # Work that a pause holds

    def defer_while_paused(self, refill: Callable[[], object]) -> bool:
        """Return True if the scheduler is paused; `refill` is then called once it is resumed."""
        if self.status != "paused":
            return False
        self._deferred[refill] = None
        return True

    def refill_deferred(self) -> None:
        """Make the calls that the pause has held."""
        deferred, self._deferred = self._deferred, dict[Callable[[], object], None]()
        for refill in deferred:
            refill()

    def emit_soon(self, event: Event) -> None:
        """Emit an event from the inbox, after those of earlier actions. Thread-safe."""
        self.inbox.put(lambda: self.dispatcher.emit(event))

    def after_fork(self, parent: int) -> None:
        """Adapt to the child process of a fork, which has none of the threads of the parent.

        A thread of the parent may have held a lock during the fork, so that each lock is replaced. A scheduler that
        was running cannot be used: all that changes it takes the lock, which then raises.
        """
        self.dispatcher.after_fork()
        if self.running or self.status == "draining":
            self.parent, self.status = parent, "created"
            self.inbox.leave_thread()
        self.lock = _ForkedLock(self.parent) if self.parent else threading.RLock()


class _ForkedLock(AbstractContextManager[None]):
    """Lock of a scheduler that was running when a fork made this process: it cannot be taken.

    Args:
        parent: Id of the process in which the scheduler was running.
    """

    def __init__(self, parent: int) -> None:
        self._parent = parent

    @override
    def __enter__(self) -> Never:
        raise SchedulerNotRunningError("using the scheduler", "", self._parent)

    @override
    def __exit__(self, *_: object) -> None:
        """Do nothing; the lock is never taken."""


_runtimes: weakref.WeakSet[Runtime] = weakref.WeakSet()


def _after_fork() -> None:
    for runtime in list(_runtimes):
        runtime.after_fork(os.getppid())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
