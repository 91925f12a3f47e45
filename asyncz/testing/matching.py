"""Comparison of events by value, for assertions: events themselves are equal only if they are the same object."""

from __future__ import annotations

import attrs
from typing_extensions import override

from asyncz.events import Event


class EventMatcher:
    """Object that is equal to every event with the same values; made by `matches`."""

    __slots__ = ("_expected",)

    def __init__(self, expected: Event) -> None:
        self._expected = expected

    @override
    def __repr__(self) -> str:
        return f"matches({self._expected!r})"

    @override
    def __eq__(self, other: object, /) -> bool:
        fields: tuple[attrs.Attribute[object], ...] = attrs.fields(type(self._expected))
        return type(other) is type(self._expected) and all(self._agrees(other, field) for field in fields)

    def _agrees(self, event: object, field: attrs.Attribute[object]) -> bool:
        """Compare one attribute."""
        expected: object = getattr(self._expected, field.name)
        found: object = getattr(event, field.name)
        if isinstance(expected, BaseException):
            return type(found) is type(expected) and found.args == expected.args
        is_default = field.default is not attrs.NOTHING and expected == field.default
        return is_default or found == expected


def matches(expected: Event, /) -> EventMatcher:
    """Return an object that is equal to an event with the same class and values.

    Attributes that have a default, such as `details`, count only if `expected` gives another value. Exceptions are
    compared by class and arguments. Use `unittest.mock.ANY` for a value that may be anything.

    Example:
        >>> assert events == [matches(TaskExecuted("fetch", 3)), matches(TaskError("fetch", ValueError("no number")))]
    """
    return EventMatcher(expected)
