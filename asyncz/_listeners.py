"""Listeners of a task, and the keys of its streams and of listeners of its progress among them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import FunctionType
from typing import Generic

import attrs
from typing_extensions import TypeVar

from asyncz._callables import identity_of
from asyncz.events import TaskProgress

OutcomeT = TypeVar("OutcomeT")

# One lock for all tasks: it is held for a moment only, and seldom needed. Reentrant: signal handlers, and finalizers
# that the garbage collector calls, may come while it is held.
_lock: AbstractContextManager[object] = threading.RLock()


@attrs.frozen(eq=False)
class ProgressListener:
    """Listener of the progress of a task; its other listeners are called with outcomes."""

    listener: Callable[[TaskProgress], object]

    def ignore(self, _: object) -> None:
        """Do nothing with an outcome."""


@attrs.frozen(eq=False)
class StreamKey:
    """Key of a stream among the listeners of its task; does not keep the stream alive."""

    close: Callable[[], None]


class TaskListeners(Generic[OutcomeT]):
    """Listeners of one task, in the order of their registration.

    Adding and removing one of many take constant time. All methods are thread-safe.
    """

    __slots__ = ("_changes", "_entries", "_repeated", "_snapshot")

    def __init__(self) -> None:
        self._entries: dict[object, tuple[object, Callable[[OutcomeT], object]]] = {}
        self._changes = 0
        # Keys of the entries of a listener after its first one, which has the identity of the listener as its key.
        self._repeated: dict[object, list[object]] = {}
        # Made on the first outcome after a change, so that many changes in a row cost little.
        self._snapshot: tuple[Callable[[OutcomeT], object], ...] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, key: object, listener: Callable[[OutcomeT], object]) -> None:
        """Add a function to call with outcomes.

        Args:
            key: The listener as its user knows it: the function itself, a stream's key or a `ProgressListener`.
            listener: The function to call.
        """
        if type(listener) is FunctionType and listener is not key:
            # A filter for one kind of outcomes: messages name the function of the user.
            listener.__dict__["__wrapped__"] = key
        identity = _identity(key)
        with _lock:
            if identity in self._entries:
                repeated = object()
                self._repeated.setdefault(identity, []).append(repeated)
                self._entries[repeated] = (key, listener)
            else:
                self._entries[identity] = (key, listener)
            self._changes += 1
            outdated, self._snapshot = self._snapshot, None
        # Dropped outside of the lock: the `__del__` of a listener is user code.
        del outdated

    def remove(self, listener: object) -> bool:
        """Remove all entries of a listener, and return True if there were any."""
        identity = _identity(listener)
        with _lock:
            removed = [self._entries.pop(identity, None)]
            removed += [self._entries.pop(key) for key in self._repeated.pop(identity, ())]
            self._changes += 1
            outdated, self._snapshot = self._snapshot, None
        # As in `add`.
        del outdated
        return removed != [None]

    def functions(self) -> tuple[Callable[[OutcomeT], object], ...]:
        """Return the functions to call with outcomes."""
        snapshot = self._snapshot
        if snapshot is None:
            with _lock:
                while True:
                    changes = self._changes
                    snapshot = tuple([listener for _, listener in [*self._entries.values()]])
                    # A signal handler comes between two calls only, and none is between the test and the assignment.
                    if changes == self._changes:
                        self._snapshot = snapshot
                        break
        return snapshot

    def close_streams(self) -> None:
        """Close the streams of the task."""
        for key in self._keys():
            if isinstance(key, StreamKey):
                key.close()

    def progress_listeners(self) -> list[Callable[[TaskProgress], object]]:
        """Return the listeners of the progress of the task."""
        return [key.listener for key in self._keys() if isinstance(key, ProgressListener)]

    def _keys(self) -> Iterator[object]:
        with _lock:
            entries = [*self._entries.values()]
        return (key for key, _ in entries)


def listeners_lock() -> AbstractContextManager[object]:
    """Return the lock of the listeners of all tasks."""
    return _lock


def _identity(key: object) -> object:
    return identity_of(key.listener if isinstance(key, ProgressListener) else key)


def _renew_lock() -> None:
    global _lock
    # A thread of the parent process may have held it during the fork.
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
