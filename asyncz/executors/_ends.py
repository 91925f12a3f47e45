"""How an end and the release of its run are told in one call, where who is told can take it."""

from __future__ import annotations

from typing import Protocol

from typing_extensions import TypeIs, TypeVar

from asyncz.events import TaskNotification
from asyncz.tasks import TaskRun

ResultT = TypeVar("ResultT")


class IsToldEnds(Protocol):
    """A notifier that can be told of an end and of the release in one call, which costs half.

    It may be called under the executor's lock, and so must not ask the executor for anything.
    """

    def ended(self, run: TaskRun[ResultT], notification: TaskNotification[ResultT], /) -> None: ...


def is_told_ends(scheduler: object) -> TypeIs[IsToldEnds]:
    """Whether a notifier has it."""
    return callable(getattr(scheduler, "ended", None))
