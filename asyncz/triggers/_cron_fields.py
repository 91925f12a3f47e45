"""Parser of the cron dialect of asyncz: from an expression to the numbers that each field matches."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import attrs

from asyncz.exceptions import InvalidInputError

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LONGEST_EXPRESSION = 2000

_FORM = (
    "use five fields (minute, hour, day of the month, month, day of the week), six with the second before them, or one"
    f" of {', '.join(ALIASES)}"
)
_COMMON = "*, ranges such as 1-5, steps such as */2, and lists of these with commas"
_WEEKDAYS = {"SUN": 0, "MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6}
_MONTHS = {
    "JAN": 1,
    "FEB": 2,
    "MAR": 3,
    "APR": 4,
    "MAY": 5,
    "JUN": 6,
    "JUL": 7,
    "AUG": 8,
    "SEP": 9,
    "OCT": 10,
    "NOV": 11,
    "DEC": 12,
}
# A range, a number or `*`, each with an optional step.
_TERM = re.compile(r"(?:(\*)|([0-9]{1,9}|[A-Z]+)(?:-([0-9]{1,9}|[A-Z]+))?)(?:/([0-9]{1,18}))?")
_FROM_LAST_DAY = re.compile(r"L(?:-([0-9]{1,2}))?(W)?")
_NEAREST_WORKDAY = re.compile(r"([0-9]{1,2})W|W([0-9]{1,2})")
_NTH_WEEKDAY = re.compile(r"([0-9]|[A-Z]{3})#([1-5])")
_LAST_WEEKDAY = re.compile(r"([0-9]|[A-Z]{3})L|L([0-9]|[A-Z]{3})")
_LAST = -1


@attrs.frozen
class _Field:
    """Definition of a field.

    Attributes:
        name: Its name in messages.
        first: The smallest number.
        last: The largest number.
        size: How many different values there are, which is the largest step.
        allowed: The allowed values in messages.
        unit: The option of `IntervalTrigger` for larger steps.
        names: Names of numbers.
    """

    name: str
    first: int
    last: int
    size: int
    allowed: str
    unit: str
    names: Mapping[str, int] = attrs.field(factory=dict[str, int])

    def number(self, text: str) -> int:
        """Return the number of a value.

        Raises:
            ValueError: The value is not allowed in this field.
        """
        number = self.names[text] if text in self.names else int(text)
        if not self.first <= number <= self.last:
            raise ValueError(text)
        return number

    def span(self, low: int, high: int) -> Sequence[int]:
        """Return the numbers of a range; one that wraps continues from the smallest number."""
        if low <= high:
            return range(low, high + 1)
        if self.size < len(range(self.first, self.last + 1)):
            # 7 is Sunday, as 0 is.
            return range(high + 1) if low == self.last else [*range(low, self.last), *range(high + 1)]
        return [*range(low, self.last + 1), *range(self.first, high + 1)]


_SECOND = _Field("second", 0, 59, 60, "0 to 59", "seconds")
_MINUTE = _Field("minute", 0, 59, 60, "0 to 59", "minutes")
_HOUR = _Field("hour", 0, 23, 24, "0 to 23", "hours")
_DAY = _Field(
    "day of the month",
    1,
    31,
    31,
    "1 to 31, L for the last day, L-3 for three days before it, LW for the last day from Monday to Friday, 15W for the"
    " one nearest to the 15th, ?",
    "days",
)
_MONTH = _Field("month", 1, 12, 12, "1 to 12 or JAN to DEC", "", _MONTHS)
_WEEKDAY = _Field(
    "day of the week",
    0,
    7,
    7,
    "0 to 7 (0 and 7 are Sunday) or SUN to SAT, MON#2 for the second Monday of a month, 5L or FRIL for the last Friday,"
    " ?",
    "days",
    _WEEKDAYS,
)


@attrs.frozen
class DaysOfMonth:
    """Days of a month that a field matches.

    Attributes:
        numbers: Days by their number.
        from_last: Days by their distance to the last day.
        nearest: The working days nearest to these days.
        nearest_from_last: The same for days by their distance to the last day.
    """

    numbers: frozenset[int]
    from_last: frozenset[int] = frozenset()
    nearest: frozenset[int] = frozenset()
    nearest_from_last: frozenset[int] = frozenset()

    def matches(self, day: date) -> bool:
        """Return True if the field matches a day."""
        if day.day in self.numbers:
            return True
        if not (self.from_last or self.nearest or self.nearest_from_last):
            return False
        last = monthrange(day.year, day.month)[1]
        if last - day.day in self.from_last:
            return True
        if day.weekday() > 4:
            return False
        wanted = {*self.nearest, *(last - distance for distance in self.nearest_from_last)}
        return any(day.day == _nearest_workday(day, each, last) for each in wanted if 1 <= each <= last)


@attrs.frozen
class DaysOfWeek:
    """Days of the week that a field matches; 0 is Sunday.

    Attributes:
        numbers: Days by their number.
        nth: Days by their number and their place in the month, -1 for the last one.
    """

    numbers: frozenset[int]
    nth: frozenset[tuple[int, int]] = frozenset()

    def matches(self, day: date) -> bool:
        """Return True if the field matches a day."""
        number = day.isoweekday() % 7
        if number in self.numbers or (number, (day.day + 6) // 7) in self.nth:
            return True
        return (number, _LAST) in self.nth and day.day + 7 > monthrange(day.year, day.month)[1]


@attrs.frozen
class CronFields:
    """A parsed cron expression.

    Attributes:
        days_must_match_both: A day has to match the day of the month and the day of the week; else one of them.
    """

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: DaysOfMonth
    months: frozenset[int]
    weekdays: DaysOfWeek
    days_must_match_both: bool

    def matches_day(self, day: date) -> bool:
        """Return True if a day is due, if its month is."""
        if self.days_must_match_both:
            return self.days.matches(day) and self.weekdays.matches(day)
        return self.days.matches(day) or self.weekdays.matches(day)


def parse_expression(expression: str) -> CronFields:
    """Parse a cron expression with single spaces.

    Raises:
        InvalidInputError: A field is not valid.
    """
    fields = ALIASES.get(expression.lower(), expression).upper().split()
    if not expression.isascii() or len(expression) > LONGEST_EXPRESSION or len(fields) not in {5, 6}:
        raise InvalidInputError("expression", repr(expression[:LONGEST_EXPRESSION]), _FORM + _hint_for(expression))
    second, minute, hour, day, month, weekday = ["0", *fields][-6:]
    try:
        return CronFields(
            seconds=_numbers(_SECOND, second),
            minutes=_numbers(_MINUTE, minute),
            hours=_numbers(_HOUR, hour),
            days=_days_of_month(day),
            months=_numbers(_MONTH, month),
            weekdays=_days_of_week(weekday),
            days_must_match_both=day[0] in "*?" or weekday[0] in "*?",
        )
    except _FieldError as error:
        raise InvalidInputError("expression", repr(expression), error.problem) from None


class _FieldError(ValueError):
    """A field is not valid."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def _hint_for(expression: str) -> str:
    if expression.lower() == "@reboot":
        return "; to run at the start of the program use DateTrigger()"
    if expression.lower().startswith("@every"):
        return "; for a fixed interval use IntervalTrigger"
    if len(expression.split()) == 7:
        return "; a field for the year is not supported, use start_at and end_at"
    return ""


