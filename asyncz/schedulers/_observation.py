"""Numbers for metrics: those of a scheduler, read in any thread without a snapshot of each task, and those of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

import attrs

from asyncz._statuses import SchedulerStatus
from asyncz.events import RunDetails
from asyncz.schedulers._parts import AnyController, SchedulerParts
from asyncz.schedulers._safe_logging import logger
from asyncz.states import ExecutorState

BOUNDARIES: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400)
"""Boundaries of the histograms of durations and lateness, in seconds."""


@attrs.frozen(eq=False)
class StoreObservation:
    """Numbers about the store of a scheduler at one moment.

    Attributes:
        connected: True if the last call of the store was successful.
        lease_seconds_left: Seconds until other nodes may take over the runs of this one.
        clock_offset: Seconds by which the clock of the scheduler is ahead of that of the store.
        parked: Number of stored tasks that cannot run in this program, or in any.
        taken_over: Number of runs that this node has taken over from lost ones.
        rejected_outcomes: Number of outcomes that the store has rejected, because another node had taken over the run.
    """

    connected: bool
    lease_seconds_left: float
    clock_offset: float
    parked: int
    taken_over: int
    rejected_outcomes: int


@attrs.frozen(eq=False)
class Observation:
    """Numbers about a scheduler at one moment.

    Attributes:
        status: Status of the scheduler.
        counts: Numbers of submitted runs and of their outcomes, by the names that `SchedulerState` uses.
        tasks: Number of registered tasks.
        overdue: Seconds since the earliest due time that has not led to a submission; 0 if none is late.
        backlog: Due runs that wait in the scheduler for a slot, by the alias of their executor.
        executors: States of the executors.
        store: Numbers about the store; None if the scheduler has none.
    """

    status: SchedulerStatus
    counts: Mapping[str, int]
    tasks: int
    overdue: float
    backlog: Mapping[str, int]
    executors: tuple[ExecutorState, ...]
    store: StoreObservation | None


def lateness_of(details: RunDetails) -> float | None:
    """Return the seconds from the due time of a run to the call of its function; None if it was not called."""
    if details.started is None or details.scheduled is None:
        return None
    return max(0.0, details.started - details.scheduled)


def _earliest_due(controller: AnyController, now: float) -> float:
    """Return the earliest due time up to `now` that has not led to a submission; `now` if there is none.

    A paused task waits on purpose, also with a backlog: it is not late.
    """
    if controller.paused:
        return now
    earliest, offset = now, controller.clock_offset
    next_due, waiting = controller.schedule.next_due, controller.first_due
    if next_due is not None:
        earliest = min(earliest, next_due.timestamp() + offset)
    if waiting is not None:
        earliest = min(earliest, waiting + offset)
    return earliest


def observe(parts: SchedulerParts) -> Observation:
    """Return the numbers of now. Thread-safe, also while the loop is blocked."""
    runtime = parts.runtime
    controllers = parts.tasks.registered()
    backlog = Counter[str]()
    now = runtime.now()
    earliest = now
    for controller in controllers:
        earliest = min(earliest, _earliest_due(controller, now))
        waiting = controller.backlog_size
        if waiting:
            backlog[controller.registration.alias] += waiting
    overdue = now - earliest if runtime.running else 0.0
    executors: list[ExecutorState] = []
    for registration in parts.executors.all():
        try:
            executors.append(registration.state())
        except Exception:
            logger.exception("The executor %r could not report its state", registration.alias)
    return Observation(
        runtime.status,
        runtime.counters.snapshot(),
        len(controllers),
        overdue,
        backlog,
        tuple(executors),
        _store_of(parts),
    )


def node_id(parts: SchedulerParts) -> str:
    """Return the id of this node in the store; empty without a store."""
    return "" if parts.store is None else parts.store.node_id


def _store_of(parts: SchedulerParts) -> StoreObservation | None:
    if parts.store is None:
        return None
    # Imported here: without a store, nothing of it is loaded.
    from asyncz.schedulers._store_part import StoreConnector

    store = parts.store
    if not isinstance(store, StoreConnector):
        return None
    return StoreObservation(
        store.connected,
        store.lease_seconds_left,
        store.clock_offset,
        len(store.tasks.unreadable) + len(store.tasks.parked),
        store.runs.taken_over,
        store.runs.outcomes.rejected,
    )
