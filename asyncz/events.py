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
from typing import Generic, NamedTuple, TypeAlias, Union, final

import attrs
from typing_extensions import TypeVar, override

from asyncz.clock import utc

ResultT_co = TypeVar("ResultT_co", covariant=True)


@attrs.frozen(kw_only=True)
class Worker:
    """Thread, process and machine that executed a run.

    Attributes:
        host: Name of the machine; empty if unknown.
        pid: Process id; None if unknown.
        thread: Name of the thread, such as `MainThread`; empty if unknown.
    """

    host: str = ""
    pid: int | None = None
    thread: str = ""

    @override
    def __str__(self) -> str:
        process = "" if self.pid is None else f"process {self.pid}"
        return " ".join(part for part in (self.thread, process, self.host and f"on {self.host}") if part)


class RunDetails(NamedTuple):
    """When and where a run took place: a named tuple, as nothing else that cannot be changed is made so fast.

    An executor may leave all of it out: the scheduler then fills in what the run itself knows.

    Attributes:
        run_id: The run's number, unique in its process and the same for all its attempts; 0 where it was left out.
        attempt: 1 for a run's first attempt, 2 for its first retry, and so on.
        scheduled: When the run was due, in seconds since the epoch.
        started: When its function was called, in seconds since the epoch; None if it never was.
        finished: When it had ended, in seconds since the epoch.
        worker: What executed it; None if nothing did.
    """

    run_id: int = 0
    attempt: int = 1
    scheduled: float | None = None
    started: float | None = None
    finished: float | None = None
    worker: Worker | None = None

    @property
    def scheduled_at(self) -> datetime | None:
        """When the run was due, UTC."""
        return None if self.scheduled is None else utc(self.scheduled)

    @property
    def started_at(self) -> datetime | None:
        """When its function was called, UTC; None if it never was."""
        return None if self.started is None else utc(self.started)

    @property
    def finished_at(self) -> datetime | None:
        """When it had ended, UTC."""
        return None if self.finished is None else utc(self.finished)

    @property
    def duration(self) -> float | None:
        """Seconds from the call of the function to its end; None if it was never called."""
        return None if self.started is None or self.finished is None else self.finished - self.started


_NO_DETAILS = RunDetails()
RunValues: TypeAlias = tuple[int, int, float | None, float | None, float | None, Worker | None]
"""Values of `RunDetails`, in order."""


@final
@attrs.define(eq=False, repr=False, match_args=False)
class TaskExecuted(Generic[ResultT_co]):
    """A run ended with a result.

    Attributes:
        task_id: Id of the task.
        result: Result of the function.
        details: When and where it ran; may be given as a tuple of those values.
    """

    # Most runs end so. What is only read by properties is made in half the time of what is frozen, and details that
    # nobody asks for are never more than a tuple of their values.
    _task_id: str = attrs.field(alias="task_id")
    _result: ResultT_co = attrs.field(alias="result")
    _details: RunValues = attrs.field(alias="details", default=_NO_DETAILS)

    __match_args__ = ("result",)

    @override
    def __repr__(self) -> str:
        return _shown(self)

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
        """When and where it ran."""
        return RunDetails._make(self._details)


def _text_of(event: TaskExecuted[object]) -> str:
    return f"TaskExecuted(task_id={event.task_id!r}, result={event.result!r}, details={event.details!r})"


# What a function has returned may know of its own event.
_shown: Callable[[TaskExecuted[object]], str] = recursive_repr()(_text_of)


# Whoever asks attrs for its fields, as `attrs.asdict` does, finds them by the names that they are read by.
_fields = attrs.fields(TaskExecuted)
_public_fields = type(_fields)([field.evolve(name=field.alias) for field in _fields])
setattr(TaskExecuted, "__attrs_attrs__", _public_fields)  # noqa: B010  # type checkers have it read-only


@final
@attrs.frozen(eq=False, match_args=False)
class TaskError:
    """A run ended with an exception: its function's own, a time limit, a lost worker.

    Attributes:
        task_id: Id of the task.
        exception: What was raised; `TaskTimeoutError` for a time limit, `WorkerLostError` for a dead worker.
        traceback: The traceback as text, also where it happened in another process.
        details: When and where it ran.
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
        details: When it was due.
    """

    task_id: str
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)


@final
@attrs.frozen(eq=False)
class TaskCancelled:
    """A run was cancelled, before or after its start: by a call, by a shutdown, or by itself.

    Attributes:
        task_id: Id of the task.
        details: When it was due and, if it had started, where it ran.
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
        details: Which run, and when it was due.
    """

    task_id: str
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)


@final
@attrs.frozen(eq=False)
class TaskMaxInstances:
    """A due run was rejected: the task had its maximum of running instances. Nothing else follows for it.

    Attributes:
        task_id: Id of the task.
        details: Which run, and when it was due.
    """

    task_id: str
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)


@final
@attrs.frozen(eq=False)
class TaskQueueFull:
    """A due run was rejected: the queue of its executor was full. Nothing else follows for it.

    Attributes:
        task_id: Id of the task.
        details: Which run, and when it was due.
    """

    task_id: str
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)


@final
@attrs.frozen(eq=False, match_args=False)
class TaskRetrying:
    """An attempt of a run failed, and another one follows: the run itself has not ended.

    Attributes:
        task_id: Id of the task.
        exception: What the attempt raised.
        delay: In how many seconds the next attempt is due.
        traceback: The traceback as text, also where it happened in another process.
        details: Which attempt, when and where it ran.
    """

    __match_args__ = ("exception",)

    task_id: str
    exception: BaseException
    delay: float
    traceback: str = attrs.field(default="", kw_only=True)
    details: RunDetails = attrs.field(default=_NO_DETAILS, kw_only=True)


@final
@attrs.frozen(eq=False)
class TaskAdded:
    """A task was added to the scheduler."""

    task_id: str


@final
@attrs.frozen(eq=False)
class TaskModified:
    """A task was changed while it is with the scheduler.

    Attributes:
        task_id: Id of the task.
        change: What changed, as text: `paused`, `resumed`, `rescheduled to …`, `timeout: None to 30`.
        exception: What its trigger raised, where its schedule ended because of that.
        fields: The names of what changed: options of `modify_task`, `trigger` or `paused`.
    """

    task_id: str
    change: str
    exception: BaseException | None = None
    fields: tuple[str, ...] = attrs.field(default=(), kw_only=True)


@final
@attrs.frozen(eq=False)
class TaskRemoved:
    """A task left the scheduler: it was removed, or its trigger is exhausted and its last run has ended."""

    task_id: str


@final
@attrs.frozen(eq=False)
class SchedulerStarted:
    """The scheduler runs."""


@final
@attrs.frozen(eq=False)
class SchedulerPaused:
    """The scheduler submits no due runs until it is resumed."""


@final
@attrs.frozen(eq=False)
class SchedulerResumed:
    """The scheduler submits due runs again."""


@final
@attrs.frozen(eq=False)
class SchedulerShutdown:
    """The scheduler has shut down. The last event.

    Attributes:
        finished: How many runs came to their own end, well or not, while it shut down.
        cancelled: How many were cancelled.
        abandoned: How many ended as told although their function has not returned; it blocks a thread.
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
"""Every event whose class has no type parameter."""

Event: TypeAlias = Union[TaskExecuted[object], PlainEvent]
"""Every event that a scheduler emits."""
