"""Runs of the dashboard, from the journal, from summaries of the scheduler, and from records of a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from asyncz.clock import utc
from asyncz.dashboard._journal import FailedAttempt, RecordedRun
from asyncz.dashboard._redaction import Redactor
from asyncz.dashboard._run_logs import LogEntry
from asyncz.dashboard.states import Attempt, LogLine, Run, RunDetail
from asyncz.events import TaskProgress, fraction_of
from asyncz.states import RunOutcome, RunProgress, RunSummary
from asyncz.stores._report_texts import ReportedAttempt, ReportedLog, details_of_text, progress_of_text
from asyncz.stores.records import RunRecord, RunRecordState, RunReport

_OUTCOMES: dict[str, RunOutcome] = {
    "executed": "executed",
    "error": "error",
    "missed": "missed",
    "cancelled": "cancelled",
}


def outcome_of(state: str) -> RunOutcome | None:
    """Return the outcome that a state of a stored run stands for; None for a run without one."""
    return _OUTCOMES.get(state)


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds from one time to another, at least 0; None if one is unknown."""
    # Wall-clock times of two processes may differ by a few microseconds.
    return None if start is None or end is None else max(0.0, (end - start).total_seconds())


def run_of_record(record: RecordedRun, redactor: Redactor) -> Run:
    """Return a run of the journal."""
    details = record.details
    return _run(
        run_id=details.run_id,
        task_id=record.task_id,
        state=record.outcome or "running",
        attempt=details.attempt,
        scheduled_at=details.scheduled_at,
        started_at=details.started_at,
        finished_at=None if record.outcome is None else details.finished_at,
        worker="" if details.worker is None else f"{details.worker}",
        error=redactor("error", record.task_id, record.error),
    )


def run_of_summary(summary: RunSummary, redactor: Redactor) -> Run:
    """Return a run that the scheduler remembers, but not the journal."""
    return _run(
        run_id=summary.run_id,
        task_id=summary.task_id,
        state=summary.outcome or "running",
        attempt=summary.attempt,
        scheduled_at=summary.scheduled_at,
        started_at=summary.started_at,
        finished_at=summary.finished_at,
        worker="",
        error=redactor("error", summary.task_id, summary.error),
    )


def run_of_store(record: RunRecord, redactor: Redactor) -> Run:
    """Return a run of a store; its worker is the node."""
    return _run(
        run_id=record.id,
        task_id=record.task_id,
        state=record.state,
        attempt=record.attempt,
        scheduled_at=record.scheduled_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
        worker="" if record.node is None else f"node {record.node}",
        error=redactor("error", record.task_id, record.error),
    )


def _run(  # noqa: PLR0917  # named at each call
    run_id: UUID,
    task_id: str,
    state: RunRecordState,
    attempt: int,
    scheduled_at: datetime | None,
    started_at: datetime | None,
    finished_at: datetime | None,
    worker: str,
    error: str,
) -> Run:
    return Run(
        run_id=run_id,
        task_id=task_id,
        outcome=outcome_of(state),
        state=state,
        attempt=attempt,
        scheduled_at=scheduled_at,
        started_at=started_at,
        finished_at=finished_at,
        lateness=seconds_between(scheduled_at, started_at),
        duration=seconds_between(started_at, finished_at),
        worker=worker,
        error=error,
    )


def detail_of_record(record: RecordedRun, redactor: Redactor) -> RunDetail:
    """Return a run of the journal with its traceback, attempts, progress and log records."""
    task_id = record.task_id
    return RunDetail(
        run=run_of_record(record, redactor),
        traceback=redactor("traceback", task_id, record.traceback),
        attempts=tuple(_attempt(each, task_id, redactor) for each in record.attempts),
        attempts_dropped=record.attempts_dropped,
        progress=None if record.progress is None else _progress(record.progress, redactor),
        logs=tuple(_log_line(entry, task_id, redactor) for entry in record.logs),
        logs_dropped=record.logs_dropped,
    )


def detail_of_store(
    record: RunRecord, reports: Sequence[RunReport], redactor: Redactor, name_of: Callable[[str | None], str]
) -> RunDetail:
    """Return a run of a store with its traceback, and what its owners have reported.

    Args:
        record: The run.
        reports: Reports of its owners, in their order.
        redactor: Redaction of texts.
        name_of: Function that returns the description of a node.
    """
    task_id = record.task_id
    details = [(details_of_text(report.details), name_of(report.node)) for report in reports]
    logs = [_reported_log(each, task_id, redactor) for detail, _ in details for each in detail.logs]
    last = reports[-1].progress if reports else None
    return RunDetail(
        run=run_of_store(record, redactor),
        traceback=redactor("traceback", task_id, record.traceback),
        attempts=tuple(
            _reported_attempt(each, task_id, redactor, name) for detail, name in details for each in detail.attempts
        ),
        attempts_dropped=sum(detail.attempts_dropped for detail, _ in details),
        progress=progress_of_store(record.id, task_id, last, redactor),
        logs=tuple(sorted(logs, key=lambda line: line.at)),
        logs_dropped=sum(detail.logs_dropped for detail, _ in details),
    )


def progress_of_store(run_id: UUID, task_id: str, text: str | None, redactor: Redactor) -> RunProgress | None:
    """Return the stored progress of a run; None without one."""
    progress = progress_of_text(text)
    if progress is None:
        return None
    return RunProgress(
        run_id=run_id,
        done=progress.done,
        total=progress.total,
        message=redactor("progress", task_id, progress.message),
        fraction=fraction_of(progress.done, progress.total),
    )


def _reported_log(line: ReportedLog, task_id: str, redactor: Redactor) -> LogLine:
    message = redactor("log", task_id, line.message)
    return LogLine(at=line.at, level=line.level, logger=line.logger, message=message)


def _reported_attempt(attempt: ReportedAttempt, task_id: str, redactor: Redactor, worker: str) -> Attempt:
    return Attempt(
        attempt=attempt.attempt,
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        delay=attempt.delay,
        error=redactor("error", task_id, attempt.error),
        traceback=redactor("traceback", task_id, attempt.traceback),
        worker=worker,
    )


def _log_line(entry: LogEntry, task_id: str, redactor: Redactor) -> LogLine:
    message = redactor("log", task_id, entry.message)
    return LogLine(at=utc(entry.at), level=entry.level, logger=entry.logger, message=message)


def _attempt(attempt: FailedAttempt, task_id: str, redactor: Redactor) -> Attempt:
    return Attempt(
        attempt=attempt.details.attempt,
        started_at=attempt.details.started_at,
        finished_at=attempt.details.finished_at,
        delay=max(0.0, attempt.delay),
        error=redactor("error", task_id, attempt.error),
        traceback=redactor("traceback", task_id, attempt.traceback),
        worker="" if attempt.details.worker is None else f"{attempt.details.worker}",
    )


def _progress(progress: TaskProgress, redactor: Redactor) -> RunProgress:
    return RunProgress(
        run_id=progress.details.run_id,
        done=progress.done,
        total=progress.total,
        message=redactor("progress", progress.task_id, progress.message),
        fraction=progress.fraction,
    )
