"""A single due time."""

from __future__ import annotations

from datetime import datetime, tzinfo

from typing_extensions import override

from asyncz.triggers._times import utc_time


class DateTrigger:
    """Due once.

    Args:
        run_at: When; None is at once. A time without a zone needs `timezone`.
        timezone: The zone of a `run_at` without one, as an IANA name or a tzinfo.

    Raises:
        InvalidInputError: `run_at` has no zone and `timezone` names none, or there is no such zone.

    Example:
        >>> DateTrigger(datetime(2030, 1, 1, 12), timezone="Europe/Berlin")
        DateTrigger(2030-01-01T11:00:00+00:00)
    """

    __slots__ = ("_run_at",)

    def __init__(self, run_at: datetime | None = None, *, timezone: str | tzinfo | None = None) -> None:
        self._run_at = None if run_at is None else utc_time("run_at", run_at, timezone)

    @property
    def run_at(self) -> datetime | None:
        """When it is due, UTC; None is at once."""
        return self._run_at

    def next_fire_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """The due time, as long as there was none before."""
        return (self._run_at or now) if previous is None else None

    @override
    def __repr__(self) -> str:
        return f"DateTrigger({'now' if self._run_at is None else self._run_at.isoformat()})"
