"""Contracts between the parts of asyncz and between asyncz and user code, and the rules of a run.

A class satisfies a protocol by its members: no base class is needed. `asyncz.executors.base.BaseExecutor` is an
optional base class for executors. Every protocol is checkable at run time, by the names of its members only.

Rules of a run
--------------
Tests and comments cite these rules by number.

1.  Every submitted run ends in exactly one `TaskNotification`: after success, an exception, a `BaseException`, a
    function, argument or result that cannot be pickled, a killed worker, a broken pool, a timeout, a cancellation or
    a shutdown. A second outcome is rejected and logged. `TaskSubmitted` comes first. `SystemExit` and
    `KeyboardInterrupt` raised by a task's function are its `TaskError` and do not end the program. submitted =
    executed + errors + missed + cancelled.
2.  `submit` never blocks the event loop; `DebugExecutor`, which runs functions inline, is the exception. It raises
    `MaximumInstancesError`, `QueueFullError` or `ExecutorNotRunningError`, and then counts nothing. Later failures
    are notifications.
3.  An executor counts the running instances of each task before the hand-over and rejects more than `max_instances`.
    An instance ends when its work ends, not when a caller stops waiting for it: the executor then calls
    `Notifier.finished`, or `Notifier.released` if it called `notify` before. A thread over its timeout is notified at
    once, is released when it returns and counts as abandoned until then. The backlog and the drain of the scheduler
    go by the release.
4.  State changes on the thread of the event loop only. `finished`, `notify` and `released` may be called from any
    thread: they append to one inbox, which one wake-up per burst drains. No listener runs inside `submit`. A custom
    executor needs no knowledge of the loop.
5.  A run that would start more than `misfire_grace_time` after its due time is `TaskMissed` and does not run. This is
    checked in the parent process, when the run is due and when it leaves the executor's queue. The default is None,
    no limit: a late run is better than a silent miss.
6.  With `coalesce=True`, the default, only the latest of several due times runs; with `coalesce=False` each is a run,
    in order. At `max_instances` (default 1) the overlap policy decides: `skip`, `queue_one`, `queue_all` (the default
    of `coalesce=False`) or `cancel_running`. Catching up never delays other tasks, and a missed due time that
    coalesces costs nothing.
7.  An exception from user code affects only its own task: a listener that raises is logged, and a trigger that raises
    ends the schedule of its task with an event. A failed run is logged even without listeners.
8.  `add_task` and similar methods may be called from any thread and before the start. The id is reserved and the
    input rejected immediately. Changes take effect at once on the loop's thread, and in order at the next drain of
    the inbox from other threads. No caller waits for the loop.
9.  `add_executor` is synchronous: it validates and registers. The executor starts with the scheduler, or on the loop
    if the scheduler is running; runs that are due meanwhile wait, and a failed start unregisters the executor and
    ends them as `TaskError`. `remove_executor` is a coroutine and is rejected while tasks use the alias. An executor
    belongs to one scheduler.
10. `shutdown(wait=True)` accepts no new runs and waits for running ones, except abandoned ones, without blocking the
    loop. `wait=False` ends them as `TaskCancelled` at once and cancels their work if possible. `cancel_futures` drops
    queued runs as `TaskCancelled`; `overwrite_wait`, if set, replaces `wait`. Chains are drained. `SchedulerShutdown`
    is the last event. Shutdown is idempotent, and a scheduler can be started again, also in another loop. Every
    timeout holds, whatever user code does, listeners included; a shutdown never waits for its caller.
11. Coroutine functions run on the loop with `asyncio`, and in an event loop of the worker in a thread or process
    pool. The returned value counts, not `iscoroutinefunction`: every returned awaitable is awaited. A coroutine that
    is cancelled before its first step never runs its body, so a done callback reports the outcome. With `asyncio`,
    plain functions run in the loop's default executor.
12. Context variables are captured by `add_task` for scheduled runs and by `task.run()` for its run, and passed on to
    coroutines and threads.
13. Signals are handled only inside `wait_closed` and `run_forever`, in the main thread, and restored afterwards.
    Worker processes ignore SIGINT; programs that they start do not. No process survives the parent. Processes start
    with forkserver, or spawn if that is not available, unless `mp_context` is given.
14. User code (functions, pickling, `repr`, `str`, notes, listeners, triggers, log handlers) never runs unguarded, or
    for long, on a thread that other runs depend on: each thread calls it in one place. Outcomes are emitted before
    they are logged.
15. A trigger is stateless; if its due times depend on the start of a task, it implements `SupportsStart`. Due times
    before a task was added are not made up for. If the clock is set back, a submitted due time is not submitted
    again. A union asks each part as if it were alone.
16. Timeouts, delays and durations are monotonic and follow the scheduler's clock.
17. A cooperative cancellation has the same outcome on all executors, and coroutines are cancelled at their next
    `await` on all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from typing_extensions import TypeVar

from asyncz.events import TaskNotification
from asyncz.runs import TaskRun

if TYPE_CHECKING:
    from asyncz.states import ExecutorState
else:
    # The import of pydantic takes longer than that of asyncz; `typing.get_type_hints` needs the name.
    ExecutorState = object

ResultT = TypeVar("ResultT")
EventT_contra = TypeVar("EventT_contra", contravariant=True)


@runtime_checkable
class Notifier(Protocol):
    """Receiver of the outcomes of an executor's runs: the scheduler.

    For each run that `submit` accepted, an executor calls either `finished` once, or `notify` once and `released`
    once. All methods may be called from any thread, and return at once.
    """

    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Report the outcome of a run after the end of its work: `notify` and `released` in one call.

        The normal case. A call costs about half as much as the other two together.
        """
        ...

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Report the outcome of a run while its work may continue, such as that of a thread over its timeout.

        The run keeps its slot until `released` is called.
        """
        ...

    def released(self, run: TaskRun[ResultT], /) -> None:
        """Report that the work of a run has ended, at or after `notify`. This frees the slot of the run."""
        ...


@runtime_checkable
class UniversalSubmit(Protocol):
    """The `submit` of a universal executor."""

    def __call__(self, run: TaskRun[ResultT], /) -> None:
        """Accept a run; see `Executor.submit`."""
        ...


@runtime_checkable
class Executor(Protocol[ResultT]):
    """Executor of runs with the result `ResultT`.

    An executor without a restriction has a `submit` that is generic in the method; such a class is an
    `Executor[int]`, an `Executor[bytes]` and so on, and a `UniversalExecutor`.
    """

    @property
    def state(self) -> ExecutorState:
        """Snapshot of the executor. Thread-safe."""
        ...

    async def start(self, notifier: Notifier, alias: str, /) -> None:
        """Acquire resources; from now on accept runs and report their outcomes to `notifier`."""
        ...

    async def shutdown(self, wait: bool = True) -> None:
        """Stop accepting runs, end the present ones, and release all resources.

        Args:
            wait: Wait for running runs; if False, they end as cancelled at once.
        """
        ...

    def submit(self, run: TaskRun[ResultT], /) -> None:
        """Accept a run, without blocking. Called on the loop's thread.

        Raises:
            MaximumInstancesError: The task has its maximum of running instances here.
            QueueFullError: The queue is full.
            ExecutorNotRunningError: The executor was not started, or was shut down.
        """
        ...


@runtime_checkable
class UniversalExecutor(Protocol):
    """Executor of runs with any result: an `Executor` with a generic `submit`."""

    @property
    def state(self) -> ExecutorState:
        """Snapshot of the executor. Thread-safe."""
        ...

    async def start(self, notifier: Notifier, alias: str, /) -> None:
        """Acquire resources; from now on accept runs and report their outcomes to `notifier`."""
        ...

    async def shutdown(self, wait: bool = True) -> None:
        """Stop accepting runs, end the present ones, and release all resources; see `Executor.shutdown`."""
        ...

    def submit(self, run: TaskRun[ResultT], /) -> None:
        """Accept a run, without blocking. Called on the loop's thread; see `Executor.submit`."""
        ...


