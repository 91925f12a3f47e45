"""Timelines, nodes and limits of tasks as states, from a scheduler or from a store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import attrs

from asyncz._text import value_text
from asyncz.dashboard.states import Argument, Lane, Node, Run
from asyncz.limits import TaskLimits
from asyncz.stores.records import NodeRecord

MAX_DUE_TIMES = 100
"""Maximum number of coming runs of a task on a timeline."""

MAX_LANES = 40
"""Maximum number of tasks on a timeline."""

MAX_RUNS = 2000
"""Maximum number of past runs on a timeline."""


def lane_of(task_id: str, runs: Sequence[Run], due: Sequence[datetime], now: datetime, end: datetime) -> Lane:
    """Return the lane of a task.

    Args:
        task_id: Id of the task.
        runs: Past runs.
        due: Coming due times, at most `MAX_DUE_TIMES`.
        now: Current time.
        end: End of the timeline.
    """
    more = len(due) == MAX_DUE_TIMES and due[-1] < end
    return Lane(task_id=task_id, runs=tuple(runs), due=tuple(at for at in due if now <= at <= end), more=more)


def nodes_of(records: Iterable[NodeRecord]) -> tuple[Node, ...]:
    """Return the nodes of a store."""
    return tuple(
        Node(
            node_id=node.id,
            name=node.name,
            app_version=node.app_version,
            lease_until=node.lease_until,
            paused=node.paused,
        )
        for node in records
    )


def limits_as_arguments(limits: TaskLimits) -> tuple[Argument, ...]:
    """Return the limits of a task by their names."""
    return tuple(
        Argument(name=field.name, value=value_text(getattr(limits, field.name))) for field in attrs.fields(TaskLimits)
    )
