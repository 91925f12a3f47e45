"""What the scheduler of a Dask cluster is taught: not to execute again what a lost worker was given."""

from __future__ import annotations

from collections.abc import Mapping, Set as AbstractSet
from typing import TYPE_CHECKING

from distributed.diagnostics.plugin import SchedulerPlugin
from typing_extensions import override

from asyncz.executors.dask._worker import MARK

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.scheduler import Scheduler


class LostOnce(SchedulerPlugin):
    """Has a lost worker end the runs that it was given, unless these may be repeated.

    By itself Dask executes again what it lost, three times by default, whatever that does a second time.
    """

    name = "asyncz-lost-once"
    idempotent = True

    @override
    def update_graph(
        self,
        scheduler: Scheduler,
        *,
        keys: AbstractSet[Key],
        annotations: Mapping[str, Mapping[Key, object]],
        **_: object,
    ) -> None:
        """Have tasks that are new count as if they had been lost as often as Dask allows."""
        allowed, repeated = scheduler.allowed_failures, annotations.get("retries", {})
        for key in keys:
            task = scheduler.tasks.get(key)
            if task is not None and allowed is not None and MARK in str(key):
                times = repeated.get(key, 0)
                task.suspicious = max(task.suspicious, allowed - (times if isinstance(times, int) else 0))
