"""Texts of durations and of ids."""

from __future__ import annotations

from typing import Final
from uuid import UUID

UNITS: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
"""Seconds of each unit, the largest first."""

NOTHING: Final = "\N{EN DASH}"
"""Text for a missing value."""


def duration_text(seconds: float | None) -> str:
    """Return a duration in a suitable unit, such as `4 ms`, `2.5 s` or `3 min`."""
    if seconds is None:
        return NOTHING
    if seconds < 0.0005:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    size, unit = next(each for each in UNITS if seconds >= each[0])
    amount = seconds / size
    return f"{amount:.1f} {unit}" if amount < 9.95 and unit != "s" else f"{amount:.0f} {unit}"


def short_id(run_id: UUID) -> str:
    """Return the first digits of an id, which differ between processes, and the last ones, which number the run."""
    text = f"{run_id}"
    return f"{text[:4]}\N{HORIZONTAL ELLIPSIS}{text[-12:].lstrip('0')}"
