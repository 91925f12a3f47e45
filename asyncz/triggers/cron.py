"""Due times that a cron expression tells."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from typing_extensions import override

from asyncz._checks import check_text
from asyncz.exceptions import InvalidInputError, MissingExtraError
from asyncz.triggers._times import (
    SECOND,
    SetBack,
    check_order,
    first_instant,
    local_time,
    optional_utc_time,
    set_back_around,
    text_of,
    zone_name,
    zone_of,
    zone_option,
)
from asyncz.triggers._values import JitteredTrigger

if TYPE_CHECKING:
    from cronsim import CronSim

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_COMMON = "* for all, or numbers, ranges such as 1-5, steps such as */2, and lists of these with commas"
_FIELDS = (
    ("second", f"0 to 59: {_COMMON}"),
    ("minute", f"0 to 59: {_COMMON}"),
    ("hour", f"0 to 23: {_COMMON}"),
    ("day of the month", f"1 to 31, L for the last day, LW for the last one from Monday to Friday: {_COMMON}"),
    ("month", f"1 to 12, or JAN to DEC: {_COMMON}"),
    (
        "day of the week",
        f"0 to 7 (0 and 7 are Sunday) or SUN to SAT, MON#2 for a month's second Monday, 1L for its last: {_COMMON}",
    ),
)
_FORM = (
    "five fields are needed (minute, hour, day of the month, month, day of the week), six with the second before"
    f" them, or one of {', '.join(_ALIASES)}"
)
# Where the search for due times begins when an expression is checked.
_ANY_TIME = datetime(2000, 1, 1)  # noqa: DTZ001  # local, wherever that is


class CronTrigger(JitteredTrigger):
    """Due when the clocks of a time zone show what a cron expression tells.

    Where the clocks are set forward or back, an expression for every hour goes on in real time. Any other is
    due once for each local time, the first time where clocks show it twice, and at the moment of the change where
    they are set forward over it. So nothing is lost or doubled.

    The two fields for days are joined as cron does: if both say which days, one of them suffices; if one starts
    with `*`, both must agree.

    Args:
        expression: Minute, hour, day of the month, month and day of the week, or the second before these, or an
            alias such as `@daily`. Names, in capitals or not, `L`, `LW`, `MON#2` and steps are understood.
        timezone: Whose clocks: an IANA name, `local` for those of this machine, or a tzinfo.
        start_at: No due time is earlier than this; one without a zone is a time of `timezone`.
        end_at: No due time is later than this; likewise.
        jitter: Each due time is put off by a random time of up to so many seconds, though not over the next one.

    Raises:
        InvalidInputError: The expression is wrong or is never due, there is no such zone, the end lies before the
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
        """The time zone by whose clocks it goes."""
        return self._zone

    @property
    def start_at(self) -> datetime | None:
        """No due time is earlier than this, UTC; None is no start."""
        return self._start_at

    @property
    def end_at(self) -> datetime | None:
        """No due time is later than this, UTC; None is no end."""
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
        # A second before a time, what follows includes it.
        after = now - SECOND if previous is None and not now.microsecond else previous or now
        if self._start_at is not None:
            after = max(after, self._start_at - SECOND if not self._start_at.microsecond else self._start_at)
        try:
            following = _following(
                _schedule_of(self._expression), after.astimezone(UTC).replace(microsecond=0), self._zone
            )
        except OverflowError:
            # It would lie after the last year that a datetime can tell.
            return None
        return None if following is None or (self._end_at is not None and following > self._end_at) else following

    @property
    @override
    def _latest(self) -> datetime | None:
        return self._end_at

    @override
    def __str__(self) -> str:
        start = "" if self._start_at is None else f" from {text_of(self._start_at)}"
        return f"{self._expression} in {zone_name(self._zone)}{start}{self._text_of_rest}"


class _Schedule:
    """What an expression tells of local times, wherever they are."""

    def __init__(self, simulation: CronSim) -> None:
        self._simulation = simulation
        self.is_for_every_hour: bool = len(simulation.hours) == 24

    def following(self, local: datetime) -> datetime | None:
        """The first local time after another one."""
        simulation = copy.copy(self._simulation)
        simulation.dt = local
        return next(simulation, None)


def _following(schedule: _Schedule, after: datetime, zone: tzinfo) -> datetime | None:
    """The first due time after another one, which is in UTC and of whole seconds."""
    if zone is UTC:
        following = schedule.following(after.replace(tzinfo=None))
        return None if following is None else following.replace(tzinfo=UTC)
    shown = after.astimezone(zone)
    local = shown.replace(tzinfo=None, fold=0)
    set_back = set_back_around(local, zone)
    if set_back is not None and schedule.is_for_every_hour:
        repeated = _repeated(schedule, local, set_back, is_second_time=shown.fold == 1)
        if repeated is not None:
            return repeated
    elif set_back is not None and shown.fold == 1:
        local = set_back.end - SECOND
    following = schedule.following(local)
    if following is None:
        return None
    instant = first_instant(following, zone)
    if not schedule.is_for_every_hour or (moment := local_time(instant, zone)) == following:
        return instant
    # The clocks are set forward over it, and so on over all that would be due meanwhile.
    following = schedule.following(moment - SECOND)
    return None if following is None else first_instant(following, zone)


def _repeated(schedule: _Schedule, local: datetime, set_back: SetBack, *, is_second_time: bool) -> datetime | None:
    """The first due time after another one while clocks show the same times a second time, if it comes to that."""
    if not is_second_time:
        following = schedule.following(local)
        if following is not None and following < set_back.end:
            return None
        local = set_back.begin - SECOND
    following = schedule.following(local)
    return set_back.second_instant(following) if following is not None and following < set_back.end else None


@functools.lru_cache(maxsize=1024)
def _schedule_of(expression: str) -> _Schedule:
    """What an expression means.

    Raises:
        InvalidInputError: It is wrong, or never due.
        MissingExtraError: cronsim is not installed.
    """
    try:
        from cronsim import CronSim, CronSimError
    except ModuleNotFoundError as error:
        raise MissingExtraError("CronTrigger", "cronsim", "cron") from error
    text = _ALIASES.get(expression.lower(), expression)
    # A range of a single number, which cronsim takes for an open one where it has a step.
    fields = re.sub(r"\b(\w+)-\1/\d+", r"\1", text, flags=re.IGNORECASE).split()
    if len(fields) not in {5, 6}:
        hint = "; at the start of a program is what DateTrigger() does" if expression.lower() == "@reboot" else ""
        raise InvalidInputError("expression", repr(expression), _FORM + hint)
    for number, (field, (name, allowed)) in enumerate(zip(["0", *fields][-6:], _FIELDS, strict=True)):
        alone = ["*"] * 6
        alone[number] = field
        try:
            CronSim(" ".join(alone), _ANY_TIME)
        except CronSimError:
            raise InvalidInputError(
                "expression", repr(expression), f"{field!r} is no {name}, which is {allowed}"
            ) from None
    try:
        schedule = _Schedule(CronSim(" ".join(fields), _ANY_TIME))
    except CronSimError:
        schedule = None
    if schedule is None or schedule.following(_ANY_TIME) is None:
        raise InvalidInputError("expression", repr(expression), "it is never due; no month has such a day")
    return schedule