@runtime_checkable
class SupportsCancel(Protocol):
    """Executor that can cancel runs."""

    def cancel(self, run: TaskRun[ResultT], /) -> bool:
        """Request the cancellation of a run that was submitted here. Called on the loop's thread.

        Returns:
            True if the request was accepted. The run ends in its one notification either way.
        """
        ...


@runtime_checkable
class SupportsCancelAll(Protocol):
    """Executor that can cancel all its runs at once."""

    def cancel_all(self) -> None:
        """End every run as cancelled at once. Called on the loop's thread, if the timeout of a shutdown is over."""
        ...


@runtime_checkable
class SupportsCheckCall(Protocol):
    """Executor that cannot run every call."""

    def check_call(self, call: Callable[[], object], /) -> None:
        """Raise an error if the executor can never run this call, for example because it cannot be pickled.

        Called in the thread that adds a task, or moves it to this executor. The error reaches that caller.
        """
        ...


@runtime_checkable
class Trigger(Protocol):
    """Source of the due times of a task.

    One trigger may serve many tasks. Triggers are stateless: the result depends only on the arguments. Their `str()`
    is shown to people. `asyncz.testing.TriggerConformance` verifies a trigger.
    """

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """Return the first due time after `previous`, or the very first due time if `previous` is None.

        Called on the loop's thread, and once in the thread that adds or reschedules the task. Must not block.

        Args:
            previous: Previous due time, UTC; may be the one of another trigger if triggers are combined.
            now: Current time, UTC; matters only if `previous` is None.

        Returns:
            A time zone aware datetime later than `previous`, which may be in the past; None if there are no more.
        """
        ...


