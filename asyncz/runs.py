"""Runs of a task: one attempt, the outcome of a run, and the handle to await it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import socket
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Generator
from contextvars import Context
from datetime import datetime
from typing import Generic, Protocol, TypeAlias
from uuid import UUID

import attrs
from typing_extensions import TypeVar, override

from asyncz._awaitables import is_awaitable
from asyncz._coroutines import await_in_new_loop, await_or_close
from asyncz._run_ids import PlainKey, RunKey, run_id_of, run_numbers
from asyncz._running import running_run
from asyncz._text import traceback_of, type_name
from asyncz.clock import SystemClock, utc
from asyncz.events import (
    RunDetails,
    RunValues,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMissed,
    TaskNotification,
    Worker,
    details_of,
)
from asyncz.exceptions import (
    TaskCancelledError,
    TaskExitError,
    TaskMissedError,
    WrongThreadError,
)
from asyncz.limits import TaskLimits
from asyncz.specs import TaskSpec

CallT = TypeVar("CallT")
ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)

_system_clock = SystemClock()
_monotonic = time.monotonic
# Bound once: to look up a method of an imported object makes a bound method for each call.
_set_running_run, _reset_running_run = running_run.set, running_run.reset


class RunTimer(Protocol):
    """Timer of a clock."""

    def cancel(self) -> None:
        """Cancel the call."""
        ...


CallLater: TypeAlias = Callable[[float, Callable[[], object]], RunTimer]
"""The `call_later` of a clock."""


@attrs.define
class RunClock:
    """Clock of runs. All runs of a scheduler share one.

    Attributes:
        time: Return the time in seconds since the epoch.
        monotonic: Return a time that is never set: a clock that is set changes no duration.
        call_later: Make a timer of the scheduler's clock; None for a timer of the event loop.
    """

    time: Callable[[], float]
    monotonic: Callable[[], float] = _monotonic
    call_later: CallLater | None = None


def this_worker() -> Worker:
    """Return the current thread, process and machine. Thread-safe."""
    return _this_thread.worker


class _ThisThread(threading.local):
    def __init__(self) -> None:
        self.refresh()

    def refresh(self) -> None:
        self.worker = Worker(host=_host, pid=os.getpid(), thread=threading.current_thread().name)


_host = socket.gethostname()
_this_thread = _ThisThread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_this_thread.refresh)


class RunOutcome(Generic[ResultT]):
    """Outcome of a run with all its attempts: set once, awaited by any number of coroutines.

    Belongs to the thread that makes it, which is the one of the scheduler's loop.
    """

    __slots__ = ("_notification", "_thread_id", "_waiters")

    def __init__(self) -> None:
        self._notification: TaskNotification[ResultT] | None = None
        self._thread_id = threading.get_ident()
        self._waiters: list[asyncio.Future[None]] = []

    def is_set(self) -> bool:
        """Return True if the outcome is known."""
        return self._notification is not None

    def set(self, notification: TaskNotification[ResultT], /) -> bool:
        """Set the outcome and wake the waiting coroutines.

        Returns:
            False if the outcome was set before; then nothing changes.
        """
        if self._notification is not None:
            return False
        self._notification = notification
        waiters = self._waiters.copy()
        self._waiters.clear()
        for waiter in waiters:
            # A waiter may belong to a loop that was closed before its coroutine ended.
            with contextlib.suppress(RuntimeError):
                if not waiter.done():
                    waiter.set_result(None)
        return True

    async def wait(self) -> TaskNotification[ResultT]:
        """Wait until the outcome is known, and return it.

        Raises:
            WrongThreadError: The outcome is not known yet, and belongs to another thread.
        """
        while self._notification is None:
            if threading.get_ident() != self._thread_id:
                raise WrongThreadError("awaiting a run", threading.current_thread().name, _THREAD_ADVICE)
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        return self._notification


_THREAD_ADVICE = (
    "only the thread of the scheduler's event loop may; use SchedulerThread, from in_thread(), to wait here"
)


class TaskRun(Generic[ResultT]):
    """One attempt of a run of a task, for one scheduled time; an executor receives it.

    Invariant in its result: only executing a run of a type returns a value of that type, so a type checker rejects an
    executor that invents results or mixes up the runs of two tasks.

    An executor calls `execute()` or `execute_async()`, or makes the outcome with `executed()`, `failed()`, `missed()`
    or `cancelled()`.

    Attributes:
        task: Description of the task.
        task_id: Id of the task.
        limits: Limits of the task's runs at the time when this attempt was made.
        call: Function of the task with the arguments of this run.
        id: Number of this attempt, unique in its process.
        attempt: 1 for the first attempt of a run, 2 for its first retry, and so on.
        scheduled: Due time, in seconds since the epoch.
        started: Time of the call of the function, in seconds since the epoch; None before.
        worker: Thread or process that runs the function; None while that is not known.
        cancel_requested: True once the cancellation was requested, whatever the executor can do about it.
    """

    # Monotonic time of the call of the function. Unset before the call, and set before `started`: another thread reads
    # it if it finds `started` set.
    _began: float

    __slots__ = (
        "_began",
        "_cancellation_seen",
        "_clock",
        "_completed",
        "_context",
        "_key",
        "_outcome",
        "_shared_outcome",
        "attempt",
        "call",
        "cancel_requested",
        "id",
        "limits",
        "scheduled",
        "started",
        "task",
        "task_id",
        "worker",
    )

    def __init__(
        self,
        task: TaskSpec[ResultT],
        scheduled: float | None = None,
        context: Context | None = None,
        clock_now: Callable[[], float] = _system_clock.now,
        call: Callable[[], ResultT | Awaitable[ResultT]] | None = None,
    ) -> None:
        self.task: TaskSpec[ResultT] = task
        self.task_id: str = task.id
        self.limits: TaskLimits = task.limits
        self.call: Callable[[], ResultT | Awaitable[ResultT]] = task.call if call is None else call
        self.id: int = next(run_numbers)
        # The same for all attempts: the number of the first one, or the owner of a stored run.
        self._key: RunKey = self.id
        self.attempt: int = 1
        self.scheduled: float = clock_now() if scheduled is None else scheduled
        self.started: float | None = None
        self.worker: Worker | None = None
        self.cancel_requested: bool = False
        # True once the function has seen its cancellation: then that is the outcome, whatever it returns or raises.
        self._cancellation_seen = False
        self._context = context
        self._clock = RunClock(clock_now)
        # Two fields: an executor's thread reports the outcome, and the loop's thread completes the run with it later.
        # `done` must not be True before.
        self._outcome: TaskNotification[ResultT] | None = None
        self._completed = False
        # Made when the run is awaited or retried; most runs are neither. All attempts of a run share it.
        self._shared_outcome: RunOutcome[ResultT] | None = None

    @override
    def __repr__(self) -> str:
        return f"<TaskRun {self.run_id} of the task {self.task_id!r}>"

    @property
    def run_id(self) -> UUID:
        """Id of the run, unique over all processes and the same for all its attempts; events carry it."""
        return run_id_of(self._key)

    @property
    def context(self) -> Context | None:
        """Context variables for the function; None for those of the caller.

        A copy of the context that the run was made with, so that an attempt cannot change it for others. An executor
        may prepare it before it calls the function, for example with `run.context.run(variable.set, value)`; the
        function runs in another copy.
        """
        if self._context is not None:
            self._context = self._context.copy()
        return self._context

    @context.setter
    def context(self, context: Context | None) -> None:
        self._context = context

    @property
    def scheduled_at(self) -> datetime:
        """Due time, UTC."""
        return utc(self.scheduled)

    @property
    def outcome(self) -> TaskNotification[ResultT] | None:
        """Reported outcome of this attempt; None before the report. Another attempt may follow."""
        return self._outcome

    @property
    def done(self) -> bool:
        """True if the run is complete, with all its attempts."""
        return self._completed if self._shared_outcome is None else self._shared_outcome.is_set()

    async def notification(self) -> TaskNotification[ResultT]:
        """Wait until the run is complete, with all its attempts, and return its outcome. For the loop's thread."""
        return await self.shared_outcome().wait()

    def report_progress(self, done: float, total: float | None, message: str, /) -> None:
        """Report how much of the work of this run is done; `current_run().report()` calls this in this process.

        An executor that runs functions elsewhere calls this for the reports that it receives. Reports after the outcome
        are dropped. Thread-safe. Does nothing for a run without a scheduler.

        Args:
            done: Amount of work that is done, at least 0.
            total: Total amount of work; None if unknown.
            message: Text for people; may be empty.
        """

    def shared_outcome(self) -> RunOutcome[ResultT]:
        """Return the outcome that all attempts of the run share. For the loop's thread."""
        if self._shared_outcome is None:
            shared = self._shared_outcome = RunOutcome[ResultT]()
            if self._completed and self._outcome is not None:
                shared.set(self._outcome)
        return self._shared_outcome

    def is_cancelled(self) -> bool:
        """Return True if the function should return: the run was cancelled or has an outcome. From any thread.

        A function that received True here and then returns or raises ends its run as cancelled.
        """
        if self.cancel_requested or self._outcome is not None:
            self._cancellation_seen = True
            return True
        return False

    def _executed_by_function(self, result: object) -> TaskExecuted[object] | None:
        """Return the outcome for a result that the function stores; None if it would not be that of the run."""
        if self._outcome is not None or self._cancellation_seen:
            return None
        return TaskExecuted(self.task_id, result, self._values())

    def _end_as_cancelled(self) -> None:
        self._cancellation_seen = True

    def is_too_late(self) -> bool:
        """Return True if the misfire grace time is over; then the outcome has to be `missed()`.

        Always False for a further attempt, as its run started in time.
        """
        grace = self.limits.misfire_grace_time
        return grace is not None and self.attempt == 1 and self._clock.time() - self.scheduled > grace

    def executed(self, result: ResultT, /) -> TaskExecuted[ResultT]:
        """Return the outcome of a run that returned a result."""
        return TaskExecuted(self.task_id, result, self._values())

    def failed(self, exception: BaseException, /, *, traceback_text: str = "") -> TaskError:
        """Return the outcome of a run that raised an exception."""
        text = traceback_text or _format_traceback(exception)
        _clear_frames(exception)
        return TaskError(self.task_id, exception, traceback=text, details=self.details())

    def missed(self) -> TaskMissed:
        """Return the outcome of a run that did not start in time."""
        return TaskMissed(self.task_id, details=self.details())

    def cancelled(self) -> TaskCancelled:
        """Return the outcome of a run that was cancelled."""
        return TaskCancelled(self.task_id, details=self.details())

    def details(self) -> RunDetails:
        """Return the times and the worker of the run, as of now."""
        return details_of(self._values())

    def _values(self) -> RunValues:
        # A plain tuple for `TaskExecuted`, the most frequent outcome: making a named tuple takes longer.
        started = self.started
        clock = self._clock
        finished = clock.time() if started is None else started + (clock.monotonic() - self._began)
        return (self._key, self.attempt, self.scheduled, started, finished, self.worker)

    def begin(self, started: float | None = None, worker: Worker | None = None) -> None:
        """Record the call of the function; `execute` and `execute_async` do so themselves.

        Args:
            started: Time of the call, in seconds since the epoch; None for now.
            worker: Thread or process that runs the function; None for the current thread.
        """
        clock = self._clock
        now = clock.time()
        # A worker process knows the clock of the machine only.
        if started is None or clock.call_later is not None:
            started = now
        self.worker = worker or this_worker()
        self._began = clock.monotonic() - max(0.0, now - started)
        self.started = started

    def execute(
        self, await_outcome: Callable[[Awaitable[ResultT]], ResultT] | None = None
    ) -> TaskNotification[ResultT]:
        """Call the function in the current thread and return the outcome; never raises.

        Args:
            await_outcome: Called with an awaitable that the function returned, to run it to its end; by default in a
                new event loop.
        """
        if self.limits.misfire_grace_time is not None and self.is_too_late():
            return self.missed()
        # In two steps: to call an attribute like a method takes twice as long on Python 3.11.
        clock = self._clock
        now, monotonic = clock.time, clock.monotonic
        self.worker = worker = _this_thread.worker
        self._began = began = monotonic()
        self.started = started = now()
        # The context ends with this call, so `running_run` needs no reset in it.
        context = None if self._context is None else self._context.copy()
        try:
            if context is None:
                returned = self._as_current_run(self.call)
            else:
                context.run(_set_running_run, self)
                returned = context.run(self.call)
            if returned is None or not is_awaitable(returned):
                if self._cancellation_seen:
                    return self.cancelled()
                # As `executed`, without its two calls: most runs end here.
                finished = started + (monotonic() - began)
                values = (self._key, self.attempt, self.scheduled, started, finished, worker)
                return TaskExecuted(self.task_id, returned, values)
            await_it = functools.partial(await_outcome or await_in_new_loop, returned)
            wait = functools.partial(await_or_close, returned, await_it)
            return self._returned(self._as_current_run(wait) if context is None else context.run(wait))
        except asyncio.CancelledError:
            return self.cancelled()
        except BaseException as error:
            return self._raised(error)

    async def execute_async(self) -> TaskNotification[ResultT]:
        """Call the function on the running loop, await the awaitable that it returns, and return the outcome."""
        token = _set_running_run(self)
        try:
            return await self._execute_async_in_own_context(_this_thread.worker)
        finally:
            # If the loop is closed first, the garbage collector ends this coroutine in another context.
            with contextlib.suppress(ValueError):
                _reset_running_run(token)

    async def _execute_async_in_own_context(self, worker: Worker) -> TaskNotification[ResultT]:
        """Do the same as `execute_async`, in a context that ends with the run: `running_run` needs no reset.

        Args:
            worker: The current thread, which executors know: to look it up takes longer.
        """
        _set_running_run(self)
        clock = self._clock
        now, monotonic = clock.time, clock.monotonic
        self.worker = worker
        self._began = began = monotonic()
        self.started = started = now()
        try:
            call = self.call
            returned = call()
            result = (await returned) if is_awaitable(returned) else returned
            if self._cancellation_seen:
                return self.cancelled()
            # As in `execute`.
            finished = started + (monotonic() - began)
            values = (self._key, self.attempt, self.scheduled, started, finished, worker)
            return TaskExecuted(self.task_id, result, values)
        except asyncio.CancelledError:
            return self.cancelled()
        except BaseException as error:
            return self._raised(error)

    def _as_current_run(self, call: Callable[[], CallT]) -> CallT:
        token = _set_running_run(self)
        try:
            return call()
        finally:
            _reset_running_run(token)

    def _returned(self, result: ResultT) -> TaskNotification[ResultT]:
        """Return the outcome of a run after its function has returned."""
        return self.cancelled() if self._cancellation_seen else self.executed(result)

    def _raised(self, exception: BaseException) -> TaskNotification[ResultT]:
        return self.cancelled() if self._cancellation_seen else self.failed(exception)


