"""A single due time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo

from typing_extensions import override

from asyncz._constructors import explain_misuse
from asyncz.triggers._timezones import optional_utc_time, text_of
from asyncz.triggers.base import ValueTrigger


class DateTrigger(ValueTrigger):
    """Due once.

    A time in the past is due as soon as the task is added: it is the only due time, so it is late and not one
    of many that were missed. `misfire_grace_time` limits how late.

    Args:
        run_at: The due time; None means immediately. A time without a zone requires `timezone`.
        timezone: The zone of a `run_at` without one: an IANA name, `local` for the zone of this machine, or a tzinfo.

    Raises:
        InvalidInputError: `run_at` has no zone and `timezone` is None, or the zone does not exist.
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
        """The due time, UTC; None means immediately."""
        return self._run_at

    @override
    def _all_options(self) -> Mapping[str, object]:
        return {"run_at": self._run_at}

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """Return the due time if it is later than `previous`."""
        if previous is None:
            return self._run_at or now
        return self._run_at if self._run_at is not None and self._run_at > previous else None

    def latest_due_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        """Return the due time if it is later than `previous` and not later than `now`."""
        return self._run_at if self._run_at is not None and previous < self._run_at <= now else None

    @override
    def __str__(self) -> str:
        return "at once" if self._run_at is None else f"at {text_of(self._run_at)}"


explain_misuse(DateTrigger)