def _numbers(field: _Field, text: str) -> frozenset[int]:
    return frozenset(number for term in text.split(",") for number in _term(field, term, text))


def _term(field: _Field, term: str, text: str) -> Iterable[int]:
    """Return the numbers of one item of a list."""
    match = _TERM.fullmatch(term)
    if match is None:
        raise _invalid(field, text, term)
    star, low, high, step = match.groups()
    try:
        first = field.first if star else field.number(low)
        last = field.number(high) if high else field.last if star or step else first
    except ValueError:
        raise _invalid(field, text, term) from None
    return field.span(first, last)[:: _step(field, text, step)]


def _step(field: _Field, text: str, step: str | None) -> int:
    if step is None:
        return 1
    number = int(step)
    if number == 0:
        raise _FieldError(f"{text!r} is not a valid {field.name}: a step must be at least 1")
    if number > field.size:
        hint = f"; for a fixed interval use IntervalTrigger({field.unit}={number})" if field.unit else ""
        raise _FieldError(
            f"{text!r} is not a valid {field.name}: a step of {number} is larger than the field, whose steps are at"
            f" most {field.size}{hint}"
        )
    return number


def _days_of_month(text: str) -> DaysOfMonth:
    if text == "?":
        return DaysOfMonth(frozenset(range(1, 32)))
    numbers, from_last, nearest, nearest_from_last = set[int](), set[int](), set[int](), set[int]()
    for term in text.split(","):
        if match := _FROM_LAST_DAY.fullmatch(term):
            distance = int(match[1] or 0)
            if distance > 30:
                raise _invalid(_DAY, text, term)
            (nearest_from_last if match[2] else from_last).add(distance)
        elif match := _NEAREST_WORKDAY.fullmatch(term):
            day = int(match[1] or match[2])
            if not 1 <= day <= 31:
                raise _invalid(_DAY, text, term)
            nearest.add(day)
        else:
            numbers.update(_term(_DAY, term, text))
    return DaysOfMonth(frozenset(numbers), frozenset(from_last), frozenset(nearest), frozenset(nearest_from_last))


def _days_of_week(text: str) -> DaysOfWeek:
    if text == "?":
        return DaysOfWeek(frozenset(range(7)))
    numbers, nth = set[int](), set[tuple[int, int]]()
    for term in text.split(","):
        place = 0
        if match := _NTH_WEEKDAY.fullmatch(term):
            place = int(match[2])
        elif match := _LAST_WEEKDAY.fullmatch(term):
            place = _LAST
        if match is None:
            numbers.update(number % 7 for number in _term(_WEEKDAY, term, text))
            continue
        try:
            nth.add((_WEEKDAY.number(match[1] or match[2]) % 7, place))
        except ValueError:
            raise _invalid(_WEEKDAY, text, term) from None
    return DaysOfWeek(frozenset(numbers), frozenset(nth))


def _invalid(field: _Field, text: str, term: str) -> _FieldError:
    hint = ""
    if "?" in term:
        hint = "; ? stands alone, and only for the day of the month or of the week"
    elif term == "L" and field is _WEEKDAY:
        hint = "; for the last Saturday write 6L, for each Saturday SAT"
    elif term[:1] in {"H", "R"} and (len(term) == 1 or not term[1].isalpha()):
        hint = "; random and hashed values are not supported, use jitter to spread runs"
    elif "L" in term or "W" in term:
        hint = "; L and W cannot be combined with a range or a step"
    return _FieldError(f"{text!r} is not a valid {field.name}: use {field.allowed}, {_COMMON}{hint}")


def _nearest_workday(day: date, wanted: int, last: int) -> int:
    """Return the day from Monday to Friday of the same month that is nearest to a day of the month."""
    weekday = (day.weekday() + wanted - day.day) % 7
    if weekday == 5:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == 6:
        return wanted + 1 if wanted < last else wanted - 2
    return wanted
