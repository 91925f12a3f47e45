"""Base classes of executors that wrap another executor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol

from typing_extensions import TypeVar

from asyncz._constructors import explain_misuse
from asyncz._unsafe import as_cancelling, as_cancelling_all, as_checking_calls
from asyncz.events import TaskNotification
from asyncz.executors._safe_logging import logger
from asyncz.protocols import Executor, Notifier, UniversalExecutor
from asyncz.runs import TaskRun
from asyncz.states import ExecutorState

ResultT = TypeVar("ResultT")
ExecutorT = TypeVar("ExecutorT", bound="_AnyExecutor")


class _AnyExecutor(Protocol):
    """The part of an executor that does not depend on the result type."""

    @property
    def state(self) -> ExecutorState: ...

    async def start(self, notifier: Notifier, alias: str, /) -> None: ...

    async def shutdown(self, wait: bool = True) -> None: ...


class BaseDelegatingExecutor(Generic[ExecutorT]):
    """Common part: forwards everything except `submit`, which depends on the result type."""

    def __init__(self, executor: ExecutorT) -> None:
        self.executor: ExecutorT = executor

    @property
    def state(self) -> ExecutorState:
        """Snapshot of the wrapped executor. Thread-safe."""
        return self.executor.state

    async def start(self, notifier: Notifier, alias: str, /) -> None:
        """Start the wrapped executor."""
        await self.executor.start(_Relay(notifier, self), alias)

    async def shutdown(self, wait: bool = True) -> None:
        """Shut the wrapped executor down."""
        await self.executor.shutdown(wait)

    def cancel(self, run: TaskRun[ResultT], /) -> bool:
        """Cancel a run, if the wrapped executor can.

        Returns:
            True if the run ends as cancelled.
        """
        executor = as_cancelling(self.executor)
        return executor is not None and executor.cancel(run)

    @property
    def cancel_all(self) -> Callable[[], None]:
        """Method of the wrapped executor that ends every run as cancelled at once.

        Raises:
            AttributeError: The wrapped executor has no such method. Then a scheduler cancels the runs one by one.
        """
        executor = as_cancelling_all(self.executor)
        if executor is None:
            name = type(self.executor).__name__
            raise AttributeError(f"{name} has no method cancel_all", name="cancel_all", obj=self)
        return executor.cancel_all

    def check_call(self, call: Callable[[], object], /) -> None:
        """Raise if the wrapped executor can tell that it could never make a call."""
        executor = as_checking_calls(self.executor)
        if executor is not None:
            executor.check_call(call)

    def on_outcome(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        """Do nothing; override this to observe outcomes. Called once per run, in any thread, before the scheduler.

        An exception that this raises is logged, and does not affect the run.
        """


class DelegatingExecutor(BaseDelegatingExecutor[UniversalExecutor]):
    """Base class of executors that wrap another one, for tasks of every result type.

    Forwards everything, also the optional abilities `cancel`, `cancel_all` and `check_call`: if the wrapped executor
    cannot cancel, `cancel` returns False. Override `submit` and `on_outcome` to observe runs.

    Args:
        executor: The executor to wrap.

    Attributes:
        executor: The wrapped executor.

    Example:
        >>> class MeteredExecutor(DelegatingExecutor):
        ...     def __init__(self, executor: UniversalExecutor) -> None:
        ...         super().__init__(executor)
        ...         self.submitted = Counter[str]()
        ...         self.seconds: list[float] = []
        ...
        ...     def submit(self, run: TaskRun[ResultT], /) -> None:
        ...         super().submit(run)
        ...         self.submitted[run.task_id] += 1
        ...
        ...     def on_outcome(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        ...         if notification.details.duration is not None:
        ...             self.seconds.append(notification.details.duration)
    """

    def submit(self, run: TaskRun[ResultT], /) -> None:
        """Submit a run to the wrapped executor. For the loop's thread.

        Raises:
            MaximumInstancesError: The task has `max_instances` running instances there.
            QueueFullError: The queue of the wrapped executor is full.
            ExecutorNotRunningError: The wrapped executor is not running.
        """
        self.executor.submit(run)


explain_misuse(DelegatingExecutor)


class RestrictedDelegatingExecutor(BaseDelegatingExecutor[Executor[ResultT]], Generic[ResultT]):
    """Base class of executors that wrap an executor for one result type; see `DelegatingExecutor`.

    Args:
        executor: The executor to wrap.

    Attributes:
        executor: The wrapped executor.

    Example:
        >>> class MeteredBytesExecutor(RestrictedDelegatingExecutor[bytes]):
        ...     def submit(self, run: TaskRun[bytes], /) -> None:
        ...         submissions.increment()
        ...         super().submit(run)
    """

    def submit(self, run: TaskRun[ResultT], /) -> None:
        """Submit a run to the wrapped executor. For the loop's thread; see `DelegatingExecutor.submit`."""
        self.executor.submit(run)


class _OutcomeObserver(Protocol):
    def on_outcome(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None: ...


class _Relay:
    """Notifier between the wrapped executor and the scheduler."""

    def __init__(self, notifier: Notifier, observer: _OutcomeObserver) -> None:
        self._notifier = notifier
        self._observer = observer

    def finished(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        try:
            self._observe(run, notification)
        finally:
            self._notifier.finished(run, notification)

    def notify(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None:
        try:
            self._observe(run, notification)
        finally:
            self._notifier.notify(run, notification)

    def released(self, run: TaskRun[ResultT], /) -> None:
        self._notifier.released(run)

    def _observe(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT]) -> None:
        try:
            self._observer.on_outcome(run, notification)
        except BaseException as error:
            # Only the main thread receives interrupts of the user, which may come at this moment.
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise
            logger.exception("on_outcome of %r failed for a run of the task %r", self._observer, run.task_id)
