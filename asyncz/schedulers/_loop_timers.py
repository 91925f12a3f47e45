"""Timers of one part of a scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class LoopTimers:
    """Timers of the running loop that are cancelled together. For the loop's thread."""

    def __init__(self) -> None:
        self._handles: set[asyncio.TimerHandle] = set()

    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """Make a call after some seconds."""

        def due() -> None:
            self._handles.discard(handle)
            call()

        handle = asyncio.get_running_loop().call_later(delay, due)
        self._handles.add(handle)

    def cancel(self) -> None:
        """Cancel all calls."""
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()
