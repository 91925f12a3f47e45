"""Triggers as values, when they are due, and what they reject."""

from __future__ import annotations

import asyncio
import calendar
import pickle
import random
import sys
import zoneinfo
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from pathlib import Path
from time import sleep
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings, strategies as st
from typing_extensions import override

import asyncz
from asyncz import (
    AndTrigger,
    AsyncIOScheduler,
    AsynczError,
    CalendarIntervalTrigger,
    CronTrigger,
    DateTrigger,
    IntervalTrigger,
    InvalidInputError,
    MissingExtraError,
    NeverDueError,
    OrTrigger,
    TaskModified,
    Trigger,
    create_trigger,
)
from asyncz.testing import FakeClock
from asyncz.triggers.base import ValueTrigger
from tests import functions
from tests.broken_triggers import FullHours
from tests.trigger_times import ZONES, due_times, due_until, in_utc

START = datetime(2030, 1, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


# Values

TRIGGERS: dict[str, tuple[ValueTrigger, str]] = {
    "date": (DateTrigger(), "at once"),
    "date at a time": (DateTrigger(START, timezone="Europe/Berlin"), "at 2030-01-01 00:00:00 UTC"),
    "interval": (IntervalTrigger(minutes=90), "every 1 hour 30 minutes"),
    "odd interval": (IntervalTrigger(weeks=1, days=1, seconds=1.000001), "every 1 week 1 day 1 second"),
    "short interval": (IntervalTrigger(seconds=0.25), "every 0.25 seconds"),
    "interval with all": (
        IntervalTrigger(days=2, start_at=START, end_at=START + timedelta(days=9), jitter=5),
        "every 2 days from 2030-01-01 00:00:00 UTC until 2030-01-10 00:00:00 UTC, up to 5 s later",
    ),
    "cron": (CronTrigger(" */5  * * * *"), "*/5 * * * * in UTC"),
    "cron with all": (
        CronTrigger(
            "@daily", timezone="Europe/Berlin", start_at=datetime(2030, 1, 1), end_at=datetime(2031, 1, 1), jitter=1.5
        ),
        "@daily in Europe/Berlin from 2029-12-31 23:00:00 UTC until 2030-12-31 23:00:00 UTC, up to 1.5 s later",
    ),
    "cron with an offset": (CronTrigger("@daily", timezone=timezone(timedelta(hours=2))), "@daily in UTC+02:00"),
    "calendar": (CalendarIntervalTrigger(months=1), "every 1 month at 00:00:00 in UTC"),
    "calendar with all": (
        CalendarIntervalTrigger(
            years=1,
            months=2,
            weeks=3,
            days=4,
            hour=5,
            minute=6,
            second=7,
            timezone=BERLIN,
            start_date=date(2030, 1, 31),
            end_date=date(2040, 1, 1),
            jitter=60,
        ),
        (
            "every 1 year 2 months 3 weeks 4 days at 05:06:07 in Europe/Berlin from 2030-01-31 until 2040-01-01,"
            " up to 60 s later"
        ),
    ),
    "and": (CronTrigger("0 12 * * FRI") & CronTrigger("0 12 13 * *"), "0 12 * * FRI in UTC and 0 12 13 * * in UTC"),
    "or": (
        OrTrigger([CronTrigger("@daily"), IntervalTrigger(hours=5)], jitter=9),
        "@daily in UTC or every 5 hours, up to 9 s later",
    ),
    "nested": (
        (CronTrigger("@hourly") | DateTrigger()) & IntervalTrigger(hours=2),
        "(@hourly in UTC or at once) and every 2 hours",
    ),
}
ALIASES = {
    AndTrigger: "and",
    CalendarIntervalTrigger: "calendar",
    CronTrigger: "cron",
    DateTrigger: "date",
    IntervalTrigger: "interval",
    OrTrigger: "or",
}


@pytest.mark.parametrize("name", TRIGGERS)
def test_a_trigger_tells_people_what_it_is(name: str) -> None:
    trigger, text = TRIGGERS[name]
    assert str(trigger) == text


@pytest.mark.parametrize("name", TRIGGERS)
def test_the_repr_of_a_trigger_and_its_options_make_an_equal_one(name: str) -> None:
    trigger, _ = TRIGGERS[name]
    names = {each: getattr(asyncz, each) for each in asyncz.__all__}
    assert eval(repr(trigger), {**names, "datetime": sys.modules["datetime"]}) == trigger
    assert create_trigger(ALIASES[type(trigger)], **trigger.options) == trigger
    copy = pickle.loads(pickle.dumps(trigger))
    assert (copy, hash(copy), repr(copy)) == (trigger, hash(trigger), repr(trigger))


def test_triggers_are_equal_by_their_options() -> None:
    triggers = [trigger for trigger, _ in TRIGGERS.values()]
    assert len(set(triggers)) == len(triggers)
    assert IntervalTrigger(minutes=60) == IntervalTrigger(hours=1)
    assert IntervalTrigger(minutes=60) != IntervalTrigger(hours=1, jitter=1)
    assert CronTrigger("@daily", timezone=BERLIN) == CronTrigger("@daily", timezone="Europe/Berlin")
    assert CronTrigger("@daily", timezone=UTC) == CronTrigger("@daily", timezone="UTC") == CronTrigger("@daily")
    assert DateTrigger(datetime(2030, 1, 1, 1), timezone=BERLIN) == DateTrigger(START)
    assert DateTrigger() != "at once"


@pytest.mark.parametrize(
    "name", ["interval", "expression", "timezone", "start_date", "jitter", "options", "triggers", "run_at"]
)
def test_a_trigger_cannot_be_changed(name: str) -> None:
    owners = [trigger for trigger, _ in TRIGGERS.values() if hasattr(trigger, name)]
    assert owners
    for trigger in owners:
        with pytest.raises(AttributeError):
            setattr(trigger, name, 5)
        with pytest.raises(AttributeError):
            setattr(trigger, f"{name}_of_mine", 5)


# What they reject


def add_with(trigger: object) -> None:
    name = "add_task"  # which type checkers do not look up
    getattr(AsyncIOScheduler(), name)(functions.add, 1, 2, trigger=trigger)


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: CronTrigger("* * * *"), r"'\* \* \* \*'.*five fields"),
    (lambda: CronTrigger("* * * * * * *"), "five fields"),
    (lambda: CronTrigger(""), "expression cannot be ''"),
    (lambda: CronTrigger(5), "expression cannot be 5"),  # type: ignore[arg-type]  # wrong on purpose
    (lambda: CronTrigger("60 * * * *"), "'60' is not a valid minute: use 0 to 59"),
    (lambda: CronTrigger("* 24 * * *"), "'24' is not a valid hour: use 0 to 23"),
    (lambda: CronTrigger("* * 0 * *"), "'0' is not a valid day of the month: use 1 to 31"),
    (lambda: CronTrigger("* * 32 * *"), "'32' is not a valid day of the month"),
    (lambda: CronTrigger("* * * 13 *"), "'13' is not a valid month: use 1 to 12 or JAN to DEC"),
    (lambda: CronTrigger("* * * MAI *"), "'MAI' is not a valid month"),
    (lambda: CronTrigger("* * * * 8"), "'8' is not a valid day of the week: use 0 to 7"),
    (lambda: CronTrigger("* * * * MON#6"), "'MON#6' is not a valid day of the week"),
    (lambda: CronTrigger("* * * * MONDAY"), "'MONDAY' is not a valid day of the week"),
    (lambda: CronTrigger("60 * * * * *"), "'60' is not a valid second: use 0 to 59"),
    (lambda: CronTrigger("*/0 * * * *"), r"'\*/0' is not a valid minute: a step must be at least 1"),
    (lambda: CronTrigger("1,,2 * * * *"), "'1,,2' is not a valid minute"),
    (lambda: CronTrigger("-5 * * * *"), "'-5' is not a valid minute"),
    (lambda: CronTrigger("1.5 * * * *"), "'1.5' is not a valid minute"),
    (lambda: CronTrigger("L * * * *"), "'L' is not a valid minute"),
    (lambda: CronTrigger("0 0 1-15W * *"), "'1-15W' is not a valid day of the month.*L and W cannot be combined"),
    (lambda: CronTrigger("? 0 1 * *"), r"'\?' is not a valid minute.*only for the day"),
    (lambda: CronTrigger("0 0 30 2 *"), "'0 0 30 2 \\*'.*never due"),
    (lambda: CronTrigger("0 0 31 4,6 *"), "never due"),
    (lambda: CronTrigger("@dayly"), "'@dayly'.*@daily"),
    (lambda: CronTrigger("@reboot"), r"'@reboot'.*DateTrigger\(\)"),
    (lambda: CronTrigger("@daily", timezone="Europe/Berln"), "'Europe/Berln'.*did you mean 'Europe/Berlin'"),
    (lambda: CronTrigger("@daily", timezone=""), "timezone cannot be ''.*IANA name"),
    (lambda: CronTrigger("@daily", timezone="/etc/passwd"), "timezone cannot be '/etc/passwd'"),
    (lambda: CronTrigger("@daily", timezone=2), "timezone cannot be 2"),  # type: ignore[arg-type]  # wrong on purpose
    (lambda: CronTrigger("@daily", jitter=-1), "jitter cannot be -1.*at least 0 seconds"),
    (lambda: CronTrigger("@daily", jitter=float("nan")), "jitter cannot be nan"),
    (lambda: CronTrigger("@daily", jitter=float("inf")), "jitter cannot be inf"),
    (
        lambda: CronTrigger("@daily", start_at=START, end_at=START - timedelta(1)),
        "end_at cannot be 2029.*before start_at",
    ),
    (lambda: CronTrigger("@daily", start_at="2030"), "start_at cannot be '2030'"),  # type: ignore[arg-type]  # wrong on purpose
    (lambda: CalendarIntervalTrigger(), "the interval cannot be 0: .*more than zero"),
    (lambda: CalendarIntervalTrigger(months=-1), "months cannot be -1.*at least 0"),
    (lambda: CalendarIntervalTrigger(days=1.5), "days cannot be 1.5"),  # type: ignore[arg-type]  # wrong on purpose
    (lambda: CalendarIntervalTrigger(days=1, hour=24), "hour cannot be 24.*from 0 to 23"),
    (lambda: CalendarIntervalTrigger(days=1, minute=60), "minute cannot be 60.*from 0 to 59"),
    (lambda: CalendarIntervalTrigger(days=1, second=-1), "second cannot be -1.*from 0 to 59"),
    (lambda: CalendarIntervalTrigger(days=1, start_date=START), "start_date cannot be .*no time of the day"),
    (
        lambda: CalendarIntervalTrigger(days=1, start_date=date(2030, 1, 2), end_date=date(2030, 1, 1)),
        "end_date cannot be 2030-01-01.*before start_date",
    ),
    (lambda: CalendarIntervalTrigger(days=1, timezone="Mars/Olympus"), "Mars/Olympus"),
    (lambda: IntervalTrigger(seconds=float("nan")), "seconds cannot be nan"),
    (lambda: IntervalTrigger(days=1e12), "days cannot be 1000000000000.0: an interval is at most 999999999 days"),
    (lambda: IntervalTrigger(minutes="5"), "minutes cannot be '5'"),  # type: ignore[arg-type]  # wrong on purpose
    (lambda: IntervalTrigger(seconds=5, jitter=5), "jitter cannot be 5.*less than the interval, 0:00:05"),
    (lambda: IntervalTrigger(seconds=5, start_at=datetime(2030, 1, 1)), "start_at cannot be .*no time zone"),
    (lambda: AndTrigger([]), "at least one trigger"),
    (lambda: OrTrigger(DateTrigger()), "triggers cannot be DateTrigger"),  # type: ignore[arg-type]  # wrong on purpose
    (lambda: add_with(CronTrigger), "a trigger is needed"),
    (lambda: OrTrigger([DateTrigger]), "each must be a trigger"),  # type: ignore[list-item]  # wrong on purpose
    (lambda: DateTrigger() | 5, "triggers cannot be 5"),  # type: ignore[operator]  # wrong on purpose
    (lambda: DateTrigger() & IntervalTrigger(hours=1, jitter=5), "jitter=5.*must not have jitter"),
    (lambda: DateTrigger() & (DateTrigger() | CronTrigger("@daily", jitter=5)), "must not have jitter"),
    (lambda: create_trigger("cron", expresion="@daily"), "expresion"),
    (lambda: create_trigger("crom"), "no trigger.*'crom'.*cron"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_is_wrong_is_named_and_what_is_allowed_instead(make: Callable[[], object], message: str) -> None:
    with pytest.raises(AsynczError, match=message):
        make()


@settings(deadline=None, max_examples=60)
@given(st.text("0123456789*/-,L#W? @adhilyMON", max_size=20) | st.text(max_size=20))
def test_any_text_makes_a_trigger_or_an_error_of_ours(text: str) -> None:
    try:
        trigger = CronTrigger(text)
    except InvalidInputError as error:
        assert repr(text.strip())[1:-1] in str(error) or repr(" ".join(text.split())) in str(error)  # noqa: PT017
    else:
        assert trigger.next_due_time(None, START) is not None


@pytest.mark.parametrize(
    ("package", "make"),
    [
        ("cronsim", lambda: CronTrigger("7 7 7 7 7")),
        ("tzlocal", lambda: CronTrigger("@daily", timezone="local")),
        ("tzlocal", lambda: DateTrigger(datetime(2030, 1, 1), timezone="local")),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_its_extra(
    package: str, make: Callable[[], Trigger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"needs {package}, .* pip install 'asyncz\[cron\]'"):
        make()


# Time zones


def test_local_is_the_zone_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tzlocal.get_localzone", lambda: BERLIN)
    assert CronTrigger("@daily", timezone="local") == CronTrigger("@daily", timezone="Europe/Berlin")


def test_a_machine_that_does_not_know_its_zone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_localzone() -> tzinfo:
        raise zoneinfo.ZoneInfoNotFoundError("TZ is set to Mars/Olympus")

    monkeypatch.setattr("tzlocal.get_localzone", get_localzone)
    with pytest.raises(InvalidInputError, match=r"'local'.*Mars/Olympus.*name one such as"):
        CronTrigger("@daily", timezone="local")


def test_a_zone_of_this_machine_without_a_name_is_kept_itself() -> None:
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


def test_a_zone_of_pytz_is_the_zone_that_it_names() -> None:
    assert CronTrigger("@daily", timezone=OldZone()) == CronTrigger("@daily", timezone="Europe/Berlin")
    assert DateTrigger(datetime(2030, 1, 1), timezone=OldZone()).run_at == START - timedelta(hours=1)


# Intervals


@given(
    interval=st.timedeltas(timedelta(microseconds=1), timedelta(days=4000)),
    start=st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),
    length=st.none() | st.timedeltas(timedelta(0), timedelta(days=9000)),
    after=st.timedeltas(timedelta(0), timedelta(days=9000)),
)
def test_an_interval_is_due_at_the_multiples_of_its_distance(
    interval: timedelta, start: datetime | None, length: timedelta | None, after: timedelta
) -> None:
    end = None if length is None else (start or START) + length
    seconds = interval.seconds + interval.microseconds / 1e6
    trigger = IntervalTrigger(days=interval.days, seconds=seconds, start_at=start, end_at=end)
    first = START + interval if start is None else max(start, START + (start - START) % interval)
    expected = [first + number * interval for number in range(5)]
    assert due_times(trigger, START, 5) == [due for due in expected if end is None or due <= end]
    started = trigger.started(START)
    due = started.next_due_time(START + after, START + after)
    multiple = first + max(0, (START + after - first) // interval + 1) * interval
    assert due == (multiple if end is None or multiple <= end else None)


# Start and end of cron expressions


@settings(deadline=None, max_examples=60)
@given(
    expression=st.sampled_from(["*/7 * * * *", "30 2 * * *", "*/20 5 * * * *", "0 0 1 * *"]),
    zone=st.sampled_from(ZONES),
    start=st.none() | st.timedeltas(timedelta(days=-2), timedelta(days=2)),
    length=st.none() | st.timedeltas(timedelta(0), timedelta(days=2)),
)
def test_a_start_and_an_end_take_away_what_lies_beyond(
    expression: str, zone: str, start: timedelta | None, length: timedelta | None
) -> None:
    begin = None if start is None else START + start
    end = None if length is None else (begin or START) + length
    trigger = CronTrigger(expression, timezone=zone, start_at=begin, end_at=end)
    until = START + timedelta(days=4)
    every = due_until(CronTrigger(expression, timezone=zone), START, until)
    inside = [due for due in every if (begin is None or due >= begin) and (end is None or due <= end)]
    assert due_until(trigger, START, until) == inside


# Calendar intervals


@pytest.mark.parametrize(
    ("trigger", "now", "expected"),
    [
        # Days that a month does not have.
        (
            CalendarIntervalTrigger(months=1, start_date=date(2030, 1, 31)),
            "2030-01-01",
            ["2030-01-31 00:00", "2030-02-28 00:00", "2030-03-31 00:00", "2030-04-30 00:00", "2030-05-31 00:00"],
        ),
        (
            CalendarIntervalTrigger(months=3, start_date=date(2027, 11, 30), hour=12),
            "2030-02-01",
            ["2030-02-28 12:00", "2030-05-30 12:00"],
        ),
        (
            CalendarIntervalTrigger(years=1, start_date=date(2028, 2, 29)),
            "2028-01-01",
            ["2028-02-29 00:00", "2029-02-28 00:00", "2030-02-28 00:00", "2031-02-28 00:00", "2032-02-29 00:00"],
        ),
        # Everything together, counted from the start.
        (
            CalendarIntervalTrigger(years=1, months=1, weeks=1, days=1, start_date=date(2030, 1, 1)),
            "2030-01-01",
            ["2030-01-01 00:00", "2031-02-09 00:00", "2032-03-17 00:00"],
        ),
        # Without a start: from the day on which it is added, if its time is still to come.
        (CalendarIntervalTrigger(months=1, hour=9), "2030-01-15 08:00", ["2030-01-15 09:00", "2030-02-15 09:00"]),
        (CalendarIntervalTrigger(months=1, hour=9), "2030-01-15 09:00", ["2030-01-15 09:00", "2030-02-15 09:00"]),
        (CalendarIntervalTrigger(months=1, hour=9), "2030-01-15 09:01", ["2030-02-15 09:00", "2030-03-15 09:00"]),
        (CalendarIntervalTrigger(months=1, hour=9), "2030-01-31 12:00", ["2030-02-28 09:00", "2030-03-31 09:00"]),
        # What lies before it was added is not made up for; the end is the last day.
        (CalendarIntervalTrigger(weeks=2, start_date=date(2029, 12, 25)), "2030-01-01", ["2030-01-08 00:00"]),
        (
            CalendarIntervalTrigger(days=2, start_date=date(2030, 1, 5), end_date=date(2030, 1, 9), hour=23),
            "2030-01-01",
            ["2030-01-05 23:00", "2030-01-07 23:00", "2030-01-09 23:00"],
        ),
        # Clocks that are set forward, back, and over a whole day.
        (
            CalendarIntervalTrigger(days=1, hour=2, minute=30, timezone="Europe/Berlin"),
            "2026-03-28 00:00",
            ["2026-03-28 02:30", "2026-03-29 03:00", "2026-03-30 02:30"],
        ),
        (
            CalendarIntervalTrigger(days=1, hour=2, minute=30, timezone="Europe/Berlin"),
            "2026-10-24 00:00",
            ["2026-10-24 02:30", "2026-10-25 02:30", "2026-10-26 02:30"],
        ),
        (
            CalendarIntervalTrigger(days=1, timezone="America/Santiago"),
            "2026-09-05 00:00",
            ["2026-09-05 00:00", "2026-09-06 01:00", "2026-09-07 00:00"],
        ),
        (
            CalendarIntervalTrigger(days=1, hour=5, timezone="Pacific/Apia"),
            "2011-12-29 00:00",
            ["2011-12-29 05:00", "2011-12-31 00:00", "2011-12-31 05:00", "2012-01-01 05:00"],
        ),
        (
            CalendarIntervalTrigger(days=1, timezone="Pacific/Apia"),
            "2011-12-29 00:00",
            ["2011-12-29 00:00", "2011-12-31 00:00", "2012-01-01 00:00"],
        ),
    ],
)
def test_a_calendar_interval_is_due_when_the_calendar_says(
    trigger: CalendarIntervalTrigger, now: str, expected: list[str]
) -> None:
    found = due_times(trigger, in_utc(now, trigger.timezone), len(expected))
    assert [f"{due.astimezone(trigger.timezone):%Y-%m-%d %H:%M}" for due in found] == expected


def reckoned_day_by_day(months: int, days: int, start: date, at: time, zone: tzinfo, until: date) -> list[datetime]:
    """When a calendar interval of months or of days is due: looks at every day, and at every minute of its clocks."""
    found: list[datetime] = []
    for day in (start + timedelta(days=number) for number in range((until - start).days + 1)):
        if months:
            passed = (day.year - start.year) * 12 + day.month - start.month
            last = calendar.monthrange(day.year, day.month)[1]
            is_due = passed % months == 0 and day.day == min(start.day, last)
        else:
            is_due = (day - start).days % days == 0
        if is_due:
            wanted = datetime.combine(day, at)
            instant = datetime.combine(day, time(), tzinfo=UTC) - timedelta(hours=14)
            while instant.astimezone(zone).replace(tzinfo=None) < wanted:
                instant += timedelta(minutes=1)
            found.append(instant)
    return sorted(set(found))


@settings(deadline=None, max_examples=40)
@given(
    distance=st.tuples(st.integers(1, 30), st.just(0)) | st.tuples(st.just(0), st.integers(1, 60)),
    start=st.dates(date(2010, 1, 1), date(2012, 1, 31)) | st.sampled_from([date(2024, 2, 29), date(2026, 10, 31)]),
    at=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
)
@example((0, 1), date(2011, 12, 29), time(0), ZoneInfo("Pacific/Apia"))
@example((0, 1), date(2026, 3, 28), time(2, 15), ZoneInfo("Europe/Berlin"))
@example((0, 1), date(2026, 9, 26), time(2, 15), ZoneInfo("Australia/Lord_Howe"))
def test_a_calendar_interval_is_due_as_reckoned_day_by_day(
    distance: tuple[int, int], start: date, at: time, zone: ZoneInfo
) -> None:
    months, days = distance
    until = start + timedelta(days=70 * months + 6 * days)
    trigger = CalendarIntervalTrigger(
        months=months, days=days, hour=at.hour, minute=at.minute, timezone=zone, start_date=start, end_date=until
    )
    now = datetime.combine(start, time(), tzinfo=UTC) - timedelta(days=3)
    assert due_times(trigger, now, 1000) == reckoned_day_by_day(months, days, start, at, zone, until)


# Jitter


@settings(deadline=None, max_examples=60)
@given(
    trigger=st.sampled_from(["*/7 * * * *", "0 9 * * MON-FRI", "5,6 */3 1-5 * *", "*/20 * * * * *"]),
    jitter=st.floats(0.001, 100_000),
    seed=st.integers(0, 100),
)
def test_jitter_puts_off_each_due_time_but_not_over_the_next(trigger: str, jitter: float, seed: int) -> None:
    random.seed(seed)
    planned = due_times(CronTrigger(trigger), START, 40)
    found = due_times(CronTrigger(trigger, jitter=jitter), START, 39)
    for due, before, after in zip(found, planned, planned[1:], strict=False):
        assert before <= due < after
        assert due - before <= timedelta(seconds=jitter)


def test_jitter_does_not_add_up_and_is_each_tasks_own() -> None:
    random.seed(3)
    trigger = IntervalTrigger(minutes=10, jitter=60)
    first, second = due_times(trigger, START, 500), due_times(trigger, START, 500)
    assert first != second
    delays = [due - START - number * timedelta(minutes=10) for number, due in enumerate(first, 1)]
    assert timedelta(0) <= min(delays) < timedelta(seconds=3)
    assert timedelta(seconds=57) < max(delays) <= timedelta(seconds=60)
    assert len(set(delays)) == 500


def test_jitter_goes_over_no_end_and_takes_no_last_run() -> None:
    end = START + timedelta(hours=1)
    for number in range(20):
        random.seed(number)
        found = due_times(IntervalTrigger(minutes=30, jitter=1700, end_at=end), START, 5)
        assert len(found) == 2
        assert found[-1] == end


def test_jitter_is_the_same_again_for_who_sows_the_same() -> None:
    trigger = OrTrigger([CronTrigger("@hourly")], jitter=100)
    random.seed(5)
    first = due_times(trigger, START, 10)
    random.seed(5)
    assert due_times(trigger, START, 10) == first


# Combinations

PARTS = st.sampled_from(
    [
        IntervalTrigger(minutes=20),
        IntervalTrigger(minutes=7, start_at=START - timedelta(minutes=3)),
        IntervalTrigger(minutes=15, start_at=START, end_at=START + timedelta(hours=3)),
        CronTrigger("*/10 * * * *"),
        CronTrigger("5 1-3 * * *", timezone="Europe/Berlin"),
        CronTrigger("*/20 * * * *", start_at=START + timedelta(hours=2)),
        CalendarIntervalTrigger(days=1, hour=3),
        DateTrigger(START + timedelta(hours=2)),
    ]
)


@settings(deadline=None, max_examples=60)
@given(st.lists(PARTS, min_size=1, max_size=4))
def test_combinations_are_due_when_any_or_all_of_their_triggers_are(parts: list[Trigger]) -> None:
    until = START + timedelta(hours=6)
    each = [set(due_until(trigger, START, until)) for trigger in parts]
    assert due_until(OrTrigger(parts), START, until) == sorted(set.union(*each))
    both = AndTrigger(parts).started(START)
    previous = None
    for due in sorted(set.intersection(*each)):
        assert both.next_due_time(previous, START) == due
        previous = due


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 39)), min_size=2, max_size=2))
def test_intervals_meet_where_their_multiples_do_or_it_is_told_that_they_never_do(parts: list[tuple[int, int]]) -> None:
    trigger = AndTrigger(
        IntervalTrigger(seconds=distance, start_at=START + timedelta(seconds=offset)) for distance, offset in parts
    )
    previous = START + timedelta(seconds=39)
    common = set.intersection(*(set(range(offset, 2000, distance)) for distance, offset in parts))
    expected = min((second for second in common if second > 39), default=None)
    if expected is None:
        with pytest.raises(NeverDueError):
            trigger.next_due_time(previous, previous)
    else:
        assert trigger.next_due_time(previous, previous) == START + timedelta(seconds=expected)


