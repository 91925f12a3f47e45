"""What a custom executor subclasses: the counting, the notifying and the shutdown are done here."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol

from typing_extensions import TypeVar

from asyncz._checks import check_optional_count
from asyncz._statuses import ExecutorStatus, check_transition
from asyncz.events import TaskNotification
from asyncz.exceptions import (
    DuplicateExecutorError,
    ExecutorNotRunningError,
    IllegalTransitionError,
    MaximumInstancesError,
    QueueFullError,
    TaskTimeoutError,
)
from asyncz.protocols import Notifier
from asyncz.runs import TaskRun

if TYPE_CHECKING:
    from asyncz.states import ExecutorState

ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)

# A submission forgets so many tasks that may have no runs any more, where there are that many, or where no run is left:
# one by one each would need the lock, and all that a burst leaves could hold the loop.
_FORGOTTEN_AT_ONCE = 64


class _Consumer(Protocol):
    def __call__(self, run: TaskRun[ResultT], /) -> object: ...


class _Record(Generic[ResultT_co]):
    """Run of any type in a collection; covariant, because only a function for runs of every type receives the run."""

    __slots__ = ("_run", "id", "task_id")

    def __init__(self, run: TaskRun[ResultT_co]) -> None:
        self._run = run
        self.id = run.id
        self.task_id = run.task_id

    def hand_to(self, consumer: _Consumer) -> None:
        consumer(self._run)


class BaseExecutor:
    """The common part of executors: counts instances, notifies the scheduler, shuts down in order.

    A custom executor implements `submit_run`, which hands a run over without blocking, and calls
    `finish` once with how it ended, from any thread. Where it has resources it extends `start` and
    `release`; where it can cancel runs, `cancel_run`.

    Example:
        >>> class LoudExecutor(BaseExecutor):
        ...     def submit_run(self, run: TaskRun[ResultT], /) -> None:
        ...         print("running", run.task.id)
        ...         self.finish(run, run.execute())
    """

    has_queue: ClassVar[bool] = False
    """Whether runs wait here until `claim` takes them out; where only some do, extend `waits_in_queue`."""

    _runs_inside: ClassVar[bool] = False
    """Whether runs that do not wait may be over before `submit_run` returns."""

    def __init__(self, *, max_queue: int | None = None) -> None:
        check_optional_count("max_queue", max_queue, at_least=0)
        self._max_queue = max_queue
        self._alias = ""
        self._status: ExecutorStatus = "created"
        self._scheduler: Notifier | None = None
        # The notifier, if outcomes may be reported without `finish`.
        self._inline_notifier: Notifier | None = None
        # Asked of each run: what the class has would take longer to find.
        self._may_end_inside: bool = self._runs_inside
        # Whether it is to be asked of each run.
        self._asks_which_wait = True
        # Runs whose work goes on after their submission, and which of them wait in the queue, were given up, and have a
        # time limit running.
        self._live: dict[int, _Record[object]] = {}
        self._waiting: set[int] = set()
        self._abandoned: set[int] = set()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        # The run that is being submitted, where it may be over when that returns. Most are: it joins those above, and
        # is counted, only when it goes on, or when it submits another.
        self._inside: _Record[object] | None = None
        # How many runs of each task were counted, and how many of these have ended. The loop's thread alone adds to the
        # first, and does so without the lock; tasks for which both are the same are forgotten, some at a time.
        self._instances: dict[str, int] = {}
        self._ended_instances: dict[str, int] = {}
        self._to_forget: deque[str] = deque()
        self._being_told = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drained: asyncio.Event | None = None
        self._shutdown_lock = asyncio.Lock()
        self.logger: logging.Logger = logging.getLogger("asyncz.executors")

    # What a custom executor extends

    async def start(self, scheduler: Notifier, alias: str, /) -> None:
        """Acquire what it needs. Call this one first: from then on runs may be finished.

        Raises:
            DuplicateExecutorError: It runs already, for this or another scheduler; that goes on undisturbed.
        """
        self.check_not_started()
        self._change_status("starting")
        self._scheduler = scheduler
        # A subclass that extends `finish` expects a call for every run.
        finish: object = getattr(self.finish, "__func__", None)
        self._inline_notifier = scheduler if finish is BaseExecutor.finish else None
        waits_in_queue: object = getattr(self.waits_in_queue, "__func__", None)
        self._asks_which_wait = waits_in_queue is not BaseExecutor.waits_in_queue
        self._alias = alias
        self._loop = asyncio.get_running_loop()
        self._shutdown_lock = asyncio.Lock()
        self.logger = logging.getLogger(f"asyncz.executors.{alias}")
        self._change_status("running")

    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        """Hand a run over to what will run it, without blocking; sooner or later call `finish` for it."""
        raise NotImplementedError

    def waits_in_queue(self, run: TaskRun[ResultT], /) -> bool:  # noqa: ARG002  # some executors look at it
        """Whether a run will wait here until `claim` takes it out; one that waits can always be cancelled."""
        return self.has_queue

    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:  # noqa: ARG002  # executors that can will need it
        """Cancel a run that has not ended; `finish` is still to be called for it.

        Returns:
            Whether that is possible; by default it is not.
        """
        return False

    async def release(self, *, wait: bool) -> None:
        """Give back what `start` acquired; with `wait`, no run is left by then.

        Args:
            wait: As it was given to `shutdown`.
        """

    # What the scheduler calls

    @property
    def state(self) -> ExecutorState:
        """A snapshot of what it does. May be read from any thread."""
        from asyncz.states import ExecutorState, InstanceCount

        with self._lock:
            status, abandoned = self._status, len(self._abandoned)
            # In this order, as submissions do without the lock: what waits is among what was submitted before.
            queued, ended, submitted = len(self._waiting), self._ended_instances.copy(), self._instances.copy()
            inside = self._inside
        if inside is not None:
            submitted[inside.task_id] = submitted.get(inside.task_id, 0) + 1
        instances = {task_id: number - ended.get(task_id, 0) for task_id, number in submitted.items()}
        return ExecutorState(
            alias=self._alias,
            status=status,
            running=sum(instances.values()),
            instances=tuple(
                InstanceCount(task_id=task_id, running=running) for task_id, running in instances.items() if running
            ),
            queued=queued,
            abandoned=abandoned,
        )

    def submit(self, run: TaskRun[ResultT], /) -> None:
        """Take a run: count it, and hand it over with `submit_run`. For the loop's thread.

        Raises:
            ExecutorNotRunningError: It has not been started, or has been shut down.
            MaximumInstancesError: The task has its maximum of running instances here.
            QueueFullError: As many runs as `max_queue` allows wait already.
        """
        if self._status != "running":
            raise ExecutorNotRunningError(self._alias, self._status)
        if self._inside is not None:
            self._count_inside()
        waits = self.waits_in_queue(run) if self._asks_which_wait else self.has_queue
        submitted = 0
        if self._instances:
            if self._to_forget and (not self._live or len(self._to_forget) >= _FORGOTTEN_AT_ONCE):
                self._forget_ended()
            submitted = self._instances.get(run.task_id, 0)
            running = submitted - self._ended_instances.get(run.task_id, 0)
            if running >= run.limits.max_instances:
                raise MaximumInstancesError(run.task_id, running)
        if waits and self._max_queue is not None and len(self._waiting) >= self._max_queue:
            raise QueueFullError(self._alias, self._max_queue)
        record: _Record[ResultT] = _Record(run)
        if not waits and self._may_end_inside:
            self._inside = record
        else:
            self._instances[run.task_id] = submitted + 1
            self._live[run.id] = record
            if waits:
                self._waiting.add(run.id)
        try:
            self.submit_run(run)
        except BaseException:
            with self._lock:
                self._take_out(run)
            raise
        if self._inside is not None and self._inside.id == run.id:
            self._count_inside()

    def cancel(self, run: TaskRun[ResultT], /) -> bool:
        """Ask for the cancellation of a run. For the loop's thread.

        Returns:
            Whether the request took; False where the run has ended or this executor cannot.
        """
        with self._lock:
            if not self._is_live(run) or run.id in self._abandoned:
                return False
            waits = run.id in self._waiting
        return self.abandon(run, run.cancelled()) if waits else self.cancel_run(run)

    async def shutdown(self, wait: bool = True) -> None:
        """Take no more runs, end those it has, and give everything back. May be called again, at any time.

        Args:
            wait: Let the runs come to their end, without blocking the loop; else end them as cancelled
                at once and cancel what can be cancelled.
        """
        if self._status in {"running", "broken"}:
            self._change_status("draining")
        if not wait:
            self.cancel_all()
        # Who calls it while another call is at it waits for the same end.
        async with self._shutdown_lock:
            if self._status == "draining":
                await self._wait_until_drained()
                await self.release(wait=wait)
            if self._status != "stopped":
                self._change_status("stopped")

    # What a custom executor calls

    def finish(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Tell how a run ended, now that its work is over. May be called from any thread, once a run."""
        with self._lock:
            told = run.id in self._abandoned
            # The place is free before anybody hears of the end: who hears may want to run the task again.
            live = self._take_out(run)
            self._being_told += 1
        if told:
            self.notifier.released(run)
        elif live:
            self.notifier.finished(run, notification)
        else:
            # A second outcome: the notifier logs it.
            self.notifier.notify(run, notification)
        self._has_been_told()

    def claim(self, run: TaskRun[ResultT], /) -> bool:
        """Take a run out of the queue to run it now; for executors that set `has_queue`. From any thread.

        Returns:
            False where it was cancelled while it waited: it is over, do nothing for it.
        """
        try:
            # Done in one step: of a claim and a cancellation, one gets it.
            self._waiting.remove(run.id)
        except KeyError:
            with self._lock:
                return self._is_live(run)
        return True

    def start_timeout(self, run: TaskRun[ResultT], /) -> None:
        """Start the clock of its task's `timeout`, as its function is called now. From any thread."""
        timeout = run.task.limits.timeout
        if timeout is None or self._loop is None:
            return
        loop = self._loop

        def expire() -> None:
            self._timers.pop(run.id, None)
            exceeded = TaskTimeoutError(run.task.id, timeout)
            if self.abandon(run, run.failed(exceeded)):
                self.logger.warning("%s", exceeded)
                self.cancel_run(run)

        def start_timer() -> None:
            with self._lock:
                if run.id in self._live:
                    self._timers[run.id] = loop.call_later(timeout, expire)

        self._on_loop(start_timer)

    def abandon(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> bool:
        """Tell how a run ended although its work goes on: it stays counted until `finish` is called.

        One that still waits in the queue has no work that could go on: that is over at once.

        Returns:
            False where it had ended already. May be called from any thread.
        """
        with self._lock:
            if run.id in self._abandoned:
                return False
            # Before it is looked for: one that ends inside its submission does without the lock, unless it sees this.
            self._abandoned.add(run.id)
            if not self._is_live(run):
                self._abandoned.discard(run.id)
                return False
            self._being_told += 1
            try:
                self._waiting.remove(run.id)
            except KeyError:
                over = False
            else:
                over = True
                self._take_out(run)
        if over:
            self.notifier.finished(run, notification)
        else:
            self.notifier.notify(run, notification)
        self._has_been_told()
        return True

    @property
    def notifier(self) -> Notifier:
        """Who is told how runs end.

        Raises:
            ExecutorNotRunningError: It has not been started.
        """
        if self._scheduler is None:
            raise ExecutorNotRunningError(self._alias, self._status)
        return self._scheduler

    def cancel_all(self) -> None:
        """End every run as cancelled at once, and cancel what can be cancelled. For the loop's thread."""
        self._count_inside()
        for record in list(self._live.values()):
            record.hand_to(self._cancel_at_once)

    def cancel_queued(self) -> None:
        """End the runs that still wait in the queue as cancelled."""
        for record in list(self._live.values()):
            if record.id in self._waiting:
                record.hand_to(self._cancel)

    def check_not_started(self) -> None:
        """Raise where it runs already; for a `start` that has something to acquire before it calls this one's.

        Raises:
            DuplicateExecutorError: It has been started, and not shut down.
        """
        if self._status not in {"created", "stopped"}:
            raise DuplicateExecutorError(self._alias)

    def mark_broken(self) -> None:
        """Become `broken`: take no more runs. May be called from any thread."""
        try:
            self._change_status("broken")
        except IllegalTransitionError:
            return
        self.logger.error("The executor %r is broken and takes no more runs", self._alias)

    def _cancel(self, run: TaskRun[ResultT]) -> None:
        self.cancel(run)

    def _cancel_at_once(self, run: TaskRun[ResultT]) -> None:
        self.cancel(run)
        self.abandon(run, run.cancelled())

    def _finish_at_once(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT]) -> None:
        """What `finish` does, of a run whose work is over inside `submit_run`, and so on the loop's thread."""
        notifier = self._inline_notifier
        # Asked, and taken out, in one step, as nothing is called in between: where another thread gives it up, one of
        # both tells its end.
        if notifier is None or self._abandoned or self._inside is None or self._inside.id != run.id:
            self.finish(run, notification)
        else:
            self._inside = None
            notifier.finished(run, notification)

    def _count_inside(self) -> None:
        """Count the run that is being submitted, if there is one, as others look for it. For the loop's thread."""
        with self._lock:
            record, self._inside = self._inside, None
            if record is not None:
                self._instances[record.task_id] = self._instances.get(record.task_id, 0) + 1
                self._live[record.id] = record

    def _is_live(self, run: TaskRun[ResultT]) -> bool:
        """Whether a run was submitted, and its work has not ended. Under the lock."""
        return run.id in self._live or (self._inside is not None and self._inside.id == run.id)

    def _forget_ended(self) -> None:
        """Forget how many runs some tasks had that have none any more. For the loop's thread."""
        with self._lock:
            for _ in range(min(_FORGOTTEN_AT_ONCE, len(self._to_forget))):
                task_id = self._to_forget.popleft()
                ended = self._ended_instances.get(task_id)
                if ended is not None and ended == self._instances[task_id]:
                    del self._instances[task_id]
                    del self._ended_instances[task_id]

    def _take_out(self, run: TaskRun[ResultT]) -> bool:
        """Free the place of a run; False where it had none. Under the lock."""
        run_id, task_id = run.id, run.task_id
        if self._live.pop(run_id, None) is not None:
            self._ended_instances[task_id] = self._ended_instances.get(task_id, 0) + 1
            self._to_forget.append(task_id)
        elif self._inside is not None and self._inside.id == run.id:
            self._inside = None
        else:
            return False
        if self._waiting:
            self._waiting.discard(run_id)
        if self._abandoned:
            self._abandoned.discard(run_id)
        if self._timers and (timer := self._timers.pop(run_id, None)) is not None:
            self._on_loop(timer.cancel)
        return True

    def _change_status(self, status: ExecutorStatus) -> None:
        with self._lock:
            check_transition(self._alias, self._status, status)
            self._status = status

    @property
    def _has_drained(self) -> bool:
        """Whether nothing has to be waited for any more. Under the lock."""
        # Abandoned runs are not waited for: nobody knows whether they ever return.
        return len(self._live) <= len(self._abandoned) and not self._being_told

    async def _wait_until_drained(self) -> None:
        self._count_inside()
        with self._lock:
            if self._has_drained:
                return
            self._drained = asyncio.Event()
            # Each end may be the last one.
            self._inline_notifier = None
        await self._drained.wait()
        self._drained = None

    def _has_been_told(self) -> None:
        with self._lock:
            self._being_told -= 1
            self._tell_if_drained()

    def _tell_if_drained(self) -> None:
        """Wake the shutdown that waits for the last run. Under the lock."""
        drained = self._drained
        if drained is not None and self._has_drained:
            self._on_loop(drained.set)

    def _on_loop(self, callback: Callable[[], object]) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            # The loop was closed under a shutdown that was cut short; nobody waits any more.
            self.logger.debug("The loop of the executor %r was closed before its runs had ended", self._alias)
