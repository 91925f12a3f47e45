"""The contracts between the parts of asyncz, and between asyncz and what users write.

A class satisfies a protocol by its shape: it needs no base class. `asyncz.executors.base.BaseExecutor`
is there for those who would rather write less.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from typing_extensions import TypeVar

from asyncz.events import TaskNotification
from asyncz.runs import TaskRun

if TYPE_CHECKING:
    from asyncz.states import ExecutorState

ResultT = TypeVar("ResultT")
EventT_contra = TypeVar("EventT_contra", contravariant=True)


class Notifier(Protocol):
    """Receiver of the outcomes of an executor's runs: the scheduler.

    For each run that `submit` accepted, an executor calls either `finished` once, or `notify` once and `released`
    once. All methods may be called from any thread, and return at once.
    """

    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Report the outcome of a run whose work has ended: `notify` and `released` in one call.

        The normal case. A call costs about half of what the other two cost together.
        """
        ...

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Report the outcome of a run whose work may still be going on, such as a thread over its timeout.

        The run keeps its slot until `released` is called.
        """
        ...

    def released(self, run: TaskRun[ResultT], /) -> None:
        """Report that the work of a run has ended, at or after `notify`. This frees the slot of the run."""
        ...


class UniversalSubmit(Protocol):
    """The `submit` of a universal executor."""

    def __call__(self, run: TaskRun[ResultT], /) -> None:
        """Accept a run; see `Executor.submit`."""
        ...


class Executor(Protocol[ResultT]):
    """Executor of runs whose result is `ResultT`.

    An executor without a restriction has a `submit` that is generic in the method; such a class is an
    `Executor[int]`, an `Executor[bytes]` and so on, and a `UniversalExecutor`.
    """

    @property
    def state(self) -> ExecutorState:
        """Snapshot of the executor. May be read from any thread."""
        ...

    async def start(self, notifier: Notifier, alias: str, /) -> None:
        """Acquire resources; from now on accept runs and report their outcomes to `notifier`."""
        ...

    async def shutdown(self, wait: bool = True) -> None:
        """Accept no more runs, end the present ones, and release all resources.

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


class UniversalExecutor(Protocol):
    """Executor of runs with any result: an `Executor` whose `submit` is generic in the method."""

    @property
    def state(self) -> ExecutorState:
        """Snapshot of the executor. May be read from any thread."""
        ...

    async def start(self, notifier: Notifier, alias: str, /) -> None:
        """Acquire resources; from now on accept runs and report their outcomes to `notifier`."""
        ...

    async def shutdown(self, wait: bool = True) -> None:
        """Accept no more runs, end the present ones, and release all resources; see `Executor.shutdown`."""
        ...

    def submit(self, run: TaskRun[ResultT], /) -> None:
        """Accept a run, without blocking. Called on the loop's thread; see `Executor.submit`."""
        ...


class SupportsCancel(Protocol):
    """Executor that can cancel runs."""

    def cancel(self, run: TaskRun[ResultT], /) -> bool:
        """Request the cancellation of a run that was submitted here. Called on the loop's thread.

        Returns:
            True if the request was accepted. The run ends in its one notification either way.
        """
        ...


class SupportsCancelAll(Protocol):
    """Executor that can cancel all its runs at once."""

    def cancel_all(self) -> None:
        """End every run as cancelled at once. Called on the loop's thread, if the timeout of a shutdown is over."""
        ...


class SupportsCheckCall(Protocol):
    """Executor that cannot run every call."""

    def check_call(self, call: Callable[[], object], /) -> None:
        """Raise an error if the executor can never run this call, for example because it cannot be pickled.

        Called in the thread that adds a task, or moves it to this executor. The error reaches that caller.
        """
        ...


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


class SupportsStart(Protocol):
    """Trigger whose due times depend on the time when a task is added, such as an interval."""

    def started(self, now: datetime, /) -> Trigger:
        """Return the trigger for a task that is added now; the scheduler then asks only this one.

        Called once in the thread that adds the task, and again on the loop's thread if the clock is set back.

        Args:
            now: Current time, UTC.
        """
        ...


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


class Listener(Protocol[EventT_contra]):
    """Function that a scheduler calls with events, on the loop's thread; a coroutine that it returns is awaited."""

    def __call__(self, event: EventT_contra, /) -> object:
        """Handle an event."""
        ...


class Timer(Protocol):
    """Handle of a delayed call."""

    def cancel(self) -> None:
        """Cancel the call."""
        ...


class Clock(Protocol):
    """Source of the time and of timers for a scheduler; a test can bring its own."""

    def now(self) -> float:
        """Return the seconds since the epoch, UTC. May be called from any thread."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call `callback` on the loop's thread after `delay` seconds. For the loop's thread only."""
        ...


class ClockClient(Protocol):
    """Scheduler, as a clock that drives it sees it; see `SupportsAttach`."""

    @property
    def next_due(self) -> float | None:
        """Earliest due time, in seconds since the epoch; None if nothing is due."""
        ...

    def running_tasks(self) -> tuple[str, ...]:
        """Return the ids of the tasks with runs that are in progress."""
        ...

    async def settle(self) -> None:
        """Wait until the scheduler has made all pending calls on its loop."""
        ...


class SupportsAttach(Protocol):
    """Clock that drives its schedulers, such as `asyncz.testing.FakeClock`."""

    def attach(self, client: ClockClient, /) -> None:
        """Add a scheduler that has started."""
        ...

    def detach(self, client: ClockClient, /) -> None:
        """Remove a scheduler that has shut down."""
        ...