def test_intervals_of_a_combination_keep_their_own_distance() -> None:
    found = due_times(IntervalTrigger(hours=2) | IntervalTrigger(hours=3), START, 7)
    assert [(due - START) // timedelta(hours=1) for due in found] == [2, 3, 4, 6, 8, 9, 10]


def test_what_is_put_off_is_not_lost_where_others_are_due_meanwhile() -> None:
    hourly = CronTrigger("@hourly", jitter=3000)
    found = due_times(hourly | CronTrigger("* * * * *"), START, 600)
    by_the_minute = [due for due in found if not (due.second or due.microsecond)]
    others = [due for due in found if due.second or due.microsecond]
    assert len(by_the_minute) > 580
    assert len(others) >= 9
    assert [due.hour for due in others] == list(range(len(others)))


def test_operators_put_triggers_of_one_kind_into_one_row() -> None:
    first, second, third = IntervalTrigger(hours=1), IntervalTrigger(hours=2), CronTrigger("@daily")
    assert first | second | third == OrTrigger([first, second, third])
    assert first & (second & third) == AndTrigger([first, second, third])
    assert (first | second) & third == AndTrigger([OrTrigger([first, second]), third])
    assert OrTrigger([first, second], jitter=5) | third == OrTrigger([OrTrigger([first, second], jitter=5), third])


class Odd:
    """A trigger with no base class: due at each odd second."""

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        time = (previous or now).replace(microsecond=0)
        return time + timedelta(seconds=1 if time.second % 2 == 0 else 2)


def test_triggers_of_ones_own_can_be_combined() -> None:
    every_third = IntervalTrigger(seconds=3, start_at=START)
    for trigger in (Odd() & every_third, every_third & Odd(), AndTrigger([Odd(), every_third])):
        assert [due.second for due in due_times(trigger, START, 4)] == [3, 9, 15, 21]
    for either in (Odd() | every_third, every_third | Odd()):
        assert [due.second for due in due_times(either, START + timedelta(seconds=2), 5)] == [3, 5, 6, 7, 9]
    assert [due.hour for due in due_times(FullHours() & CronTrigger("0 */5 * * *"), START, 3)] == [5, 10, 15]


def test_a_search_for_a_common_due_time_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Odd):
        @override
        def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
            answers.append(previous)
            sleep(0.01)
            return super().next_due_time(previous, now)

    answers: list[datetime | None] = []
    monkeypatch.setattr("asyncz.triggers.base._SEARCH_TIMEOUT", 0.05)
    with pytest.raises(NeverDueError, match="every 2 seconds from"):
        (IntervalTrigger(seconds=2, start_at=START) & Slow()).next_due_time(None, START)
    assert len(answers) < 10


