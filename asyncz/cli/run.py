"""What `asyncz run` shows of a scheduler: a live table on a terminal, else a line for each event."""

from __future__ import annotations

import json
import os
import re
import reprlib
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import rich.box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from asyncz import events
from asyncz.events import Event, TaskNotification
from asyncz.schedulers import AsyncIOScheduler
from asyncz.states import SchedulerState, TaskState

_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2

_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 100


@contextmanager
def shown(scheduler: AsyncIOScheduler, *, as_json: bool) -> Generator[None]:
    """Show what a scheduler does, as long as this is entered."""
    console = Console()
    if as_json:
        with _own_output() as output, _told(scheduler, output, lambda event: json.dumps(fields_of(event))):
            yield
    elif console.is_terminal:
        with Live(get_renderable=lambda: overview(scheduler, console.height), console=console, refresh_per_second=4):
            yield
    else:
        with _told(scheduler, _STANDARD_OUTPUT, lambda event: as_line(fields_of(event))):
            yield


# Lines


@contextmanager
def _told(scheduler: AsyncIOScheduler, output: int, as_text: Callable[[Event], str]) -> Generator[None]:
    """Write a line for everything but submissions, of which each has its end."""
    with ExitStack() as subscriptions:

        def receive(event: Event) -> None:
            try:
                sys.stdout.flush()
                os.write(output, f"{as_text(event)}\n".encode())
            except BrokenPipeError:
                # Nobody reads any more; the tasks go on, and what they print must not fail.
                subscriptions.close()
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, output)
                os.close(nowhere)

        for subscription in (
            scheduler.subscribe(events.TaskExecuted, receive),
            scheduler.subscribe(events.TaskError, receive),
            scheduler.subscribe(events.TaskMissed, receive),
            scheduler.subscribe(events.TaskCancelled, receive),
            scheduler.subscribe(events.TaskMaxInstances, receive),
            scheduler.subscribe(events.TaskQueueFull, receive),
            scheduler.subscribe(events.TaskRetrying, receive),
            scheduler.subscribe(events.TaskAdded, receive),
            scheduler.subscribe(events.TaskModified, receive),
            scheduler.subscribe(events.TaskRemoved, receive),
            scheduler.subscribe(events.SchedulerStarted, receive),
            scheduler.subscribe(events.SchedulerPaused, receive),
            scheduler.subscribe(events.SchedulerResumed, receive),
            scheduler.subscribe(events.SchedulerShutdown, receive),
            scheduler.subscribe(events.ExecutorAdded, receive),
            scheduler.subscribe(events.ExecutorRemoved, receive),
        ):
            subscriptions.enter_context(subscription)
        yield


@contextmanager
def _own_output() -> Generator[int]:
    """Keep standard output for the lines: what functions print, in worker processes too, goes to standard error."""
    sys.stdout.flush()
    output = os.dup(_STANDARD_OUTPUT)
    os.dup2(_STANDARD_ERROR, _STANDARD_OUTPUT)
    try:
        yield output
    finally:
        sys.stdout.flush()
        os.dup2(output, _STANDARD_OUTPUT)
        os.close(output)


def fields_of(event: Event) -> dict[str, object]:
    """An event as names and values that JSON has; what is not known is left out."""
    fields: dict[str, object] = {"time": _as_text(datetime.now(UTC)), "event": type(event).__name__}
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
            details = event.details
            fields |= {
                "task_id": event.task_id,
                "run_id": details.run_id,
                "attempt": details.attempt,
                "scheduled_at": _as_text(details.scheduled_at),
                "duration": None if details.duration is None else round(details.duration, 6),
                "worker": str(details.worker) if details.worker else None,
            }
            match event:
                case events.TaskExecuted():
                    fields["result"] = _shortened.repr(event.result)
                case events.TaskError():
                    fields["error"] = _error(event.exception)
                case events.TaskRetrying():
                    fields |= {"error": _error(event.exception), "delay": event.delay}
                case _:
                    pass
    return {name: value for name, value in fields.items() if value is not None}


def as_line(fields: dict[str, object]) -> str:
    """The same as `name=value`, with quotes where they are needed."""
    return " ".join(f"{name}={_quoted(str(value))}" for name, value in fields.items())


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[^\s'\"=\\]+", text) else json.dumps(text, ensure_ascii=False)


def _as_text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds")


def _error(exception: BaseException | None) -> str | None:
    return None if exception is None else f"{type(exception).__name__}: {exception}".removesuffix(": ")


# The table


def overview(scheduler: AsyncIOScheduler, height: int) -> Group:
    """Its tasks, soonest first as far as they fit, its executors, and the sum of its runs."""
    state, now = scheduler.state, datetime.now(UTC)
    last = {task.id: task.last_notification for task in scheduler.tasks}
    # Beside the tasks: the heads of both tables, the lines between them, and what stands below.
    room = max(1, height - len(state.executors) - 11)
    soonest = sorted(state.tasks, key=lambda task: (task.next_run_at is None, task.next_run_at or now, task.task_id))
    tasks = _table("task", "next run", "executor", "running", "waiting", "executed", "errors", "last outcome")
    for task in soonest[:room]:
        tasks.add_row(
            task.task_id,
            _due(task, now),
            task.executor,
            str(task.running),
            str(task.backlog),
            str(task.executed),
            Text(str(task.errors), "bold red" if task.errors else ""),
            _outcome(last.get(task.task_id), now),
        )
    parts: list[RenderableType] = [tasks, _load(state), _sum(state)]
    if len(soonest) > room:
        parts.insert(1, Text(f"  and {len(soonest) - room} more tasks", "dim"))
    return Group(*parts)


def _table(*columns: str) -> Table:
    table = Table(box=rich.box.SIMPLE, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _load(state: SchedulerState) -> Table:
    executors = _table("executor", "status", "running", "queued", "workers", "lost workers", "abandoned")
    for each in state.executors:
        counts = (each.running - each.queued, each.queued, each.workers, each.lost_workers, each.abandoned)
        executors.add_row(each.alias, each.status, *map(str, counts))
    return executors


def _sum(state: SchedulerState) -> Text:
    return Text(
        f"{state.status}: submitted {state.submitted}, executed {state.executed}, errors {state.errors},"
        f" missed {state.missed}, cancelled {state.cancelled}, rejected {state.rejected}"
    )


def _due(task: TaskState, now: datetime) -> str:
    if task.paused:
        return "paused"
    if task.next_run_at is None:
        return "-"
    seconds = max(0, round((task.next_run_at - now).total_seconds()))
    if seconds < 100:
        return f"in {seconds} s"
    at = task.next_run_at.astimezone()
    return f"{at:%H:%M:%S}" if at.date() == now.astimezone().date() else f"{at:%Y-%m-%d %H:%M}"


def _outcome(notification: TaskNotification[object] | None, now: datetime) -> Text:
    if notification is None:
        return Text("-")
    finished, duration = notification.details.finished_at, notification.details.duration
    ago = "" if finished is None else f" {max(0, round((now - finished).total_seconds()))} s ago"
    match notification:
        case events.TaskExecuted():
            return Text(f"executed{ago}" + ("" if duration is None else f", took {duration:.3g} s"), "green")
        case events.TaskError():
            return Text(f"{_error(notification.exception)},{ago}", "bold red")
        case events.TaskMissed():
            return Text(f"missed{ago}", "yellow")
        case events.TaskCancelled():
            return Text(f"cancelled{ago}", "yellow")
