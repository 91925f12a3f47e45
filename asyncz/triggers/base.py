"""What triggers have in common: they can be combined."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from typing_extensions import TypeIs

from asyncz.protocols import SupportsStart, Trigger

if TYPE_CHECKING:
    from asyncz.triggers.combination import AndTrigger, OrTrigger


class BaseTrigger:
    """A trigger that can be combined with others by `&` and `|`.

    A trigger of one's own need not have it for a base: where one side of the operator has it, the other one
    need not, and `AndTrigger` and `OrTrigger` take any triggers. `asyncz.testing.TriggerConformance` verifies one.

    Example:
        >>> class FullHours(BaseTrigger):
        ...     def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime:
        ...         return (previous or now).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        >>> FullHours() & CronTrigger("* * * * MON-FRI")
    """

    __slots__ = ()

    def next_due_time(self, previous: datetime | None, now: datetime, /) -> datetime | None:
        """The first due time after `previous`, or the very first one; see `Trigger`."""
        raise NotImplementedError

    def __and__(self, other: Trigger) -> AndTrigger:
        return _both(self, other)

    def __rand__(self, other: Trigger) -> AndTrigger:
        return _both(other, self)

    def __or__(self, other: Trigger) -> OrTrigger:
        return _either(self, other)

    def __ror__(self, other: Trigger) -> OrTrigger:
        return _either(other, self)


def start_trigger(trigger: Trigger, now: datetime) -> Trigger:
    """A trigger as it is for a task that is added now, UTC; most are the same for every task."""
    return trigger.started(now) if _supports_start(trigger) else trigger


def _supports_start(trigger: object) -> TypeIs[SupportsStart]:
    return callable(getattr(trigger, "started", None))


def _both(first: Trigger, second: Trigger) -> AndTrigger:
    from asyncz.triggers.combination import AndTrigger

    return AndTrigger((*_parts(first, AndTrigger), *_parts(second, AndTrigger)))


def _either(first: Trigger, second: Trigger) -> OrTrigger:
    from asyncz.triggers.combination import OrTrigger

    return OrTrigger((*_parts(first, OrTrigger), *_parts(second, OrTrigger)))


def _parts(trigger: Trigger, kind: type[AndTrigger | OrTrigger]) -> tuple[Trigger, ...]:
    """The parts of a combination of that kind, or the trigger itself."""
    return trigger.triggers if isinstance(trigger, kind) and not trigger.jitter else (trigger,)
