"""Plugin for the scheduler of a Dask cluster: the runs of a lost worker are not executed again."""

from __future__ import annotations

from collections.abc import Mapping, Set as AbstractSet
from typing import TYPE_CHECKING

from distributed.diagnostics.plugin import SchedulerPlugin
from typing_extensions import override

from asyncz.executors.dask._worker import KEY_MARKER

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.scheduler import Scheduler


class NoImplicitRetryPlugin(SchedulerPlugin):
    """Fail the runs of a lost worker, unless they may be repeated.

    By default Dask executes lost tasks again, up to three times, although a second execution may do harm.
    """

    name = "asyncz-no-implicit-retry"
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
        """Count new tasks as if they had been lost as often as Dask allows."""
        allowed, repeated = scheduler.allowed_failures, annotations.get("retries", {})
        for key in keys:
            task = scheduler.tasks.get(key)
            if task is not None and allowed is not None and KEY_MARKER in str(key):
                times = repeated.get(key, 0)
                task.suspicious = max(task.suspicious, allowed - (times if isinstance(times, int) else 0))
