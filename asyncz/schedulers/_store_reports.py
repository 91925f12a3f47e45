"""Reports of stored runs on their way to the store: progress, failed attempts and log records."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import attrs
from typing_extensions import TypeVar, override

from asyncz._aliases import Redact
from asyncz._redaction import TextRedactor, redact_secrets
from asyncz._run_ids import WantedRun, parsed_run_id
from asyncz._text import escape_surrogates, raw_exception_text
from asyncz.clock import utc
from asyncz.events import RunDetails, TaskProgress, TaskRetrying
from asyncz.logs import RunRecordHandler, logged_texts
from asyncz.schedulers._dispatcher import Dispatcher
from asyncz.schedulers._loop_timers import LoopTimers
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._store_outcomes import OwnedRun
from asyncz.schedulers._store_pages import store_page
from asyncz.schedulers._store_tasks import StoredTasks
from asyncz.schedulers.subscriptions import Subscription
from asyncz.stores._report_texts import ReportDetails, ReportedAttempt, ReportedLog, ReportedProgress
from asyncz.stores.options import RunReporting
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import RunReport

PartT = TypeVar("PartT")
EncodedT = TypeVar("EncodedT")

# Reports of one transaction: each may have `max_bytes`.
_PAGE: Final = 50
# Log records that wait for the loop. More of them come only if it is blocked.
_MAX_INCOMING: Final = 20_000
# Runs whose log records are kept until their outcome, because no live run is known.
_MAX_EARLY: Final = 100
# Seconds for which log records are collected.
_COLLECTING: Final = 0.2
# Characters that a run may write per second, beyond which its interval grows.
_RATE: Final = 16_384
_MAX_ATTEMPTS: Final = 20
# Longer texts are cut after their redaction: the rest of a secret that was cut is not recognized.
_MAX_TRACEBACK: Final = 20_000
_MAX_MESSAGE: Final = 4000
# As in `PendingOutcomes`: stores of users may raise others than `StoreDataError`.
_REJECTIONS = (ValueError, TypeError, OverflowError)


class _Line(NamedTuple):
    """Log record as it was logged."""

    task_id: str
    run: str
    at: float
    level: str
    logger: str
    message: str


@attrs.define(eq=False)
class _Early:
    """Last log records of a run that is not known to this node.

    Attributes:
        lines: Log records.
        dropped: Number of older ones that were dropped.
    """

    lines: list[_Line]
    dropped: int = 0

    def add(self, line: _Line, limit: int) -> None:
        """Keep a log record, and drop the oldest ones beyond a limit."""
        self.lines.append(line)
        excess = len(self.lines) - limit
        if excess > 0:
            del self.lines[:excess]
            self.dropped += excess


class _Attempt(NamedTuple):
    """Failed attempt as it was reported."""

    details: RunDetails
    delay: float
    error: str
    traceback: str


@attrs.define(eq=False)
class _Notes:
    """Report of one run. Those parts that were redacted already are kept, so that each text is redacted once.

    Attributes:
        owned: The run.
        progress: Progress that the store does not have yet; None if it has the last one.
        new_attempts: Attempts that were not redacted yet.
        new_lines: Log records that were not redacted yet.
        attempts: Redacted attempts.
        logs: Redacted log records.
        attempts_dropped: Number of older attempts that were dropped.
        logs_dropped: Number of older log records that were dropped.
        has_details: Whether the store does not have the last attempts and log records.
        next_write: Time of `time.monotonic` before which the report is not written, unless the run has ended.
    """

    owned: OwnedRun
    progress: TaskProgress | None = None
    new_attempts: list[_Attempt] = attrs.field(factory=list[_Attempt])
    new_lines: list[_Line] = attrs.field(factory=list[_Line])
    attempts: deque[ReportedAttempt] = attrs.field(factory=deque[ReportedAttempt])
    logs: deque[ReportedLog] = attrs.field(factory=deque[ReportedLog])
    attempts_dropped: int = 0
    logs_dropped: int = 0
    has_details: bool = False
    next_write: float = 0.0

    @property
    def is_changed(self) -> bool:
        """True if the store does not have the last report."""
        return self.has_details or self.progress is not None


class _Draft(NamedTuple):
    """Parts of a report that another thread redacts and encodes."""

    notes: _Notes
    progress: TaskProgress | None
    attempts: Sequence[_Attempt]
    lines: Sequence[_Line]


class _Encoded(NamedTuple):
    """Redacted parts of a report."""

    progress: str | None
    attempts: Sequence[ReportedAttempt]
    logs: Sequence[ReportedLog]


class StoredReports:
    """Reports that the store does not have yet. For the loop's thread, except for `log_handler`.

    Only a run that reports something has a report: the others cost nothing.

    Args:
        options: Options; None if nothing is reported.
        tasks: Tasks that the store keeps.
        owned_by: Function that returns a run of this node by its id and its due time in this scheduler.
        wake: Function that has the pending work done soon.
        call_soon: Function that makes a call on the loop's thread; for any thread.
    """

    def __init__(
        self,
        options: RunReporting | None,
        tasks: StoredTasks,
        owned_by: Callable[[UUID, float], OwnedRun | None],
        wake: Callable[[], object],
        call_soon: Callable[[Callable[[], object]], object],
    ) -> None:
        self._options = options
        self._tasks = tasks
        self._owned_by = owned_by
        self._wake = wake
        self._call_soon = call_soon
        self._timers = LoopTimers()
        self._notes: dict[str, _Notes] = {}
        # Reports of runs with an outcome, which is written after them: the fence of the run is another one then.
        self._ended: dict[UUID, _Notes] = {}
        self._early: dict[str, _Early] = {}
        self._max_logs = 0 if options is None else options.max_logs
        # Any thread appends, the loop's thread takes from the front: each is one step under the GIL.
        self._incoming: deque[_Line] = deque(maxlen=_MAX_INCOMING)
        self._awaits_lines = False
        self._timer_at = float("inf")
        self._handler: logging.Handler | None = None
        given: Redact | None = None if options is None else options.redact
        self._redactor = TextRedactor(redact_secrets if given is None else given)

    @property
    def log_handler(self) -> logging.Handler:
        """Handler that reports the log records of stored runs. Thread-safe."""
        if self._handler is None:
            self._handler = _ReportHandler(self._on_record)
        return self._handler

    @property
    def ended(self) -> Collection[UUID]:
        """Ids of the runs whose outcome has to wait for their report."""
        return self._ended.keys()

    def clear(self) -> None:
        """Forget all reports."""
        self._notes.clear()
        self._ended.clear()
        self._early.clear()
        self._incoming.clear()
        self._awaits_lines, self._timer_at = False, float("inf")

    def close(self) -> None:
        """Have the reports of all runs written by the next call of `store`, whenever they are due."""
        self._take_lines()
        for notes in self._notes.values():
            if notes.is_changed:
                self._ended[notes.owned.id] = notes
        self._notes.clear()
        self._timers.cancel()

    def __bool__(self) -> bool:
        """Return True if a run may have reported something."""
        return bool(self._notes or self._incoming or self._early)

    # Sources

    def subscribe(self, dispatcher: Dispatcher) -> Sequence[Subscription]:
        """Receive the events that are reported, if anything is."""
        if self._options is None:
            return ()
        return (
            dispatcher.subscribe(TaskProgress, self._on_progress),
            dispatcher.subscribe(TaskRetrying, self._on_retrying),
        )

    def _on_progress(self, event: TaskProgress) -> None:
        notes = self._notes_of_event(event)
        if notes is not None:
            notes.progress = event
            self._write_at(notes.next_write)

    def _on_retrying(self, event: TaskRetrying) -> None:
        notes = self._notes_of_event(event)
        if notes is not None:
            attempt = _Attempt(event.details, event.delay, raw_exception_text(event.exception, 10_000), event.traceback)
            notes.new_attempts.append(attempt)
            if len(notes.new_attempts) > _MAX_ATTEMPTS:
                del notes.new_attempts[0]
                notes.attempts_dropped += 1
            notes.has_details = True
            self._write_at(notes.next_write)

    def _notes_of_event(self, event: TaskProgress | TaskRetrying) -> _Notes | None:
        details = event.details
        owned = None if details.scheduled is None else self._owned_by(details.run_id, details.scheduled)
        return None if owned is None else self._notes_of(f"{details.run_id}", owned)

    def _owner_of(self, line: _Line) -> OwnedRun | None:
        """Return the live run of this node that has logged a line."""
        stored, run_id = self._tasks.get(line.task_id), parsed_run_id(line.run)
        if stored is None or run_id is None:
            return None
        executions = stored.controller.executions(WantedRun(run_id))
        return self._owned_by(run_id, executions[-1]) if executions else None

    def on_end(self, owned: OwnedRun, run: str) -> None:
        """Have the report of a run written before its outcome.

        Args:
            owned: The run.
            run: Text of its id.
        """
        if self._incoming:
            self._take_lines()
        early = self._early.pop(run, None)
        if early is not None:
            self._add_lines(run, owned, early.lines, early.dropped)
        notes = self._notes.get(run)
        if notes is not None and notes.owned is owned:
            del self._notes[run]
            if notes.is_changed:
                self._ended[owned.id] = notes

    def forget(self, run_id: UUID) -> None:
        """Forget the report of a run that the store does not know."""
        _ = self._ended.pop(run_id, None)
        _ = self._notes.pop(f"{run_id}", None)

    def _on_record(self, line: _Line) -> None:
        """Keep a log record. In any thread.

        This thread appends and then reads the flag; the loop clears the flag and then takes the lines. In either order,
        one of both sees the step of the other, so that no line is left behind.
        """
        if self._options is None or not self._options.max_logs:
            return
        self._incoming.append(line)
        if not self._awaits_lines:
            self._awaits_lines = True
            self._call_soon(lambda: self._timers.call_later(_COLLECTING, self._on_lines))

    def _on_lines(self) -> None:
        self._awaits_lines = False
        self._take_lines()

    def _take_lines(self) -> None:
        for _ in range(len(self._incoming)):
            line = self._incoming.popleft()
            if line.run in self._notes:
                self._add_lines(line.run, self._notes[line.run].owned, [line])
            elif line.run in self._early:
                self._early[line.run].add(line, self._max_logs)
            elif (owned := self._owner_of(line)) is not None:
                self._add_lines(line.run, owned, [line])
            else:
                # The run has just ended; or it is one of another scheduler, and is pushed out by later ones.
                self._early[line.run] = _Early([line])
                if len(self._early) > _MAX_EARLY:
                    del self._early[next(iter(self._early))]

    def _add_lines(self, run: str, owned: OwnedRun, lines: Sequence[_Line], dropped: int = 0) -> None:
        notes, options = self._notes_of(run, owned), self._options
        if notes is None or options is None:
            return
        notes.new_lines += lines
        notes.logs_dropped += dropped
        excess = len(notes.new_lines) - options.max_logs
        if excess > 0:
            del notes.new_lines[:excess]
            notes.logs_dropped += excess
        notes.has_details = True
        self._write_at(notes.next_write)

    def _notes_of(self, run: str, owned: OwnedRun) -> _Notes | None:
        if self._options is None:
            return None
        notes = self._notes.get(run)
        if notes is None or notes.owned.fence < owned.fence:
            notes = self._notes[run] = _Notes(owned)
        # The store accepts nothing of an execution that has lost its run, if this node owns the run again.
        return notes if notes.owned is owned else None

    def _write_at(self, moment: float) -> None:
        """Have the reports written at a time, unless that happens earlier."""
        if moment < self._timer_at:
            self._timer_at = moment
            self._timers.call_later(max(0.0, moment - time.monotonic()), self._on_timer)

    def _on_timer(self) -> None:
        self._timer_at = float("inf")
        self._wake()

    # Writing

    async def store(self, session: StoreSession, *, skip: Callable[[], Collection[UUID]]) -> None:
        """Store the reports that are due, and those of runs with an outcome; if the call fails, they stay pending.

        Args:
            session: Session with the store.
            skip: Returns the ids of runs that the store does not know yet.
        """
        while drafts := self._drafts(skip()):
            encoded = await self._encode_all(drafts)
            reports = [self._merge(draft, texts) for draft, texts in zip(drafts, encoded, strict=True)]
            try:
                await store_page(reports, session.report, _reject, rejections=_REJECTIONS)
            except BaseException:
                for draft, report in zip(drafts, reports, strict=True):
                    draft.notes.has_details |= report.details is not None
                    draft.notes.progress = draft.notes.progress or draft.progress
                raise
            for draft in drafts:
                if self._ended.get(draft.notes.owned.id) is draft.notes and not draft.notes.is_changed:
                    del self._ended[draft.notes.owned.id]

    async def _encode_all(self, drafts: Sequence[_Draft]) -> Sequence[_Encoded]:
        try:
            return await self._tasks.codec.call(lambda: [self._encode(draft) for draft in drafts])
        except BaseException:
            # The call was cancelled, or its thread was not started: nothing is written yet.
            for draft in drafts:
                notes = draft.notes
                notes.new_attempts[:0], notes.new_lines[:0] = draft.attempts, draft.lines
                notes.progress = notes.progress or draft.progress
            raise

    def _drafts(self, skip: Collection[UUID]) -> list[_Draft]:
        """Return the reports to write now, and count them as written."""
        if not self._ended and not self._notes:
            return []
        now = time.monotonic()
        due = [notes for notes in self._ended.values() if notes.owned.id not in skip]
        for notes in self._notes.values():
            if not notes.is_changed or notes.owned.id in skip:
                continue
            if notes.next_write <= now:
                due.append(notes)
            else:
                self._write_at(notes.next_write)
        return [self._draft(notes, now) for notes in due[:_PAGE]]

    def _draft(self, notes: _Notes, now: float) -> _Draft:
        draft = _Draft(notes, notes.progress, notes.new_attempts, notes.new_lines)
        notes.progress = None
        notes.new_attempts, notes.new_lines = list[_Attempt](), list[_Line]()
        interval = 1.0 if self._options is None else self._options.interval
        size = _size(notes) if notes.has_details else 0
        notes.next_write = now + max(interval, size / _RATE)
        return draft

    def _encode(self, draft: _Draft) -> _Encoded:
        """Redact the new parts of a report. In another thread, as redaction is code of users, and may take long."""
        redactor = self._redactor
        task_id = draft.notes.owned.task_id
        progress = None
        if draft.progress is not None:
            # Executors of users may report any values.
            with contextlib.suppress(Exception):
                message = _storable(redactor("progress", task_id, draft.progress.message))[:_MAX_MESSAGE]
                progress = ReportedProgress(done=draft.progress.done, total=draft.progress.total, message=message)
        return _Encoded(
            None if progress is None else progress.model_dump_json(),
            _encodable(draft.attempts, lambda each: _attempt(each, task_id, redactor), task_id),
            _encodable(draft.lines, lambda each: _log(each, task_id, redactor), task_id),
        )

    def _merge(self, draft: _Draft, encoded: _Encoded) -> RunReport:
        """Add the redacted parts to the report of a run, and drop the oldest ones."""
        notes, options = draft.notes, self._options
        details = None
        if notes.has_details and options is not None:
            notes.attempts += encoded.attempts
            notes.logs += encoded.logs
            notes.attempts_dropped += len(draft.attempts) - len(encoded.attempts)
            notes.logs_dropped += len(draft.lines) - len(encoded.logs)
            while len(notes.attempts) > _MAX_ATTEMPTS:
                _ = notes.attempts.popleft()
                notes.attempts_dropped += 1
            _shorten(notes, options)
            notes.has_details = bool(notes.new_attempts or notes.new_lines)
            details = ReportDetails(
                attempts=tuple(notes.attempts),
                attempts_dropped=notes.attempts_dropped,
                logs=tuple(notes.logs),
                logs_dropped=notes.logs_dropped,
            ).model_dump_json()
        return RunReport(run_id=notes.owned.id, fence=notes.owned.fence, progress=encoded.progress, details=details)


def _encodable(parts: Sequence[PartT], encode: Callable[[PartT], EncodedT], task_id: str) -> Sequence[EncodedT]:
    """Return the encoded parts of a report without those that cannot be encoded.

    They come from executors and log filters of users, and one of them must not keep back the reports of other runs.
    """
    encoded: list[EncodedT] = []
    for part in parts:
        try:
            encoded.append(encode(part))
        except Exception as error:
            # Without the text of the error, which may show a value that is not redacted.
            logger.error("A part of the report of a run of %r is dropped: %s", task_id, type(error).__name__)
    return encoded


def _size(notes: _Notes) -> int:
    return sum(each.size for each in notes.attempts) + sum(each.size for each in notes.logs)


def _shorten(notes: _Notes, options: RunReporting) -> None:
    """Drop the oldest log records, and then attempts, until the report has its size."""
    size = _size(notes)
    while notes.logs and (size > options.max_bytes or len(notes.logs) > options.max_logs):
        size -= notes.logs.popleft().size
        notes.logs_dropped += 1
    while notes.attempts and size > options.max_bytes:
        size -= notes.attempts.popleft().size
        notes.attempts_dropped += 1


def _attempt(attempt: _Attempt, task_id: str, redactor: TextRedactor) -> ReportedAttempt:
    return ReportedAttempt(
        attempt=max(attempt.details.attempt, 1),
        started_at=_time(attempt.details.started),
        finished_at=_time(attempt.details.finished),
        delay=max(0.0, attempt.delay),
        error=_storable(redactor("error", task_id, attempt.error)),
        traceback=_storable(redactor("traceback", task_id, attempt.traceback))[-_MAX_TRACEBACK:],
    )


def _log(line: _Line, task_id: str, redactor: TextRedactor) -> ReportedLog:
    message = _storable(redactor("log", task_id, line.message))
    return ReportedLog(at=utc(line.at), level=_storable(line.level), logger=_storable(line.logger), message=message)


def _time(seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else utc(seconds)
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _storable(text: str) -> str:
    return escape_surrogates(text)


def _reject(report: RunReport, error: Exception) -> None:
    logger.error("The report of the run %s could not be stored; it is dropped: %s", report.run_id, error)


class _ReportHandler(RunRecordHandler):
    """Handler that keeps the log records of runs.

    Args:
        keep: Function that is called with each record of a run.
    """

    def __init__(self, keep: Callable[[_Line], object]) -> None:
        super().__init__()
        self._keep = keep

    @override
    def keep(self, run_id: UUID, record: logging.LogRecord) -> None:
        task_id = f"{getattr(record, 'asyncz_task', '')}"
        self._keep(_Line(task_id, f"{run_id}", *logged_texts(record, _MAX_MESSAGE)))
