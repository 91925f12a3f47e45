"""The one place of a scheduler that calls listeners."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from types import FunctionType
from typing import Never, Protocol, cast, get_args, get_origin

from typing_extensions import TypeVar

from asyncz import events
from asyncz._awaitables import is_awaitable
from asyncz._callables import function_name, identity_of
from asyncz._text import printable
from asyncz.exceptions import InvalidInputError
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers.subscriptions import Subscription

EventT = TypeVar("EventT")
KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")

EVENT_CLASSES: frozenset[type[object]] = frozenset({events.TaskExecuted, *get_args(events.PlainEvent)})


def check_event_class(event: object) -> type[object]:
    """Return an object that is an event class.

    Raises:
        InvalidInputError: The object is not, as a subscripted class is not.
    """
    if isinstance(event, type) and event in EVENT_CLASSES:
        return event
    if get_origin(event) is events.TaskExecuted:
        raise InvalidInputError("event", repr(event), "an event has no result type at run time: pass TaskExecuted")
    allowed = ", ".join(sorted(known.__name__ for known in EVENT_CLASSES))
    raise InvalidInputError("event", repr(event), f"pass one of the event classes: {allowed}")


class _ListenerLookup(Protocol):
    """`dict.get` of listeners by the class of their events."""

    def __call__(self, event: type[EventT], /) -> tuple[Callable[[EventT], object], ...] | None: ...


class Dispatcher:
    """Calls listeners one after another on the loop's thread and runs the awaitables that they return.

    A listener that raises is logged and affects nothing else.

    Attributes:
        listeners: Listeners of each event class that has any: an event without listeners need not be made.
        announces_submissions: Whether `TaskSubmitted` has listeners.
        snapshot_of: Return the listeners of a class for `call_each`; None if there may be others, which `emit` knows.
    """

    def __init__(self) -> None:
        self.listeners: dict[type[object], dict[object, Callable[[Never], object]]] = {}
        self.announces_submissions: bool = False
        # Made on the first emission after a change, so that many subscriptions in a row cost little.
        self._snapshots: dict[type[object], tuple[Callable[[Never], object], ...]] = {}
        # The dict maps each class to listeners that were subscribed with that very class, which its type cannot say.
        self.snapshot_of: _ListenerLookup = cast("_ListenerLookup", self._snapshots.get)
        # The subscriptions of each listener, so that one of many is removed without a look at the others.
        self._subscribed: dict[object, dict[object, type[object]]] = {}
        # Reentrant: signal handlers, and finalizers that the garbage collector calls, may come while it is held.
        self._lock = threading.RLock()
        self._changes = 0
        self._awaited: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def after_fork(self) -> None:
        """Replace the lock, which a thread of the parent process may hold."""
        self._lock = threading.RLock()

    def subscribe(self, event: type[object], listener: Callable[[Never], object]) -> Subscription:
        """Call a listener with each event of a class, which the caller has compared with the listener. Thread-safe."""
        key = object()
        with self._lock:
            identity = identity_of(listener)
            # Again if a signal handler has removed the last other subscription, and the dict with it, meanwhile.
            while key not in self.listeners.get(event, {}):
                self.listeners.setdefault(event, {})[key] = listener
            while key not in self._subscribed.get(identity, {}):
                self._subscribed.setdefault(identity, {})[key] = event
            # A signal handler comes between two calls only, and none is between the test and the assignment.
            self.announces_submissions = events.TaskSubmitted in self.listeners
            self._changes += 1
            outdated = self._snapshots.pop(event, None)
        del outdated
        return Subscription(lambda: self._unsubscribe(event, key))

    def remove(self, listener: object) -> bool:
        """Remove all subscriptions of a listener, and return True if there were any. Thread-safe."""
        with self._lock:
            found = list(self._subscribed.get(identity_of(listener), {}).items())
        for key, event in found:
            self._unsubscribe(event, key)
        return bool(found)

    def emit(self, event: EventT, first: Sequence[Callable[[EventT], object]] = ()) -> None:
        """Call the listeners in `first`, then all listeners that are subscribed to the class of the event."""
        if first:
            self.call_each(first, event)
        # After the first ones, which may have subscribed or unsubscribed others.
        listeners = self.snapshot_of(type(event))
        if listeners is None:
            self._take_snapshot(type(event))
            listeners = self.snapshot_of(type(event)) or ()
        self.call_each(listeners, event)

    def call_each(self, listeners: Sequence[Callable[[EventT], object]], event: EventT) -> None:
        """Call listeners of an event; `emit` does so."""
        for listener in listeners:
            try:
                outcome = listener(event)
                if outcome is not None and is_awaitable(outcome):
                    task = asyncio.get_running_loop().create_task(_await_logged(outcome, listener, event))
                    self._awaited.add(task)
                    task.add_done_callback(self._on_listener_done)
            except BaseException:
                _log_failure(listener, event)

    async def wait_for_listeners(self, between: Callable[[], object]) -> None:
        """Wait for the awaitables of listeners, and for those that follow from them.

        Args:
            between: Called after each wait, to handle the calls that listeners have caused.
        """
        while self._awaited:
            self._changed.clear()
            await self._changed.wait()
            between()

    def cancel_listeners(self) -> int:
        """Cancel the awaitables of listeners, and return their number."""
        for task in tuple(self._awaited):
            task.cancel()
        return len(self._awaited)

    def exclude(self, task: asyncio.Task[object]) -> None:
        """Do not wait for the awaitable of a listener, because it waits itself."""
        self._awaited.discard(task)
        self._changed.set()

    def runs_in(self, task: asyncio.Task[object] | None) -> bool:
        """Return True if a task of asyncio is the awaitable of a listener."""
        return task in self._awaited

    def open(self) -> None:
        """Prepare for the running loop, and forget the awaitables of another one, which was closed."""
        self._awaited.clear()
        self._changed = asyncio.Event()

    def _unsubscribe(self, event: type[object], key: object) -> None:
        with self._lock:
            listeners = self.listeners.get(event, {})
            listener = listeners.pop(key, None)
            identity = identity_of(listener)
            self._subscribed.get(identity, {}).pop(key, None)
            _remove_if_empty(self._subscribed, identity)
            _remove_if_empty(self.listeners, event)
            self.announces_submissions = events.TaskSubmitted in self.listeners
            self._changes += 1
            outdated = self._snapshots.pop(event, None)
        # Dropped outside of the lock: the `__del__` of a listener may subscribe again.
        del listener, outdated

    def _take_snapshot(self, event: type[object]) -> None:
        with self._lock:
            while True:
                changes = self._changes
                snapshot = (*self.listeners.get(event, {}).values(),)
                # As in `subscribe`: no signal handler comes between the test and the assignment.
                if changes == self._changes:
                    self._snapshots[event] = snapshot
                    return

    def _on_listener_done(self, task: asyncio.Task[None]) -> None:
        self._awaited.discard(task)
        self._changed.set()


def _remove_if_empty(table: dict[KeyT, dict[object, ValueT]], key: KeyT) -> None:
    if not table.get(key):
        added = table.pop(key, {})
        # Not empty if a signal handler has subscribed between the two lines above.
        if added:
            table.setdefault(key, {}).update(added)


def _log_failure(listener: object, event: object) -> None:
    if type(listener) is FunctionType:
        listener = listener.__dict__.get("__wrapped__", listener)
    name, kind = function_name(listener), type(event).__name__
    task_id = getattr(event, "task_id", None)
    suffix = "" if task_id is None else f" of the task {task_id!r}"
    logger.exception("A listener raised: %s on %s%s", name, kind, printable(suffix))


async def _await_logged(outcome: Awaitable[object], listener: object, event: object) -> None:
    try:
        await outcome
    except BaseException as error:
        _log_failure(listener, event)
        if isinstance(error, asyncio.CancelledError):
            raise
