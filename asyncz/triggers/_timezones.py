"""Time zones, and their changes to and from daylight saving time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from asyncz._checks import check_datetime, shown
from asyncz.exceptions import InvalidInputError, MissingExtraError

SECOND = timedelta(seconds=1)

_ALLOWED = "an IANA name such as 'Europe/Berlin', 'local' for the zone of this machine, or a tzinfo"
_OFFSET = re.compile(r"(?:Etc/)?(?:UTC|GMT|Z)?([+-])([01]?[0-9]|2[0-3])(?::?([0-5][0-9]))?", re.IGNORECASE)
_ABBREVIATION = re.compile(r"[A-Z]{2,5}", re.ASCII)
_LEAST_SIMILARITY = 0.88
_LONGEST_NAME = 100
_EARLIEST = datetime.min.replace(tzinfo=UTC)


def zone_of(timezone: str | tzinfo) -> tzinfo:
    """Return a time zone that is given as a tzinfo, by its IANA name, or as `local`, the zone of this machine.

    Raises:
        InvalidInputError: The zone does not exist, or does not convert times.
        MissingExtraError: The zone of this machine needs a package that is not installed.
    """
    if timezone == "local":
        return _zone_of_this_machine()
    # Zones of pytz do not work with `datetime.replace`, but have the name of the zone.
    name: object = getattr(timezone, "zone", None) or timezone
    if name is UTC or name == "UTC":
        return UTC
    if isinstance(name, tzinfo):
        _check_conversion(name)
        return UTC if _key_of(name) == "UTC" else name
    if not isinstance(name, str):
        raise InvalidInputError("timezone", shown(timezone), _ALLOWED)
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInputError("timezone", shown(timezone), _problem_with(name)) from None


def _check_conversion(zone: tzinfo) -> None:
    try:
        offset = datetime(2000, 1, 1, tzinfo=UTC).astimezone(zone).utcoffset()
    except Exception as error:
        raise InvalidInputError("timezone", shown(zone), f"it cannot convert times: {error!r}") from error
    if offset is None:
        raise InvalidInputError("timezone", shown(zone), "its utcoffset() must not return None")


def _problem_with(name: str) -> str:
    """Return why a name is not a time zone, and what to write instead.

    Never suggests a zone with another offset: `Etc/GMT+3` is three hours behind UTC, an abbreviation such as CST has
    several meanings, and only an unambiguous misspelling of a region is corrected.
    """
    from zoneinfo import available_timezones

    known = available_timezones()
    if not known:
        return "this system has no time zone data: pip install tzdata"
    if offset := _OFFSET.fullmatch(name.strip()):
        sign, hours, minutes = offset.groups(default="0")
        parts = [f"hours={sign.strip('+')}{int(hours)}"]
        if int(minutes):
            parts.append(f"minutes={sign.strip('+')}{int(minutes)}")
        return (
            "a fixed offset from UTC is not an IANA name; pass the tzinfo"
            f" datetime.timezone(datetime.timedelta({', '.join(parts)})), or the IANA name of a region"
        )
    if similar := _region_like(name, known):
        return f"{_ALLOWED}; did you mean {similar!r}?"
    if _ABBREVIATION.fullmatch(name):
        return (
            "an abbreviation does not identify a time zone and its clock changes; give the IANA name of the region,"
            " of the form 'Europe/Berlin'"
        )
    return _ALLOWED


def _region_like(name: str, known: Iterable[str]) -> str | None:
    """Return the only region with a name, or last part, similar to a name; None if there is not exactly one."""
    import difflib

    wanted = "_".join(name[:_LONGEST_NAME].split()).casefold()
    regions = [each for each in known if "/" in each and not each.startswith("Etc/")]
    exact = [each for each in regions if wanted in {each.casefold(), each.casefold().rpartition("/")[2]}]
    if exact:
        return min(exact, key=len) if len({each.rpartition("/")[2] for each in exact}) == 1 else None
    if "/" not in wanted:
        return None
    by_name = {each.casefold(): each for each in regions}
    similar = difflib.get_close_matches(wanted, by_name, 2, _LEAST_SIMILARITY)
    if len(similar) == 2:
        first, second = (difflib.SequenceMatcher(None, wanted, each).ratio() for each in similar)
        similar = similar[:1] if first > second else []
    return by_name[similar[0]] if similar else None


def _zone_of_this_machine() -> tzinfo:
    from zoneinfo import ZoneInfoNotFoundError

    try:
        from tzlocal import get_localzone
    except ModuleNotFoundError as error:
        raise MissingExtraError("timezone='local'", "tzlocal", "cron") from error
    try:
        return get_localzone()
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInputError(
            "timezone", "'local'", f"the zone of this machine is not known ({error}); name one such as 'Europe/Berlin'"
        ) from error


def zone_name(zone: tzinfo) -> str:
    """Return the name of a time zone, or its text if it has no name."""
    return _key_of(zone) or str(zone)


def zone_option(zone: tzinfo) -> str | tzinfo:
    """Return a time zone as an option: its name if `zone_of` accepts that, "" for UTC."""
    if zone is UTC:
        return ""
    key = _key_of(zone)
    return key if key and key != "local" else zone


def _key_of(zone: tzinfo) -> str:
    """Return the IANA name of a time zone, or "" if it has no name."""
    from zoneinfo import ZoneInfo

    return (isinstance(zone, ZoneInfo) and zone.key) or ""


def utc_time(name: str, value: datetime, timezone: str | tzinfo | None) -> datetime:
    """Return a time in UTC. A time without a zone is a local time of `timezone`.

    Raises:
        InvalidInputError: The time has no zone and `timezone` is None, the zone does not exist, or the time is
            outside of the years 1 to 9999 in UTC.
    """
    check_datetime(name, value)
    given = value
    if value.tzinfo is None:
        if timezone is None:
            raise InvalidInputError(
                name, repr(value), "it has no time zone; add one, or pass for example timezone='Europe/Berlin'"
            )
        value = value.replace(tzinfo=zone_of(timezone))
    else:
        _check_conversion(value.tzinfo)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidInputError(name, shown(given), "it must lie within the years 1 to 9999 in UTC") from None


def optional_utc_time(name: str, value: datetime | None, timezone: str | tzinfo | None) -> datetime | None:
    """Return an optional time in UTC; see `utc_time`."""
    return None if value is None else utc_time(name, value, timezone)


def check_order(start_name: str, start: datetime | None, end_name: str, end: datetime | None) -> None:
    """Reject an end that is earlier than the start."""
    if start is not None and end is not None and end < start:
        raise InvalidInputError(end_name, end.isoformat(), f"it must not be before {start_name}, {start.isoformat()}")


def text_of(instant: datetime) -> str:
    """Return a time in UTC as text for messages."""
    return f"{instant.replace(tzinfo=None)} UTC"


def minus(instant: datetime, distance: timedelta) -> datetime:
    """Return the difference, or the first possible time in UTC if the difference is before the year 1."""
    try:
        return instant - distance
    except OverflowError:
        return _EARLIEST


def local_time(instant: datetime, zone: tzinfo) -> datetime:
    """Return the local time of a zone at an instant, as a datetime without a zone."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def first_instant(local: datetime, zone: tzinfo) -> datetime:
    """Return the first instant at which the clocks of a zone show a local time, UTC.

    If the local time is skipped, because clocks are set forward over it, return the instant of that change.
    """
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if local_time(instant, zone) == local:
        return instant
    return _change_between(local.replace(tzinfo=zone, fold=1).astimezone(UTC), instant, zone)


