"""Events of the scheduler: outcomes of runs, and changes of tasks, executors and the scheduler.

Events are immutable values of final classes: listeners are found by the class, and a type checker can narrow a union
of events by `isinstance`. The four outcomes of a run form `TaskNotification[ResultT]`; a `match` over them is
exhaustive for the type checkers. Times are kept as seconds since the epoch and read as time zone aware UTC
datetimes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from reprlib import recursive_repr
from typing import Generic, NamedTuple, TypeAlias, Union, cast, final
from uuid import UUID

import attrs
from typing_extensions import TypeVar, override

from asyncz._run_ids import NO_RUN, PlainKey, run_id_of
from asyncz.clock import utc

ResultT_co = TypeVar("ResultT_co", covariant=True)


@attrs.frozen(kw_only=True)
class Worker:
    """Thread, process and machine that executed a run.

    Attributes:
        host: Name of the machine; empty if unknown.
        pid: Process id; None if unknown.
        thread: Name of the thread, such as `MainThread`; empty if unknown.
        node: Id of the scheduler, as in `SchedulerStore.nodes`, in events of the scope `cluster` and of
            `SchedulerStore.executed`; otherwise empty.
    """

    host: str = ""
    pid: int | None = None
    thread: str = ""
    node: str = ""

    @override
    def __str__(self) -> str:
        process = "" if self.pid is None else f"process {self.pid}"
        return " ".join(part for part in (self.thread, process, self.host and f"on {self.host}") if part)


# A named tuple, because no other immutable value is created as fast.
class RunDetails(NamedTuple):
    """Identity, times and worker of a run.

    An executor may leave it out of a notification: the scheduler then fills in the values that the run itself knows.

    Attributes:
        run_id: Id of the run, unique over all processes and the same for all its attempts; the nil UUID, with all bits
            zero, if it was left out.
        attempt: Number of the attempt: 1 for the first, 2 for the first retry, and so on.
        scheduled: Due time, in seconds since the epoch.
        started: Time at which the function was called, in seconds since the epoch; None if it was not called.
        finished: Time of the outcome, in seconds since the epoch.
        worker: Worker that executed the run; None if it was not executed.
    """

    run_id: UUID = NO_RUN
    attempt: int = 1
    scheduled: float | None = None
    started: float | None = None
    finished: float | None = None
    worker: Worker | None = None

    @property
    def scheduled_at(self) -> datetime | None:
        """Due time, UTC."""
        return None if self.scheduled is None else utc(self.scheduled)

    @property
    def started_at(self) -> datetime | None:
        """Time at which the function was called, UTC; None if it was not called."""
        return None if self.started is None else utc(self.started)

    @property
    def finished_at(self) -> datetime | None:
        """Time of the outcome, UTC."""
        return None if self.finished is None else utc(self.finished)

    @property
    def duration(self) -> float | None:
        """Seconds from the call of the function to the outcome; None if it was not called."""
        return None if self.started is None or self.finished is None else self.finished - self.started


_NO_DETAILS = RunDetails()
RunValues: TypeAlias = tuple[PlainKey, int, float | None, float | None, float | None, Worker | None]
"""Values of `RunDetails`, in order, with a key in the place of the id."""


def details_of(values: RunValues) -> RunDetails:
    """Return the details with some values."""
    key, *others = values
    return RunDetails._make((run_id_of(key), *others))


@final
@attrs.define(eq=False, repr=False, match_args=False)
class TaskExecuted(Generic[ResultT_co]):
    """A run ended with a result.

    Attributes:
        task_id: Id of the task.
        result: Result of the function.
        details: Identity, times and worker of the run; may be given as a tuple of the same values.
    """

    # The most frequent event. A class with read-only properties is created in half the time of a frozen one, and
    # details that are not read stay a plain tuple.
    _task_id: str = attrs.field(alias="task_id")
    _result: ResultT_co = attrs.field(alias="result")
    _details: RunValues = attrs.field(alias="details", default=_NO_DETAILS)

    __match_args__ = ("result",)

    @override
    def __repr__(self) -> str:
        return _guarded_representation(self)

    @property
    def task_id(self) -> str:
        """Id of the task."""
        return self._task_id

    @property
    def result(self) -> ResultT_co:
        """Result of the function."""
        return self._result

    @property
    def details(self) -> RunDetails:
        """Identity, times and worker of the run."""
        values = self._details
        return values if isinstance(values, RunDetails) else details_of(values)

    # In another process, or after a fork, the number of a run means nothing.

    @override
    def __getstate__(self) -> tuple[str, ResultT_co, RunDetails]:
        return self._task_id, self._result, self.details

    def __setstate__(self, state: tuple[str, object, RunDetails]) -> None:
        self._task_id, result, self._details = state
        # Unverified: `__getstate__` of an event with this type has returned it.
        self._result = cast("ResultT_co", result)


def _representation(event: TaskExecuted[object]) -> str:
    return f"TaskExecuted(task_id={event.task_id!r}, result={event.result!r}, details={event.details!r})"


# The result may contain its own event.
_guarded_representation: Callable[[TaskExecuted[object]], str] = recursive_repr()(_representation)


# `attrs.fields` and `attrs.asdict` name the fields as they are read, without the underscore.
_fields = attrs.fields(TaskExecuted)
_public_fields = type(_fields)([field.evolve(name=field.alias) for field in _fields])
setattr(TaskExecuted, "__attrs_attrs__", _public_fields)  # noqa: B010  # type checkers have it read-only


@final
@attrs.frozen(eq=False, match_args=False)
class TaskError:
    """A run ended with an exception: of its function, because of its time limit, or because its worker was lost.

    Attributes:
        task_id: Id of the task.
        exception: The exception; `TaskTimeoutError` after a timeout, `WorkerLostError` if the worker died.
        traceback: Traceback as text, from other processes too; may be empty.
        details: Identity, times and worker of the run.
    """

    __match_args__ = ("exception",)

    task_id: str
    exception: BaseException
    traceback: str = attrs.field(default="", kw_only=True)
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)


@final
@attrs.frozen(eq=False)
class TaskMissed:
    """A run did not start because it would have started after its misfire grace time.

    Attributes:
        task_id: Id of the task.
        details: Identity and due time of the run.
    """

    task_id: str
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)


@final
@attrs.frozen(eq=False)
class TaskCancelled:
    """A run was cancelled, before or after its start: by a call, by a shutdown, or by itself.

    Attributes:
        task_id: Id of the task.
        details: Identity and times of the run, and its worker if it was started.
    """

    task_id: str
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)


TaskNotification: TypeAlias = Union[TaskExecuted[ResultT_co], TaskError, TaskMissed, TaskCancelled]
"""Outcome of a run. Every submitted run ends in exactly one of these."""


@final
@attrs.frozen(eq=False)
class TaskSubmitted:
    """A run was handed to its executor; exactly one `TaskNotification` follows.

    Attributes:
        task_id: Id of the task.
        details: Identity and due time of the run.
    """

    task_id: str
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)


@final
@attrs.frozen(eq=False)
class TaskMaxInstances:
    """A due run was rejected: the task had `max_instances` running instances. No other event follows for the run.

    Attributes:
        task_id: Id of the task.
        details: Identity and due time of the run.
    """

    task_id: str
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)


@final
@attrs.frozen(eq=False)
class TaskQueueFull:
    """A due run was rejected: the queue of the executor was full. No other event follows for the run.

    Attributes:
        task_id: Id of the task.
        details: Identity and due time of the run.
    """

    task_id: str
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)


@final
@attrs.frozen(eq=False, match_args=False)
class TaskRetrying:
    """An attempt of a run failed, and another attempt follows. The run continues.

    Attributes:
        task_id: Id of the task.
        exception: Exception of the attempt.
        delay: Seconds until the next attempt is due.
        traceback: Traceback as text, from other processes too; may be empty.
        details: Identity, times and worker of the failed attempt.
    """

    __match_args__ = ("exception",)

    task_id: str
    exception: BaseException
    delay: float
    traceback: str = attrs.field(default="", kw_only=True)
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)


@final
@attrs.frozen(eq=False)
class TaskProgress:
    """A run reported its progress with `current_run().report()`; at most 10 times per second for each run.

    Attributes:
        task_id: Id of the task.
        done: Amount of work that is done.
        total: Total amount of work; None if unknown.
        message: Text for people; may be empty.
        details: Which attempt, when it was called and where it runs.
    """

    task_id: str
    done: float
    total: float | None = None
    message: str = ""
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)

    @property
    def fraction(self) -> float | None:
        """Part of the work that is done, from 0 to 1; None if the total is unknown."""
        return fraction_of(self.done, self.total)


def fraction_of(done: float, total: float | None) -> float | None:
    """Return the part of the work that is done, from 0 to 1; None if the total is unknown."""
    if total is None:
        return None
    # `done` over `total` may be too large for a float, and work without any parts is done.
    return 1.0 if done >= total else done / total


@final
@attrs.frozen(eq=False)
class TaskAdded:
    """A task was added to the scheduler."""

    task_id: str


@final
@attrs.frozen(eq=False)
class TaskModified:
    """A registered task was changed.

    Attributes:
        task_id: Id of the task.
        change: Description of the change, such as `paused`, `rescheduled to …` or `timeout: None to 30`.
        exception: Exception of the trigger, if it ended the schedule; otherwise None.
        fields: Names of the changed parts: options of `modify_task`, `trigger` or `paused`.
    """

    task_id: str
    change: str
    exception: BaseException | None = None
    fields: tuple[str, ...] = attrs.field(default=(), kw_only=True)


@final
@attrs.frozen(eq=False)
class TaskRemoved:
    """A task was removed, by a call or because its trigger is exhausted and its last run has ended."""

    task_id: str


@final
@attrs.frozen(eq=False)
class SchedulerStarted:
    """The scheduler was started."""


@final
@attrs.frozen(eq=False)
class SchedulerPaused:
    """The scheduler was paused: it submits no due runs until it is resumed."""


@final
@attrs.frozen(eq=False)
class SchedulerResumed:
    """The scheduler was resumed: it submits due runs again."""


@final
@attrs.frozen(eq=False)
class SchedulerShutdown:
    """The scheduler has shut down. The last event.

    Attributes:
        finished: Number of runs that ended by themselves during the shutdown, with a result or an exception.
        cancelled: Number of runs that were cancelled.
        abandoned: Number of runs with a function that has not returned; each blocks a thread.
    """

    finished: int = 0
    cancelled: int = 0
    abandoned: int = 0


@final
@attrs.frozen(eq=False)
class ExecutorAdded:
    """An executor was registered under an alias."""

    alias: str


@final
@attrs.frozen(eq=False)
class ExecutorRemoved:
    """An executor was removed and has released its resources."""

    alias: str


PlainEvent: TypeAlias = Union[
    TaskError,
    TaskMissed,
    TaskCancelled,
    TaskSubmitted,
    TaskMaxInstances,
    TaskQueueFull,
    TaskRetrying,
    TaskProgress,
    TaskAdded,
    TaskModified,
    TaskRemoved,
    SchedulerStarted,
    SchedulerPaused,
    SchedulerResumed,
    SchedulerShutdown,
    ExecutorAdded,
    ExecutorRemoved,
]
"""Union of the event classes without a type parameter."""

Event: TypeAlias = Union[TaskExecuted[object], PlainEvent]
"""Union of all event classes."""
