"""Outcomes of the runs of all nodes for listeners with the scope `cluster`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Never, cast
from uuid import UUID

from asyncz._callables import identity_of
from asyncz._safe_logging import is_interrupt
from asyncz.events import (
    RunDetails,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMaxInstances,
    TaskMissed,
    TaskQueueFull,
    Worker,
)
from asyncz.exceptions import InvalidInputError, RemoteError
from asyncz.schedulers._parts import SchedulerParts
from asyncz.schedulers._store_outcomes import ENDED, Ended
from asyncz.schedulers._store_tasks import StoredTasks
from asyncz.schedulers.subscriptions import Subscription
from asyncz.stores._calls import decode_result
from asyncz.stores.codecs import Codec
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import RunRecord

_PAGE = 100
_MAX_PAGES = 10
# Seconds between two reads of the outcomes of all nodes.
_INTERVAL = 0.5
_MAX_NODES = 1000


class ClusterEvents:
    """Listeners with the scope `cluster`, and the position up to which they have received outcomes.

    A listener receives each outcome that the store has accepted once, in one order on all nodes, also those of this
    node. `subscribe` and the end of a subscription are for any thread, the other methods for the loop's thread.

    Args:
        parts: Parts of the scheduler.
        tasks: Tasks that the store keeps.
        wake: Function that starts the delivery of outcomes soon. Thread-safe.
    """

    def __init__(self, parts: SchedulerParts, tasks: StoredTasks, wake: Callable[[], object]) -> None:
        self._parts = parts
        self._tasks = tasks
        self._wake = wake
        # Any thread changes it, under the lock; the loop's thread reads copies.
        self._listeners: dict[object, tuple[type[object], Callable[[Never], object]]] = {}
        # Reentrant: signal handlers, and finalizers that the garbage collector calls, may come while it is held.
        self._lock = threading.RLock()
        self._position: int | None = None
        self._listens = False
        self._next = 0.0
        self._workers: dict[str, Worker] = {}

    def subscribe(self, event: type[object], listener: Callable[[Never], object]) -> Subscription:
        """Call a listener with the outcomes of a class, of all nodes.

        Raises:
            InvalidInputError: The class is not one of outcomes.
        """
        if event not in ENDED:
            allowed = ", ".join(sorted(each.__name__ for each in ENDED))
            raise InvalidInputError("event", event.__name__, f"the scope 'cluster' has outcomes of runs: {allowed}")
        key = object()
        with self._lock:
            self._listeners[key] = event, listener
        self._wake()
        return Subscription(partial(self._unsubscribe, key))

    def remove(self, listener: object) -> bool:
        """Remove all subscriptions of a listener, and return True if there were any."""
        identity = identity_of(listener)
        with self._lock:
            found = [key for key, (_, each) in [*self._listeners.items()] if identity_of(each) == identity]
        for key in found:
            self._unsubscribe(key)
        return bool(found)

    def _unsubscribe(self, key: object) -> None:
        with self._lock:
            removed = self._listeners.pop(key, None)
        # Dropped outside of the lock: the `__del__` of a listener may subscribe again.
        del removed

    def close(self) -> None:
        """Forget the position: events of the time until the next start are not delivered."""
        self._position, self._listens, self._next = None, False, 0.0

    def on_lease_lost(self) -> None:
        """Listen again, because the store may have forgotten the node."""
        self._listens = False

    async def _note_nodes(self, session: StoreSession, page: Sequence[RunRecord]) -> None:
        """Read the names of nodes that are not known yet. Those of dead nodes stay empty."""
        unknown = {record.node for record in page if record.node is not None} - self._workers.keys()
        if not unknown:
            return
        self._workers.update({node: Worker(node=node) for node in unknown})
        for node in await session.nodes():
            if node.id in unknown:
                host, _, pid = node.name.rpartition(":")
                self._workers[node.id] = Worker(host=host, pid=int(pid) if pid.isdecimal() else None, node=node.id)
        while len(self._workers) > _MAX_NODES:
            del self._workers[next(iter(self._workers))]

    async def deliver(self, session: StoreSession) -> float | None:
        """Deliver new outcomes, and return the seconds until the next read; None if there is no listener."""
        if not self._listeners:
            # Without a position, a later listener begins with the outcomes of its time.
            self._position = None
            return None
        now = time.monotonic()
        if self._listens and self._position is not None and now < self._next:
            return self._next - now
        if not self._listens or self._position is None:
            last = await session.listen()
            self._position = last if self._position is None else self._position
            self._listens = True
        for _ in range(_MAX_PAGES):
            page = await session.outcomes(self._position, _PAGE)
            if page:
                await self._deliver_page(session, page)
            if len(page) < _PAGE:
                self._next = time.monotonic() + _INTERVAL
                return _INTERVAL
        # The other work of the node comes first.
        self._next = 0.0
        return 0.0

    async def _deliver_page(self, session: StoreSession, page: Sequence[RunRecord]) -> None:
        await self._note_nodes(session, page)
        if any(self._tasks.is_unknown(record.task_id) for record in page):
            # The task may have been added after the last look at changes.
            await self._tasks.read_changes(session)
        functions = {
            each.id: stored.call.function for each in page if (stored := self._tasks.get(each.task_id)) is not None
        }
        # In another thread: the annotations of a function may be any code.
        results = await self._tasks.codec.call(partial(_results_of, page, functions, self._tasks.codec.values))
        for record in page:
            # First: a listener that ends the scheduler must not receive the event again.
            self._position = record.ended
            event = self._event_of(record, results.get(record.id))
            with self._lock:
                found = [listener for each, listener in [*self._listeners.values()] if each is type(event)]
            # The listeners have been subscribed with the class of the event, which the type of the dict cannot say.
            listeners = cast("Sequence[Callable[[Ended], object]]", found)
            self._parts.runtime.dispatcher.call_each(listeners, event)
        # The loop has other work too.
        await asyncio.sleep(0)

    def _event_of(self, record: RunRecord, result: object) -> Ended:
        node = record.node or ""
        worker = self._workers.get(node)
        details = RunDetails(
            run_id=record.id,
            attempt=record.attempt,
            scheduled=record.scheduled_at.timestamp(),
            started=None if record.started_at is None else record.started_at.timestamp(),
            finished=None if record.finished_at is None else record.finished_at.timestamp(),
            worker=worker,
        )
        match record.state:
            case "executed":
                return TaskExecuted(record.task_id, result, details)
            case "error":
                name, _, message = record.error.partition(": ")
                exception = RemoteError(name, message, (name,))
                return TaskError(record.task_id, exception, traceback=record.traceback, details=details)
            case "cancelled":
                return TaskCancelled(record.task_id, details=details)
            case _:
                rejections = {each.__name__: each for each in (TaskMaxInstances, TaskQueueFull)}
                return rejections.get(record.error, TaskMissed)(record.task_id, details=details)


def _results_of(
    page: Sequence[RunRecord], functions: Mapping[UUID, object], values: Codec | None
) -> dict[UUID, object]:
    """Return the results of runs by id: by the return annotation, or as plain JSON if the function is not known."""
    results: dict[UUID, object] = {}
    for record in page:
        for function in (functions.get(record.id), None):
            if record.result is not None and record.id not in results:
                try:
                    results[record.id] = decode_result(function, record.result, values)
                except BaseException as error:
                    # Validators and codecs are code of users. One result must not keep the node from its other work.
                    if is_interrupt(error):
                        raise
    return results
