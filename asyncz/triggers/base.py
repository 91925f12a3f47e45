"""Base classes of triggers, and the triggers that combine others."""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Self

from typing_extensions import override

from asyncz._checks import check_iterable, check_seconds, is_aware, shown
from asyncz._constructors import explain_misuse
from asyncz._safe_logging import SafeLogger
from asyncz._unsafe import as_catching_up, as_starting
from asyncz.exceptions import InvalidInputError, NeverDueError
from asyncz.plugins import is_trigger
from asyncz.protocols import Trigger
from asyncz.triggers._progressions import Progression
from asyncz.triggers._timezones import minus, text_of

logger: SafeLogger = SafeLogger("asyncz.scheduler")

_MICROSECOND = timedelta(microseconds=1)
_LAST = datetime.max.replace(tzinfo=UTC)
# A bisection over all the microseconds of 9,999 years takes 59 steps.
_MAX_BISECTIONS = 64
_FIRST_STEP = timedelta(seconds=1)
# Limits of the search for a common due time: rounds in which each trigger is asked once, and seconds, because
# a trigger may need long for an answer.
_MAX_ROUNDS = 10_000
_SEARCH_TIMEOUT = 2.0


def start_trigger(trigger: Trigger, now: datetime) -> Trigger:
    """Return a trigger as it is for a task that is added at `now`, UTC; most are the same for every task."""
    starting = as_starting(trigger)
    return trigger if starting is None else starting.started(now)


def latest_due_time(trigger: Trigger, previous: datetime, now: datetime) -> datetime | None:
    """Return the last due time of any trigger up to `now` that is later than `previous`; None if none follows.

    A trigger that implements `SupportsCatchUp` is asked directly, any other one by bisection.
    """
    catching_up = as_catching_up(trigger)
    if catching_up is not None:
        return catching_up.latest_due_time(previous, now)
    return _latest_by_bisection(trigger.next_due_time, previous, now)


class BaseTrigger(ABC):
    """Base class of triggers that can be combined by `&` and `|`.

    A custom trigger does not need this base class: the operators work if one side has it, and `AndTrigger` and
    `OrTrigger` accept any trigger. `asyncz.testing.TriggerConformance` verifies a custom trigger.

    Example:
        >>> class FullHours(BaseTrigger):
        ...     def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime:
        ...         return (previous or now).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        >>> FullHours() & CronTrigger("* * * * MON-FRI")
    """

    __slots__ = ()

    @abstractmethod
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """Return the first due time after `previous`, or the first one of all; see `Trigger`."""

    def __and__(self, other: Trigger) -> AndTrigger:
        return _both(self, other)

    def __rand__(self, other: Trigger) -> AndTrigger:
        return _both(other, self)

    def __or__(self, other: Trigger) -> OrTrigger:
        return _either(self, other)

    def __ror__(self, other: Trigger) -> OrTrigger:
        return _either(other, self)


class ValueTrigger(BaseTrigger):
    """Base class of triggers that are values: equal if their options are equal."""

    __slots__ = ()

    @property
    def options(self) -> Mapping[str, object]:
        """The keyword arguments that make an equal trigger, without those that have their default value."""
        return {name: value for name, value in self._all_options().items() if value}

    @abstractmethod
    def _all_options(self) -> Mapping[str, object]:
        """Return all keyword arguments; each default value is falsy."""

    @property
    def _progression(self) -> Progression | None:
        """The due times as a progression, if they are one."""
        return None

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


_NO_JITTER = timedelta(0)


