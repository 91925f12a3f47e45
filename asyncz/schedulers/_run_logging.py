"""Log lines about runs: one line for each fact, with the same fields as `asyncz.logs`."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence

from asyncz._text import exception_text, printable, traceback_of
from asyncz.events import RunDetails, TaskCancelled, TaskError, TaskExecuted, TaskNotification
from asyncz.schedulers._safe_logging import logger

# Seconds from which a run counts as late in its line.
_LATE = 0.001


def run_fields(
    task_id: str, details: RunDetails | None = None, executor: str | None = None
) -> Mapping[str, str | int | float]:
    """Return the fields of a record about a task, and about a run if its details are given.

    Exporters warn of a field with None, so a field that does not apply is missing.
    """
    fields: dict[str, str | int | float | None] = {"asyncz_task": task_id, "asyncz_executor": executor}
    if details is not None:
        fields.update(asyncz_run=f"{details.run_id}", asyncz_attempt=details.attempt, asyncz_duration=details.duration)
    return {name: value for name, value in fields.items() if value is not None}


def log_outcome(outcome: TaskNotification[object], executor: str) -> None:
    """Log the outcome of a run, after it was emitted: a log handler cannot delay or prevent the emission."""
    details, task_id = outcome.details, printable(outcome.task_id)
    fields, run_id = run_fields(outcome.task_id, details, executor), details.run_id
    took = "" if details.duration is None else f" in {seconds_text(details.duration)}"
    if isinstance(outcome, TaskExecuted):
        logger.info("%s: run %s executed%s on %s%s", task_id, run_id, took, executor, _lateness(details), extra=fields)
    elif isinstance(outcome, TaskError):
        text, error = exception_text(outcome.exception), outcome.exception
        message = "%s: run %s failed%s on %s: %s%s"
        shown = _lines_of(error)
        frames = _frames_not_shown(outcome, "".join(shown))
        # The only line of an exception without frames is in the message.
        exc_info = error if len(shown) != 1 else None
        logger.error(message, task_id, run_id, took, executor, text, frames, exc_info=exc_info, extra=fields)
    elif isinstance(outcome, TaskCancelled):
        logger.info("%s: run %s cancelled on %s", task_id, run_id, executor, extra=fields)
    else:
        message = "%s: run %s missed, more than its misfire grace time late on %s"
        logger.warning(message, task_id, run_id, executor, extra=fields)


def log_rejection(task_id: str, details: RunDetails, executor: str, reason: str) -> None:
    """Log that a due run was rejected."""
    message, fields = "%s: a due run was rejected: %s", run_fields(task_id, details, executor)
    logger.warning(message, printable(task_id), reason, extra=fields)


def log_submission(task_id: str, details: RunDetails, executor: str) -> None:
    """Log that a run was submitted to its executor."""
    fields = run_fields(task_id, details, executor)
    logger.debug("%s: run %s submitted to %s", printable(task_id), details.run_id, executor, extra=fields)


def log_retry(failure: TaskError, executor: str, delay: float) -> None:
    """Log that another attempt follows a failed one."""
    details, text = failure.details, exception_text(failure.exception)
    fields = run_fields(failure.task_id, details, executor)
    message = "%s: run %s, attempt %d failed: %s; another follows in %s"
    values = (printable(failure.task_id), details.run_id, details.attempt, text, seconds_text(delay))
    logger.warning(message, *values, extra=fields)


def seconds_text(seconds: float) -> str:
    """Return a duration as text: milliseconds below 10 ms, else seconds."""
    return f"{seconds * 1000:.2f} ms" if seconds < 0.01 else f"{seconds:.2f} s"


def _lines_of(error: BaseException) -> Sequence[str]:
    """Return the lines of an exception without frames as `exc_info` shows them; none if it has frames."""
    if traceback_of(error) is not None:
        return ()
    try:
        return traceback.format_exception(error)
    except BaseException:
        # The class of an exception is code of users.
        return ()


def _frames_not_shown(failure: TaskError, shown: str) -> str:
    """Return the traceback of another process, on lines of its own, if `exc_info` does not show it."""
    error, text = failure.exception, failure.traceback
    if traceback_of(error) is not None or text.strip() in {"", shown.strip()}:
        return ""
    try:
        notes: Iterable[object] = getattr(error, "__notes__", ())
        if any(text.strip() in f"{note}" for note in notes):
            return ""
    except BaseException:  # noqa: S110  # attributes of a user's exception may raise, and the frames are shown then
        pass
    return "\n" + "\n".join(map(printable, text.splitlines()))


def _lateness(details: RunDetails) -> str:
    if details.started is None or details.scheduled is None or details.started - details.scheduled < _LATE:
        return ""
    return f", {seconds_text(details.started - details.scheduled)} late"
