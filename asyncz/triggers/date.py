"""A single due time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo

from typing_extensions import override

from asyncz.triggers._times import optional_utc_time, text_of
from asyncz.triggers._values import ValueTrigger


class DateTrigger(ValueTrigger):
    """Due once.

    Args:
        run_at: When; None is at once. A time without a zone needs `timezone`.
        timezone: The zone of a `run_at` without one: an IANA name, `local` for that of this machine, or a tzinfo.

    Raises:
        InvalidInputError: `run_at` has no zone and `timezone` names none, or there is no such zone.
        MissingExtraError: `local` needs a package of the extra `cron`.

    Example:
        >>> DateTrigger(datetime(2030, 1, 1, 12), timezone="Europe/Berlin").run_at.isoformat()
        '2030-01-01T11:00:00+00:00'
    """

    __slots__ = ("_run_at",)

    def __init__(self, run_at: datetime | None = None, *, timezone: str | tzinfo | None = None) -> None:
        self._run_at = optional_utc_time("run_at", run_at, timezone)

    @property
    def run_at(self) -> datetime | None:
        """When it is due, UTC; None is at once."""
        return self._run_at

    @override
    def _all_options(self) -> Mapping[str, object]:
        return {"run_at": self._run_at}

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """The due time, as long as it lies ahead of `previous`."""
        if previous is None:
            return self._run_at or now
        return self._run_at if self._run_at is not None and self._run_at > previous else None

    @override
    def __str__(self) -> str:
        return "at once" if self._run_at is None else f"at {text_of(self._run_at)}"
