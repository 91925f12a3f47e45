"""The cron dialect: accepted expressions, rejected ones, and their messages."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given, settings, strategies as st

from asyncz import CronTrigger, InvalidInputError
from asyncz.triggers._cron_fields import parse_expression
from tests.helpers.effort import examples
from tests.helpers.times import due_times

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def shown(expression: str, count: int) -> list[str]:
    """Return the first due times of an expression."""
    return [f"{due:%m-%d %H:%M:%S}" for due in due_times(CronTrigger(expression), NOW, count)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Ranges that wrap
        ("0 0 * * FRI-SUN", ["01-02 00:00:00", "01-03 00:00:00", "01-04 00:00:00", "01-09 00:00:00"]),
        ("0 0 * * 5-1", ["01-02 00:00:00", "01-03 00:00:00", "01-04 00:00:00", "01-05 00:00:00", "01-09 00:00:00"]),
        ("0 0 * * 7-2", ["01-04 00:00:00", "01-05 00:00:00", "01-06 00:00:00", "01-11 00:00:00"]),
        ("0 0 * * MON-SUN", ["01-01 00:00:00", "01-02 00:00:00", "01-03 00:00:00"]),
        ("0 0 1 Nov-Feb *", ["01-01 00:00:00", "02-01 00:00:00", "11-01 00:00:00", "12-01 00:00:00"]),
        ("0 22-2 * * *", ["01-01 00:00:00", "01-01 01:00:00", "01-01 02:00:00", "01-01 22:00:00"]),
        ("0 22-2/2 * * *", ["01-01 00:00:00", "01-01 02:00:00", "01-01 22:00:00"]),
        ("0 23-4/3 * * *", ["01-01 02:00:00", "01-01 23:00:00"]),
        ("58-1 0 * * *", ["01-01 00:00:00", "01-01 00:01:00", "01-01 00:58:00", "01-01 00:59:00"]),
        ("0 0 30-2 * *", ["01-01 00:00:00", "01-02 00:00:00", "01-30 00:00:00", "01-31 00:00:00"]),
        # ?
        ("0 0 ? * MON", ["01-05 00:00:00", "01-12 00:00:00"]),
        ("0 0 13 * ?", ["01-13 00:00:00", "02-13 00:00:00"]),
        ("0 0 12 ? * WED", ["01-07 12:00:00", "01-14 12:00:00"]),
        # Working days: 2026-02-15 and 2026-03-01 are Sundays, 2026-08-15 is a Saturday
        ("0 0 15W * *", ["01-15 00:00:00", "02-16 00:00:00", "03-16 00:00:00", "04-15 00:00:00"]),
        ("0 0 w15 8 *", ["08-14 00:00:00"]),
        ("0 0 1W 2,3,8 *", ["02-02 00:00:00", "03-02 00:00:00", "08-03 00:00:00"]),
        ("0 0 31W 1,2,3,5 *", ["01-30 00:00:00", "03-31 00:00:00", "05-29 00:00:00"]),
        ("0 0 28W 2 *", ["02-27 00:00:00"]),
        ("0 0 LW 5 *", ["05-29 00:00:00"]),
        ("0 0 1,15W * *", ["01-01 00:00:00", "01-15 00:00:00", "02-01 00:00:00", "02-16 00:00:00"]),
        # Days before the last one
        ("0 0 L-3 * *", ["01-28 00:00:00", "02-25 00:00:00", "03-28 00:00:00", "04-27 00:00:00"]),
        ("0 0 L-30 * *", ["01-01 00:00:00", "03-01 00:00:00", "05-01 00:00:00"]),
        ("0 0 L-3W 1,2,3 *", ["01-28 00:00:00", "02-25 00:00:00", "03-27 00:00:00"]),
        # The last weekday of a month
        ("0 0 * * L5", ["01-30 00:00:00", "02-27 00:00:00"]),
        ("0 0 * * 5L", ["01-30 00:00:00", "02-27 00:00:00"]),
        ("0 0 * * friL", ["01-30 00:00:00", "02-27 00:00:00"]),
        ("0 0 * * 7L", ["01-25 00:00:00", "02-22 00:00:00"]),
        ("0 0 * * MON#1,FRI#5", ["01-05 00:00:00", "01-30 00:00:00", "02-02 00:00:00"]),
        # Day of the month and weekday: one of them, or both if one starts with * or ?
        ("0 9 13 * FRI", ["01-02 09:00:00", "01-09 09:00:00", "01-13 09:00:00", "01-16 09:00:00"]),
        ("0 9 */2 * FRI", ["01-09 09:00:00", "01-23 09:00:00", "02-13 09:00:00"]),
        ("0 9 ? * FRI", ["01-02 09:00:00", "01-09 09:00:00"]),
        # Steps
        ("5/15 0 * * *", ["01-01 00:05:00", "01-01 00:20:00", "01-01 00:35:00", "01-01 00:50:00"]),
        ("*/60 * * * *", ["01-01 00:00:00", "01-01 01:00:00"]),
        ("10-20/30 0 * * *", ["01-01 00:10:00"]),
        ("0 0 * * */7", ["01-04 00:00:00", "01-11 00:00:00"]),
    ],
)
def test_expression_is_due_as_documented(expression: str, expected: list[str]) -> None:
    assert shown(expression, len(expected)) == expected


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("term", ["*/90", "0-5/90", "5/90", "*/999999999999"])
def test_step_larger_than_field_is_rejected(number: int, term: str) -> None:
    fields = ["*"] * 5
    fields[number] = "1-5/90" if term == "0-5/90" else term
    with pytest.raises(InvalidInputError, match=r"a step of \d+ is larger than the field") as caught:
        CronTrigger(" ".join(fields))
    assert ("use IntervalTrigger(" in str(caught.value)) == (number != 3)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("*/61 * * * * *", r"IntervalTrigger\(seconds=61\)"),
        ("*/61 * * * *", r"IntervalTrigger\(minutes=61\)"),
        ("* */25 * * *", r"IntervalTrigger\(hours=25\)"),
        ("* * */32 * *", r"IntervalTrigger\(days=32\)"),
        ("* * * */13 *", "at most 12"),
        ("* * * * */8", r"IntervalTrigger\(days=8\)"),
        ("5-5/0 * * * *", "a step must be at least 1"),
        ("5/0 * * * *", "a step must be at least 1"),
        ("* 1-5/00 * * *", "a step must be at least 1"),
        ("* * * JAN-MAR/0 *", "a step must be at least 1"),
        ("* * * * 0,*/0", "a step must be at least 1"),
        ("* * L-31 * *", "'L-31' is not a valid day of the month"),
        ("* * 0W * *", "'0W' is not a valid day of the month"),
        ("* * 32W * *", "'32W' is not a valid day of the month"),
        ("* * 1-15W * *", "L and W cannot be combined"),
        ("* * L/2 * *", "L and W cannot be combined"),
        ("* * * * L", "for the last Saturday write 6L, for each Saturday SAT"),
        ("* * * * 8L", "'8L' is not a valid day of the week"),
        ("* * * * MON#0", "'MON#0' is not a valid day of the week"),
        ("? * * * *", r"\? stands alone, and only for the day"),
        ("* * ?/2 * *", r"\? stands alone, and only for the day"),
        ("H * * * *", "use jitter to spread runs"),
        ("R(1-5) * * * *", "use jitter to spread runs"),
        ("* * * * * * 2030", "a field for the year is not supported, use start_at and end_at"),
        ("@every 5m", "for a fixed interval use IntervalTrigger"),
        ("@reboot", "use DateTrigger"),
        ("*-5 * * * *", r"'\*-5' is not a valid minute"),
        ("1-2-3 * * * *", "'1-2-3' is not a valid minute"),
        ("١ * * * *", "use five fields"),  # noqa: RUF001  # a digit that is not ASCII
        ("9" * 5000 + " * * * *", "use five fields"),
        ("9" * 1000 + " * * * *", "is not a valid minute"),
        ("1," * 3000 + "1 * * * *", "use five fields"),
    ],
)
def test_expression_is_rejected_with_reason(expression: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        CronTrigger(expression)


def nearest_workday(year: int, month: int, day: int) -> date | None:
    """Return the nearest working day of a month by trying the days around it."""
    last = calendar.monthrange(year, month)[1]
    if day > last:
        return None
    wanted = date(year, month, day)
    around = [wanted + timedelta(days=distance) for distance in (0, -1, 1, -2, 2)]
    return next(each for each in around if each.month == month and each.weekday() < 5)


@pytest.mark.parametrize("year", [2024, 2026, 2100])
def test_nearest_workday_stays_in_month(year: int) -> None:
    for month, day in product(range(1, 13), range(1, 32)):
        days = parse_expression(f"0 0 {day}W * *").days
        last = calendar.monthrange(year, month)[1]
        found = [number for number in range(1, last + 1) if days.matches(date(year, month, number))]
        nearest = nearest_workday(year, month, day)
        assert found == ([] if nearest is None else [nearest.day])


@settings(deadline=None)
@given(low=st.integers(0, 23), high=st.integers(0, 23), step=st.integers(1, 24))
def test_wrapping_range_takes_steps_across_midnight(low: int, high: int, step: int) -> None:
    hours, hour = set[int](), low
    passed = 0
    while True:
        if passed % step == 0:
            hours.add(hour)
        if hour == high:
            break
        hour, passed = (hour + 1) % 24, passed + 1
    assert parse_expression(f"0 {low}-{high}/{step} * * *").hours == hours


@settings(deadline=None)
@given(low=st.integers(0, 7), high=st.integers(0, 7))
def test_weekday_range_goes_from_first_to_last(low: int, high: int) -> None:
    found = parse_expression(f"0 0 * * {low}-{high}").weekdays.numbers
    if low <= high:
        assert found == {number % 7 for number in range(low, high + 1)}
    else:
        day, expected = low % 7, {low % 7}
        while day != high:
            day = (day + 1) % 7
            expected.add(day)
        assert found == expected


@settings(deadline=None, max_examples=examples(40))
@given(st.text("0123456789*/-,L#W?HR @adhilymonfriMON\t", max_size=25) | st.text(max_size=25))
def test_any_text_is_accepted_or_rejected(text: str) -> None:
    try:
        trigger = CronTrigger(text)
    except InvalidInputError:
        return
    due = trigger.next_due_time(None, NOW)
    assert due is not None
    assert trigger == CronTrigger(trigger.expression)
