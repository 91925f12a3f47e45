"""Base class of executors: admission, counts, reports and shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

from typing_extensions import TypeVar, override

from asyncz._checks import check_optional_count
from asyncz._constructors import explain_misuse
from asyncz._safe_logging import SafeLogger
from asyncz._statuses import ExecutorStatus, check_transition
from asyncz.events import TaskError, TaskNotification
from asyncz.exceptions import (
    DuplicateExecutorError,
    ExecutorNotRunningError,
    IllegalTransitionError,
    MaximumInstancesError,
    TaskTimeoutError,
)
from asyncz.executors._run_registry import ABANDONED, DONE, QUEUED, RUNNING, MakeOutcome, RunRegistry
from asyncz.protocols import Notifier
from asyncz.runs import CallLater, RunTimer, TaskRun

if TYPE_CHECKING:
    from asyncz.states import ExecutorState
else:
    # `typing.get_type_hints` needs the name; importing pydantic here would double the time of the import.
    ExecutorState = object

ResultT = TypeVar("ResultT")


class BaseExecutor(ABC):
    """Base class of executors: counts runs, reports outcomes and shuts down in order.

    A subclass implements `submit_run`, which hands a run over without blocking, and calls `finish` once with the
    outcome, from any thread. A subclass with resources extends `start` and `release`; one that can cancel runs
    implements `cancel_run`.

    Apart from the public members, a subclass may use every attribute name that it likes: all private state is kept in
    the one attribute `_base_executor_state`.

    Attributes:
        logger: The logger of the executor, `asyncz.executors.<alias>` after `start`.

    Example:
        >>> class LoudExecutor(BaseExecutor):
        ...     def submit_run(self, run: TaskRun[ResultT], /) -> None:
        ...         print("running", run.task.id)
        ...         self.finish(run, run.execute())
    """

    has_queue: ClassVar[bool] = False
    """True if runs wait in a queue until `claim` takes them out. If only some do, extend `waits_in_queue`."""

    def __init__(self, *, max_queue: int | None = None) -> None:
        check_optional_count("max_queue", max_queue, at_least=0)
        self._base_executor_state: BaseExecutorState = BaseExecutorState(max_queue)
        self.logger: logging.Logger = logging.getLogger("asyncz.executors")

    # For subclasses to implement or extend

    async def start(self, notifier: Notifier, alias: str, /) -> None:
        """Start the executor. Subclasses call this first: from then on runs may be finished.

        Raises:
            DuplicateExecutorError: The executor is running already, for this or another scheduler; that is unaffected.
        """
        self.check_not_started()
        state = self._base_executor_state
        state.set_status("starting")
        state.attach(notifier, alias, asyncio.get_running_loop())
        waits_in_queue: object = getattr(self.waits_in_queue, "__func__", None)
        state.asks_for_queue = waits_in_queue is not BaseExecutor.waits_in_queue
        self.logger = logging.getLogger(f"asyncz.executors.{alias}")
        state.set_status("running")

    @abstractmethod
    def submit_run(self, run: TaskRun[ResultT], /) -> None:
        """Hand a run over to a worker without blocking, and make sure that `finish` is called for it later."""

    def waits_in_queue(self, run: TaskRun[ResultT], /) -> bool:  # noqa: ARG002  # for subclasses
        """Return True if a run waits in the queue until `claim` takes it out; there it can always be cancelled."""
        return self.has_queue

    def cancel_run(self, run: TaskRun[ResultT], /) -> bool:  # noqa: ARG002  # for subclasses
        """Cancel a running run; `finish` is still to be called for it.

        Called in the thread that called `cancel`.

        Returns:
            True if the work of the run is being interrupted. By default it cannot be.
        """
        return False

    async def release(self, *, wait: bool) -> None:  # noqa: B027  # by default there is nothing to release
        """Release the resources that `start` acquired. Called at shutdown, after the last run.

        Args:
            wait: The argument of `shutdown`.
        """

    # For the scheduler

    @property
    def state(self) -> ExecutorState:
        """Snapshot of the executor. Thread-safe."""
        from asyncz.states import ExecutorState, InstanceCount

        state = self._base_executor_state
        # Read before the counts: a run that goes on leaves this attribute after it was counted.
        inline_run = state.inline_run
        counts = state.registry.counts()
        instances = counts.instances
        if inline_run is not None and state.registry.get(inline_run.id) is None:
            instances[inline_run.task_id] = instances.get(inline_run.task_id, 0) + 1
        return ExecutorState(
            alias=state.alias,
            status=state.status,
            running=sum(instances.values()),
            instances=tuple(InstanceCount(task_id=task_id, running=running) for task_id, running in instances.items()),
            queued=counts.queued,
            abandoned=counts.abandoned,
        )

    def submit(self, run: TaskRun[ResultT], /) -> None:
        """Accept a run: count it, and hand it over with `submit_run`. For the loop's thread.

        Raises:
            ExecutorNotRunningError: The executor has not been started, or has been shut down.
            MaximumInstancesError: The task has `max_instances` running instances here.
            QueueFullError: The queue holds `max_queue` runs.
        """
        state = self._base_executor_state
        if state.status != "running":
            raise ExecutorNotRunningError(state.alias, state.status)
        if state.inline_run is not None:
            state.promote_inline_run()
        queued = self.waits_in_queue(run) if state.asks_for_queue else self.has_queue
        if queued or not state.runs_inline:
            state.registry.admit(run, queued, state.alias, state.max_queue)
        else:
            instances_of = state.registry.instances
            instances = instances_of(run.task_id, 0)
            if instances >= run.limits.max_instances:
                raise MaximumInstancesError(run.task_id, run.limits.max_instances)
            state.inline_run = run
        try:
            self.submit_run(run)
        except BaseException:
            state.withdraw(run)
            raise
        if state.inline_run is run:
            state.promote_inline_run()

    def cancel(self, run: TaskRun[ResultT], /) -> bool:
        """Cancel a run. May be called from any thread if `cancel_run` may be: in all executors of asyncz except Dask.

        Returns:
            True if the run ends as cancelled. False if it has ended, or if this executor cannot cancel it.
        """
        state = self._base_executor_state
        state.promote_if_inline(run)
        registry = state.registry
        if registry.cancel_queued(run.id):
            self._base_executor_state.report_finished(run, run.cancelled())
            return True
        record = registry.get(run.id)
        if record is None or record.state is not RUNNING:
            return False
        # The outcome is set first: once `cancel_run` is called, another thread may finish the run at any moment. If it
        # does so before a failed attempt is taken back, the run has ended as cancelled all the same.
        is_first = registry.interrupt(run.id, run.cancelled)
        if not is_first and record.interruption != run.cancelled:
            # The run is over, or a timeout came first: then the run ends with that.
            return False
        accepted = False
        try:
            accepted = self.cancel_run(run)
        finally:
            # A run that cannot be interrupted keeps the result of its function.
            if not accepted and is_first:
                accepted = not registry.continue_run(run.id)
        return accepted

    async def shutdown(self, wait: bool = True) -> None:
        """Reject new runs, finish the accepted ones, and release all resources. May be called again, at any time.

        Args:
            wait: Wait until the runs have ended, without blocking the loop; else end them as cancelled at once, and
                cancel those that can be cancelled.
        """
        state = self._base_executor_state
        if state.status in {"running", "broken"}:
            state.set_status("draining")
        if not wait:
            self.cancel_all()
        # Concurrent calls wait for the same shutdown.
        async with state.shutdown_lock:
            if state.status == "draining":
                await state.wait_until_drained()
                await self.release(wait=wait)
            if state.status != "stopped":
                state.set_status("stopped")

    # For subclasses to call

    def finish(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Report the outcome of a run after the end of its work. Call once per run, from any thread."""
        state, run_id = self._base_executor_state, run.id
        registry, notifier = state.registry, state.notifier
        record = registry.finish_usual(run_id)
        if record is None or notifier is None:
            _finish_any(self, run, notification)
            return
        # The most frequent run, finished as `_finish_any` does.
        if record.timer is not None:
            state.call_on_loop(record.timer.cancel)
        try:
            notifier.finished(run, notification)
        finally:
            # Read into a local first: on Python 3.11, a function in an attribute takes twice as long to call.
            pop = registry.pop
            pop(run_id, None)
            if state.drained is not None:
                state.wake_shutdown_if_drained()

    def claim(self, run: TaskRun[ResultT], /) -> bool:
        """Take a run out of the queue to run it now; for executors with a queue. Thread-safe.

        Returns:
            False if the run was cancelled in the queue: it is over, do nothing for it.
        """
        state = self._base_executor_state
        return state.registry.claim(run.id) or (state.promote_if_inline(run) and state.registry.claim(run.id))

    def start_timeout(self, run: TaskRun[ResultT], /) -> None:
        """Start the `timeout` of a run, as its function is called now. Thread-safe."""
        timeout, state = run.limits.timeout, self._base_executor_state
        if timeout is not None and state.loop is not None:
            state.call_on_loop(_Timeout(self, run, timeout).start)

    def abandon(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> bool:
        """Report the outcome of a run while its work goes on: it stays counted until `finish` is called.

        A run in the queue has no work that could go on: it is over at once. Thread-safe.

        Returns:
            False if the run already has an outcome.
        """
        state = self._base_executor_state
        state.promote_if_inline(run)
        registry = state.registry
        record = registry.get(run.id)
        previous = registry.abandon(run.id)
        if record is None or previous is None:
            return False
        if previous is QUEUED:
            state.report_finished(run, notification)
            return True
        if record.interruption is not None:
            notification = record.interruption()
        try:
            self.notifier.notify(run, notification)
        finally:
            # If the work ended while the outcome was being reported, `finish` has left the release to this thread.
            if registry.reported(run.id):
                try:
                    self.notifier.released(run)
                finally:
                    registry.pop(run.id, None)
            state.wake_shutdown_if_drained()
        return True

    @property
    def notifier(self) -> Notifier:
        """Receiver of the outcomes, given to `start`.

        Raises:
            ExecutorNotRunningError: The executor has not been started.
        """
        state = self._base_executor_state
        if state.notifier is None:
            raise ExecutorNotRunningError(state.alias, state.status)
        return state.notifier

    def cancel_all(self) -> None:
        """End every run as cancelled at once, and cancel those that can be cancelled. For the loop's thread."""
        state = self._base_executor_state
        state.promote_inline_run()
        for record in state.registry.all():
            record.hand_to(_CancelNow(self))

    def cancel_queued(self) -> None:
        """End the runs in the queue as cancelled."""
        for record in self._base_executor_state.registry.all(QUEUED):
            record.hand_to(self.cancel)

    def check_not_started(self) -> None:
        """Raise if the executor is running; for a `start` that acquires resources before it calls `super().start()`.

        Raises:
            DuplicateExecutorError: The executor has been started, and not shut down.
        """
        state = self._base_executor_state
        if state.status not in {"created", "stopped"}:
            raise DuplicateExecutorError(state.alias)

    def mark_broken(self) -> None:
        """Change the status to `broken`: reject new runs. Thread-safe."""
        if set_broken(self):
            log_broken(self)


explain_misuse(BaseExecutor)


class InlineExecutor(BaseExecutor):
    """Base class of executors that may end a run before `submit_run` returns.

    Most coroutines end before their first wait. Such a run never gets a record: while `submit_run` is executing it, it
    is the inline run. It is promoted to a record if it goes on, or as soon as anything else needs to find it: another
    submission, a cancellation, a shutdown.

    The inline run is set, promoted and finished on the loop's thread only, so none of this needs a lock. Another thread
    that asks for an inline run does not find it, as if the run had ended a moment before.
    """

    @override
    async def start(self, notifier: Notifier, alias: str, /) -> None:
        await super().start(notifier, alias)
        # A subclass that overrides one of these may finish a run in another thread: then each run gets a record.
        self._base_executor_state.runs_inline = not (
            _is_overridden(self, "submit_run") or _is_overridden(self, "finish")
        )

    def _finish_inline(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT]) -> None:
        """Do the same as `finish` for a run that may be the inline run. For the loop's thread."""
        state = self._base_executor_state
        notifier = state.notifier
        if state.inline_run is run and notifier is not None:
            state.inline_run = None
            notifier.finished(run, notification)
        else:
            self.finish(run, notification)