class JitteredTrigger(ValueTrigger):
    """Base class of triggers that can delay each due time by a random time.

    Delays are not stored. Each delay is computed from its due time and a random seed, which `started` draws, so a
    trigger is stateless and delays do not add up. A delayed due time stays before the next one and within the end.

    Subclasses compute the *planned* times, which are the due times without jitter.
    """

    __slots__ = ("_jitter", "_seed")

    def __init__(self, jitter: float) -> None:
        check_seconds("jitter", jitter)
        try:
            # One object for all triggers without jitter: a scheduler may have a million of them.
            self._jitter = timedelta(seconds=jitter) if jitter else _NO_JITTER
        except OverflowError:
            raise InvalidInputError(
                "jitter", shown(jitter), f"it must be at most {timedelta.max.days} days, given in seconds"
            ) from None
        self._seed = 0

    @property
    def jitter(self) -> float:
        """The maximum random delay of each due time, in seconds."""
        return self._jitter.total_seconds()

    def started(self, now: datetime, /) -> Self:
        """Return a copy of the trigger for a task that is added now, with random delays of its own.

        Schedulers call this. Thread-safe.

        Args:
            now: The current time, UTC.
        """
        started = self._copied()
        if self._jitter:
            import random

            started._seed = random.getrandbits(64)
        started._start_counting(now)
        return started

    def _copied(self) -> Self:
        """Return a copy. `copy.copy` takes ten times as long, and each task gets a copy."""
        if hasattr(self, "__dict__"):
            return copy.copy(self)
        copied = type(self).__new__(type(self))
        for each in type(self).__mro__:
            for name in each.__dict__.get("__slots__", ()):
                setattr(copied, name, getattr(self, name))
        return copied

    def _start_counting(self, now: datetime) -> None:
        """Set the start that due times are counted from; called on a new copy, because triggers never change."""

    @override
    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """Return the first due time after `previous`, or the first one of all; None if none follows."""
        return self._jittered(previous, now) if self._jitter else self._planned_time(previous, now)

    def latest_due_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        """Return the last due time up to `now` that is later than `previous`; None if none follows."""
        if not self._jitter:
            return self._latest_planned_time(previous, now)
        # The delayed time of the last planned time may lie after `now`. That of the one before it cannot, because
        # no due time is delayed beyond the next planned one.
        earliest = minus(minus(previous, self._jitter), _MICROSECOND)
        latest = now
        while (planned := self._latest_planned_time(earliest, latest)) is not None:
            due = planned + self._delay(planned, self._planned_time(planned, now))
            if due <= now:
                return due if due > previous else None
            latest = planned - _MICROSECOND
        return None

    @abstractmethod
    def _planned_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """Return the first planned time after `previous`, or the first one of all; None if none follows."""

    def _latest_planned_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        """Return the last planned time up to `now` that is later than `previous`; None if none follows."""
        return _latest_by_bisection(self._planned_time, previous, now)

    @property
    def _latest(self) -> datetime | None:
        """The end, after which a trigger is not due, with or without jitter."""
        return None

    @property
    def _text_of_rest(self) -> str:
        until = "" if self._latest is None else f" until {text_of(self._latest)}"
        return until + (f", up to {self.jitter:.15g} s later" if self._jitter else "")

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
        """Return the planned time from which the search for the first due time after `previous` starts.

        Invariant: every planned time before the returned one is due at `previous` or earlier. A planned time is
        due before the next planned time, so only the last planned time up to `previous` can be due after it, and
        only if it is at most `jitter` older. If there is none, the search starts with the first one after it.

        Cost: one call of `_latest_planned_time`. It is O(1) for intervals, and for other triggers logarithmic in
        the number of planned times within `jitter` before `previous`.
        """
        earliest = minus(minus(previous, self._jitter), _MICROSECOND)
        return self._latest_planned_time(earliest, previous) or self._planned_time(previous, now)

    def _delay(self, planned: datetime, following: datetime | None) -> timedelta:
        import hashlib

        longest = min(self._jitter, _LAST - planned)
        if following is not None:
            longest = min(longest, following - planned)
        if self._latest is not None:
            longest = min(longest, self._latest - planned + _MICROSECOND)
        random_bits = hashlib.blake2b(f"{self._seed} {planned.isoformat()}".encode(), digest_size=8).digest()
        return _MICROSECOND * (longest // _MICROSECOND * int.from_bytes(random_bits) >> 64)


class CombinedTrigger(JitteredTrigger):
    """Base class of triggers that are made of other triggers."""

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
        """The parts."""
        return self._triggers

    @override
    def _all_options(self) -> Mapping[str, object]:
        return {"triggers": self._triggers, "jitter": self.jitter}

    @override
    def _start_counting(self, now: datetime) -> None:
        self._triggers = tuple(start_trigger(trigger, now) for trigger in self._triggers)

    def _joined(self, word: str) -> str:
        texts = (
            f"({trigger})" if isinstance(trigger, CombinedTrigger) and len(self._triggers) > 1 else f"{trigger}"
            for trigger in self._triggers
        )
        return word.join(texts) + self._text_of_rest


class AndTrigger(CombinedTrigger):
    """Intersection of triggers: due if all of them are due at the same time; `a & b` makes one.

    Intervals are intersected by arithmetic. Other triggers are asked in turn until they agree, up to a limit.

    Args:
        triggers: The parts, at least one. None of them may have jitter, because they would not meet.
        jitter: The maximum random delay of each due time, in seconds.

    Raises:
        InvalidInputError: The parts are empty, one is not a trigger, or one has jitter.

    Example:
        >>> str(CronTrigger("0 12 * * FRI") & CronTrigger("0 12 13 * *"))
        '0 12 * * FRI in UTC and 0 12 13 * * in UTC'
    """

    __slots__ = ("_searched",)

    def __init__(self, triggers: Iterable[Trigger], *, jitter: float = 0.0) -> None:
        super().__init__(triggers, jitter=jitter)
        for trigger in self._triggers:
            if _is_jittered(trigger):
                raise InvalidInputError(
                    "triggers", repr(trigger), "a part of AndTrigger must not have jitter; give jitter to AndTrigger"
                )
        self._searched = _without_progressions(self._triggers)

    @override
    def _start_counting(self, now: datetime) -> None:
        super()._start_counting(now)
        self._searched = _without_progressions(self._triggers)

    @override
    def _planned_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """Return the first time after `previous` at which all parts are due; None if one of them has ended.

        Raises:
            NeverDueError: The parts never meet, or did not meet within the limits of the search.
        """
        if not self._searched:
            raise self._never_due(previous or now, _LAST)
        latest = first = _latest(trigger.next_due_time(previous, now) for trigger in self._searched)
        stop_at = time.perf_counter() + _SEARCH_TIMEOUT
        for _ in range(_MAX_ROUNDS):
            if latest is None:
                return None
            before, latest = latest, _latest(self._due_from(latest, now))
            if latest == before:
                return latest
            if time.perf_counter() > stop_at:
                break
        raise self._never_due(previous or first or now, latest or now)

    @override
    def _latest_planned_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        if not self._searched:
            raise self._never_due(previous, _LAST)
        moment = now
        stop_at = time.perf_counter() + _SEARCH_TIMEOUT
        for _ in range(_MAX_ROUNDS):
            times = [latest_due_time(trigger, previous, moment) for trigger in self._searched]
            known = [each for each in times if each is not None]
            if len(known) < len(times):
                return None
            moment = min(known).astimezone(UTC)
            if moment == max(known):
                return moment
            if time.perf_counter() > stop_at:
                break
        return super()._latest_planned_time(previous, now)

    def _due_from(self, moment: datetime, now: datetime) -> Iterable[datetime | None]:
        before = minus(moment, _MICROSECOND)
        return (trigger.next_due_time(before, now) for trigger in self._searched)

    def _never_due(self, after: datetime, until: datetime) -> NeverDueError:
        return NeverDueError(tuple(f"{trigger}" for trigger in self._triggers), text_of(after), text_of(until))

    @override
    def __str__(self) -> str:
        return self._joined(" and ")


explain_misuse(AndTrigger)


class OrTrigger(CombinedTrigger):
    """Union of triggers: due if any of them is due, once if several are due at the same time; `a | b` makes one.

    Each part has the due times that it has alone. A part that raises is logged and ends, as it would alone; the
    other parts continue. The exception is raised only if no other part is due any more.

    Args:
        triggers: The parts, at least one.
        jitter: The maximum random delay of each due time, in seconds, in addition to the jitter of the parts.

    Raises:
        InvalidInputError: The parts are empty, or one is not a trigger.

    Example:
        >>> str(CronTrigger("@daily") | IntervalTrigger(hours=5))
        '@daily in UTC or every 5 hours'
    """

    __slots__ = ("_failed", "_firsts")

    def __init__(self, triggers: Iterable[Trigger], *, jitter: float = 0.0) -> None:
        super().__init__(triggers, jitter=jitter)
        # The first due time of each part for the task that was added; None for a trigger that was not started.
        self._firsts: tuple[datetime | None, ...] | None = None
        self._failed: set[int] = set()

    @override
    def _start_counting(self, now: datetime) -> None:
        super()._start_counting(now)
        self._failed = set()
        self._firsts = None
        firsts, error = self._ask_parts(lambda trigger: trigger.next_due_time(None, now), None)
        if error is not None and firsts.count(None) == len(firsts):
            raise error
        self._firsts = tuple(firsts)

    @override
    def _planned_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        times, error = self._ask_parts(lambda trigger: trigger.next_due_time(previous, now), previous)
        if previous is not None and self._firsts is not None:
            # A part starts at its own first due time. If the first one of another part is earlier, even in the
            # past, the due times of this part in between are not made up for.
            times = [
                first if first is None or first > previous else due
                for first, due in zip(self._firsts, times, strict=True)
            ]
        due = min((each for each in times if each is not None), default=None)
        if due is None and error is not None:
            raise error
        return None if due is None else due.astimezone(UTC)

    @override
    def _latest_planned_time(self, previous: datetime, now: datetime, /) -> datetime | None:
        times, _ = self._ask_parts(lambda trigger: latest_due_time(trigger, previous, now), previous)
        if self._firsts is not None:
            times = [_latest_from(first, due, previous, now) for first, due in zip(self._firsts, times, strict=True)]
        due = max((each for each in times if each is not None), default=None)
        return None if due is None else due.astimezone(UTC)

    def _ask_parts(
        self, ask: Callable[[Trigger], datetime | None], previous: datetime | None
    ) -> tuple[list[datetime | None], Exception | None]:
        """Return the answer of each part, None for one that has failed, and the last exception.

        May be called from several threads. Adding to the set is atomic, and a part that fails in two threads at
        once is logged twice at worst.
        """
        times: list[datetime | None] = []
        error: Exception | None = None
        for number, trigger in enumerate(self._triggers):
            due: datetime | None = None
            if number not in self._failed:
                try:
                    due = ask(trigger)
                    _check_answer(trigger, previous, due)
                except Exception as raised:
                    due, error = None, raised
                    self._failed.add(number)
                    logger.exception("A part of an OrTrigger raised and has ended: %s", trigger)
            times.append(due)
        return times, error

    @override
    def __str__(self) -> str:
        return self._joined(" or ")


explain_misuse(OrTrigger)


def _latest_by_bisection(
    next_time: Callable[[datetime, datetime], datetime | None], previous: datetime, now: datetime
) -> datetime | None:
    """Return the last due time up to `now` that is later than `previous`, given the function for the next one.

    Invariant: `found` is due, and no time after `end` up to `now` is due. The first loop looks back from `now` in
    growing steps, which soon finds a due time if they are frequent. Each step of the second loop halves the time
    between `found` and `end`. The cost is logarithmic in the time, and independent of the number of due times.
    """
    found = next_time(previous, now)
    if found is None or found > now:
        return None
    end, distance = now, _FIRST_STEP
    while (begin := minus(now, distance)) > found:
        following = next_time(begin, now)
        if following is not None and following <= now:
            found = following
            break
        end, distance = begin, distance * 8
    for _ in range(_MAX_BISECTIONS):
        following = next_time(found, now)
        if following is None or following > now:
            break
        found = following
        middle = found + (end - found) / 2
        following = next_time(middle, now) if middle > found else None
        if following is None or following > now:
            end = middle
        else:
            found = following
    return found


def _both(first: Trigger, second: Trigger) -> AndTrigger:
    return AndTrigger((*_parts(first, AndTrigger), *_parts(second, AndTrigger)))


def _either(first: Trigger, second: Trigger) -> OrTrigger:
    return OrTrigger((*_parts(first, OrTrigger), *_parts(second, OrTrigger)))


def _parts(trigger: Trigger, kind: type[AndTrigger | OrTrigger]) -> tuple[Trigger, ...]:
    """Return the parts of a combination of that kind without jitter, or else the trigger itself."""
    return trigger.triggers if isinstance(trigger, kind) and not trigger.jitter else (trigger,)


def _check_trigger(value: object) -> None:
    if not is_trigger(value):
        raise InvalidInputError("triggers", repr(value), "each must be a trigger, with a next_due_time")


def _check_answer(trigger: Trigger, previous: datetime | None, due: datetime | None) -> None:
    if due is None:
        return
    if not is_aware(due):
        raise InvalidInputError("a due time", repr(due), f"{trigger!r} must return aware datetimes")
    if previous is not None and due <= previous:
        raise InvalidInputError("a due time", repr(due), f"{trigger!r} must return one later than {previous!r}")


def _is_jittered(trigger: Trigger) -> bool:
    if isinstance(trigger, CombinedTrigger) and any(map(_is_jittered, trigger.triggers)):
        return True
    return isinstance(trigger, JitteredTrigger) and trigger.jitter > 0


def _without_progressions(triggers: Iterable[Trigger]) -> tuple[Trigger, ...]:
    """Return the triggers with all intervals replaced by their intersection; nothing if these never meet."""
    common: Progression | None = None
    others: list[Trigger] = []
    for trigger in triggers:
        progression = trigger._progression if isinstance(trigger, ValueTrigger) else None
        if progression is None:
            others.append(trigger)
        elif common is None:
            common = progression
        else:
            common = common.meet(progression)
            if common is None:
                return ()
    return tuple(others) if common is None else (common, *others)


def _latest_from(first: datetime | None, due: datetime | None, previous: datetime, now: datetime) -> datetime | None:
    """Return the last due time of a part that starts at `first`, given its last one without a start."""
    if first is None or first > now:
        return None
    return first if first > previous and (due is None or due < first) else due


def _latest(times: Iterable[datetime | None]) -> datetime | None:
    """Return the latest time in UTC; None if one of them is None."""
    latest: datetime | None = None
    for moment in times:
        if moment is None:
            return None
        latest = moment if latest is None or moment > latest else latest
    return None if latest is None else latest.astimezone(UTC)
