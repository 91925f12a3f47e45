"""Numbers about a scheduler for metrics: read in any thread, without a snapshot of each task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import attrs

from asyncz._statuses import SchedulerStatus
from asyncz.schedulers._parts import SchedulerParts
from asyncz.schedulers._safe_logging import logger
from asyncz.states import ExecutorState


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
    """

    status: SchedulerStatus
    counts: Mapping[str, int]
    tasks: int
    overdue: float
    backlog: Mapping[str, int]
    executors: tuple[ExecutorState, ...]


def observe(parts: SchedulerParts) -> Observation:
    """Return the numbers of now. May be called from any thread, also while the loop is blocked."""
    runtime = parts.runtime
    controllers = parts.tasks.registered()
    backlog = Counter[str]()
    now = runtime.now()
    earliest = now
    for controller in controllers:
        since = controller.waits_since()
        if since is not None and since < earliest:
            earliest = since
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
        runtime.status, runtime.counters.snapshot(), len(controllers), overdue, backlog, tuple(executors)
    )
