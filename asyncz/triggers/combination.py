"""Triggers made of triggers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from typing_extensions import override

from asyncz._checks import check_iterable
from asyncz.exceptions import InvalidInputError, NeverDueError
from asyncz.plugins import is_trigger
from asyncz.protocols import Trigger
from asyncz.triggers._times import text_of
from asyncz.triggers._values import JitteredTrigger
from asyncz.triggers.base import start_trigger

# So many times the triggers are compared before it is concluded that they have no due time in common.
_COMPARISONS = 1000
# And no longer than so many seconds, as each answer of a trigger may be the outcome of such a search itself.
_PATIENCE = 2.0
_MICROSECOND = timedelta(microseconds=1)


class _Combination(JitteredTrigger):
    __slots__ = ("_triggers",)

    def __init__(self, triggers: Iterable[Trigger], *, jitter: float = 0.0) -> None:
        super().__init__(jitter)
        check_iterable("triggers", triggers)
        self._triggers = tuple(triggers)
        if not self._triggers:
            raise InvalidInputError("triggers", repr(triggers), "at least one trigger is needed")
        for trigger in self._triggers:
            _check_trigger(trigger)

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """What it is made of."""
        return self._triggers

    @override
    def _all_options(self) -> Mapping[str, object]:
        return {"triggers": self._triggers, "jitter": self.jitter}

    @override
    def _start_counting(self, now: datetime) -> None:
        self._triggers = tuple(start_trigger(trigger, now) for trigger in self._triggers)

    def _joined(self, word: str) -> str:
        texts = (
            f"({trigger})" if isinstance(trigger, _Combination) and len(self._triggers) > 1 else f"{trigger}"
            for trigger in self._triggers
        )
        return word.join(texts) + self._text_of_rest


class AndTrigger(_Combination):
    """Due when all of its triggers are due, at the very same time; `a & b` is one.

    Args:
        triggers: What it is made of, at least one. Jitter of theirs would keep them from meeting, and is rejected.
        jitter: Each due time is put off by a random time of up to so many seconds.

    Raises:
        InvalidInputError: There is no trigger, one is none, or one has jitter.

    Example:
        >>> str(CronTrigger("0 12 * * FRI") & CronTrigger("0 12 13 * *"))
        '0 12 * * FRI in UTC and 0 12 13 * * in UTC'
    """

    __slots__ = ()

    def __init__(self, triggers: Iterable[Trigger], *, jitter: float = 0.0) -> None:
        super().__init__(triggers, jitter=jitter)
        for trigger in self._triggers:
            if _is_jittered(trigger):
                raise InvalidInputError(
                    "triggers", repr(trigger), "it has jitter, and would not meet the others; give that to AndTrigger"
                )

    @override
    def _planned_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """The first time after `previous` at which all are due.

        Raises:
            NeverDueError: None was found, though none of the triggers has an end so far.
        """
        latest = first = _latest(trigger.next_due_time(previous, now) for trigger in self._triggers)
        abandon_at = time.perf_counter() + _PATIENCE
        for _ in range(_COMPARISONS):
            if latest is None:
                return None
            before, latest = latest, _latest(self._due_from(latest, now))
            if latest == before:
                return latest
            if time.perf_counter() > abandon_at:
                break
        texts = tuple(f"{trigger}" for trigger in self._triggers)
        raise NeverDueError(texts, *(text_of(moment or now) for moment in (previous or first, latest)))

    def _due_from(self, moment: datetime, now: datetime) -> Iterable[datetime | None]:
        return (trigger.next_due_time(moment - _MICROSECOND, now) for trigger in self._triggers)

    @override
    def __str__(self) -> str:
        return self._joined(" and ")


class OrTrigger(_Combination):
    """Due when any of its triggers is due; once where several are due at the same time. `a | b` is one.

    Args:
        triggers: What it is made of, at least one.
        jitter: Each due time is put off by a random time of up to so many seconds, beside the jitter of its triggers.

    Raises:
        InvalidInputError: There is no trigger, or one is none.

    Example:
        >>> str(CronTrigger("@daily") | IntervalTrigger(hours=5))
        '@daily in UTC or every 5 hours'
    """

    __slots__ = ()

    @override
    def _planned_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        due = [trigger.next_due_time(previous, now) for trigger in self._triggers]
        return min((each.astimezone(UTC) for each in due if each is not None), default=None)

    @override
    def __str__(self) -> str:
        return self._joined(" or ")


def _check_trigger(value: object) -> None:
    if not is_trigger(value):
        raise InvalidInputError("triggers", repr(value), "each must be a trigger, with a next_due_time")


def _latest(times: Iterable[datetime | None]) -> datetime | None:
    latest: datetime | None = None
    for moment in times:
        if moment is None:
            return None
        latest = moment if latest is None or moment > latest else latest
    return None if latest is None else latest.astimezone(UTC)


def _is_jittered(trigger: Trigger) -> bool:
    if isinstance(trigger, _Combination) and any(map(_is_jittered, trigger.triggers)):
        return True
    return isinstance(trigger, JitteredTrigger) and trigger.jitter > 0