def complete_run(run: TaskRun[ResultT], notification: TaskNotification[ResultT]) -> bool:
    """Set the outcome of a run and wake the coroutines that await it. For the loop's thread.

    Only a scheduler and its stand-in for tests, `asyncz.testing.RecordingNotifier`, complete runs.

    Returns:
        False if the run was complete before; then nothing changes.
    """
    if run.done:
        return False
    run._outcome, run._completed = notification, True
    if run._shared_outcome is not None:
        run._shared_outcome.set(notification)
    return True


class RunHandle(Generic[ResultT_co]):
    """Handle of a submitted run: await it for the typed result, or cancel the run.

    For the loop's thread only.
    """

    __slots__ = ("_cancel", "_key", "_outcome", "_task_id")

    def __init__(
        self, key: PlainKey, task_id: str, outcome: RunOutcome[ResultT_co], cancel: Callable[[], bool]
    ) -> None:
        self._key = key
        self._task_id = task_id
        self._outcome = outcome
        self._cancel = cancel

    @override
    def __repr__(self) -> str:
        return f"<RunHandle of run {self.run_id} of the task {self._task_id!r}>"

    @property
    def run_id(self) -> UUID:
        """Id of the run, as its events carry it."""
        return run_id_of(self._key)

    @property
    def task_id(self) -> str:
        """Id of the task."""
        return self._task_id

    def __await__(self) -> Generator[object, None, ResultT_co]:
        return self._result().__await__()

    async def _result(self) -> ResultT_co:
        return result_of(await self._outcome.wait())

    async def notification(self) -> TaskNotification[ResultT_co]:
        """Wait until the run is complete, and return its outcome. Any number of coroutines may wait."""
        return await self._outcome.wait()

    def done(self) -> bool:
        """Return True if the run is complete."""
        return self._outcome.is_set()

    def cancel(self) -> bool:
        """Cancel the run, as far as its executor can.

        Returns:
            True if the request was accepted; False if the run is complete, or runs in a thread.
        """
        return not self._outcome.is_set() and self._cancel()


