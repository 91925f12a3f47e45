"""Loop side of a batch: the runs of a function with each of many items.

A batch is one task without a trigger. Items are taken while there is room for them, each is one run of the task, and
the outcomes are handed out in the order of the items or of their completion.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime
from functools import partial
from typing import Generic, Never, Protocol

import attrs
from typing_extensions import TypeVar, override

from asyncz._aliases import OtherAlias
from asyncz._callables import CallWrapper
from asyncz._running import context_for_later
from asyncz.events import TaskError, TaskNotification
from asyncz.exceptions import InvalidInputError, SchedulerNotRunningError, TaskLookupError
from asyncz.limits import TaskLimits
from asyncz.protocols import Executor
from asyncz.runs import result_of
from asyncz.schedulers._live_run import LiveRun, RunSink
from asyncz.schedulers._parts import SchedulerParts
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._task_controller import TaskController
from asyncz.specs import TaskSpec
from asyncz.tasks import Task

ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)
ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)

# Seconds after which a run that its executor has rejected is submitted again.
_REJECTED_DELAY = 1.0
# Maximum number of items that were taken and whose outcomes were not received yet, as a multiple of `max_instances`:
# half of them may be results that wait for the consumer, or for a slower item before them, and the workers stay busy.
_WINDOW = 2


@attrs.frozen(eq=False)
class BatchOutcome(Generic[ItemT_co, ResultT_co]):
    """Outcome of one item of a batch.

    Attributes:
        index: Position of the item, from 0.
        item: The item.
        notification: Outcome of its run.
    """

    index: int
    item: ItemT_co
    notification: TaskNotification[ResultT_co]

    def result(self) -> ResultT_co:
        """Return the result, or raise the exception of the run as awaiting `Task.run()` does.

        Raises:
            TaskMissedError: The run was missed.
            TaskCancelledError: The run was cancelled.
            Exception: Error of the function, of the time limit or of the worker.
        """
        return result_of(self.notification)


class BatchCall(CallWrapper, Generic[ItemT, ResultT]):
    """Call of the task of a batch, to which each run adds its item."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[ItemT], ResultT | Awaitable[ResultT]]) -> None:
        super().__init__(function)
        self._function = function

    def with_item(self, item: ItemT) -> Callable[[], ResultT | Awaitable[ResultT]]:
        """Return the call with an item."""
        return partial(self._function, item)

    @override
    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the function only, for the check of an executor: each run carries its own item."""
        return partial, (self.func,)

    def __call__(self) -> Never:
        """Reject a run without an item."""
        raise InvalidInputError("the item", "missing", "the runs of a batch are made from its items only")


class PendingItem(Protocol):
    """Item that waits for the slot of a run."""

    def submit(self) -> bool:
        """Submit the run of the item; return False if the executor rejects it."""
        ...


class BatchSchedule:
    """Schedule of the task of a batch: its runs are due when items are taken.

    Attributes:
        next_due: Always None.
        failure: Always None.
        text: Description for users.
        has_all_items: True if all items were taken.
        pending: Items that are taken and wait for the slot of a run.
    """

    __slots__ = ("failure", "has_all_items", "next_due", "pending", "text")

    def __init__(self) -> None:
        self.next_due: datetime | None = None
        self.failure: BaseException | None = None
        self.text: str = "a batch"
        self.has_all_items: bool = False
        self.pending: deque[PendingItem] = deque()

    @property
    def is_exhausted(self) -> bool:
        """True if no run can follow."""
        return self.has_all_items and not self.pending

    def advance(self, now: datetime, coalesce: bool) -> Sequence[float]:  # noqa: ARG002  # as `Schedule` has it
        """Return nothing: items are no due times."""
        return ()

    def call_on_demand(self) -> None:
        """Return None: the call of the task rejects a run without an item."""


class BatchController(TaskController[ResultT]):
    """Controller of the task of a batch.

    Attributes:
        on_change: Called when the task may accept another run, or has stopped accepting them.
    """

    __slots__ = ("on_change",)

    on_change: Callable[[], object]

    def accepts_run(self) -> bool:
        """Return True if a run may be submitted now; if not, `on_change` is called when that may have changed."""
        if self.paused or self.removed or self.live_count >= self.task._spec.limits.max_instances:
            return False
        if self._runtime.defer_while_paused(self.refill) or self._runtime.status != "running":
            return False
        registration = self.registration
        if registration.ready or registration.failure is not None:
            return True
        # A run that is submitted now would wait for the start of the executor, and be dropped if the queue is full by
        # then. So only the call of `refill` waits there. The keys of runs are positive.
        registration.pending[-id(self)] = self.refill
        return False

    @override
    def refill(self) -> None:
        """Submit runs that wait for a slot."""
        super().refill()
        self.on_change()

    @override
    def end_attempts(self) -> None:
        """End the runs that wait for their next attempt. Shutdown and removal begin with this."""
        super().end_attempts()
        self.on_change()

    def end(self, task: Task[ResultT]) -> None:
        """Cancel the live runs and remove the task."""
        for run in self.live_runs():
            try:
                self.cancel_live(run._key)
            except BaseException:
                logger.exception("A run of the task %r could not be cancelled", task.id)
        # The task may have finished, and another thread may remove it, too.
        with contextlib.suppress(TaskLookupError):
            self._parts.tasks.remove(task)


@attrs.frozen(eq=False)
class BatchPlan(Generic[ItemT, ResultT]):
    """Checked description of a batch; `add_task` makes its task when the iteration begins.

    Attributes:
        parts: Parts of the scheduler.
        call: Function of the batch.
        executor: Executor of the runs, or its alias.
        task_id: Wanted id of the task; None for one that is derived from the function.
        limits: Limits of the runs.
        ordered: True if outcomes are handed out in the order of the items.
    """

    parts: SchedulerParts
    call: BatchCall[ItemT, ResultT]
    executor: Executor[ResultT] | OtherAlias
    task_id: str | None
    limits: TaskLimits
    ordered: bool

    def add_task(self, schedule: BatchSchedule, on_change: Callable[[], object]) -> BatchController[ResultT]:
        """Add the task of the batch.

        Raises:
            DuplicateTaskError: The id is in use.
            UnknownAliasError: The executor was removed meanwhile.
        """
        parts = self.parts
        created = parts.executors.prepare(self.executor, self.call)
        with parts.runtime.lock:
            task_id = parts.tasks.new_unstored_id(self.task_id, self.call)
            registration, submit_to = parts.executors.resolve(self.executor, created)
            spec = TaskSpec[ResultT](task_id, self.call, registration.alias, self.limits)
            controller = BatchController[ResultT](parts, spec, schedule, registration, submit_to, False)
            controller.on_change = on_change
            parts.tasks.add(controller)
        controller.activate()
        return controller


class BatchItem(Generic[ItemT, ResultT]):
    """One item of a batch, and the owner of its run. For the loop's thread."""

    __slots__ = ("_batch", "_controller", "_index", "_item")

    def __init__(
        self, batch: BatchRuns[ItemT, ResultT], controller: BatchController[ResultT], index: int, item: ItemT
    ) -> None:
        self._batch: BatchRuns[ItemT, ResultT] = batch
        self._controller: BatchController[ResultT] = controller
        self._index = index
        self._item: ItemT = item

    def submit(self) -> bool:
        """Submit the run of the item; return False if the executor rejects it."""
        controller, plan = self._controller, self._batch.plan
        runtime = plan.parts.runtime
        run = LiveRun[ResultT](
            controller.task._spec,
            runtime.now(),
            controller._context,
            runtime.run_clock,
            plan.call.with_item(self._item),
            self,
            controller.registration,
        )
        return controller.submit_run(run) is None

    @property
    def run_sink(self) -> RunSink:
        """Part of the scheduler that all runs share."""
        return self._batch.plan.parts.completion

    @property
    def task(self) -> Task[ResultT]:
        """Task of the batch."""
        return self._controller.task

    @property
    def removed(self) -> bool:
        """True if the task is not registered any more."""
        return self._controller.removed

    def retry_run(self, run: LiveRun[ResultT], failure: TaskError, /) -> bool:
        """Schedule another attempt after a failed one; return False if the failure is the outcome of the run."""
        return self._controller.retry_run(run, failure)

    def record_outcome(self, outcome: TaskNotification[ResultT], /) -> None:
        """Count and emit the outcome of the run, and hand it to the batch."""
        try:
            self._controller.record_outcome(outcome)
        finally:
            self._batch.on_outcome(BatchOutcome(self._index, self._item, outcome))

    def release_run(self, run: LiveRun[ResultT], /) -> None:
        """Free the slot of the run."""
        self._controller.release_run(run)
        self._batch.on_change()

    def refill(self) -> None:
        """Submit runs that wait for a slot."""
        self._controller.refill()

    def retire_if_finished(self) -> None:
        """Remove the task if no run of it can follow."""
        self._controller.retire_if_finished()


