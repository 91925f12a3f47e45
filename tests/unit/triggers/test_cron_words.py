"""Cron expressions in words."""

from __future__ import annotations

import calendar
from datetime import date, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from asyncz import CronTrigger, IntervalTrigger
from asyncz.triggers._cron_fields import CronFields, parse_expression
from asyncz.triggers._cron_words import cron_words, trigger_words
from tests.helpers.cron import cron_expressions

# A leap year in which months begin on each day of the week.
_DAYS = [date(2024, 1, 1) + timedelta(days=number) for number in range(366)]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("30 2 * * *", "every day at 02:30"),
        ("0 8,20 * * *", "every day at 08:00 and 20:00"),
        ("0 4 * * 0", "Sunday at 04:00"),
        ("0 9 * * 1-5", "Monday to Friday at 09:00"),
        ("@hourly", "every hour"),
        ("@yearly", "day 1 of the month in January at 00:00"),
        ("* * * * *", "every minute"),
        ("*/15 * * * *", "every 15 minutes"),
        ("5/15 * * * *", "every 15 minutes from minute 5"),
        ("*/7 * * * *", "at minutes 0, 7 … 56 of every hour"),
        ("0 */2 * * *", "every 2 hours"),
        ("*/10 9-17 * * MON,WED", "every 10 minutes of hours 9 to 17, Monday and Wednesday"),
        ("*/10 * * * * *", "every 10 seconds"),
        ("15 30 2 * * *", "every day at 02:30:15"),
        ("0 9 13 * FRI", "day 13 of the month or Friday at 09:00"),
        ("0 9 */2 * FRI", "Friday, if that is days 1, 3 … 31 of the month at 09:00"),
        ("0 9 13 * 0-6", "every day at 09:00"),
        ("0 0 L * *", "the last day of the month at 00:00"),
        ("0 0 LW * *", "the last workday of the month at 00:00"),
        ("0 0 * * MON#2,FRIL", "the second Monday of the month and the last Friday of the month at 00:00"),
        ("0 0 * JAN-MAR,DEC *", "every day in January to March and December at 00:00"),
    ],
)
def test_expression_has_words(expression: str, words: str) -> None:
    assert cron_words(parse_expression(expression)) == words


def due(fields: CronFields) -> object:
    days = frozenset(day for day in _DAYS if day.month in fields.months and fields.matches_day(day))
    return fields.seconds, fields.minutes, fields.hours, days


@settings(max_examples=20)
@given(st.lists(cron_expressions(), min_size=20, max_size=60))
def test_same_words_mean_same_due_times(expressions: list[str]) -> None:
    found = dict[str, object]()
    for expression in expressions:
        fields = parse_expression(expression)
        times = due(fields)
        assert times == found.setdefault(cron_words(fields), times), expression


def test_expressions_in_text_of_trigger_are_replaced() -> None:
    trigger = (CronTrigger("30 2 * * *") | CronTrigger("@hourly", timezone="Europe/Berlin")) | IntervalTrigger(days=2)
    assert trigger_words(f"{trigger}") == "every day at 02:30 in UTC or every hour in Europe/Berlin or every 2 days"


@pytest.mark.parametrize("text", ["", "every 5 minutes", "a b c d e in UTC", "1 2 3 4 5", "99 * * * * in UTC"])
def test_other_texts_are_kept(text: str) -> None:
    assert trigger_words(text) == text


def test_months_begin_on_each_weekday() -> None:
    assert {calendar.weekday(2024, month, 1) for month in range(1, 13)} == set(range(7))
