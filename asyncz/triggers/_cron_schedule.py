"""Search for the due times of a cron expression, in local time and across clock changes."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime, tzinfo

from cronsim import CronSim
from typing_extensions import override

from asyncz.triggers._cron_fields import CronFields
from asyncz.triggers._timezones import SECOND, SetBack, first_instant, local_time, set_back_around

# Any time: it only has to be replaced before a search.
_START = datetime(2000, 1, 1)  # noqa: DTZ001  # a local time


class _Simulation(CronSim):
    """Search of cronsim for the numbers of our own parser, which accepts more."""

    def __init__(self, fields: CronFields) -> None:
        super().__init__("* * * * * *", _START)
        self.seconds, self.minutes, self.hours = set(fields.seconds), set(fields.minutes), set(fields.hours)
        self.months = set(fields.months)
        self.fields = fields

    @override
    def match_day(self, d: date) -> bool:
        return self.fields.matches_day(d)


class CronSchedule:
    """Local times that an expression matches, in any time zone."""

    def __init__(self, fields: CronFields) -> None:
        self._simulation = _Simulation(fields)
        self.is_for_every_hour: bool = len(fields.hours) == 24

    @property
    def is_ever_due(self) -> bool:
        """False if no day of 50 years matches."""
        return self.following(_START) is not None

    def following(self, local: datetime) -> datetime | None:
        """Return the first matching local time after another one; None if none follows within 50 years."""
        # Searching changes the simulation, and several threads share a schedule.
        simulation = copy.copy(self._simulation)
        simulation.dt = local
        return next(simulation, None)

    def next_due_time(self, after: datetime, zone: tzinfo) -> datetime | None:
        """Return the first due time after an instant, both in UTC and without microseconds.

        Raises:
            OverflowError: The due time would lie after the year 9999.
        """
        if zone is UTC:
            following = self.following(after.replace(tzinfo=None))
            return None if following is None else following.replace(tzinfo=UTC)
        shown = after.astimezone(zone)
        local = shown.replace(tzinfo=None, fold=0)
        set_back = set_back_around(local, zone)
        if set_back is None:
            return self._next_normal(local, zone)
        return self._next_repeated(local, set_back, zone, is_second_time=shown.fold == 1)

    def _next_normal(self, local: datetime, zone: tzinfo) -> datetime | None:
        """Return the first due time after a local time that is not repeated."""
        following = self.following(local)
        if following is None:
            return None
        instant = first_instant(following, zone)
        if self.is_for_every_hour and (change := local_time(instant, zone)) != following:
            return self._next_skipped(change, zone)
        # A time of some hours only that is skipped is due at the change; `first_instant` returns that.
        return instant

    def _next_skipped(self, change: datetime, zone: tzinfo) -> datetime | None:
        """Return the first due time from a change on that skips times of an expression for every hour.

        Such an expression follows real time, so the skipped times are not due at the change.
        """
        following = self.following(change - SECOND)
        return None if following is None else first_instant(following, zone)

    def _next_repeated(
        self, local: datetime, set_back: SetBack, zone: tzinfo, *, is_second_time: bool
    ) -> datetime | None:
        """Return the first due time after a repeated local time.

        An expression for every hour is due both times, any other one only the first time.
        """
        if not self.is_for_every_hour:
            return self._next_normal(set_back.end - SECOND if is_second_time else local, zone)
        if not is_second_time:
            following = self.following(local)
            if following is not None and following < set_back.end:
                return self._next_normal(local, zone)
            local = set_back.begin - SECOND
        following = self.following(local)
        if following is not None and following < set_back.end:
            return set_back.second_instant(following)
        return self._next_normal(local, zone)
