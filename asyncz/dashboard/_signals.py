"""Notice of SIGINT and SIGTERM, beside the handlers of the server.

A server stops by a signal, and then waits until the open requests have ended; no message of ASGI announces that. So
while streams are open, the handlers of both signals are replaced by one that has the streams ended, and then calls the
handler of the server. When the last stream has ended, the handlers are restored.

The replacement is made on the main thread only, and only if there is a handler to call. In another thread, and if there
is no handler, streams end after their time.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final, TypeAlias

_Handler: TypeAlias = Callable[[int, FrameType | None], object]
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class SignalNotice:
    """Call of a function on the event loop when the process gets SIGINT or SIGTERM. For the loop's thread.

    Args:
        on_signal: Function; called by the event loop, because a handler must not take locks.
    """

    def __init__(self, on_signal: Callable[[], object]) -> None:
        self._on_signal = on_signal
        self._loop: asyncio.AbstractEventLoop | None = None
        self._previous: dict[int, _Handler] = {}

    def install(self) -> None:
        """Replace the handlers, if this is the main thread and it was not done before."""
        if self._previous or threading.current_thread() is not threading.main_thread():
            return
        self._loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):
                self._previous[number] = handler
                signal.signal(number, self._handle)

    def restore(self) -> None:
        """Restore the handlers, except those that were replaced meanwhile."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number, handler in self._previous.items():
            # A new access makes a new bound method, which is equal.
            if signal.getsignal(number) == self._handle:
                signal.signal(number, handler)
        self._previous.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_signal)
        previous = self._previous.get(number)
        if previous is not None:
            previous(number, frame)
