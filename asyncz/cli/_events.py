"""Events as lines: `name=value` for people, JSON for programs."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TypeAlias, Union

from asyncz import events
from asyncz._text import exception_text, printable, value_text
from asyncz.cli._output import json_text
from asyncz.events import Event
from asyncz.schedulers import AsyncIOScheduler

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2

_TEXT_LENGTH = 180

_RunEvent: TypeAlias = Union[
    events.TaskNotification[object],
    events.TaskSubmitted,
    events.TaskMaxInstances,
    events.TaskQueueFull,
    events.TaskRetrying,
    events.TaskProgress,
]


@contextmanager
def event_lines(
    scheduler: AsyncIOScheduler, output: int, as_text: Callable[[dict[str, object]], str], *, progress: bool = False
) -> Generator[None]:
    """Write a line for each event of a scheduler, except for submissions, while the context is active.

    Args:
        scheduler: The scheduler.
        output: The file descriptor to write to.
        as_text: Makes the line from the fields of an event.
        progress: Write a line for each report of progress as well, up to ten per second for each run.
    """
    with ExitStack() as subscriptions:

        def write(event: Event) -> None:
            try:
                sys.stdout.flush()
                os.write(output, f"{as_text(fields_of(event))}\n".encode(errors="backslashreplace"))
            except BrokenPipeError:
                # The reader of the pipe is gone. The tasks continue, and their own output must not fail.
                subscriptions.close()
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, output)
                os.close(null)

        for subscription in (
            scheduler.subscribe(events.TaskExecuted, write),
            scheduler.subscribe(events.TaskError, write),
            scheduler.subscribe(events.TaskMissed, write),
            scheduler.subscribe(events.TaskCancelled, write),
            scheduler.subscribe(events.TaskMaxInstances, write),
            scheduler.subscribe(events.TaskQueueFull, write),
            scheduler.subscribe(events.TaskRetrying, write),
            scheduler.subscribe(events.TaskAdded, write),
            scheduler.subscribe(events.TaskModified, write),
            scheduler.subscribe(events.TaskRemoved, write),
            scheduler.subscribe(events.SchedulerStarted, write),
            scheduler.subscribe(events.SchedulerPaused, write),
            scheduler.subscribe(events.SchedulerResumed, write),
            scheduler.subscribe(events.SchedulerShutdown, write),
            scheduler.subscribe(events.ExecutorAdded, write),
            scheduler.subscribe(events.ExecutorRemoved, write),
        ):
            subscriptions.enter_context(subscription)
        if progress:
            subscriptions.enter_context(scheduler.subscribe(events.TaskProgress, write))
        yield


@contextmanager
def reserved_output() -> Generator[int]:
    """Redirect standard output to standard error, and yield a descriptor of the original standard output.

    So the output of functions, also in worker processes, does not mix with the lines of events.
    """
    sys.stdout.flush()
    output = os.dup(STANDARD_OUTPUT)
    os.dup2(STANDARD_ERROR, STANDARD_OUTPUT)
    try:
        yield output
    finally:
        sys.stdout.flush()
        os.dup2(output, STANDARD_OUTPUT)
        os.close(output)


def fields_of(event: Event) -> dict[str, object]:
    """Return an event as names and values that JSON can represent; unknown values are left out."""
    fields: dict[str, object] = {"time": _time_text(datetime.now(UTC)), "event": type(event).__name__}
    match event:
        case events.TaskAdded() | events.TaskRemoved():
            fields["task_id"] = event.task_id
        case events.TaskModified():
            fields |= {"task_id": event.task_id, "change": event.change, "error": _error(event.exception)}
        case events.ExecutorAdded() | events.ExecutorRemoved():
            fields["executor"] = event.alias
        case events.SchedulerShutdown():
            fields |= {"finished": event.finished, "cancelled": event.cancelled, "abandoned": event.abandoned}
        case events.SchedulerStarted() | events.SchedulerPaused() | events.SchedulerResumed():
            pass
        case _:
            fields |= _run_fields(event)
    return {name: value for name, value in fields.items() if value is not None}


def _run_fields(event: _RunEvent) -> dict[str, object]:
    details = event.details
    fields: dict[str, object] = {
        "task_id": event.task_id,
        "run_id": f"{details.run_id}",
        "attempt": details.attempt,
        "scheduled_at": _time_text(details.scheduled_at),
        "duration": None if details.duration is None else round(details.duration, 6),
        "worker": str(details.worker) if details.worker else None,
    }
    match event:
        case events.TaskExecuted():
            fields["result"] = value_text(event.result, _TEXT_LENGTH)
        case events.TaskError():
            fields["error"] = _error(event.exception)
        case events.TaskRetrying():
            fields |= {"error": _error(event.exception), "delay": event.delay}
        case events.TaskProgress():
            message = printable(event.message, _TEXT_LENGTH) or None
            fields |= {"done": event.done, "total": event.total, "message": message}
        case _:
            pass
    return fields


def as_line(fields: dict[str, object]) -> str:
    """Return fields as `name=value`, with quotes if they are needed and without control characters."""
    return " ".join(f"{name}={_quoted(str(value))}" for name, value in fields.items())


def _quoted(text: str) -> str:
    if re.fullmatch(r"[^\s'\"=\\]+", text):
        return printable(text)
    # JSON escapes line breaks and quotes in a form that a program can read back.
    return "".join(each if each.isprintable() else _escaped(each) for each in json.dumps(text, ensure_ascii=False))


def _escaped(character: str) -> str:
    return json_text(character)[1:-1]


def _time_text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds")


def _error(exception: BaseException | None) -> str | None:
    return None if exception is None else exception_text(exception, _TEXT_LENGTH)