class _InlineRun(Protocol):
    """A `TaskRun` of any type."""

    @property
    def id(self) -> int: ...

    @property
    def task_id(self) -> str: ...


class BaseExecutorState:
    """All private state of a `BaseExecutor`, in one attribute of it.

    Attributes:
        inline_run: The run that `submit_run` is executing on the loop's thread; see `InlineExecutor`.
        runs_inline: True if runs without a queue start as the inline run.
        asks_for_queue: True if `waits_in_queue` is overridden, and so must be called for each run.
        cleanup_seconds: Seconds that a run has for its cleanup after a timeout, if `cancel_run` could interrupt it. Its
            outcome is reported after the cleanup. With 0 the run is abandoned at once.
        drained: Set when the last run is over; None unless a shutdown is waiting.
    """

    def __init__(self, max_queue: int | None) -> None:
        self.max_queue: int | None = max_queue
        self.alias: str = ""
        self.status: ExecutorStatus = "created"
        self.notifier: Notifier | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.registry: RunRegistry = RunRegistry()
        self.inline_run: _InlineRun | None = None
        self.runs_inline: bool = False
        self.asks_for_queue: bool = True
        self.cleanup_seconds: float = 0.0
        self.drained: asyncio.Event | None = None
        self.shutdown_lock: asyncio.Lock = asyncio.Lock()
        self._thread = 0
        self._status_lock = threading.RLock()

    def attach(self, notifier: Notifier, alias: str, loop: asyncio.AbstractEventLoop) -> None:
        """Take over the arguments of `start`."""
        self.notifier, self.alias, self.loop = notifier, alias, loop
        self._thread = threading.get_ident()
        self.shutdown_lock = asyncio.Lock()

    def set_status(self, status: ExecutorStatus) -> None:
        """Change the status. Thread-safe.

        Raises:
            IllegalTransitionError: The change is not allowed.
        """
        with self._status_lock:
            check_transition(self.alias, self.status, status)
            self.status = status

    def promote_inline_run(self) -> None:
        """Add the inline run to the registry, if there is one. For the loop's thread."""
        run = self.inline_run
        if run is not None:
            # In this order: a snapshot that another thread takes meanwhile finds the run in one of both places.
            # `_InlineRun` is a `TaskRun` of some type, and the registry only gives runs to functions for every type.
            self.registry.add_running(cast("TaskRun[object]", run))
            self.inline_run = None

    def promote_if_inline(self, run: TaskRun[ResultT]) -> bool:
        """Add a run to the registry if it is the inline run and this is the loop's thread."""
        if self.inline_run is run and threading.get_ident() == self._thread:
            self.promote_inline_run()
            return True
        return False

    def withdraw(self, run: TaskRun[ResultT]) -> None:
        """Forget a run that `submit_run` has rejected."""
        if self.inline_run is run:
            self.inline_run = None
        self.registry.withdraw(run.id)

    def report_finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT]) -> None:
        """Report the outcome of a run that never left the queue and is done."""
        try:
            if self.notifier is not None:
                self.notifier.finished(run, notification)
        finally:
            self.registry.pop(run.id, None)
            self.wake_shutdown_if_drained()

    async def wait_until_drained(self) -> None:
        """Wait until every run is over or abandoned: an abandoned one may never return."""
        self.promote_inline_run()
        self.drained = drained = asyncio.Event()
        try:
            while not self.registry.is_drained:
                await drained.wait()
                drained.clear()
        finally:
            self.drained = None

    async def wait_until_over(self, run_ids: Collection[int], timeout: float) -> None:
        """Wait until the work of some abandoned runs has ended, for at most `timeout` seconds.

        For `release`: each run that is over wakes the shutdown then, because only abandoned ones are left.
        """
        self.drained = drained = asyncio.Event()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    while any(self.registry.get(run_id) is not None for run_id in run_ids):
                        await drained.wait()
                        drained.clear()
        finally:
            self.drained = None

    def wake_shutdown_if_drained(self) -> None:
        """Wake a shutdown that waits for the last run. Thread-safe."""
        drained = self.drained
        if drained is not None and self.registry.is_drained:
            self.call_on_loop(drained.set)

    def call_on_loop(self, callback: Callable[[], object]) -> None:
        """Call a function on the loop's thread, unless the loop is closed."""
        # A closed loop was left by a shutdown that was cut short: no one is waiting in it any more.
        if self.loop is not None:
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(callback)


