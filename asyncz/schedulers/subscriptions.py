"""Subscriptions of listeners to events, and the decorator that subscribes a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self, TypeAlias

from typing_extensions import TypeVar

from asyncz.events import TaskExecuted

EventT = TypeVar("EventT")
ReturnT = TypeVar("ReturnT")

ExecutedClass: TypeAlias = Callable[[str, object], TaskExecuted[object]]
"""The class `TaskExecuted`, which makes an event of an id and any result.

Not `type[TaskExecuted[object]]`, which `TaskExecuted[str]` is too: an event has no result type at run time.
"""


class Subscription:
    """Subscription of a listener: `unsubscribe()` or the end of a `with` block ends it.

    Args:
        remove: Removes the listener.
    """

    def __init__(self, remove: Callable[[], object]) -> None:
        self._remove = remove

    def unsubscribe(self) -> None:
        """Stop calling the listener. Thread-safe; may be called again."""
        self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unsubscribe()


class ListenerDecorator(Protocol[EventT]):
    """Decorator that `AsyncIOScheduler.on` returns: it subscribes a function and returns it."""

    def __call__(self, listener: Callable[[EventT], ReturnT], /) -> Callable[[EventT], ReturnT]:
        """Subscribe the function."""
        ...
