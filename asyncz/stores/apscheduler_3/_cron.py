"""Cron triggers of APScheduler 3 as cron expressions.

The fields are taken by their values, not by their text: weekdays count from Monday there, and from Sunday in an
expression; `day` and `day_of_week` must both match there, and in an expression one of both is enough.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs

_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_POSITIONS = ("1st", "2nd", "3rd", "4th", "5th", "last")
_LAST_YEAR = 9999
RANGES: Mapping[str, tuple[int, int]] = {
    "year": (1970, _LAST_YEAR),
    "month": (1, 12),
    "day": (1, 31),
    "week": (1, 53),
    "day_of_week": (0, 6),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}
"""First and last value of each field."""


class UntranslatableError(Exception):
    """A part of a job has no counterpart; the text says which."""


@attrs.frozen
class Expression:
    """An expression of a field.

    Attributes:
        kind: Name of its class.
        values: Values that it matches; empty for positions in the month.
        position: Text in a cron expression, such as `L` or `MON#2`; empty for values.
    """

    kind: str
    values: frozenset[int] = frozenset()
    position: str = ""


@attrs.frozen
class CronParts:
    """A cron trigger.

    Attributes:
        expressions: Cron expressions, all of which must match.
        first_year: First year; None if there is no limit.
        last_year: Last year; None if there is no limit.
    """

    expressions: tuple[str, ...]
    first_year: int | None
    last_year: int | None


def expression_of(field: str, kind: str, state: Mapping[str, object]) -> Expression:
    """Return an expression of a field, by the name of its class and its attributes.

    Raises:
        UntranslatableError: There is no such expression.
    """
    low, high = RANGES[field]
    step = _number(state.get("step"), 1)
    if step < 1:
        raise UntranslatableError(f"the field {field} has the step {step}")
    match kind:
        case "AllExpression":
            return Expression(kind, frozenset(range(low, high + 1, step)))
        case "RangeExpression" | "MonthRangeExpression" | "WeekdayRangeExpression":
            first = _number(state.get("first"), low)
            last = _number(state.get("last"), high if kind == "RangeExpression" else first)
            return Expression(kind, frozenset(range(first, min(last, high) + 1, step)))
        case "LastDayOfMonthExpression":
            return Expression(kind, position="L")
        case "WeekdayPositionExpression":
            option, weekday = _number(state.get("option_num"), -1), _number(state.get("weekday"), -1)
            if not (0 <= option < len(_POSITIONS) and 0 <= weekday < len(_DAYS)):
                raise UntranslatableError(f"the field {field} has an unknown position in the month")
            day = _DAYS[weekday]
            return Expression(kind, position=f"{day}L" if option == len(_POSITIONS) - 1 else f"{day}#{option + 1}")
        case _:
            raise UntranslatableError(f"the field {field} has an expression of the unknown class {kind}")


def _number(value: object, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= _LAST_YEAR:
        raise UntranslatableError(f"a cron field has the value {value!r}")
    return value


def cron_parts(fields: Mapping[str, Sequence[Expression]]) -> CronParts:
    """Return the fields of a trigger as cron expressions.

    Raises:
        UntranslatableError: Fields have no counterpart.
    """
    values = {name: frozenset[int]().union(*(each.values for each in found)) for name, found in fields.items()}
    if not _is_whole("week", values["week"]):
        raise UntranslatableError("cron expressions have no week of the year")
    times = f"{_list(values['minute'], 'minute')} {_list(values['hour'], 'hour')}"
    if values["second"] != frozenset({0}):
        times = f"{_list(values['second'], 'second')} {times}"
    month, weekday = _list(values["month"], "month"), _weekdays(values["day_of_week"])
    days = _day_texts(fields["day"], values["day"])
    if len(days) > 1:
        raise UntranslatableError("the field day mixes days and weekdays of the month")
    # Days and weekdays must both match: an expression alone would be due if one of them does.
    wanted = [*days, *([("*", weekday)] if weekday != "*" else [])] or [("*", "*")]
    expressions = tuple(f"{times} {day} {month} {of_week}" for day, of_week in wanted)
    return CronParts(expressions, *_years(values["year"]))


def _day_texts(found: Sequence[Expression], values: frozenset[int]) -> list[tuple[str, str]]:
    """Return pairs of day of the month and day of the week for the field `day`; none if each day matches."""
    days = [_list(values, "day")] if values else []
    if days == ["*"]:
        return []
    days += [each.position for each in found if each.position == "L"]
    places = [each.position for each in found if each.position not in {"", "L"}]
    texts = [(",".join(days), "*")] if days else []
    return texts + ([("*", ",".join(places))] if places else [])


def _is_whole(field: str, values: frozenset[int]) -> bool:
    low, high = RANGES[field]
    return len(values) == high - low + 1


def _list(values: frozenset[int], field: str) -> str:
    """Return values as a list of numbers and ranges."""
    if not values:
        raise UntranslatableError(f"the field {field} is never due")
    if _is_whole(field, values):
        return "*"
    ordered = sorted(values)
    low, high = RANGES[field]
    step = ordered[1] - ordered[0] if len(ordered) > 2 else 0
    if step > 1 and ordered == list(range(low, high + 1, step)):
        return f"*/{step}" if field != "day" else f"{low}-{high}/{step}"
    return ",".join(_ranges(ordered))


def _ranges(ordered: Sequence[int]) -> list[str]:
    texts: list[str] = []
    start = previous = ordered[0]
    for value in [*ordered[1:], None]:
        if value is not None and value == previous + 1:
            previous = value
            continue
        texts.append(f"{start}" if start == previous else f"{start}-{previous}")
        if value is not None:
            start = previous = value
    return texts


def _weekdays(values: frozenset[int]) -> str:
    if not values:
        raise UntranslatableError("the field day_of_week is never due")
    if _is_whole("day_of_week", values):
        return "*"
    names = [re.sub(r"\d", lambda found: _DAYS[int(found[0])], text) for text in _ranges(sorted(values))]
    return ",".join(names)


def _years(values: frozenset[int]) -> tuple[int | None, int | None]:
    if not values:
        raise UntranslatableError("the field year is never due")
    first, last = min(values), max(values)
    if len(values) != last - first + 1:
        raise UntranslatableError("cron expressions have no years, and these are not a range")
    low, high = RANGES["year"]
    return None if first == low else first, None if last == high else last