class SetBack(NamedTuple):
    """Change of the clocks after which the local times from `begin` until `end` are repeated."""

    begin: datetime
    end: datetime
    offset_after: timedelta

    def second_instant(self, local: datetime) -> datetime:
        """Return the instant at which a repeated local time is shown for the second time, UTC."""
        return (local - self.offset_after).replace(tzinfo=UTC)


def set_back_around(local: datetime, zone: tzinfo) -> SetBack | None:
    """Return the change that repeats a local time; None if the local time is not repeated."""
    first, second = local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1)
    offset_before, offset_after = first.utcoffset(), second.utcoffset()
    if offset_before is None or offset_after is None or offset_before <= offset_after:
        return None
    change = _change_between(first.astimezone(UTC), second.astimezone(UTC), zone).replace(tzinfo=None)
    return SetBack(change + offset_after, change + offset_before, offset_after)


def _change_between(earlier: datetime, later: datetime, zone: tzinfo) -> datetime:
    """Return the instant at which the offset of a zone changes, to the second; both times are UTC."""
    offset = earlier.astimezone(zone).utcoffset()
    before, after = 0, (later - earlier) // SECOND
    while after - before > 1:
        middle = (before + after) // 2
        if (earlier + middle * SECOND).astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return earlier + after * SECOND
