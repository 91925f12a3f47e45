"""Invalid arguments of triggers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial

import pytest

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
    OrTrigger,
    Trigger,
    UnknownAliasError,
    create_trigger,
)
from asyncz.plugins import load_trigger
from tests.helpers import payloads
from tests.helpers.times import START


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DateTrigger(datetime(2030, 1, 1)), "no time zone"),
        (lambda: DateTrigger(datetime(2030, 1, 1), timezone="Mars/Olympus"), "Mars/Olympus"),
        (lambda: DateTrigger("2030"), "datetime is needed"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: IntervalTrigger(), "more than zero"),
        (lambda: IntervalTrigger(seconds=-1), "more than zero"),
        (lambda: IntervalTrigger(seconds=1, jitter=1), "less than the interval"),
        (lambda: IntervalTrigger(seconds=1, start_at=START, end_at=START - timedelta(1)), "before start_at"),
        (lambda: asyncz.create_trigger("intervall"), "date, interval"),
        (lambda: load_trigger("interval", minute=1), "did you mean 'minutes'"),
    ],
)
def test_invalid_trigger_arguments_rejected(make: partial[object], message: str) -> None:
    with pytest.raises((InvalidInputError, UnknownAliasError), match=message):
        make()


def add_with(trigger: object) -> None:
    name = "add_task"  # which type checkers do not look up
    getattr(AsyncIOScheduler(), name)(payloads.add, 1, 2, trigger=trigger)


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
    (lambda: load_trigger("cron", expresion="@daily"), "expresion"),
    (lambda: create_trigger("crom"), "no trigger.*'crom'.*cron"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_invalid_argument_names_allowed_values(make: Callable[[], object], message: str) -> None:
    with pytest.raises(AsynczError, match=message):
        make()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "make"),
    [
        ("cronsim", lambda: CronTrigger("7 7 7 7 7")),
        ("tzlocal", lambda: CronTrigger("@daily", timezone="local")),
        ("tzlocal", lambda: DateTrigger(datetime(2030, 1, 1), timezone="local")),
    ],
)
def test_missing_package_names_extra(
    package: str, make: Callable[[], Trigger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"needs {package}, .* pip install 'asyncz-typed\[cron\]'"):
        make()
