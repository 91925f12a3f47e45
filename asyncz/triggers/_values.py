"""What the triggers of asyncz have in common: they are values, and put off what is due at random."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Self

from typing_extensions import override

from asyncz._checks import check_seconds
from asyncz.exceptions import InvalidInputError
from asyncz.triggers._times import text_of
from asyncz.triggers.base import BaseTrigger

_MICROSECOND = timedelta(microseconds=1)
_LAST = datetime.max.replace(tzinfo=UTC)


class ValueTrigger(BaseTrigger):
    """A trigger that is nothing but its options: equal to another one of the same, and made again from them."""

    __slots__ = ()

    @property
    def options(self) -> Mapping[str, object]:
        """The keyword arguments that make an equal trigger, without those that have their default."""
        return {name: value for name, value in self._all_options().items() if value}

    def _all_options(self) -> Mapping[str, object]:
        """All of them; each default is something empty."""
        raise NotImplementedError

    @override
    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, ValueTrigger):
            return NotImplemented
        return self.options == other.options

    @override
    def __hash__(self) -> int:
        return hash((type(self), *self.options.items()))

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.options.items())})"


class JitteredTrigger(ValueTrigger):
    """A trigger that can put off what is due, each time by another random time.

    The random times are not remembered but computed anew, from the due time and a number that `started` draws: asked
    twice, a trigger answers the same, and no delay adds to the one before. A due time is put off no further than the
    next one, and not over the end.
    """

    __slots__ = ("_jitter", "_seed")

    def __init__(self, jitter: float) -> None:
        check_seconds("jitter", jitter)
        if jitter > timedelta.max.total_seconds():
            raise InvalidInputError("jitter", repr(jitter), "so many seconds are more than a datetime can count")
        self._jitter = timedelta(seconds=jitter)
        self._seed = 0

    @property
    def jitter(self) -> float:
        """Each due time is put off by a random time of up to so many seconds."""
        return self._jitter.total_seconds()

    def started(self, now: datetime, /) -> Self:
        """The same trigger for a task that is added now; with jitter it draws random times of its own.

        A scheduler calls it. May be called from any thread.

        Args:
            now: The present time, UTC.
        """
        started = self._copied()
        if self._jitter:
            import random

            started._seed = random.getrandbits(64)
        started._start_counting(now)
        return started

    def _copied(self) -> Self:
        """What `copy.copy` gives, at a tenth of its cost: each recurring task has a copy of its own."""
        if hasattr(self, "__dict__"):
            return copy.copy(self)
        copied = type(self).__new__(type(self))
        for each in type(self).__mro__:
            for name in each.__dict__.get("__slots__", ()):
                setattr(copied, name, getattr(self, name))
        return copied

    def _start_counting(self, now: datetime) -> None:
        """Note the present time, where it is what due times are counted from; on a copy, as triggers never change."""

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """The first due time after `previous`, or the very first one; None if there is none any more."""
        return self._jittered(previous, now) if self._jitter else self._planned_time(previous, now)

    def _planned_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """The same without jitter."""
        raise NotImplementedError

    @property
    def _latest(self) -> datetime | None:
        """When nothing may be due any more, jitter or not."""
        return None

    @property
    def _text_of_rest(self) -> str:
        until = "" if self._latest is None else f" until {text_of(self._latest)}"
        return until + (f", up to {self.jitter:g} s later" if self._jitter else "")

    def _jittered(self, previous: datetime | None, now: datetime) -> datetime | None:
        planned = self._planned_time(None, now) if previous is None else self._planned_around(previous, now)
        while planned is not None:
            following = self._planned_time(planned, now)
            due = planned + self._delay(planned, following)
            if previous is None or due > previous:
                return due
            planned = following
        return None

    def _planned_around(self, previous: datetime, now: datetime) -> datetime | None:
        """The last planned time up to `previous`, which may still be put off beyond it, or else the first after it."""
        planned = self._planned_time(previous - self._jitter - _MICROSECOND, now)
        while planned is not None and planned < previous:
            following = self._planned_time(planned, now)
            if following is None or following > previous:
                return planned
            later = self._planned_time(following + (previous - following) / 2, now)
            planned = following if later is None or later > previous else later
        return planned

    def _delay(self, planned: datetime, following: datetime | None) -> timedelta:
        import hashlib

        longest = min(self._jitter, _LAST - planned)
        if following is not None:
            longest = min(longest, following - planned)
        if self._latest is not None:
            longest = min(longest, self._latest - planned + _MICROSECOND)
        random_bits = hashlib.blake2b(f"{self._seed} {planned.isoformat()}".encode(), digest_size=8).digest()
        return _MICROSECOND * (longest // _MICROSECOND * int.from_bytes(random_bits) >> 64)
