"""Values that the dashboard shows and its JSON API returns: immutable, validated, ready for JSON."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, NonNegativeFloat, NonNegativeInt, PositiveInt

from asyncz._text import escape_surrogates
from asyncz.states import ExecutorState, RunOutcome, RunProgress, SchedulerStatus, Snapshot, TaskState
from asyncz.stores.records import RunRecordState

Text: TypeAlias = Annotated[str, AfterValidator(escape_surrogates)]
"""Text from user code, made safe for JSON and HTML documents."""

Access: TypeAlias = Literal["look", "operate"]
"""Right of a user: to read, or also to act."""

Scope: TypeAlias = Literal["process", "cluster"]
"""Origin of the states: the process that serves the dashboard, or all nodes of a store."""

TaskFilter: TypeAlias = Literal["scheduled", "running", "paused", "failing", "idle"]
"""Selection of tasks; a task may belong to several."""

TaskOrder: TypeAlias = Literal["id", "next"]
"""Order of tasks: by id, or by next due time."""

ActionName: TypeAlias = Literal["run", "pause", "resume", "cancel", "reschedule", "remove"]
"""Action on tasks."""

Permission: TypeAlias = Literal["run", "pause", "resume", "cancel", "reschedule", "remove", "scheduler"]
"""Action that a user may carry out; `scheduler` is to pause or resume the whole scheduler."""

PERMISSIONS: tuple[Permission, ...] = ("run", "pause", "resume", "cancel", "reschedule", "remove", "scheduler")
"""All permissions."""


class SchedulerInfo(Snapshot, frozen=True):
    """Scheduler and process that a dashboard shows.

    Attributes:
        title: Title of the dashboard.
        status: Status of the scheduler.
        host: Name of the machine.
        pid: Id of the process.
        version: Version of asyncz.
        since: Time from which the dashboard has recorded runs.
        store: Description of the store; empty if the tasks are in memory only.
        tasks: Number of registered tasks.
        access: Right of the user who asks.
        permissions: Actions that the user who asks may carry out.
        user: Name of the user who asks.
        scope: Origin of the states.
        nodes: Number of nodes that use the store, for the scope `cluster`.
        paused_nodes: Number of those that are paused.
    """

    title: Text
    status: SchedulerStatus
    host: Text
    pid: NonNegativeInt
    version: str
    since: AwareDatetime
    store: Text = ""
    tasks: NonNegativeInt
    access: Access
    permissions: tuple[Permission, ...] = ()
    user: Text = ""
    scope: Scope = "process"
    nodes: NonNegativeInt = 0
    paused_nodes: NonNegativeInt = 0


class TaskPage(Snapshot, frozen=True):
    """Page of tasks.

    Attributes:
        tasks: Tasks of the page.
        total: Number of registered tasks.
        matching: Number of tasks that the selection matches.
        next_key: Key of the next page; None on the last page.
    """

    tasks: tuple[TaskState, ...]
    total: NonNegativeInt
    matching: NonNegativeInt
    next_key: Text | None = None


class Argument(Snapshot, frozen=True):
    """Argument of a task's function.

    Attributes:
        name: Name of the parameter, or its position.
        value: Text of the value, redacted.
    """

    name: Text
    value: Text


class TaskDetail(Snapshot, frozen=True):
    """A task with its options, arguments and next due times.

    Attributes:
        task: State of the task.
        arguments: Arguments of the function, redacted.
        options: Limits of the task.
        due: Next due times.
        result: Result of the last run, redacted; None if that did not end with a result.
    """

    task: TaskState
    arguments: tuple[Argument, ...] = ()
    options: tuple[Argument, ...] = ()
    due: tuple[AwareDatetime, ...] = ()
    result: Text | None = None


class Attempt(Snapshot, frozen=True):
    """Failed attempt of a run that another attempt followed.

    Attributes:
        attempt: Number of the attempt, from 1.
        started_at: Time at which the function was called; None if unknown.
        finished_at: Time of the failure; None if unknown.
        delay: Seconds until the next attempt was due.
        error: Class and text of the exception.
        traceback: Traceback as text; may be empty.
        worker: Thread, process and machine, or the node; empty if unknown.
    """

    attempt: PositiveInt
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    delay: NonNegativeFloat = 0
    error: Text = ""
    traceback: Text = ""
    worker: Text = ""


class LogLine(Snapshot, frozen=True):
    """Log record of a run.

    Attributes:
        at: Time of the record.
        level: Name of the level, such as `INFO`.
        logger: Name of the logger.
        message: Message.
    """

    at: AwareDatetime
    level: Text
    logger: Text
    message: Text


class Run(Snapshot, frozen=True):
    """Run, in progress or with an outcome.

    Attributes:
        run_id: Id of the run.
        task_id: Id of the task.
        outcome: Outcome; None if the run is in progress, or waits in the store.
        state: Outcome, or `running` or `waiting`.
        attempt: Number of the last attempt, from 1.
        scheduled_at: Due time; None if unknown.
        started_at: Time at which the function was called; None if it was not called.
        finished_at: Time of the outcome; None if there is none.
        lateness: Seconds from the due time to the call of the function; None if unknown.
        duration: Seconds from the call of the function to the outcome; None if unknown.
        worker: Thread, process and machine, or the node; empty if unknown.
        error: Class and text of the exception; empty if the run did not fail.
    """

    run_id: UUID
    task_id: Text
    outcome: RunOutcome | None = None
    state: RunRecordState = "running"
    attempt: PositiveInt = 1
    scheduled_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    lateness: float | None = None
    duration: NonNegativeFloat | None = None
    worker: Text = ""
    error: Text = ""


class RunPage(Snapshot, frozen=True):
    """Page of runs, newest first.

    Attributes:
        runs: Runs of the page.
        next_key: Key of the next page, which has older runs; None on the last page.
        is_partial: True if a search has ended before the page was full, and older runs have not been looked at.
    """

    runs: tuple[Run, ...]
    next_key: Text | None = None
    is_partial: bool = False


class RunDetail(Snapshot, frozen=True):
    """A run with its traceback, failed attempts, progress and log records.

    Attributes:
        run: The run.
        traceback: Traceback of the exception; may be empty.
        attempts: Last failed attempts before the last one.
        attempts_dropped: Number of older failed attempts that were dropped.
        progress: Latest reported progress; None if there is none.
        logs: Log records of the run, oldest first.
        logs_dropped: Number of older log records that were dropped.
    """

    run: Run
    traceback: Text = ""
    attempts: tuple[Attempt, ...] = ()
    attempts_dropped: NonNegativeInt = 0
    progress: RunProgress | None = None
    logs: tuple[LogLine, ...] = ()
    logs_dropped: NonNegativeInt = 0


class Node(Snapshot, frozen=True):
    """Scheduler that uses a store.

    Attributes:
        node_id: Id of the node.
        name: Description, such as host name and process id.
        app_version: Version of the program.
        lease_until: End of its lease; None if unknown.
        paused: True if it submits no due runs.
    """

    node_id: Text
    name: Text = ""
    app_version: NonNegativeInt = 0
    lease_until: AwareDatetime | None = None
    paused: bool = False


class ExecutorPage(Snapshot, frozen=True):
    """Executors of the scheduler, and the nodes of its store.

    Attributes:
        executors: Executors.
        nodes: Nodes that use the store; empty without a store.
        problem: Reason for which the nodes are unknown; empty if they are not.
    """

    executors: tuple[ExecutorState, ...]
    nodes: tuple[Node, ...] = ()
    problem: Text = ""


class Lane(Snapshot, frozen=True):
    """Row of a timeline: past and coming runs of one task.

    Attributes:
        task_id: Id of the task.
        runs: Runs that overlap the window.
        due: First coming due times in the window.
        more: True if more due times follow in the window.
    """

    task_id: Text
    runs: tuple[Run, ...] = ()
    due: tuple[AwareDatetime, ...] = ()
    more: bool = False


class Timeline(Snapshot, frozen=True):
    """Past and coming runs in a window of time.

    Attributes:
        start: Start of the window.
        now: Current time, which lies in the window.
        end: End of the window.
        lanes: Tasks with runs in the window, those that come next first.
        hidden: Number of tasks with coming runs that are left out.
    """

    start: AwareDatetime
    now: AwareDatetime
    end: AwareDatetime
    lanes: tuple[Lane, ...] = ()
    hidden: NonNegativeInt = 0


class EventRecord(Snapshot, frozen=True):
    """Event of the scheduler, or action of a user.

    Attributes:
        number: Number of the event, ascending.
        at: Time of the event.
        kind: Class of the event, such as `TaskExecuted`.
        task_id: Id of the task; empty if the event has none.
        run_id: Id of the run; None if the event has none.
        user: Name of the user who acted; empty for events of the scheduler.
        text: Description.
    """

    number: PositiveInt
    at: AwareDatetime
    kind: Text
    task_id: Text = ""
    run_id: UUID | None = None
    user: Text = ""
    text: Text = ""


class EventPage(Snapshot, frozen=True):
    """Page of events, newest first.

    Attributes:
        events: Events of the page.
        next_key: Key of the next page, which has older events; None on the last page.
    """

    events: tuple[EventRecord, ...]
    next_key: Text | None = None


class ActionFailure(Snapshot, frozen=True):
    """Task on which an action failed.

    Attributes:
        task_id: Id of the task.
        message: Reason.
    """

    task_id: Text
    message: Text


class ActionDetail(Snapshot, frozen=True):
    """Further description of an action that was carried out.

    Attributes:
        id: Id of the task or node.
        text: Number of cancelled runs, id of the new run, new trigger, downstream tasks, or name of the node.
    """

    id: Text
    text: Text


class ActionReport(Snapshot, frozen=True):
    """Outcome of an action.

    Attributes:
        done: Ids of the tasks, the run or the nodes on which the action was carried out; `scheduler` for the one of
            the process.
        failed: Tasks on which it failed; the others are not affected.
        details: Further descriptions of what was carried out.
    """

    done: tuple[Text, ...] = ()
    failed: tuple[ActionFailure, ...] = ()
    details: tuple[ActionDetail, ...] = ()


class Problem(Snapshot, frozen=True):
    """Answer to a request that was rejected.

    Attributes:
        status: Status of the response.
        message: Reason.
    """

    status: PositiveInt
    message: Text
