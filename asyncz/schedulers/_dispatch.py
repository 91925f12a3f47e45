"""Who is told what happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Never, Protocol, Self

from typing_extensions import TypeIs, TypeVar

from asyncz._callables import is_awaitable

EventT = TypeVar("EventT")

logger = logging.getLogger("asyncz.scheduler")


class Subscription:
    """A listener's place with the scheduler; `unsubscribe()` or leaving `with` ends it."""

    def __init__(self, remove: Callable[[], object]) -> None:
        self._remove = remove

    def unsubscribe(self) -> None:
        """Call the listener no more. May be called from any thread, and again."""
        self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unsubscribe()


class _FindsListeners(Protocol):
    """The `get` of what has listeners by the class of their events."""

    def __call__(
        self, event: type[EventT], default: tuple[Callable[[EventT], object], ...], /
    ) -> tuple[Callable[[EventT], object], ...]: ...


class Dispatcher:
    """Calls listeners, one after another on the loop's thread, and awaits what they give.

    A listener that raises is logged and harms nobody else.

    Attributes:
        listeners: Those of each event class that has any; an event that nobody would hear of need not be made.
    """

    def __init__(self) -> None:
        self.listeners: dict[type[object], tuple[Callable[[Never], object], ...]] = {}
        self._subscribed: dict[type[object], dict[object, Callable[[Never], object]]] = {}
        self._listeners_of = _typed(self.listeners.get)
        self._awaited: set[asyncio.Task[None]] = set()

    def subscribe(self, event: type[EventT], listener: Callable[[EventT], object]) -> Subscription:
        """Call a listener with each event of a class. From any thread."""
        subscribed, key = self._subscribed.setdefault(event, {}), object()

        def remove() -> None:
            if subscribed.pop(key, None) is not None:
                self._renew(event)

        subscribed[key] = listener
        self._renew(event)
        return Subscription(remove)

    def emit(self, event: EventT, first: Sequence[Callable[[EventT], object]] = ()) -> None:
        """Tell an event to some, and then to all who subscribed to its class."""
        listeners: Iterable[Callable[[EventT], object]]
        # In two steps, as `TaskRun.execute` reads its clock.
        listeners_of = self._listeners_of
        listeners = self._in_turn(event, first) if first else listeners_of(type(event), ())
        for listener in listeners:
            try:
                outcome = listener(event)
            except BaseException:
                logger.exception("A listener raised")
            else:
                if outcome is not None and is_awaitable(outcome):
                    future = asyncio.get_running_loop().create_task(_logged(outcome))
                    self._awaited.add(future)
                    future.add_done_callback(self._awaited.discard)

    def _in_turn(
        self, event: EventT, first: Sequence[Callable[[EventT], object]]
    ) -> Iterator[Callable[[EventT], object]]:
        yield from first
        # Those who came first may have subscribed others, or have taken that back.
        listeners: Sequence[Callable[[EventT], object]] = self._listeners_of(type(event), ())
        yield from listeners

    def _renew(self, event: type[object]) -> None:
        subscribed, current = self._subscribed[event], None
        # Without a lock: what is let go of here may do anything. Whoever writes looks whether that is still true, so
        # that of several threads the last one to write has seen what all have changed.
        while current is None or current.keys() != subscribed.keys():
            current = subscribed.copy()
            if current:
                self.listeners[event] = tuple(current.values())
            else:
                self.listeners.pop(event, None)

    async def until_all_have_heard(self, meanwhile: Callable[[], None]) -> None:
        """Wait for the coroutines of listeners, and for those that follow from what they do."""
        while waiting := [future for future in self._awaited if future is not asyncio.current_task()]:
            await asyncio.wait(waiting)
            meanwhile()


def _typed(find: object) -> _FindsListeners:
    # Each class has the listeners that were subscribed to it: to look at every event once more would cost as much.
    assert _finds_listeners(find)
    return find


def _finds_listeners(find: object) -> TypeIs[_FindsListeners]:
    return callable(find)


async def _logged(outcome: Awaitable[object]) -> None:
    try:
        await outcome
    except BaseException as error:
        logger.exception("A listener raised")
        if isinstance(error, asyncio.CancelledError):
            raise
