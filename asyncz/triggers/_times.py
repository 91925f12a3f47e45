"""How triggers read the times that they are given, and how the clocks of a time zone go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from asyncz._checks import check_datetime
from asyncz.exceptions import InvalidInputError, MissingExtraError

SECOND = timedelta(seconds=1)


def zone_of(timezone: str | tzinfo) -> tzinfo:
    """A time zone, given by itself, by its IANA name, or as `local`, that of this machine.

    Raises:
        InvalidInputError: There is no such zone.
        MissingExtraError: The zone of this machine needs a package that is not installed.
    """
    if timezone == "local":
        return _zone_of_this_machine()
    # Those of pytz are not made for `datetime.replace`, but tell which zone they are.
    name: object = getattr(timezone, "zone", None) or timezone
    if name is UTC or name == "UTC":
        return UTC
    if isinstance(name, tzinfo):
        return UTC if _key_of(name) == "UTC" else name
    allowed = "an IANA name such as 'Europe/Berlin', 'local' for the zone of this machine, or a tzinfo"
    if not isinstance(name, str):
        raise InvalidInputError("timezone", repr(timezone), allowed)
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        import difflib

        similar = difflib.get_close_matches(name, available_timezones(), 3)
        hint = f"; did you mean {' or '.join(map(repr, similar))}?" if similar else ""
        raise InvalidInputError("timezone", repr(timezone), allowed + hint) from None


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
    """A time zone as text, by which `zone_of` finds it where it has a name."""
    return _key_of(zone) or str(zone)


def zone_option(zone: tzinfo) -> str | tzinfo:
    """A time zone as one would give it: by its name, where that says all; nothing where it is UTC."""
    if zone is UTC:
        return ""
    key = _key_of(zone)
    return key if key and key != "local" else zone


def _key_of(zone: tzinfo) -> str:
    """The IANA name of a time zone; empty where it has none."""
    from zoneinfo import ZoneInfo

    return (isinstance(zone, ZoneInfo) and zone.key) or ""


def utc_time(name: str, value: datetime, timezone: str | tzinfo | None) -> datetime:
    """A time in UTC; one without a zone is read as a local time of `timezone`.

    Raises:
        InvalidInputError: It has no zone and none was given, or there is no such zone.
    """
    check_datetime(name, value)
    if value.tzinfo is None:
        if timezone is None:
            raise InvalidInputError(
                name, repr(value), "it has no time zone; give it one, or say which with timezone='Europe/Berlin'"
            )
        value = value.replace(tzinfo=zone_of(timezone))
    return value.astimezone(UTC)


def optional_utc_time(name: str, value: datetime | None, timezone: str | tzinfo | None) -> datetime | None:
    """The same where None means that there is none."""
    return None if value is None else utc_time(name, value, timezone)


def check_order(start_name: str, start: datetime | None, end_name: str, end: datetime | None) -> None:
    """Reject an end that lies before the start."""
    if start is not None and end is not None and end < start:
        raise InvalidInputError(end_name, end.isoformat(), f"it must not lie before {start_name}, {start.isoformat()}")


def text_of(instant: datetime) -> str:
    """A time in UTC for people."""
    return f"{instant.replace(tzinfo=None)} UTC"


def local_time(instant: datetime, zone: tzinfo) -> datetime:
    """What the clocks of a zone show at a time, without the zone."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def first_instant(local: datetime, zone: tzinfo) -> datetime:
    """When the clocks of a zone show a local time for the first time, UTC.

    Where they leave it out, because they are set forward, that is the moment at which they are set.
    """
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if local_time(instant, zone) == local:
        return instant
    return _change_between(local.replace(tzinfo=zone, fold=1).astimezone(UTC), instant, zone)


class SetBack(NamedTuple):
    """The clocks are set back, and show the times from `begin` until `end` twice."""

    begin: datetime
    end: datetime
    offset_after: timedelta

    def second_instant(self, local: datetime) -> datetime:
        """When the clocks show a local time for the second time, UTC."""
        return (local - self.offset_after).replace(tzinfo=UTC)


def set_back_around(local: datetime, zone: tzinfo) -> SetBack | None:
    """How the clocks of a zone are set back where they show a local time twice; None where they do not."""
    first, second = local.replace(tzinfo=zone, fold=0), local.replace(tzinfo=zone, fold=1)
    offset_before, offset_after = first.utcoffset(), second.utcoffset()
    if offset_before is None or offset_after is None or offset_before <= offset_after:
        return None
    change = _change_between(first.astimezone(UTC), second.astimezone(UTC), zone).replace(tzinfo=None)
    return SetBack(change + offset_after, change + offset_before, offset_after)


def _change_between(earlier: datetime, later: datetime, zone: tzinfo) -> datetime:
    """When a zone's offset from UTC changes, with a precision of a second; both times are UTC."""
    offset = earlier.astimezone(zone).utcoffset()
    before, after = 0, (later - earlier) // SECOND
    while after - before > 1:
        middle = (before + after) // 2
        if (earlier + middle * SECOND).astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return earlier + after * SECOND
