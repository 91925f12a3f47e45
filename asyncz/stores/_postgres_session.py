"""Session with PostgreSQL that notifies the other nodes of changes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Protocol

from typing_extensions import override

from asyncz.stores._postgres_hints import NotificationListener
from asyncz.stores._transactions import DatabaseSession, Transactions

# Seconds between two notifications of a node.
_NOTIFICATION_INTERVAL = 0.1


class NotifyingTransactions(Transactions, Protocol):
    """Transactions over a connection that can notify the other nodes.

    Attributes:
        backend_pid: Process of the server. Another thread reads it.
    """

    backend_pid: int

    def notify(self) -> None:
        """Notify the other nodes that tasks or waiting runs have changed."""
        ...


class NotifiedSession(DatabaseSession):
    """Session of a node that notifies the other nodes of changes, and is notified by them.

    Args:
        url: Connection string.
        transactions: Transactions over the first connection.
        renewals: Transactions over the connection that only `renew` uses.
        description: Description of the database, without passwords.
        poll_interval: Seconds between polls for changes while there are no notifications.
    """

    def __init__(
        self,
        url: str,
        transactions: NotifyingTransactions,
        renewals: NotifyingTransactions,
        description: str,
        poll_interval: float,
    ) -> None:
        super().__init__(transactions, renewals, description, poll_interval)
        self._url = url
        self._postgres = transactions
        self._timer: asyncio.TimerHandle | None = None
        self._listener: NotificationListener | None = None
        self._next_notification = 0.0

    @override
    async def wake_ups(self) -> AsyncIterator[int]:
        """Iterate over hints that tasks or runs may have changed: notifications, or polls while there are none."""
        changed, postgres = asyncio.Event(), self._postgres
        listener = self._listener = NotificationListener(
            self._url, lambda pid: pid == postgres.backend_pid, changed.set
        )
        known = await self._call(postgres.revision)
        listener.start()
        try:
            while True:
                # With notifications, the renewals of the lease are the poll beside them.
                interval = None if listener.connected else self._poll_interval
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(interval):
                        await changed.wait()
                notified = changed.is_set()
                changed.clear()
                revision = await self._call(postgres.revision)
                if notified or revision != known:
                    known = revision
                    yield revision
        finally:
            listener.stop()

    @override
    def _announce(self) -> None:
        """Notify other nodes: at most once per interval, because a notification takes a lock of the whole server."""
        if self._timer is None and not self._closed:
            delay = max(0.0, self._next_notification - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._send_notification)

    @override
    async def close(self) -> None:
        """End the lease and release the connections; send a notification that is still to come before."""
        if self._timer is not None:
            self._timer.cancel()
            self._send_notification()
        if self._listener is not None:
            self._listener.stop()
        await super().close()

    def _send_notification(self) -> None:
        self._timer = None
        self._next_notification = time.monotonic() + _NOTIFICATION_INTERVAL
        self._thread.post(self._postgres.notify)
