"""Due times given by a cron expression."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from typing_extensions import override

from asyncz._checks import check_text
from asyncz._constructors import explain_misuse
from asyncz.exceptions import InvalidInputError, MissingExtraError
from asyncz.triggers._cron_fields import parse_expression
from asyncz.triggers._timezones import (
    SECOND,
    check_order,
    minus,
    optional_utc_time,
    text_of,
    zone_name,
    zone_of,
    zone_option,
)
from asyncz.triggers.base import JitteredTrigger

if TYPE_CHECKING:
    from asyncz.triggers._cron_schedule import CronSchedule

# Local times of any zone exist from here on.
_FIRST = datetime(1, 1, 3, tzinfo=UTC)


class CronTrigger(JitteredTrigger):
    """Due at the local times that a cron expression matches.

    An expression has five fields, or six with the second first. Each field is `*` or a list of numbers, names and
    ranges with commas, in upper or lower case:

    | field | values | also |
    | --- | --- | --- |
    | second | 0-59 | only with six fields, else 0 |
    | minute | 0-59 | |
    | hour | 0-23 | |
    | day of the month | 1-31 | `L`, `L-3`, `15W`, `LW`, `L-3W`, `?` |
    | month | 1-12, JAN-DEC | |
    | day of the week | 0-7 or SUN-SAT, 0 and 7 are Sunday | `MON#2`, `5L`, `L5`, `FRIL`, `?` |

    - Days of the month: `L` is the last day, `L-3` three days before it, `15W` the day from Monday to Friday that is
      nearest to the 15th within the month, `LW` the last day from Monday to Friday.
    - Days of the week: `MON#2` is the second Monday of the month; `5L`, `L5` and `FRIL` are the last Friday.
    - Ranges include both ends and may wrap: `22-2` is 22, 23, 0, 1 and 2, `FRI-MON` is Friday to Monday.
    - Steps count from the start of their range: `10-40/15` is 10, 25 and 40; `*/15` in the minute is 0, 15, 30 and 45;
      `5/15` is 5, 20, 35 and 50. A step that is larger than the field is rejected: use `IntervalTrigger`.
    - `?` is `*`, as in Quartz. Numbers of weekdays are those of Unix and not those of Quartz.
    - Aliases: `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly`.
    - Day of the month and day of the week are joined as in Vixie cron. If neither starts with `*` or `?`, a day has to
      match one of them: `0 9 13 * FRI` is due on each 13th and on each Friday. Else it has to match both, also
      with a step: `0 9 */2 * FRI` is due on Fridays with an odd number.
    - Years, hashed values (`H`) and random values (`R`) are not supported; use `start_at`, `end_at` and `jitter`.

    When clocks are set forward or back, no run is lost or doubled. An expression for every hour follows real time. Any
    other one is due once for each local time, at the first of two repeated times, and at the change if its time is
    skipped.

    Args:
        expression: The expression.
        timezone: The zone of the local times: an IANA name, `local` for the zone of this machine, or a tzinfo.
        start_at: The earliest due time; a time without a zone is a local time of `timezone`.
        end_at: The latest due time; a time without a zone is a local time of `timezone`.
        jitter: The maximum random delay of each due time, in seconds. A delayed time stays before the next one.

    Raises:
        InvalidInputError: The expression is not valid or never due, the zone does not exist, the end is before the
            start, or `jitter` is negative.
        MissingExtraError: A package of the extra `cron` is not installed.

    Example:
        >>> CronTrigger("*/15 9-17 * * MON-FRI", timezone="Europe/Berlin")
        CronTrigger(expression='*/15 9-17 * * MON-FRI', timezone='Europe/Berlin')
    """

    __slots__ = ("_end_at", "_expression", "_start_at", "_zone")

    def __init__(
        self,
        expression: str,
        *,
        timezone: str | tzinfo = "UTC",
        start_at: datetime | None = None,
        end_at: datetime | None = None,
        jitter: float = 0.0,
    ) -> None:
        super().__init__(jitter)
        check_text("expression", expression)
        self._expression = " ".join(expression.split())
        self._zone = zone_of(timezone)
        self._start_at = optional_utc_time("start_at", start_at, self._zone)
        self._end_at = optional_utc_time("end_at", end_at, self._zone)
        check_order("start_at", self._start_at, "end_at", self._end_at)
        _ = _schedule_of(self._expression)

    @property
    def expression(self) -> str:
        """The cron expression, with single spaces."""
        return self._expression

    @property
    def timezone(self) -> tzinfo:
        """The time zone of the local times."""
        return self._zone

    @property
    def start_at(self) -> datetime | None:
        """The earliest due time, UTC; None if unlimited."""
        return self._start_at

    @property
    def end_at(self) -> datetime | None:
        """The latest due time, UTC; None if unlimited."""
        return self._end_at

    @override
    def _all_options(self) -> Mapping[str, object]:
        return {
            "expression": self._expression,
            "timezone": zone_option(self._zone),
            "start_at": self._start_at,
            "end_at": self._end_at,
            "jitter": self.jitter,
        }

    @override
    def _planned_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        # The search starts a second earlier if the given time itself may be due.
        after = minus(now, SECOND) if previous is None and not now.microsecond else previous or now
        if self._start_at is not None:
            after = max(after, self._start_at if self._start_at.microsecond else minus(self._start_at, SECOND))
        after = after.astimezone(UTC).replace(microsecond=0)
        try:
            following = _schedule_of(self._expression).next_due_time(after, self._zone)
        except OverflowError:
            # In the local time of the zone, a time is before the year 1 or after the year 9999.
            return None if after >= _FIRST else self._planned_time(_FIRST, now)
        return None if following is None or (self._end_at is not None and following > self._end_at) else following

    @property
    @override
    def _latest(self) -> datetime | None:
        return self._end_at

    @override
    def __str__(self) -> str:
        start = "" if self._start_at is None else f" from {text_of(self._start_at)}"
        return f"{self._expression} in {zone_name(self._zone)}{start}{self._text_of_rest}"


explain_misuse(CronTrigger)


@functools.lru_cache(maxsize=1024)
def _schedule_of(expression: str) -> CronSchedule:
    """Return the schedule of an expression.

    Raises:
        InvalidInputError: The expression is not valid, or never due.
        MissingExtraError: cronsim is not installed.
    """
    fields = parse_expression(expression)
    try:
        _ = importlib.import_module("cronsim")
    except ModuleNotFoundError as error:
        raise MissingExtraError("CronTrigger", "cronsim", "cron") from error
    from asyncz.triggers._cron_schedule import CronSchedule

    schedule = CronSchedule(fields)
    if not schedule.is_ever_due:
        raise InvalidInputError("expression", repr(expression), "it is never due, because no month has such a day")
    return schedule
