"""Parts of a scheduler that its tasks use, and tasks as the parts see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Never, Protocol

import attrs
from typing_extensions import TypeVar

from asyncz._aliases import ExistingTaskPolicy, OtherAlias
from asyncz._run_ids import WantedRun
from asyncz.limits import TaskLimits
from asyncz.protocols import Executor, Trigger
from asyncz.schedulers._completion import Completion
from asyncz.schedulers._executor_registry import ExecutorRegistry, ExecutorTarget, Registration
from asyncz.schedulers._runtime import Runtime
from asyncz.schedulers._schedules import Schedule, TriggerSchedule
from asyncz.schedulers._task_registry import Registered, TaskRegistry
from asyncz.schedulers._timer import DueTimer
from asyncz.schedulers._timetable import Due
from asyncz.schedulers.subscriptions import Subscription
from asyncz.tasks import ChainFactory, Task, TaskOwner

if TYPE_CHECKING:
    from asyncz.states import RunSummary

ResultT = TypeVar("ResultT")


@attrs.define(eq=False)
class ChainEnds:
    """Chain links of a task.

    Attributes:
        close_upstream: Function that ends the link to the upstream task; None if the task has none.
        downstream: Functions by link to a downstream task; each is called when the task is gone.
    """

    close_upstream: Callable[[], object] | None = None
    downstream: dict[object, Callable[[], object]] = attrs.Factory(dict[object, Callable[[], object]])


class AnyController(Due, Registered, TaskOwner[object], Protocol):
    """Controller of a task of any result type, as the other parts of a scheduler see it."""

    chain_ends: ChainEnds | None

    @property
    def registration(self) -> Registration:
        """Executor of the next runs."""
        ...

    @property
    def retrying(self) -> int:
        """Number of runs that wait for their next attempt."""
        ...

    @property
    def schedule(self) -> Schedule[object]:
        """Source of the due runs."""
        ...

    @property
    def paused(self) -> bool:
        """True if the schedule is paused."""
        ...

    @property
    def first_due(self) -> float | None:
        """Due time of the run that waits longest for a slot. Thread-safe."""
        ...

    @property
    def backlog_size(self) -> int:
        """Number of due runs that wait for a slot. Thread-safe."""
        ...

    @property
    def clock_offset(self) -> float:
        """Seconds by which the clock of the scheduler is ahead of that of the due times. Thread-safe."""
        ...

    @property
    def has_ended(self) -> bool:
        """True if the last run has its outcome, as far as is known now."""
        ...

    @property
    def feeds_chain(self) -> bool:
        """True if an incomplete run or a waiting result may still lead to another run."""
        ...

    def hook_submissions(self) -> None:
        """Call the hook of the scheduler before each later submission. Under the lock."""
        ...

    def refill(self) -> None:
        """Submit runs that wait for a slot."""
        ...

    def cancel_backlog(self) -> None:
        """End the runs in the backlog as cancelled."""
        ...

    def cancel_live_runs(self, registration: Registration | None = None) -> int:
        """Ask for the cancellation of the live runs, or of those on one executor; return how many accept."""
        ...

    def end_attempts(self) -> None:
        """End the runs that wait for their next attempt."""
        ...

    def find_run(self, task: Task[object], wanted: WantedRun, /) -> RunSummary | None:
        """Return the summary of a live or recent run; None if the run is not one."""
        ...

    def cancel_run(self, wanted: WantedRun, /) -> bool:
        """Ask for the cancellation of the live runs with an id; return True if a request is accepted."""
        ...

    def cancel_unfinished(self) -> int:
        """End runs without an outcome as cancelled; return their number."""
        ...


class StoredController(AnyController, Protocol):
    """Controller of a task that a store keeps."""

    def executions(self, wanted: WantedRun, /) -> Sequence[float]:
        """Return the due times of the live runs with an id, the last one that has begun at the end."""
        ...

    def start_stored(self, at: float, call: Callable[[], object], *, waited: bool) -> None:
        """Start a run of which this node has become the owner."""
        ...

    def reject_stored(self, at: float, call: Callable[[], object]) -> None:
        """Reject a run of which this node has become the owner: a later one replaces it."""
        ...

    def report_missed(self, at: float, call: Callable[[], object], /) -> None:
        """Report that a run was missed."""
        ...

    def report_lost(self, at: float, call: Callable[[], object], error: BaseException, /) -> float | None:
        """Report that an attempt failed on a lost node; return the delay of the next one, or None if none follows."""
        ...

    def retry_delay(self, attempt: int, error: BaseException, /) -> float | None:
        """Return the delay after a failed attempt; None if no other one follows."""
        ...

    def apply_stored(
        self,
        schedule: TriggerSchedule,
        limits: TaskLimits,
        target: ExecutorTarget | None,
        /,
        *,
        paused: bool,
    ) -> tuple[str, ...]:
        """Take over a schedule, limits and an executor from the store; return the names of changed options."""
        ...

    def reschedule_timer(self) -> None:
        """Enter the next due time into the timetable."""
        ...


class StorePart(Protocol):
    """Part of a scheduler that exchanges tasks and runs with a store."""

    def add(
        self,
        call: Callable[[], ResultT | Awaitable[ResultT]],
        trigger: Trigger | None,
        executor: Executor[ResultT] | OtherAlias | None,
        task_id: str,
        /,
        *,
        limits: TaskLimits,
        paused: bool,
        replace_existing: bool,
        existing: ExistingTaskPolicy | None = None,
        upstream: Task[object] | None = None,
    ) -> Task[ResultT]:
        """Add a task that the store keeps; `upstream` is the task whose results it receives. Thread-safe."""
        ...

    def keeps(self, controller: AnyController | None, /) -> bool:
        """Return True if the store keeps a task. Under the lock."""
        ...

    def on_changed(self, controller: AnyController, /) -> None:
        """Queue the change of a task for the store. Under the lock."""
        ...

    def on_removed(self, controller: AnyController, backlog: Sequence[tuple[float, object]], /) -> None:
        """Queue the removal of a task for the store, if that has not removed it; its backlog is forgotten.

        Args:
            controller: Controller of the task.
            backlog: Due times and calls of the runs that waited for a slot.
        """
        ...

    @property
    def clock_offset(self) -> float:
        """Seconds by which the clock of the scheduler is ahead of that of the store."""
        ...

    @property
    def node_id(self) -> str:
        """Id of this node; empty before the start."""
        ...

    def submit(self, controller: AnyController, /) -> None:
        """Queue a run for the store, where it waits for any node. Thread-safe; the caller holds the lock."""
        ...

    def end_call(self, call: object, at: float | None, /) -> None:
        """Queue a run for the store that `Task.run` has submitted.

        Args:
            call: Call of the run.
            at: Due time of the run; None if the executor has rejected it.
        """
        ...

    def subscribe(self, event: type[object], listener: Callable[[Never], object], /) -> Subscription:
        """Call a listener with the outcomes of all nodes. Thread-safe."""
        ...

    def remove_listener(self, listener: object, /) -> bool:
        """Remove a listener of the outcomes of all nodes; return False if there is none. Thread-safe."""
        ...

    async def start(self) -> None:
        """Connect to the store, and restore the tasks. For the loop's thread."""
        ...

    async def close(self) -> None:
        """Write the last outcomes, give back the other runs, and disconnect. For the loop's thread."""
        ...


@attrs.define(eq=False)
class SchedulerParts:
    """Parts of one scheduler that its controllers use.

    Attributes:
        runtime: Shared state.
        completion: Notifier of the executors.
        executors: Executors by alias.
        tasks: Controllers by task id.
        timer: Timer of due tasks.
        chain: Adds downstream tasks.
        store: Store of the tasks; None if they are in memory only.
    """

    runtime: Runtime
    completion: Completion
    executors: ExecutorRegistry
    tasks: TaskRegistry[AnyController]
    timer: DueTimer[AnyController]
    chain: ChainFactory
    store: StorePart | None = None
