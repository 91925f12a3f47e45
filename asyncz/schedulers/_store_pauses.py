"""State of this node in the store: whether its scheduler is paused, for the commands and dashboards of operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from asyncz.events import SchedulerPaused, SchedulerResumed
from asyncz.schedulers._runtime import Runtime
from asyncz.schedulers.subscriptions import Subscription
from asyncz.stores.protocol import StoreSession


@runtime_checkable
class SupportsPauses(Protocol):
    """Session of a store that keeps whether a node is paused."""

    async def note_paused(self, paused: bool, /) -> None:
        """Store that this node is paused, or that it is not."""
        ...


class StoredPauses:
    """Pause of this node, as the store has it. For the loop's thread.

    Args:
        runtime: Shared state of the scheduler.
        wake: Function that is called when there may be a change to store.
    """

    def __init__(self, runtime: Runtime, wake: Callable[[], object]) -> None:
        self._runtime = runtime
        self._wake = wake
        self._session: SupportsPauses | None = None
        self._subscriptions: Sequence[Subscription] = ()
        # None if the store may have either.
        self._stored: bool | None = False

    def open(self, session: StoreSession) -> None:
        """Store changes in a session, which begins as one of a node that is not paused."""
        self._session, self._stored = (session if isinstance(session, SupportsPauses) else None), False
        if self._session is not None:
            subscribe = self._runtime.dispatcher.subscribe
            self._subscriptions = [subscribe(event, self._on_change) for event in (SchedulerPaused, SchedulerResumed)]

    def close(self) -> None:
        """Store no more changes."""
        for subscription in self._subscriptions:
            subscription.unsubscribe()
        self._session, self._subscriptions = None, ()

    def on_lease_lost(self) -> None:
        """Store the state again: the store may have forgotten this node."""
        self._stored = None

    def _on_change(self, _event: SchedulerPaused | SchedulerResumed) -> None:
        self._wake()

    async def write(self) -> None:
        """Store a change, if there is one."""
        status = self._runtime.status
        paused = status == "paused"
        if self._session is not None and status in {"running", "paused"} and paused is not self._stored:
            await self._session.note_paused(paused)
            self._stored = paused