def test_triggers_that_never_meet_are_rejected_when_a_task_is_added() -> None:
    never = IntervalTrigger(seconds=2, start_at=START) & IntervalTrigger(
        seconds=2, start_at=START + timedelta(seconds=1)
    )
    scheduler = AsyncIOScheduler(clock=FakeClock(START))
    with pytest.raises(
        NeverDueError, match=r"every 2 seconds from .* no due time in common after 2030-01-01 00:00:00 UTC"
    ):
        scheduler.add_task(functions.add, 1, 2, trigger=never)
    assert scheduler.tasks == ()


def test_triggers_that_meet_no_more_end_their_schedule_and_say_why() -> None:
    class Even(Odd):
        @override
        def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
            due = super().next_due_time(previous, now)
            return due if due is None or due < START + timedelta(minutes=1) else due + timedelta(seconds=1)

    async def main() -> list[TaskModified]:
        clock, told = FakeClock(START), list[TaskModified]()
        async with AsyncIOScheduler(clock=clock) as scheduler:
            scheduler.subscribe(TaskModified, told.append)
            task = scheduler.add_task(functions.add, 1, 2, trigger=AndTrigger([Odd(), Even()]), executor="debug")
            task.on_executed(lambda event: None)
            await clock.advance(minutes=2)
            assert scheduler.tasks == ()
            assert scheduler.state.executed == 30
        return told

    (told,) = asyncio.run(main())
    assert isinstance(told.exception, NeverDueError)


