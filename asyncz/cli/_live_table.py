"""The live table of `asyncz run`: tasks, executors, totals and how to stop."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import attrs
from rich.cells import cell_len
from rich.console import Group
from rich.text import Text

from asyncz import events
from asyncz._text import exception_text, printable
from asyncz.events import TaskNotification
from asyncz.schedulers import AsyncIOScheduler
from asyncz.states import ExecutorState, SchedulerState, TaskState

Align: TypeAlias = Literal["left", "right"]

_GAP = "  "
_MIN_OUTCOME = 20
# Bar, percentage and the ellipsis of a message.
_MIN_PROGRESS = 16
_ERROR_LENGTH = 200
_BAR_WIDTH = 8
_MESSAGE_LENGTH = 30


@attrs.frozen
class Column:
    """A column of a table.

    Attributes:
        title: Its title.
        cells: Its cells, from the first row to the last.
        priority: Columns with a high number are dropped first if the terminal is narrow; 0 is never dropped.
        align: The alignment of title and cells.
        at_least: If there is no room, cells are cut to this width; 0 for cells that are never cut.
    """

    title: str
    cells: Sequence[Text]
    priority: int
    align: Align = "left"
    at_least: int = 0

    @property
    def width(self) -> int:
        """The width in terminal cells that shows everything."""
        return max(cell_len(self.title), *(each.cell_len for each in self.cells), 0)

    @property
    def needed(self) -> int:
        """The width in terminal cells without which the column is dropped."""
        return min(self.width, self.at_least) if self.at_least else self.width


def overview(scheduler: AsyncIOScheduler, width: int, height: int) -> Group:
    """Return the screen that describes a scheduler.

    Tasks are listed in the order in which they were added. If not all of them fit, the ones that are due next are
    listed.

    Args:
        scheduler: The scheduler.
        width: Columns of the terminal.
        height: Lines of the terminal.
    """
    state, now = scheduler.state, datetime.now(UTC)
    if state.status in {"draining", "stopped"}:
        # Their schedules are over, although the tasks know their next due times.
        state = state.model_copy(
            update={"tasks": [each.model_copy(update={"next_run_at": None}) for each in state.tasks]}
        )
    outcomes = {task.id: task.last_notification for task in scheduler.tasks}
    footer = [*_executor_lines(state.executors, width), Text(), *_total_lines(state, width)]
    # Two lines for the head of the table, one for the number of tasks that do not fit, one for the cursor.
    room = max(1, height - len(footer) - 4)
    shown = _due_first(state.tasks, now, room)
    lines = _task_lines(shown, outcomes, now, width)
    while len(lines) > room + 1 and len(shown) > 1:
        # Long ids take more than one line.
        shown = _due_first(state.tasks, now, len(shown) - 1)
        lines = _task_lines(shown, outcomes, now, width)
    if len(shown) < len(state.tasks):
        lines.append(Text(f"and {len(state.tasks) - len(shown)} more tasks", "dim"))
    return Group(*lines, Text(), *footer)


def _due_first(tasks: Sequence[TaskState], now: datetime, count: int) -> list[TaskState]:
    """Return the tasks that are due next, in their original order."""
    if len(tasks) <= count:
        return list(tasks)
    order = sorted(
        range(len(tasks)), key=lambda index: (tasks[index].next_run_at is None, tasks[index].next_run_at or now)
    )
    return [tasks[index] for index in sorted(order[:count])]


def _task_lines(
    tasks: Sequence[TaskState], outcomes: dict[str, TaskNotification[object] | None], now: datetime, width: int
) -> list[Text]:
    def column(title: str, cell: Callable[[TaskState], Text], priority: int, align: Align = "left") -> Column:
        return Column(title, [cell(task) for task in tasks], priority, align)

    def cut(title: str, cell: Callable[[TaskState], Text], priority: int, at_least: int) -> Column:
        return attrs.evolve(column(title, cell, priority), at_least=at_least)

    progress = cut("progress", progress_text, 2, _MIN_PROGRESS)
    outcome = cut("last outcome", lambda task: outcome_text(outcomes.get(task.task_id), now), 3, _MIN_OUTCOME)
    return table_lines(
        [
            column("task", lambda task: Text(printable(task.task_id)), 0),
            column("next run", lambda task: Text(due_text(task, now)), 1),
            column("executor", lambda task: Text(printable(task.executor)), 7),
            column("running", lambda task: Text(f"{task.running}"), 5, "right"),
            column("backlog", lambda task: Text(f"{task.backlog}"), 8, "right"),
            column("executed", lambda task: Text(f"{task.executed}"), 6, "right"),
            column("errors", lambda task: Text(f"{task.errors}", "bold red" if task.errors else ""), 4, "right"),
            *([progress] if any(task.progress for task in tasks) else ()),
            outcome,
        ],
        width,
    )


def _executor_lines(executors: Sequence[ExecutorState], width: int) -> list[Text]:
    if not executors:
        return []

    def column(title: str, cell: Callable[[ExecutorState], object], priority: int, align: Align = "right") -> Column:
        return Column(title, [Text(printable(f"{cell(executor)}")) for executor in executors], priority, align)

    return table_lines(
        [
            column("executor", lambda executor: executor.alias, 0, "left"),
            column("status", lambda executor: executor.status, 1, "left"),
            column("running", lambda executor: executor.running - executor.queued, 2),
            column("queued", lambda executor: executor.queued, 3),
            column("workers", lambda executor: executor.workers, 4),
            column("abandoned", lambda executor: executor.abandoned, 5),
            column("lost workers", lambda executor: executor.lost_workers, 6),
        ],
        width,
    )


def _total_lines(state: SchedulerState, width: int) -> list[Text]:
    counts = ("submitted", "executed", "errors", "missed", "cancelled", "rejected")
    totals = f"{state.status}: " + ", ".join(f"{name} {getattr(state, name)}" for name in counts)
    match state.status:
        case "draining":
            running = sum(executor.running for executor in state.executors)
            hint = f"Draining: waiting for {running} run(s) to end. Press Ctrl-C again to cancel them."
        case "stopped":
            hint = "Stopped."
        case _:
            hint = "Press Ctrl-C to stop: runs in progress are completed first."
    return [*map(Text, textwrap.wrap(totals, width)), *(Text(line, "dim") for line in textwrap.wrap(hint, width))]


# Layout


def table_lines(columns: Sequence[Column], width: int) -> list[Text]:
    """Return a table as lines that are at most `width` cells wide.

    Columns are dropped by their priority until the others fit. Cells that may be cut are cut first. The first column is
    never cut: the rest of a long text continues in lines of its own.
    """
    kept = _fitting(columns, width)
    widths = [column.needed for column in kept]
    spare = width - sum(widths[1:]) - len(_GAP) * (len(kept) - 1)
    widths[0] = max(1, min(kept[0].width, spare))
    spare -= widths[0]
    for number in sorted(range(1, len(kept)), key=lambda number: kept[number].priority):
        wider = max(0, min(kept[number].width - widths[number], spare))
        widths[number] += wider
        spare -= wider
    lines = [_line([Text(column.title, "bold") for column in kept], kept, widths)]
    for row in zip(*(column.cells for column in kept), strict=True):
        first, *continued = _folded(row[0], widths[0])
        lines += [_line([first, *row[1:]], kept, widths), *continued]
    return lines


def _fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """Return the columns that are shown: those with a low number of priority first, as far as there is room."""
    first = columns[0]
    # Long texts of the first column are folded before other columns are dropped for them.
    room = width - min(first.width, max(width // 3, cell_len(first.title)))
    shown = {first.title}
    for column in sorted(columns[1:], key=lambda column: column.priority):
        if len(_GAP) + column.needed <= room:
            room -= len(_GAP) + column.needed
            shown.add(column.title)
    return [column for column in columns if column.title in shown]


def _line(cells: Sequence[Text], columns: Sequence[Column], widths: Sequence[int]) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    for number, (cell, column, width) in enumerate(zip(cells, columns, widths, strict=True)):
        fitted = cell.copy()
        fitted.truncate(width, overflow="ellipsis")
        padding = " " * (width - fitted.cell_len)
        is_last = number == len(columns) - 1
        if number:
            line.append(_GAP)
        line.append(padding if column.align == "right" else "")
        line.append_text(fitted)
        line.append("" if column.align == "right" or is_last else padding)
    return line


def _folded(text: Text, width: int) -> list[Text]:
    """Return a text as lines of at most `width` cells, with every character of it."""
    lines: list[Text] = []
    start = used = 0
    for number, character in enumerate(text.plain):
        size = cell_len(character)
        if used + size > width and number > start:
            lines.append(text[start:number])
            start, used = number, 0
        used += size
    return [*lines, text[start:]] if len(text) else [text]


# Cells


def due_text(task: TaskState, now: datetime) -> str:
    """Return the next due time of a task: relative if it is near, else a time with its zone."""
    if task.paused:
        return "paused"
    if task.next_run_at is None:
        return "-"
    seconds = max(0.0, (task.next_run_at - now).total_seconds())
    if seconds < 99.5:
        return f"in {seconds:.0f} s"
    at = task.next_run_at.astimezone()
    zone = printable(at.tzname() or f"{at:%z}", 20)
    return f"{at:%H:%M:%S} {zone}" if at.date() == now.astimezone().date() else f"{at:%Y-%m-%d %H:%M} {zone}"


def duration_text(seconds: float) -> str:
    """Return a duration in a suitable unit, such as `4 ms`, `2.5 s` or `3 min`."""
    if seconds < 0.0005:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.0f} d"


def progress_text(task: TaskState) -> Text:
    """Return the progress of the newest run of a task as a bar and a percentage, or as an amount without a total."""
    progress = task.progress
    if progress is None:
        return Text("")
    message = f" {printable(progress.message, _MESSAGE_LENGTH)}" if progress.message else ""
    if progress.fraction is None:
        return Text(f"{progress.done:.9g}{message}", "cyan")
    filled = int(progress.fraction * _BAR_WIDTH)
    bar = Text("━" * filled, "cyan").append("─" * (_BAR_WIDTH - filled), "dim")
    return bar.append(f" {int(progress.fraction * 100):>3} %{message}", "cyan")


def outcome_text(notification: TaskNotification[object] | None, now: datetime) -> Text:
    """Return the outcome of the last run of a task, with its duration and age."""
    if notification is None:
        return Text("-")
    finished, duration = notification.details.finished_at, notification.details.duration
    ago = "" if finished is None else f" {_age_text((now - finished).total_seconds())}"
    match notification:
        case events.TaskExecuted():
            took = "" if duration is None else f" in {duration_text(duration)}"
            return Text(f"executed{took}{',' if took and ago else ''}{ago}", "green")
        case events.TaskError():
            return Text(f"{exception_text(notification.exception, _ERROR_LENGTH)}{',' if ago else ''}{ago}", "bold red")
        case events.TaskMissed():
            return Text(f"missed{ago}", "yellow")
        case events.TaskCancelled():
            return Text(f"cancelled{ago}", "yellow")


def _age_text(seconds: float) -> str:
    return "just now" if seconds < 1 else f"{duration_text(int(seconds))} ago"
