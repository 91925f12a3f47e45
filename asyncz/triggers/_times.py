"""How triggers read the times that they are given."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from asyncz._checks import check_datetime
from asyncz.exceptions import InvalidInputError


def zone_of(timezone: str | tzinfo) -> tzinfo:
    """A time zone, given by itself or by its IANA name.

    Raises:
        InvalidInputError: There is no such zone.
    """
    if isinstance(timezone, tzinfo):
        return timezone
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInputError(
            "timezone", repr(timezone), "an IANA name such as 'Europe/Berlin', or a tzinfo"
        ) from None


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