class BatchRuns(Generic[ItemT, ResultT]):
    """Runs of a batch: items in, outcomes out. For the loop's thread, except where noted.

    At most `max_instances` runs are live. At most twice as many items are in the window: those that wait for a slot,
    live runs, and outcomes that wait for the consumer or for the outcome of an item before them.

    Args:
        plan: Description of the batch.

    Attributes:
        plan: Description of the batch.
        closed: True if the iteration is over.
    """

    def __init__(self, plan: BatchPlan[ItemT, ResultT]) -> None:
        self.plan: BatchPlan[ItemT, ResultT] = plan
        self._schedule = BatchSchedule()
        self._controller: BatchController[ResultT] | None = None
        # The controller drops its reference when the task is finished.
        self._task: Task[ResultT] | None = None
        # Outcomes by index that wait for one before them; and those that can be handed out.
        self._early: dict[int, BatchOutcome[ItemT, ResultT]] = {}
        self._ready: deque[BatchOutcome[ItemT, ResultT]] = deque()
        self._taken = self._ended = self._handed_out = 0
        self._failure: BaseException | None = None
        self._stopped: SchedulerNotRunningError | TaskLookupError | None = None
        self._is_submission_due = False
        self._pump: asyncio.Task[None] | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self.closed: bool = False

    @property
    def task_id(self) -> str:
        """Id of the task."""
        return (self.plan.task_id or "") if self._task is None else self._task.id

    @property
    def window(self) -> int:
        """Maximum number of items that were taken and whose outcomes were not received yet. Thread-safe."""
        limits = self.plan.limits if self._task is None else self._task.limits
        return _WINDOW * limits.max_instances

    @property
    def has_outcome(self) -> bool:
        """True if `next` would return an outcome at once. Thread-safe."""
        return bool(self._ready)

    def check_thread(self) -> None:
        """Raise an error if this is not the thread of the scheduler's loop, or the scheduler does not run."""
        runtime = self.plan.parts.runtime
        runtime.check_thread("iterating over a batch")
        if self._controller is None and not self.closed:
            runtime.require_running("iterating over a batch")

    def start(self, pump: Callable[[], Coroutine[object, Never, None]] | None = None) -> None:
        """Add the task of the batch, if the iteration has not begun yet.

        Args:
            pump: Takes the items, in an asyncio task that ends with the batch; None if another thread takes them.
        """
        if self._controller is not None or self.closed:
            return
        self._controller = self.plan.add_task(self._schedule, self.on_change)
        self._task = self._controller.task
        if pump is not None:
            # Without the current run, if a run iterates: the items are not its work.
            self._pump = asyncio.get_running_loop().create_task(pump(), context=context_for_later())

    # Items

    async def wait_for_slot(self) -> bool:
        """Wait until another item can be taken and submitted at once; return False if none will be taken any more."""
        while not self.closed and self._stopped is None:
            controller = self._controller
            if (
                controller is not None
                and not self._schedule.pending
                and self._taken - self._handed_out < self.window
                and controller.accepts_run()
            ):
                return True
            await self._next_change()
        return False

    def feed(self, item: ItemT) -> None:
        """Take an item, and submit its run as soon as there is a slot."""
        controller = self._controller
        if controller is None or self.closed or self._stopped is not None:
            return
        self._schedule.pending.append(BatchItem(self, controller, self._taken, item))
        self._taken += 1
        self._submit_pending()

    def feed_soon(self, item: ItemT) -> None:
        """Call `feed` on the loop's thread, later. Thread-safe."""
        self.plan.parts.runtime.inbox.put(partial(self.feed, item))

    def end_soon(self, failure: BaseException | None = None) -> None:
        """Call `end_of_items` on the loop's thread, later. Thread-safe."""
        self.plan.parts.runtime.inbox.put(partial(self.end_of_items, failure))

    def end_of_items(self, failure: BaseException | None = None) -> None:
        """Note that all items were taken; `next` raises `failure` after the outcomes of the items before it."""
        self._failure = failure
        self._schedule.has_all_items = True
        if self._controller is not None:
            self._controller.retire_if_finished()
        self._wake()

    def _submit_pending(self) -> None:
        controller, pending = self._controller, self._schedule.pending
        while controller is not None and pending and controller.accepts_run():
            if not pending[0].submit():
                self._submit_later()
                return
            pending.popleft()

    def _submit_later(self) -> None:
        """Submit the rejected run after a delay: an executor does not report that its queue has room again."""
        if not self._is_submission_due:
            self._is_submission_due = True
            self.plan.parts.runtime.clock.call_later(_REJECTED_DELAY, self._on_timer)

    def _on_timer(self) -> None:
        self._is_submission_due = False
        self.on_change()

    # Outcomes

    def on_outcome(self, outcome: BatchOutcome[ItemT, ResultT]) -> None:
        """Handle the outcome of an item."""
        if self.closed:
            return
        if self.plan.ordered:
            self._early[outcome.index] = outcome
            while (next_outcome := self._early.pop(self._ended, None)) is not None:
                self._ready.append(next_outcome)
                self._ended += 1
        else:
            self._ready.append(outcome)
            self._ended += 1
        self._wake()

    def on_change(self) -> None:
        """Submit runs if the task may accept some; note if it has stopped accepting them."""
        controller = self._controller
        if controller is None or self.closed:
            return
        runtime = self.plan.parts.runtime
        accepts_no_more = controller.removed or not runtime.running
        # A task that has finished is removed too.
        if accepts_no_more and self._stopped is None and not self._schedule.is_exhausted:
            self._stop()
        self._submit_pending()
        self._wake()

    def _stop(self) -> None:
        """Stop taking items; the live runs continue."""
        self._stopped = self.shutdown_error() or TaskLookupError(self.task_id)
        self._taken -= len(self._schedule.pending)
        self._schedule.pending.clear()
        self._schedule.has_all_items = True

    async def next(self) -> BatchOutcome[ItemT, ResultT] | None:
        """Wait for the next outcome, and return it; None at the end.

        Raises:
            SchedulerNotRunningError: The scheduler was shut down before the end.
            TaskLookupError: The task was removed before the end.
            Exception: Error of the iterable of items.
        """
        while not self.closed:
            if self._ready:
                self._handed_out += 1
                # The window has room for another item: the pump may be waiting for that.
                self._wake()
                return self._ready.popleft()
            if self._handed_out == self._taken and (self._stopped is not None or self._schedule.is_exhausted):
                failure = self._stopped or self._failure
                self.close()
                if failure is not None:
                    raise failure
                return None
            await self._next_change()
        return None

    def shutdown_error(self) -> SchedulerNotRunningError | None:
        """Return an error if the scheduler is shutting down or has been shut down; else None."""
        runtime = self.plan.parts.runtime
        if runtime.running:
            return None
        return SchedulerNotRunningError(f"the rest of the batch {self.task_id!r}", runtime.status)

    def close(self) -> None:
        """End the iteration: cancel the live runs, drop the other items and remove the task."""
        if self.closed:
            return
        self.closed = True
        for items in (self._schedule.pending, self._ready, self._early):
            items.clear()
        self._schedule.has_all_items = True
        if self._controller is not None and self._task is not None:
            self._controller.retire_if_finished()
            self._controller.end(self._task)
            # Without the reference cycle, items and results are released at once.
            self._controller.on_change = lambda: None
        if self._pump is not None:
            # The iterable may be waiting for something.
            self._pump.cancel()
            self._pump = None
        self._wake()

    def close_soon(self) -> None:
        """Call `close` on the loop's thread, later. Thread-safe."""
        if self._controller is None:
            self.closed = True
        elif not self.closed:
            self.plan.parts.runtime.inbox.put(self.close)

    async def _next_change(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        waiters = self._waiters.copy()
        self._waiters.clear()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