def raised_by(notification: TaskNotification[object]) -> BaseException | None:
    """Return the exception that awaiting a run with this outcome raises; None for a result."""
    match notification:
        case TaskExecuted():
            return None
        case TaskError(task_id=task_id, exception=exception):
            if isinstance(exception, Exception):
                return exception
            exit_error = TaskExitError(task_id, _repr_of(exception))
            exit_error.__cause__ = exception
            return exit_error
        case TaskMissed(task_id=task_id):
            return TaskMissedError(task_id)
        case TaskCancelled(task_id=task_id):
            return TaskCancelledError(task_id)


def result_of(notification: TaskNotification[ResultT]) -> ResultT:
    """Return the result of a run with this outcome, or raise the exception that stands for the outcome."""
    if isinstance(notification, TaskExecuted):
        return notification.result
    raised = raised_by(notification)
    assert raised is not None
    try:
        raise raised
    finally:
        # The traceback holds this frame; with the local variable the exception would hold itself.
        del raised


def _format_traceback(exception: BaseException) -> str:
    """Return the traceback of an exception as text; never raises.

    Formatting runs code of the exception's class (`__str__`, a `__traceback__` property, `__notes__`), and whatever
    that raises must not keep the run from being reported.
    """
    try:
        return "".join(traceback.format_exception(exception))
    except BaseException as error:
        return f"{type_name(exception)}; its traceback cannot be formatted: {type_name(error)}\n"


def _repr_of(value: object) -> str:
    """Return the `repr` of an object, or a substitute if that raises."""
    try:
        return repr(value)
    except BaseException as error:
        return f"<{type_name(value)}; its repr raised {type_name(error)}>"


_SUSPENDABLE = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def _clear_frames(exception: BaseException) -> None:
    """Release the local variables of the frames that an exception passed; else they live as long as its notification.

    Frames of coroutines are skipped: clearing one closes the coroutine, which may still be running.
    """
    entry = traceback_of(exception)
    while entry is not None:
        if not entry.tb_frame.f_code.co_flags & _SUSPENDABLE:
            with contextlib.suppress(RuntimeError):
                entry.tb_frame.clear()
        entry = entry.tb_next
