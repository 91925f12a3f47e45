"""Charts as SVG, with positions in percent: if the window changes, no script is needed, and texts are not distorted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote
from uuid import UUID

from markupsafe import Markup

from asyncz.dashboard._texts import duration_text, short_id
from asyncz.dashboard._views import OUTCOME_WORDS
from asyncz.dashboard.states import Lane, Run, Timeline

_HEIGHT: Final = 72
_MAX_BARS: Final = 60
# Percent of the width between two dots.
_MIN_DISTANCE: Final = 0.9
_STEPS: Final = tuple(
    timedelta(seconds=each) for each in (10, 30, 60, 120, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400)
)


def run_link(run_id: UUID) -> str:
    """Return the relative address of the page of a run."""
    return f"run?id={run_id}"


def task_link(task_id: str) -> str:
    """Return the relative address of the page of a task."""
    return f"task?id={quote(task_id.encode('utf-8', 'surrogatepass'), safe='')}"


def duration_chart(runs: Sequence[Run]) -> Markup:
    """Return a bar for the duration of each run, given the newest first."""
    return _bars(runs, lambda run: run.duration, "Duration")


def lateness_chart(runs: Sequence[Run]) -> Markup:
    """Return a bar for the lateness of each run, given the newest first."""
    return _bars(runs, lambda run: run.lateness, "Lateness")


def _bars(runs: Sequence[Run], value_of: Callable[[Run], float | None], name: str) -> Markup:
    shown = [(run, value) for run in runs[:_MAX_BARS] if (value := value_of(run)) is not None][::-1]
    if not shown:
        return Markup('<p class="empty small">No run has been measured yet.</p>')
    largest = max(value for _, value in shown) or 1.0
    # A few runs get no wider bars than many.
    width = 100 / max(20, len(shown))
    bars = Markup("").join(
        _bar(run, number * width, width, max(2.0, value / largest * (_HEIGHT - 4)), f"{name} {duration_text(value)}")
        for number, (run, value) in enumerate(shown)
    )
    label = f"{name} of the last {len(shown)} runs, at most {duration_text(largest)}"
    return Markup(
        '<figure class="chart"><figcaption>{} <span>max {}</span></figcaption>'
        '<svg width="100%" height="{}" role="img" aria-label="{}">{}</svg></figure>'
    ).format(name, duration_text(largest), _HEIGHT, label, bars)


def _bar(run: Run, left: float, width: float, height: float, text: str) -> Markup:
    return Markup(
        '<a href="{}" tabindex="-1"><rect class="bar {}" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{:.1f}">'
        "<title>{}, {}</title></rect></a>"
    ).format(
        run_link(run.run_id),
        run.outcome or "running",
        left,
        _HEIGHT - height,
        width * 0.8,
        height,
        text,
        OUTCOME_WORDS[run.outcome],
    )


def axis(timeline: Timeline) -> Markup:
    """Return the times below which the lanes of a timeline stand."""
    times = list(_ticks(timeline))
    form = "%H:%M:%S" if any(at.second for at in times) else "%H:%M"
    ticks = Markup("").join(
        Markup('<text x="{:.2f}%" y="14" data-tick="{}">{}</text>').format(
            _place(timeline, at), at.isoformat(), at.strftime(form)
        )
        for at in times
    )
    return Markup('<svg class="axis" width="100%" height="20" aria-hidden="true">{}</svg>').format(ticks)


def lane(timeline: Timeline, row: Lane) -> Markup:
    """Return the past runs of a task as bars, and its coming due times as dots."""
    grid = (
        Markup('<line class="grid" x1="{0:.2f}%" x2="{0:.2f}%" y1="0" y2="28"/>').format(_place(timeline, at))
        for at in _ticks(timeline)
    )
    now = Markup('<line class="now" x1="{0:.2f}%" x2="{0:.2f}%" y1="0" y2="28"/>').format(
        _place(timeline, timeline.now)
    )
    runs = (_span(timeline, run) for run in reversed(row.runs))
    due = (
        Markup(
            '<circle class="due" data-mark="{}" tabindex="-1" role="img" cx="{:.2f}%" cy="14" r="3.5">'
            "<title>due {:%H:%M:%S} UTC</title></circle>"
        ).format(at.isoformat(), place, at)
        for place, at in _apart(timeline, row.due)
    )
    more = (
        Markup('<line class="more" x1="{:.2f}%" x2="100%" y1="14" y2="14"/>').format(_place(timeline, row.due[-1]))
        if row.more and row.due
        else Markup("")
    )
    marks = Markup("").join((*grid, now, *runs, more, *due))
    return Markup('<svg class="lane" width="100%" height="28" role="group" aria-label="{}">{}</svg>').format(
        _lane_text(row), marks
    )


def _lane_text(row: Lane) -> str:
    """Return the runs of a task in words, for readers that do not see the marks."""
    counts = Counter(OUTCOME_WORDS[run.outcome] for run in row.runs)
    outcomes = ", ".join(f"{number} {word}" for word, number in counts.most_common()) or "no past runs"
    if not row.due:
        return f"{row.task_id}: {outcomes}; none coming"
    more = "more than " if row.more else ""
    return f"{row.task_id}: {outcomes}; {more}{len(row.due)} coming, the next at {row.due[0]:%H:%M:%S} UTC"


def _span(timeline: Timeline, run: Run) -> Markup:
    started = run.started_at or run.scheduled_at or timeline.now
    left = max(0.0, _place(timeline, started))
    right = min(100.0, _place(timeline, run.finished_at or timeline.now))
    return Markup(
        '<a href="{}" data-mark tabindex="-1"><title>run {}, {}, started {:%H:%M:%S} UTC, {}</title>'
        '<rect class="bar {}" x="{:.3f}%" y="6" width="{:.3f}%" height="16" rx="2"/></a>'
    ).format(
        run_link(run.run_id),
        short_id(run.run_id),
        OUTCOME_WORDS[run.outcome],
        started,
        "in progress" if run.outcome is None else duration_text(run.duration),
        run.outcome or "running",
        left,
        max(0.35, right - left),
    )


def _apart(timeline: Timeline, times: Iterable[datetime]) -> Iterable[tuple[float, datetime]]:
    """Return due times with their places, without those that would cover the one before."""
    last = -1.0
    for at in times:
        place = _place(timeline, at)
        if place - last >= _MIN_DISTANCE:
            last = place
            yield place, at


def _place(timeline: Timeline, at: datetime) -> float:
    return (at - timeline.start) / (timeline.end - timeline.start) * 100


def _ticks(timeline: Timeline) -> Iterable[datetime]:
    window = timeline.end - timeline.start
    step = next((each for each in _STEPS if window / each <= 8), _STEPS[-1])
    seconds = step.total_seconds()
    first = timeline.start + timedelta(seconds=seconds - timeline.start.timestamp() % seconds)
    for number in range(9):
        at = first + number * step
        if at < timeline.end - window / 50:
            yield at
