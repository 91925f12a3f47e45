"""What executors, schedulers and runs are doing, in a word. Apart from the snapshots, which cost pydantic to load."""

from __future__ import annotations

from typing import Literal, TypeAlias

from asyncz.exceptions import IllegalTransitionError

ExecutorStatus: TypeAlias = Literal["created", "starting", "running", "draining", "stopped", "broken"]
"""What an executor is doing: it takes runs only while it is `running`."""

SchedulerStatus: TypeAlias = Literal["created", "running", "paused", "draining", "stopped"]
"""What a scheduler is doing."""

RunOutcome: TypeAlias = Literal["executed", "error", "missed", "cancelled"]
"""How a run ended."""

_FOLLOWING: dict[ExecutorStatus, tuple[ExecutorStatus, ...]] = {
    "created": ("starting", "stopped"),
    "starting": ("running", "broken", "stopped"),
    "running": ("draining", "broken", "stopped"),
    "draining": ("stopped", "broken"),
    "stopped": ("starting",),
    "broken": ("draining", "stopped"),
}


def check_transition(alias: str, current: ExecutorStatus, wanted: ExecutorStatus) -> None:
    """Reject a change of an executor's status that the rules do not allow.

    Raises:
        IllegalTransitionError: `wanted` cannot follow `current`.
    """
    if wanted not in _FOLLOWING[current]:
        raise IllegalTransitionError(alias, current, wanted)
