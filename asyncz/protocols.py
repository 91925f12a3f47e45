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
from asyncz.tasks import TaskRun, Trigger as Trigger

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


class Executor(Protocol[ResultT]):
    """Runs the runs of tasks whose result is `ResultT`.

    An executor without a restriction has a `submit` that is generic in the method; such a class is an
    `Executor[int]`, an `Executor[bytes]` and so on, and a `UniversalExecutor`.
    """

    @property
    def state(self) -> ExecutorState:
        """A snapshot of what it does. May be read from any thread."""
        ...

    async def start(self, notifier: Notifier, alias: str, /) -> None:
        """Acquire resources; from now on accept runs and report their outcomes to `notifier`."""
        ...

    async def shutdown(self, wait: bool = True) -> None:
        """Take no more runs, end those it has, and release everything.

        Args:
            wait: Let runs that run come to their end; else they end as cancelled at once.
        """
        ...

    def submit(self, run: TaskRun[ResultT], /) -> None:
        """Take a run. Never blocks; called on the loop's thread.

        Raises:
            MaximumInstancesError: The task has its maximum of running instances here.
            QueueFullError: Too many runs wait.
            ExecutorNotRunningError: It has not been started, or has been shut down.
        """
        ...


class UniversalExecutor(Protocol):
    """Runs the runs of every task: an `Executor` with a `submit` that is generic in the method."""

    @property
    def state(self) -> ExecutorState:
        """A snapshot of what it does. May be read from any thread."""
        ...

    async def start(self, notifier: Notifier, alias: str, /) -> None:
        """Acquire resources; from now on accept runs and report their outcomes to `notifier`."""
        ...

    async def shutdown(self, wait: bool = True) -> None:
        """Take no more runs, end those it has, and release everything; see `Executor.shutdown`."""
        ...

    def submit(self, run: TaskRun[ResultT], /) -> None:
        """Take a run. Never blocks; called on the loop's thread; see `Executor.submit`."""
        ...


class SupportsCancel(Protocol):
    """An executor that can cancel runs."""

    def cancel(self, run: TaskRun[ResultT], /) -> bool:
        """Ask for the cancellation of a run that was submitted here. Called on the loop's thread.

        Returns:
            Whether the request took. The run ends in its one notification either way.
        """
        ...


class SupportsStart(Protocol):
    """A trigger that is not the same for every task: one that counts from the start of a task, say."""

    def started(self, now: datetime, /) -> Trigger:
        """The trigger of a task that is added now; the scheduler asks only this one when the task is due.

        Called once in the thread that adds the task, and again on the loop's thread if the clock is set back.

        Args:
            now: The present time, UTC.
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
    """What is called with an event, on the loop's thread; a coroutine that it gives is awaited."""

    def __call__(self, event: EventT_contra, /) -> object:
        """Take notice of an event."""
        ...


class Timer(Protocol):
    """A call that will be made later."""

    def cancel(self) -> None:
        """Do not make the call."""
        ...


class Clock(Protocol):
    """Where a scheduler gets the time, so that a test can bring its own."""

    def now(self) -> float:
        """Seconds since the epoch, UTC. May be called from any thread."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call `callback` on the loop's thread after `delay` seconds. For the loop's thread only."""
        ...
