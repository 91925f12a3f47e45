"""Changes of a store, found by polls while pages are open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from asyncz._text import exception_text
from asyncz.dashboard._journal import Topics
from asyncz.dashboard._safe_logging import logger
from asyncz.stores._console import StoreConsole
from asyncz.stores._console_queries import ConsoleQueries
from asyncz.stores.exceptions import StoreError

_INTERVAL: Final = 1.0
_ALL: Final[Topics] = frozenset({"tasks", "runs", "executors", "events", "scheduler"})


class StoreWatch:
    """Watch of a store: one read per second, however many pages are open. For any event loop.

    Args:
        console: Connection with the store.
        notify: Called with the topics that may have changed.
    """

    def __init__(self, console: StoreConsole, notify: Callable[[Topics], object]) -> None:
        self._console = console
        self._notify = notify
        self._mark: tuple[object, ...] = ()
        self._next = 0.0
        self._failed = False

    async def watch(self) -> None:
        """Notify of changes until the coroutine is cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            # The streams share one poll: the first of them moves the time of the next one.
            now = time.monotonic()
            if now >= self._next:
                self._next = now + _INTERVAL * 0.9
                await self._poll()

    async def _poll(self) -> None:
        try:
            mark = await self._console.call(lambda database: ConsoleQueries(database).mark())
        except Exception as error:
            # The watch continues after any error: the pages would show old states without a sign of it.
            if not self._failed and isinstance(error, StoreError):
                logger.warning("The store of the dashboard failed: %s", exception_text(error))
            elif not self._failed:
                logger.error("The look at the store of the dashboard failed", exc_info=error)
            self._failed = True
            return
        self._failed = False
        known, self._mark = self._mark, mark
        if known and known != mark:
            self._notify(_ALL)
