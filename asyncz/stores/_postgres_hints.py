"""Notifications of PostgreSQL: hints for the nodes that something has changed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

import psycopg
from psycopg.rows import scalar_row

from asyncz._safe_logging import SafeLogger
from asyncz.stores._postgres_network import with_time_limits

_logger = SafeLogger("asyncz.store")

CHANNEL = "'asyncz_' || md5(current_schema())"
"""SQL expression of the channel: one for each schema, as several programs may share a database."""

# Seconds after which the thread looks whether it has to end.
_TIMEOUT = 1.0
# Seconds between two attempts to connect.
_RETRY_DELAY = 1.0


class NotificationListener:
    """Daemon thread with a connection of its own that receives the notifications of other nodes.

    Args:
        url: Connection string.
        is_own: Returns True for the process id of the server that works for this node.
        hint: Function that is called in the thread of the loop if something may have changed.

    Attributes:
        connected: True if notifications are received now. The thread alone writes it, in one step each time.
    """

    def __init__(self, url: str, is_own: Callable[[int], bool], hint: Callable[[], object]) -> None:
        self._url = url
        self._is_own = is_own
        self._hint = hint
        self._loop = asyncio.get_running_loop()
        self._stopped = threading.Event()
        self.connected: bool = False
        self._thread = threading.Thread(target=self._run, name="asyncz-listen", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, without waiting for it."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                # Whether the server can be reached is reported by the calls of the node.
                with contextlib.suppress(psycopg.Error):
                    self._listen()
            except Exception:
                _logger.exception("Waiting for notifications failed; it begins again")
            self.connected = False
            # A notification may have been missed.
            self._give_hint()
            _ = self._stopped.wait(_RETRY_DELAY)

    def _listen(self) -> None:
        with psycopg.connect(with_time_limits(self._url), autocommit=True, application_name="asyncz") as connection:
            with connection.cursor(row_factory=scalar_row) as cursor:
                (channel,) = cursor.execute(f"SELECT {CHANNEL}".encode()).fetchall()
            # An md5 sum needs no quotes.
            _ = connection.execute(f"LISTEN {channel}".encode())
            self.connected = True
            self._give_hint()
            while not self._stopped.is_set():
                for notification in connection.notifies(timeout=_TIMEOUT, stop_after=1):
                    if not self._is_own(notification.pid):
                        self._give_hint()

    def _give_hint(self) -> None:
        with contextlib.suppress(RuntimeError):
            # The loop may have been closed.
            _ = self._loop.call_soon_threadsafe(self._hint)