# In a scheduler


def test_one_trigger_serves_many_tasks_each_from_its_own_start() -> None:
    async def main() -> None:
        clock, trigger = FakeClock(START), IntervalTrigger(hours=1, jitter=60)
        async with AsyncIOScheduler(clock=clock) as scheduler:
            first = scheduler.add_task(functions.add, 1, 2, trigger=trigger, executor="debug")
            await clock.advance(minutes=30)
            second = scheduler.add_task(functions.add, 1, 2, trigger=trigger, executor="debug")
            await clock.advance(minutes=10)
            for hours in range(1, 20):
                for task, minutes in ((first, 0), (second, 30)):
                    due = task.next_run_at
                    assert due is not None
                    assert timedelta(0) <= due - START - timedelta(hours=hours, minutes=minutes) <= timedelta(minutes=1)
                await clock.advance(hours=1)
            assert first.state.trigger == "every 1 hour, up to 60 s later"

    asyncio.run(main())


def test_a_trigger_to_which_tasks_are_rescheduled_counts_for_each_from_its_own_start() -> None:
    async def main() -> None:
        clock, trigger = FakeClock(START), IntervalTrigger(hours=1, jitter=60)
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, trigger=trigger, executor="debug")
            await clock.advance(minutes=30)
            task.reschedule(trigger)
            await clock.advance(minutes=10)
            for hours in range(1, 20):
                due = task.next_run_at
                assert due is not None
                assert timedelta(0) <= due - START - timedelta(hours=hours, minutes=30) <= timedelta(minutes=1)
                await clock.advance(hours=1)

    asyncio.run(main())


