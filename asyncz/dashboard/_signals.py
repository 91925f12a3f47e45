"""Notification of SIGINT and SIGTERM, in addition to the handlers of the server.

A server stops by a signal, and then waits until the open requests have ended; no message of ASGI announces that. So
while streams are open, the handlers of both signals are replaced by one that has the streams ended, and then calls the
handler of the server. When the last stream has ended, the handlers are restored.

The replacement is made on the main thread only, and only if there is a handler to call. In another thread, and if there
is no handler, streams end after their time.

Handlers belong to the process, so all dashboards share one `SignalNotice`: two that replaced and restored them
independently could restore each other's. If other code saves the replaced handler and installs its own, it may call the
saved one at any time. So each replacement is an object that knows the handler below it, and is never changed: handlers
form a chain that ends, in whatever order they are installed and restored.

Threads: `add` and `remove` may be called from any thread. A handler runs on the main thread between two instructions of
other code, which may hold the lock; it takes none, and reads the tuple of listeners, which is
only exchanged as a whole.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final, TypeAlias

_Handler: TypeAlias = Callable[[int, FrameType | None], object]
_Listener: TypeAlias = tuple[Callable[[], object], asyncio.AbstractEventLoop]
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class _Link:
    """Handler of a signal that notifies the listeners, and then calls the handler that it has replaced."""

    def __init__(self, notice: SignalNotice, previous: _Handler) -> None:
        self._notice = notice
        self.previous: Final = previous

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._notice.notify()
        self.previous(number, frame)


class SignalNotice:
    """Call of functions on their event loops when the process gets SIGINT or SIGTERM."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[_Listener, ...] = ()

    def add(self, listener: Callable[[], object]) -> None:
        """Call a function on the running event loop at each signal, because a handler must not take locks."""
        added = (listener, asyncio.get_running_loop())
        with self._lock:
            if added not in self._listeners:
                self._listeners = (*self._listeners, added)
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler) and not isinstance(handler, _Link):
                    signal.signal(number, _Link(self, handler))

    def remove(self, listener: Callable[[], object]) -> None:
        """Stop calling a function; after the last one, restore the handlers that were not replaced meanwhile."""
        with self._lock:
            # A new access to a method makes a new object, which is equal.
            self._listeners = tuple(each for each in self._listeners if each[0] != listener)
        if self._listeners or threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if isinstance(handler, _Link):
                signal.signal(number, handler.previous)

    def notify(self) -> None:
        """Call all functions, each on its event loop. For a handler of a signal."""
        for listener, loop in self._listeners:
            try:
                loop.call_soon_threadsafe(listener)
            except RuntimeError:
                # The loop was closed.
                continue


SIGNAL_NOTICE: Final = SignalNotice()
"""The notice of this process."""