@runtime_checkable
class SupportsStart(Protocol):
    """Trigger with due times that depend on the time when a task is added, such as an interval."""

    def started(self, now: datetime, /) -> Trigger:
        """Return the trigger for a task that is added now; the scheduler then asks only this one.

        Called once in the thread that adds the task, and again on the loop's thread if the clock is set back.

        Args:
            now: Current time, UTC.
        """
        ...


@runtime_checkable
class SupportsCatchUp(Protocol):
    """A trigger that can return the last of many missed due times directly.

    Without it, schedulers search for that time with `next_due_time`, in logarithmic time.
    """

    def latest_due_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        """Return the last due time up to `now` that is later than `previous`; None if there is none.

        The result is the one that repeated calls of `next_due_time` lead to. Called on the loop's thread. Must not
        block.

        Args:
            previous: The due time before, UTC.
            now: The current time, UTC. A due time at `now` counts.
        """
        ...


@runtime_checkable
class Listener(Protocol[EventT_contra]):
    """Function that a scheduler calls with events, on the loop's thread; a coroutine that it returns is awaited."""

    def __call__(self, event: EventT_contra, /) -> object:
        """Handle an event."""
        ...


@runtime_checkable
class Timer(Protocol):
    """Handle of a delayed call."""

    def cancel(self) -> None:
        """Cancel the call."""
        ...


@runtime_checkable
class Clock(Protocol):
    """Source of the time and of timers for a scheduler; a test can bring its own."""

    def now(self) -> float:
        """Return the seconds since the epoch, UTC. Thread-safe."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call `callback` on the loop's thread after `delay` seconds. For the loop's thread only."""
        ...


@runtime_checkable
class ClockClient(Protocol):
    """Scheduler, as a clock that drives it sees it; see `SupportsAttach`."""

    def running_tasks(self) -> tuple[str, ...]:
        """Return the ids of the tasks with runs that are in progress."""
        ...

    async def settle(self) -> None:
        """Wait until the scheduler has made all pending calls on its loop."""
        ...

    def clock_set(self) -> None:
        """Handle that the clock was set. Thread-safe."""
        ...


@runtime_checkable
class SupportsAttach(Protocol):
    """Clock that drives its schedulers, such as `asyncz.testing.FakeClock`."""

    def attach(self, client: ClockClient, /) -> None:
        """Add a scheduler that has started."""
        ...

    def detach(self, client: ClockClient, /) -> None:
        """Remove a scheduler that has shut down."""
        ...