@pytest.mark.parametrize(
    "trigger",
    [
        IntervalTrigger(minutes=10, jitter=30),
        CronTrigger("*/10 * * * *"),
        IntervalTrigger(minutes=20) | IntervalTrigger(minutes=15),
        CalendarIntervalTrigger(days=1, hour=1),
    ],
    ids=str,
)
def test_a_clock_that_is_set_back_starts_a_trigger_anew(trigger: Trigger) -> None:
    async def main() -> None:
        clock = FakeClock(START + timedelta(days=50))
        async with AsyncIOScheduler(clock=clock) as scheduler:
            task = scheduler.add_task(functions.add, 1, 2, trigger=trigger, executor="debug")
            await clock.advance(hours=2)
            clock.set(START)
            # The timer was set on the old time: it is made when that comes.
            clock._timers = [(clock.now() + 1, number, timer) for _, number, timer in clock._timers]
            await clock.advance(seconds=2)
            due = task.next_run_at
            assert due is not None
            assert due < START + timedelta(hours=2)
            await clock.advance(hours=3)
            following = task.next_run_at
            assert following is not None
            assert following < START + timedelta(days=2)

    asyncio.run(main())


@pytest.mark.parametrize(
    "trigger",
    [
        IntervalTrigger(days=400),
        CronTrigger("@yearly"),
        CalendarIntervalTrigger(years=1),
        CalendarIntervalTrigger(years=1, start_date=date(9999, 12, 31), timezone="America/New_York"),
        CronTrigger("@yearly", timezone="Pacific/Auckland", jitter=9e7),
        IntervalTrigger(days=400) | CronTrigger("@yearly"),
    ],
    ids=repr,
)
def test_the_last_year_of_all_is_an_end(trigger: Trigger) -> None:
    late = datetime(9998, 6, 1, tzinfo=UTC)
    assert 0 < len(due_times(trigger, late, 10)) < 4