class _CancelNow:
    """Consumer of runs that ends each one as cancelled at once, and cancels its work if possible."""

    def __init__(self, executor: BaseExecutor) -> None:
        self._executor = executor

    def __call__(self, run: TaskRun[ResultT], /) -> None:
        executor = self._executor
        accepted = self._try(executor.cancel, run)
        if executor.abandon(run, run.cancelled()) and not accepted:
            # A coroutine may have started between the two calls: now it can be cancelled.
            self._try(executor.cancel_run, run)

    def _try(self, cancel: Callable[[TaskRun[ResultT]], bool], run: TaskRun[ResultT]) -> bool:
        """Cancel a run; an error, for example of a subclass, must not keep the other runs from being cancelled."""
        try:
            return cancel(run)
        except BaseException as error:
            message = "A run of the task %r could not be cancelled: %r"
            safe_logger(self._executor).error(message, run.task_id, error)
            return False


class _Timeout:
    """The timeout of one run, without its type; for the loop's thread."""

    def __init__(self, executor: BaseExecutor, run: TaskRun[ResultT], timeout: float) -> None:
        exceeded = TaskTimeoutError(run.task_id, timeout)
        self._executor = executor
        self._state = executor._base_executor_state
        self._run_id = run.id
        self._timeout = timeout
        self._clock_call_later = run._clock.call_later
        self._exceeded = exceeded
        self._make_outcome: MakeOutcome = partial(run.failed, exceeded)
        self._cancel_run: Callable[[], bool] = partial(executor.cancel_run, run)
        self._abandon: Callable[[], bool] = lambda: executor.abandon(run, run.failed(exceeded))
        self._timer: RunTimer | None = None

    def start(self) -> None:
        """Start the timer, unless the run is over."""
        self._call_later(self._clock_call_later, self._timeout, self._expire)

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _call_later(self, call_later: CallLater | None, delay: float, callback: Callable[[], None]) -> None:
        record, loop = self._state.registry.get(self._run_id), self._state.loop
        if record is None or loop is None or record.state is not RUNNING:
            return
        timer = loop.call_later(delay, callback) if call_later is None else call_later(delay, callback)
        record.timer = self._timer = timer
        # `finish` sets the state and then reads the timer; this sets the timer and then reads the state. In either
        # order of the two threads, one of them cancels the timer: else it would keep the run until it expires.
        if self._state.registry.is_over(self._run_id):
            timer.cancel()

    def _expire(self) -> None:
        state = self._state
        # The outcome is set before the run is cancelled, as it may end before the next statement here.
        if (
            state.cleanup_seconds
            and state.registry.interrupt(self._run_id, self._make_outcome)
            and self._try_to_cancel()
        ):
            # Cleanup takes real time, whatever clock the scheduler has.
            self._call_later(None, state.cleanup_seconds, self._abandon_run)
            safe_logger(self._executor).debug("%s", self._exceeded)
        else:
            self._abandon_run()

    def _try_to_cancel(self) -> bool:
        try:
            return self._cancel_run()
        except BaseException as error:
            safe_logger(self._executor).error("A run over its timeout could not be cancelled: %r", error)
            return False

    def _abandon_run(self) -> None:
        if self._abandon():
            self._try_to_cancel()
            safe_logger(self._executor).debug("%s", self._exceeded)


