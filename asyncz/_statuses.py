"""Statuses of executors, schedulers and runs. Apart from the snapshots, which import pydantic."""

from __future__ import annotations

from typing import Literal, TypeAlias

from asyncz.exceptions import IllegalTransitionError

ExecutorStatus: TypeAlias = Literal["created", "starting", "running", "draining", "stopped", "broken"]
"""Status of an executor, which accepts runs only while `running`."""

SchedulerStatus: TypeAlias = Literal["created", "running", "paused", "draining", "stopped"]
"""Status of a scheduler."""

RunOutcome: TypeAlias = Literal["executed", "error", "missed", "cancelled"]
"""Outcome of a run."""

_FOLLOWING: dict[ExecutorStatus, tuple[ExecutorStatus, ...]] = {
    "created": ("starting", "stopped"),
    "starting": ("running", "broken", "stopped"),
    "running": ("draining", "broken", "stopped"),
    "draining": ("stopped", "broken"),
    "stopped": ("starting",),
    "broken": ("draining", "stopped"),
}


def check_transition(alias: str, current: ExecutorStatus, wanted: ExecutorStatus) -> None:
    """Reject an invalid change of an executor's status.

    Raises:
        IllegalTransitionError: `wanted` cannot follow `current`.
    """
    if wanted not in _FOLLOWING[current]:
        raise IllegalTransitionError(alias, current, wanted)
