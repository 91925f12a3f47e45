"""The local time zone, and zones without a name."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typing_extensions import override

from asyncz import CronTrigger, DateTrigger, InvalidInputError
from tests.helpers.times import BERLIN, START, due_times


def test_local_is_zone_of_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tzlocal.get_localzone", lambda: BERLIN)
    assert CronTrigger("@daily", timezone="local") == CronTrigger("@daily", timezone="Europe/Berlin")


def test_unknown_local_zone_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_localzone() -> tzinfo:
        raise zoneinfo.ZoneInfoNotFoundError("TZ is set to Mars/Olympus")

    monkeypatch.setattr("tzlocal.get_localzone", get_localzone)
    with pytest.raises(InvalidInputError, match=r"'local'.*Mars/Olympus.*name one such as"):
        CronTrigger("@daily", timezone="local")


def test_unnamed_local_zone_kept() -> None:
    paths = (Path(folder, "Europe", "Berlin") for folder in zoneinfo.TZPATH)
    path = next((each for each in paths if each.exists()), None)
    if path is None:
        pytest.skip("the system has no files of time zones")
    with path.open("rb") as file:
        zone = ZoneInfo.from_file(file, key="local")
    trigger = CronTrigger("@daily", timezone=zone)
    assert trigger.options["timezone"] is zone
    assert due_times(trigger, START, 1) == [datetime(2030, 1, 1, 23, tzinfo=UTC)]


class OldZone(tzinfo):
    """As pytz makes them: attached to a datetime it has the offset of a hundred years ago."""

    zone = "Europe/Berlin"

    @override
    def utcoffset(self, moment: datetime | None, /) -> timedelta:
        return timedelta(minutes=53)

    @override
    def dst(self, moment: datetime | None, /) -> None:
        return None

    @override
    def tzname(self, moment: datetime | None, /) -> str:
        return "LMT"


def test_pytz_zone_becomes_named_zone() -> None:
    assert CronTrigger("@daily", timezone=OldZone()) == CronTrigger("@daily", timezone="Europe/Berlin")
    assert DateTrigger(datetime(2030, 1, 1), timezone=OldZone()).run_at == START - timedelta(hours=1)
