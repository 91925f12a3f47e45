"""Cron expressions in words: two expressions with the same words have the same due times."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from asyncz.exceptions import InvalidInputError
from asyncz.triggers._cron_fields import ALIASES, CronFields, DaysOfMonth, DaysOfWeek, parse_expression

_Name: TypeAlias = Callable[[int], str]

_MAX_TIMES: Final = 4
_ONLY_0: Final = frozenset({0})
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_PLACES: Final = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", -1: "last"}
_ALIAS: Final = "|".join(sorted(ALIASES, key=len, reverse=True))
_FIELD: Final = r"[0-9A-Za-z*?/,#-]+"
# As the text of a trigger has it: the expression, and then its zone.
_EXPRESSION: Final = re.compile(rf"(?<![^\s(])(?:{_ALIAS}|{_FIELD}(?: {_FIELD}){{4,5}})(?= in \S)", re.IGNORECASE)


def trigger_words(text: str) -> str:
    """Return the text of a trigger with words in place of cron expressions."""
    return _EXPRESSION.sub(lambda found: _words_of(found[0]), text)


@functools.lru_cache(maxsize=1024)
def _words_of(expression: str) -> str:
    try:
        return cron_words(parse_expression(expression))
    except InvalidInputError:
        return expression


def cron_words(fields: CronFields) -> str:
    """Return the due times of an expression in words, such as `Monday to Friday at 09:00`."""
    days = _days_words(fields)
    if len(fields.seconds) * len(fields.minutes) * len(fields.hours) <= _MAX_TIMES:
        return f"{days or 'every day'} at {_joined(_times(fields))}"
    frequency = _frequency_words(fields)
    return f"{frequency}, {days}" if days else frequency


def _times(fields: CronFields) -> Iterator[str]:
    has_seconds = fields.seconds != _ONLY_0
    for hour, minute, second in itertools.product(sorted(fields.hours), sorted(fields.minutes), sorted(fields.seconds)):
        yield f"{hour:02}:{minute:02}:{second:02}" if has_seconds else f"{hour:02}:{minute:02}"


def _frequency_words(fields: CronFields) -> str:
    """Return the times of a day in words, the smallest unit first."""
    hours = _series(fields.hours, range(24), "hour")
    if fields.seconds == _ONLY_0 and fields.minutes == _ONLY_0 and hours.startswith("every "):
        return hours
    parts: list[str] = []
    if fields.seconds != _ONLY_0:
        parts.append(_series(fields.seconds, range(60), "second"))
    if len(fields.minutes) < 60 or not parts:
        parts.append(_series(fields.minutes, range(60), "minute"))
    # "every 15 minutes of every hour" says no more than its first half.
    if len(fields.hours) < 24 or not parts[-1].startswith("every "):
        parts.append(hours)
    words = " of ".join(parts)
    return words if words.startswith("every ") else f"at {words}"


def _series(numbers: Collection[int], all_numbers: range, unit: str) -> str:
    """Return numbers in words: `every minute`, `every 15 minutes`, `minute 5`, or `minutes 0 to 10 and 30`."""
    ordered = sorted(numbers)
    step = ordered[1] - ordered[0] if len(ordered) > 1 else 0
    if len(ordered) == len(all_numbers):
        return f"every {unit}"
    # Only if the distance is the same over the end of the hour or day.
    if step > 1 and ordered == list(all_numbers[ordered[0] % step :: step]) and len(all_numbers) % step == 0:
        start = f" from {unit} {ordered[0]}" if ordered[0] else ""
        return f"every {step} {unit}s{start}"
    plural = "" if len(ordered) == 1 else "s"
    return f"{unit}{plural} {_listed(ordered, str)}"


def _days_words(fields: CronFields) -> str:
    """Return the days in words; empty for every day."""
    months = "" if len(fields.months) == 12 else _listed(sorted(fields.months), _month_name)
    every_day, every_weekday = len(fields.days.numbers) == 31, len(fields.weekdays.numbers) == 7
    if fields.days_must_match_both:
        of_month = "" if every_day else _days_of_month_words(fields.days)
        of_week = "" if every_weekday else _weekday_words(fields.weekdays)
        days = f"{of_week}, if that is {of_month}" if of_week and of_month else of_week or of_month
    elif every_day or every_weekday:
        days = ""
    else:
        days = f"{_days_of_month_words(fields.days)} or {_weekday_words(fields.weekdays)}"
    if not months:
        return days
    return f"{days} in {months}" if days else f"every day in {months}"


def _days_of_month_words(days: DaysOfMonth) -> str:
    parts: list[str] = []
    if days.numbers:
        plural = "" if len(days.numbers) == 1 else "s"
        parts.append(f"day{plural} {_listed(sorted(days.numbers), str)} of the month")
    parts += [_from_last(each, "day") for each in sorted(days.from_last)]
    parts += [f"the workday nearest to day {each}" for each in sorted(days.nearest)]
    parts += [
        f"the workday nearest to {_from_last(each, 'day')}" if each else "the last workday of the month"
        for each in sorted(days.nearest_from_last)
    ]
    return _joined(parts)


def _from_last(distance: int, unit: str) -> str:
    if not distance:
        return f"the last {unit} of the month"
    return f"{distance} {unit}{'' if distance == 1 else 's'} before the end of the month"


def _weekday_words(days: DaysOfWeek) -> str:
    # 0 is Sunday in an expression, and the last day of a week in words.
    numbers = sorted((number - 1) % 7 for number in days.numbers)
    named = list(_ranges(numbers, _weekday_name))
    nth = sorted(((number - 1) % 7, place) for number, place in days.nth)
    return _joined([*named, *(f"the {_PLACES[place]} {_WEEKDAYS[number]} of the month" for number, place in nth)])


def _weekday_name(number: int) -> str:
    return _WEEKDAYS[number]


def _month_name(number: int) -> str:
    return _MONTHS[number - 1]


def _listed(numbers: Sequence[int], name: _Name) -> str:
    """Return the names of ascending numbers; of many at the same distance, the first two and the last one."""
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    if len(numbers) > _MAX_TIMES and len(steps) == 1 and steps != {1}:
        return f"{name(numbers[0])}, {name(numbers[1])} … {name(numbers[-1])}"
    return _joined(_ranges(numbers, name))


def _ranges(numbers: Sequence[int], name: _Name) -> Iterator[str]:
    """Yield names of ascending numbers, at least three successive ones as a range."""
    for _, group in itertools.groupby(enumerate(numbers), lambda entry: entry[1] - entry[0]):
        found = [number for _, number in group]
        if len(found) > 2:
            yield f"{name(found[0])} to {name(found[-1])}"
        else:
            yield from map(name, found)


def _joined(parts: Iterable[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last
