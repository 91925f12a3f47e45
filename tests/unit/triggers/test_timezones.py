"""Time zones by name, and the messages about wrong ones."""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies as st
from typing_extensions import override

from asyncz import CalendarIntervalTrigger, CronTrigger, DateTrigger, IntervalTrigger, InvalidInputError

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
NOON = datetime(2030, 6, 1, 12)  # a local time


def message_for(name: str) -> str:
    """Return the message about a wrong time zone."""
    with pytest.raises(InvalidInputError) as caught:
        CronTrigger("@daily", timezone=name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("UTC+3", "hours=3"),
        ("GMT+2", "hours=2"),
        ("GMT-2", "hours=-2"),
        ("utc-03:30", "hours=-3, minutes=-30"),
        ("UTC+0530", "hours=5, minutes=30"),
        ("+05:45", "hours=5, minutes=45"),
        ("-8", "hours=-8"),
        ("Etc/UTC+3", "hours=3"),
        ("Z+1", "hours=1"),
    ],
)
def test_rejected_offset_names_tzinfo_of_that_offset(name: str, options: str) -> None:
    message = message_for(name)
    assert f"datetime.timezone(datetime.timedelta({options}))" in message
    assert "did you mean" not in message
    assert "/" not in message.replace(name, "")


@pytest.mark.parametrize("name", ["CEST", "PST", "IST", "BST", "AEST", "EDT", "JST", "MSK"])
def test_abbreviation_is_rejected_without_a_suggestion(name: str) -> None:
    message = message_for(name)
    assert "an abbreviation does not identify a time zone" in message
    assert "did you mean" not in message


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("new york", "America/New_York"),
        ("Asia/Kolkatta", "Asia/Kolkata"),
        (" Europe/Paris ", "Europe/Paris"),
    ],
)
def test_misspelled_region_is_corrected(name: str, suggestion: str) -> None:
    if name in zoneinfo.available_timezones():
        pytest.skip("the file system ignores case")
    assert message_for(name).endswith(f"did you mean {suggestion!r}?")


@pytest.mark.parametrize(
    "name",
    ["MON-SUN", "Mars/Olympus", "UTC+25", "UTC+3:99", "Etc/GMT+25", "Europe", "", "\0", "x" * 5000, "../etc/passwd"],
)
def test_unknown_zone_is_rejected_without_a_suggestion(name: str) -> None:
    message = message_for(name)
    assert "did you mean" not in message
    assert "IANA name" in message
    assert len(message) < 500


OFFSET_NAMES = st.from_regex(re.compile(r"(Etc/)?(UTC|GMT|Z)?[+-][0-9]{1,2}(:?[0-9]{2})?", re.ASCII), fullmatch=True)


@pytest.mark.slow
@settings(deadline=None)
@given(OFFSET_NAMES)
def test_no_offset_leads_to_another_offset(name: str) -> None:
    try:
        CronTrigger("@daily", timezone=name)
    except InvalidInputError as error:
        assert "did you mean" not in str(error)  # noqa: PT017
    else:
        # Names such as Etc/GMT+3 exist, with the sign of POSIX.
        assert name in zoneinfo.available_timezones()


def test_system_without_zone_data_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing(ZoneInfo):
        def __new__(cls, key: str) -> Missing:
            raise zoneinfo.ZoneInfoNotFoundError(key)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", Missing)
    monkeypatch.setattr(zoneinfo, "available_timezones", set[str])
    assert "this system has no time zone data: pip install tzdata" in message_for("Europe/Berlin")
    assert CronTrigger("@daily", timezone="UTC").timezone is UTC


class Zone(tzinfo):
    """A time zone that does not convert times."""

    def __init__(self, offset: timedelta | None) -> None:
        self._offset = offset

    @override
    def utcoffset(self, moment: datetime | None, /) -> timedelta | None:
        if self._offset == timedelta(days=2):
            raise RuntimeError("no offset")
        return self._offset

    @override
    def dst(self, moment: datetime | None, /) -> timedelta | None:
        return None

    @override
    def tzname(self, moment: datetime | None, /) -> str | None:
        return None


@pytest.mark.parametrize("offset", [None, timedelta(days=1), timedelta(days=2)])
def test_zone_that_does_not_convert_is_rejected(offset: timedelta | None) -> None:
    zone = Zone(offset)
    with pytest.raises(InvalidInputError, match="timezone cannot be"):
        CronTrigger("@daily", timezone=zone)
    with pytest.raises(InvalidInputError, match="timezone cannot be"):
        DateTrigger(NOON.replace(tzinfo=zone))
    with pytest.raises(InvalidInputError, match="timezone cannot be"):
        CalendarIntervalTrigger(days=1, timezone=zone)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", timezone(timedelta(hours=-23))])
def test_first_and_last_year_are_handled(zone: str | tzinfo) -> None:
    for instant in (FIRST, LAST):
        moment = instant.replace(tzinfo=None)
        try:
            trigger = IntervalTrigger(hours=1, start_at=moment, timezone=zone)
        except InvalidInputError as error:
            assert re.search("start_at cannot be .*years 1 to 9999", str(error))  # noqa: PT017
        else:
            assert trigger.start_at is not None
    for instant in (FIRST, LAST):
        for other in (CronTrigger("30 2 * * *", timezone=zone), CalendarIntervalTrigger(days=1, timezone=zone)):
            found = other.started(instant).next_due_time(None, instant)
            assert (found is None) == (instant.year == 9999)
            following = other.started(instant).next_due_time(instant, instant)
            assert (following is None) == (instant.year == 9999)
