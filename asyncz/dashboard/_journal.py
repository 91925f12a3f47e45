"""Record of the last runs and events of a scheduler, made by public subscriptions.

Threads: the listeners run on the loop's thread of the scheduler; log records come from any thread; requests read in
the threads of the server. One lock protects all of it. While it is held: operations on containers only, no user code.
Texts of exceptions and log messages are user code, and are made before it is taken.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

import attrs
from typing_extensions import override

from asyncz import events
from asyncz._run_ids import number_of, run_numbers
from asyncz._statuses import RunOutcome
from asyncz._text import raw_exception_text, shortened
from asyncz.dashboard._run_logs import LogEntry, RunLogs
from asyncz.events import RunDetails
from asyncz.logs import RunRecordHandler, logged_texts
from asyncz.schedulers import AsyncIOScheduler
from asyncz.schedulers.subscriptions import Subscription

Topics: TypeAlias = frozenset[str]
"""Names of the parts of pages that a change concerns."""

_RunEvent: TypeAlias = (
    events.TaskSubmitted
    | events.TaskExecuted[object]
    | events.TaskError
    | events.TaskMissed
    | events.TaskCancelled
    | events.TaskMaxInstances
    | events.TaskQueueFull
    | events.TaskRetrying
)

STOPPED: Final = "stopped"
"""Topic of the end of the scheduler."""

_RUNS: Topics = frozenset({"tasks", "runs", "executors", "events"})
_REJECTED: Topics = frozenset({"tasks", "events"})
_PROGRESS: Topics = frozenset({"tasks", "runs"})
_SCHEDULER: Topics = frozenset({"scheduler", "tasks", "events"})
_STOPPED: Topics = _SCHEDULER | {STOPPED}
_EXECUTORS: Topics = frozenset({"executors", "events"})

# Longer than the texts that are shown: a text is cut to its length after it was redacted.
_MAX_ERROR = 10_000
_MAX_MESSAGE = 4000
_MAX_TRACEBACK = 20_000
_MAX_ATTEMPTS = 20


class RecordedEvent(NamedTuple):
    """Event as it is kept: without results and exceptions, which may be large.

    Attributes:
        number: Number of the event, ascending.
        at: Time of the event, in seconds since the epoch.
        kind: Name of its class.
        task_id: Id of the task; empty if the event has none.
        details: Identity and times of the run; None if the event has none.
        text: Description.
        user: Name of the user who acted; empty for events of the scheduler.
    """

    number: int
    at: float
    kind: str
    task_id: str = ""
    details: RunDetails | None = None
    text: str = ""
    user: str = ""


class FailedAttempt(NamedTuple):
    """Attempt of a run that another one follows."""

    details: RunDetails
    delay: float
    error: str
    traceback: str


@attrs.define(eq=False)
class RecordedRun:
    """Run as it is kept, without its result.

    Attributes:
        task_id: Id of the task.
        position: Position among the runs of this process, ascending.
        details: Identity, times and worker of the last attempt.
        outcome: Outcome; None if the run is in progress.
        error: Class and text of the exception.
        traceback: Traceback as text.
        attempts: Last failed attempts before the last one.
        attempts_dropped: Number of older failed attempts that were dropped.
        progress: Latest report of the function.
        logs: Last log records; `Journal.find` fills them.
        logs_dropped: Number of older log records that were dropped.
    """

    task_id: str
    position: int
    details: RunDetails
    outcome: RunOutcome | None = None
    error: str = ""
    traceback: str = ""
    attempts: tuple[FailedAttempt, ...] = ()
    attempts_dropped: int = 0
    progress: events.TaskProgress | None = None
    logs: tuple[LogEntry, ...] = ()
    logs_dropped: int = 0


class Journal:
    """Last runs and events of a scheduler, in memory.

    Args:
        scheduler: Scheduler.
        max_runs: Maximum number of runs with an outcome; runs in progress are kept beside them.
        max_events: Maximum number of events.
        on_change: Called with the topics of each change, in the thread that makes the change.

    Attributes:
        since: Time from which runs are recorded, in seconds since the epoch.
    """

    def __init__(
        self, scheduler: AsyncIOScheduler, max_runs: int, max_events: int, on_change: Callable[[Topics], object]
    ) -> None:
        self.since: float = time.time()
        self._max_runs = max_runs
        self._on_change = on_change
        self._lock = threading.Lock()
        self._runs: dict[UUID, RecordedRun] = {}
        self._ended: deque[UUID] = deque()
        # A thread may log before the loop announces its run. Runs of other schedulers are never announced.
        self._logs = RunLogs()
        self._closed = False
        self._events: deque[RecordedEvent] = deque(maxlen=max_events)
        self._last_number = 0
        self._subscriptions = self._subscribe(scheduler)

    def _subscribe(self, scheduler: AsyncIOScheduler) -> list[Subscription]:
        return [
            scheduler.subscribe(events.TaskSubmitted, self._on_submitted),
            scheduler.subscribe(events.TaskExecuted, self._on_executed),
            scheduler.subscribe(events.TaskError, self._on_error),
            scheduler.subscribe(events.TaskMissed, lambda event: self._end(event, "missed")),
            scheduler.subscribe(events.TaskCancelled, lambda event: self._end(event, "cancelled")),
            scheduler.subscribe(events.TaskMaxInstances, self._on_rejected),
            scheduler.subscribe(events.TaskQueueFull, self._on_rejected),
            scheduler.subscribe(events.TaskRetrying, self._on_retrying),
            scheduler.subscribe(events.TaskProgress, self._on_progress),
            scheduler.subscribe(events.TaskAdded, self._on_task),
            scheduler.subscribe(events.TaskModified, self._on_task),
            scheduler.subscribe(events.TaskRemoved, self._on_task),
            scheduler.subscribe(events.SchedulerStarted, self._on_scheduler),
            scheduler.subscribe(events.SchedulerPaused, self._on_scheduler),
            scheduler.subscribe(events.SchedulerResumed, self._on_scheduler),
            scheduler.subscribe(events.SchedulerShutdown, self._on_scheduler),
            scheduler.subscribe(events.ExecutorAdded, self._on_executor),
            scheduler.subscribe(events.ExecutorRemoved, self._on_executor),
        ]

    def close(self) -> None:
        """Stop recording events and log records. Thread-safe."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.unsubscribe()

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    # Reading, in any thread

    def runs(self, matches: Callable[[RecordedRun], bool], limit: int) -> Sequence[RecordedRun]:
        """Return copies of the newest runs that a function selects, newest first.

        Args:
            matches: Function that selects runs. Called without the lock, so it sees each attribute as of now.
            limit: Maximum number of runs.
        """
        with self._lock:
            kept = list(self._runs.values())
        # Almost sorted: runs are kept as they are submitted.
        kept.sort(key=lambda run: run.position, reverse=True)
        chosen = list(itertools.islice(filter(matches, kept), limit))
        with self._lock:
            return [attrs.evolve(run) for run in chosen]

    def find(self, run_id: UUID) -> RecordedRun | None:
        """Return a run; None if it is not kept."""
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                return None
            logs, dropped = self._logs.of(run_id)
            return attrs.evolve(run, logs=logs, logs_dropped=dropped)

    def recorded_events(self, *, before: int | None, limit: int) -> Sequence[RecordedEvent]:
        """Return events, newest first.

        Args:
            before: Events with a smaller number only; None for the newest ones.
            limit: Maximum number of events.
        """
        with self._lock:
            kept = tuple(self._events)
        last = len(kept) if before is None or not kept else max(0, before - kept[0].number)
        return kept[max(0, last - limit) : last][::-1]

    # Writing

    def record_action(self, task_id: str, text: str, user: str) -> None:
        """Record the action of a user. Thread-safe."""
        self._record("OperatorAction", task_id, None, text, _SCHEDULER, user=user)

    def record_log(self, run_id: UUID, entry: LogEntry) -> None:
        """Keep a log record of a run. Thread-safe."""
        with self._lock:
            self._logs.add(run_id, entry, announced=run_id in self._runs)
        self._on_change(_PROGRESS)

    def _record(
        self, kind: str, task_id: str, details: RunDetails | None, text: str, topics: Topics, *, user: str = ""
    ) -> None:
        with self._lock:
            self._append(kind, task_id, details, text, user)
        self._on_change(topics)

    def _append(self, kind: str, task_id: str, details: RunDetails | None, text: str, user: str = "") -> None:
        self._last_number = number = self._last_number + 1
        self._events.append(RecordedEvent(number, time.time(), kind, task_id, details, text, user))

    def _on_submitted(self, event: events.TaskSubmitted) -> None:
        details = event.details
        with self._lock:
            known = self._runs.get(details.run_id)
            if known is None:
                self._add(event.task_id, details)
            elif known.outcome is None:
                known.details = details
            else:
                # A stored run that this node owns again, after it lost its lease, gave the run back, or was restarted.
                # Each submission precedes its outcome, so the known outcome is that of an earlier execution.
                self._ended.remove(details.run_id)
                run = self._add(event.task_id, details)
                run.attempts, run.attempts_dropped = known.attempts, known.attempts_dropped
            self._append("TaskSubmitted", event.task_id, details, "")
        self._on_change(_RUNS)

    def _add(self, task_id: str, details: RunDetails) -> RecordedRun:
        position = number_of(details.run_id)
        # A run of another process, which this one has claimed, comes after those that have begun here.
        position = next(run_numbers) if position is None else position
        run = self._runs[details.run_id] = RecordedRun(task_id, position, details)
        self._logs.announce(details.run_id)
        return run

    def _on_executed(self, event: events.TaskExecuted[object]) -> None:
        self._end(event, "executed")

    def _on_error(self, event: events.TaskError) -> None:
        self._end(event, "error", raw_exception_text(event.exception, _MAX_ERROR), _shortened(event.traceback))

    def _end(self, event: _RunEvent, outcome: RunOutcome, error: str = "", traceback: str = "") -> None:
        details = event.details
        run_id = details.run_id
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                run = self._add(event.task_id, details)
            if run.outcome is None and _is_same_execution(run.details, details):
                run.details, run.outcome, run.error, run.traceback = details, outcome, error, traceback
                self._ended.append(run_id)
                if len(self._ended) > self._max_runs:
                    oldest = self._ended.popleft()
                    self._runs.pop(oldest, None)
                    self._logs.forget(oldest)
            self._append(type(event).__name__, event.task_id, details, error)
        self._on_change(_RUNS)

    def _on_rejected(self, event: events.TaskMaxInstances | events.TaskQueueFull) -> None:
        self._record(type(event).__name__, event.task_id, event.details, "", _REJECTED)

    def _on_retrying(self, event: events.TaskRetrying) -> None:
        error = raw_exception_text(event.exception, _MAX_ERROR)
        attempt = FailedAttempt(event.details, event.delay, error, _shortened(event.traceback))
        with self._lock:
            run = self._runs.get(event.details.run_id)
            if run is not None:
                run.attempts_dropped += len(run.attempts) >= _MAX_ATTEMPTS
                run.attempts = (*run.attempts[-_MAX_ATTEMPTS + 1 :], attempt)
            self._append("TaskRetrying", event.task_id, event.details, error)
        self._on_change(_RUNS)

    def _on_progress(self, event: events.TaskProgress) -> None:
        with self._lock:
            run = self._runs.get(event.details.run_id)
            if run is not None and run.outcome is None:
                run.progress, run.details = event, event.details
        self._on_change(_PROGRESS)

    def _on_task(self, event: events.TaskAdded | events.TaskModified | events.TaskRemoved) -> None:
        text = ""
        if isinstance(event, events.TaskModified):
            failure = "" if event.exception is None else f": {raw_exception_text(event.exception, _MAX_ERROR)}"
            text = f"{shortened(event.change, _MAX_ERROR)}{failure}"
        self._record(type(event).__name__, event.task_id, None, text, _REJECTED)

    def _on_scheduler(
        self,
        event: events.SchedulerStarted | events.SchedulerPaused | events.SchedulerResumed | events.SchedulerShutdown,
    ) -> None:
        stops = isinstance(event, events.SchedulerShutdown)
        self._record(type(event).__name__, "", None, "", _STOPPED if stops else _SCHEDULER)

    def _on_executor(self, event: events.ExecutorAdded | events.ExecutorRemoved) -> None:
        self._record(type(event).__name__, "", None, event.alias, _EXECUTORS)


def _is_same_execution(known: RunDetails, details: RunDetails) -> bool:
    """Return False for the outcome of an execution that has lost its run, if this node owns the run again."""
    return known.scheduled == details.scheduled or None in {known.scheduled, details.scheduled}


def _shortened(traceback: str) -> str:
    """Return the first and last lines of a long traceback: whole lines, because a part of a secret is not redacted."""
    if len(traceback) <= _MAX_TRACEBACK:
        return traceback
    half = _MAX_TRACEBACK // 2
    head, tail = traceback[:half].rpartition("\n")[0], traceback[-half:].partition("\n")[2]
    return f"{head}\n… {len(traceback) - len(head) - len(tail)} characters are left out …\n{tail}"


class RunLogHandler(RunRecordHandler):
    """Handler that keeps the log records of runs, to show them with their run.

    Args:
        journal: Record of the runs.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    @override
    def keep(self, run_id: UUID, record: logging.LogRecord) -> None:
        """Keep a record, unless the dashboard is closed."""
        if not self._journal.closed:
            self._journal.record_log(run_id, LogEntry(*logged_texts(record, _MAX_MESSAGE)))
