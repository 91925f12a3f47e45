"""Texts of values on pages: times, durations, outcomes and ids."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from markupsafe import Markup, escape

from asyncz.dashboard._texts import NOTHING, UNITS
from asyncz.dashboard.requests import LogOrder
from asyncz.dashboard.states import LogLine
from asyncz.states import RunOutcome, TaskState
from asyncz.stores.records import RunRecordState

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
# Name of a level without a name; `int` accepts no text of any length.
_UNNAMED_LEVEL: Final = re.compile(r"Level (-?[0-9]{1,9})")
_SIGN: Final = re.compile(r"([.:_/-])")
OUTCOME_WORDS: Final[dict[RunOutcome | None, str]] = {
    "executed": "executed",
    "error": "failed",
    "missed": "missed",
    "cancelled": "cancelled",
    None: "running",
}


def relative_text(at: datetime, now: datetime) -> str:
    """Return the distance of a time from now, such as `in 5 min` or `3 s ago`; the script writes the same texts."""
    seconds = (at - now).total_seconds()
    distance = abs(seconds)
    if distance < 1:
        return "now"
    size, unit = next(each for each in UNITS if distance >= each[0])
    amount = f"{int(distance // size)} {unit}"
    return f"in {amount}" if seconds > 0 else f"{amount} ago"


def time_element(at: datetime | None, now: datetime, kind: str = "relative") -> Markup:
    """Return a `time` element: `relative` shows the distance from now, the other kinds the time in UTC."""
    if at is None:
        return Markup('<span class="none">{}</span>').format(NOTHING)
    iso = at.isoformat()
    full = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    clock = f"{at:%H:%M:%S}"
    exact = f"{at:%Y-%m-%d} {at.isoformat(timespec='milliseconds')[11:23]} UTC"
    shown = {"relative": relative_text(at, now), "clock": clock, "full": full, "exact": exact}[kind]
    return Markup('<time datetime="{}" title="{}" data-time="{}">{}</time>').format(iso, full, kind, shown)


def state_badge(state: RunRecordState) -> Markup:
    """Return the state of a run with its colour."""
    return Markup('<span class="badge {}">{}</span>').format(state, "failed" if state == "error" else state)


def task_badges(task: TaskState) -> Markup:
    """Return the state of a task: one badge, and a second one if runs are waiting."""
    badges: list[tuple[str, str]] = []
    if task.running:
        badges.append(("running", "running" if task.running == 1 else f"{task.running} running"))
    if task.paused:
        badges.append(("paused", "paused"))
    if task.backlog:
        badges.append(("missed", f"{task.backlog} waiting"))
    if not badges:
        badges.append(("scheduled", "scheduled") if task.next_run_at is not None else ("idle", "idle"))
    return Markup(" ").join(Markup('<span class="badge {}">{}</span>').format(kind, text) for kind, text in badges)


def breakable(text: str) -> Markup:
    """Return a long id or name with places at which lines may break; they are not copied with the text.

    Invisible characters, and those that control a terminal or the direction of texts, become escape sequences, so that
    they hide no part of an id; a blank id is visible.
    """
    text = _CONTROL.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text) if text.strip() else "\N{OPEN BOX}" * len(text)
    return Markup(_SIGN.sub(r"\1<wbr>", f"{escape(text)}"))  # noqa: S704  # the text is escaped, and the sign is not HTML


def ordered_logs(logs: Sequence[LogLine], order: LogOrder) -> Sequence[LogLine]:
    """Return log records in an order; those of one level, and of one time, in the order in which they were logged."""
    if order == "oldest":
        return logs
    if order == "newest":
        return sorted(logs, key=lambda line: line.at, reverse=True)
    levels = logging.getLevelNamesMapping()
    return sorted(logs, key=lambda line: _severity(line.level, levels), reverse=True)


def _severity(level: str, levels: Mapping[str, int]) -> int:
    """Return the number of a level; that of a warning for a name that only another process knows."""
    unnamed = _UNNAMED_LEVEL.fullmatch(level)
    return int(unnamed[1]) if unnamed else levels.get(level, logging.WARNING)


def as_time(value: object) -> datetime | None:
    """Return a time that a template passes; None if the value is not a time."""
    return value if isinstance(value, datetime) else None