def limit_pickling(executor: BaseExecutor, run: TaskRun[ResultT]) -> Callable[[], None]:
    """Start the timeout of a run for the pickling of its call; it starts anew when the function is called.

    Thread-safe.

    Returns:
        A function that stops the timeout.
    """
    timeout, call_on_loop = run.limits.timeout, executor._base_executor_state.call_on_loop
    if timeout is None:
        return _do_nothing
    limit = _Timeout(executor, run, timeout)
    call_on_loop(limit.start)
    return lambda: call_on_loop(limit.stop)


def _do_nothing() -> None:
    """Do nothing."""


def set_broken(executor: BaseExecutor) -> bool:
    """Change the status of an executor to `broken`; return False if its status does not allow that."""
    try:
        executor._base_executor_state.set_status("broken")
    except IllegalTransitionError:
        return False
    return True


def log_broken(executor: BaseExecutor) -> None:
    """Log that an executor is broken. Calls log handlers."""
    alias = executor._base_executor_state.alias
    safe_logger(executor).error("The executor %r is broken and accepts no more runs", alias)


def _finish_any(executor: BaseExecutor, run: TaskRun[ResultT], notification: TaskNotification[ResultT]) -> None:
    """Report the outcome of any run, which may have been interrupted, abandoned or finished before."""
    state, notifier = executor._base_executor_state, executor.notifier
    registry = state.registry
    record = registry.get(run.id)
    # The slot is free before the notifier is called: a listener may run the task again. The notifier is called
    # without the lock, as it runs user code.
    previous = None if record is None else registry.finish(record)
    if record is None or previous is None:
        # A second outcome: the notifier rejects and logs it.
        notifier.notify(run, notification)
        return
    if record.timer is not None:
        state.call_on_loop(record.timer.cancel)
    if previous is DONE:
        # Another thread is reporting that the run was abandoned. `released` must come after that: it does both.
        return
    try:
        if previous is ABANDONED:
            notifier.released(run)
        elif record.interruption is None:
            notifier.finished(run, notification)
        else:
            notifier.finished(run, record.interruption())
            _log_hidden_error(executor, notification)
    finally:
        registry.pop(run.id, None)
        # This thread removes the record and then reads `drained`; a shutdown sets `drained` and then counts the
        # records. In either order of the two threads, one of them sees the change of the other: no wake-up is lost.
        if state.drained is not None:
            state.wake_shutdown_if_drained()


def _log_hidden_error(executor: BaseExecutor, notification: TaskNotification[ResultT]) -> None:
    """Log the error of a run that was interrupted, after its outcome was reported: log handlers are user code."""
    if isinstance(notification, TaskError):
        message = "A run of the task %r was interrupted, and then failed: %s"
        safe_logger(executor).warning(message, notification.task_id, notification.traceback)


def safe_logger(executor: BaseExecutor) -> SafeLogger:
    """Return the logger of an executor for calls that must not raise: a log handler that raises must change no run."""
    return SafeLogger(executor.logger)


def _is_overridden(executor: InlineExecutor, name: str) -> bool:
    """Return True if a method of an executor of asyncz is overridden by a subclass or on the instance."""
    function: object = getattr(getattr(executor, name), "__func__", None)
    module: object = getattr(function, "__module__", None)
    return not isinstance(module, str) or not module.startswith("asyncz.executors.")
