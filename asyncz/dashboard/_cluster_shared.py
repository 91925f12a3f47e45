"""Read model of a store that a scheduler of this process uses: with what only this process knows."""

from __future__ import annotations

from typing_extensions import override

from asyncz.dashboard._cluster import ClusterModel
from asyncz.dashboard._reading import ReadModel
from asyncz.dashboard._redaction import Redactor
from asyncz.dashboard.states import ExecutorPage, RunDetail, SchedulerInfo, TaskDetail
from asyncz.exceptions import AsynczError, InvalidInputError
from asyncz.schedulers import AsyncIOScheduler
from asyncz.stores._console import StoreConsole, console_of


class SharedModel(ClusterModel):
    """States of a store and of one of its nodes: this process.

    Args:
        console: Connection with the store.
        local: States of this process.
        redactor: Redaction of texts that may contain secrets.
        title: Title of the dashboard.
    """

    def __init__(self, console: StoreConsole, local: ReadModel, redactor: Redactor, title: str) -> None:
        super().__init__(console, redactor, title)
        self._local = local

    @override
    def info(self) -> SchedulerInfo:
        """Return the store, and the scheduler of this process."""
        return super().info().model_copy(update={"status": self._local.info().status})

    @override
    async def task(self, task_id: str, /) -> TaskDetail:
        """Return a stored task, with the names of its arguments and its progress if this process has it."""
        detail = await super().task(task_id)
        try:
            local = await self._local.task(task_id)
        except AsynczError:
            return detail
        progress = local.task.progress or detail.task.progress
        task = detail.task.model_copy(update={"trigger": local.task.trigger, "progress": progress})
        return detail.model_copy(update={"task": task, "arguments": local.arguments})

    @override
    async def run(self, run_id: str, /) -> RunDetail:
        """Return a stored run, with its attempts, progress and log records if this process has executed it."""
        detail = await super().run(run_id)
        local = self._local.find_run(detail.run.run_id)
        if local is None or self._local.node_id not in detail.run.worker:
            return detail
        # This process knows its part earlier than the store, and with the names of the threads.
        update: dict[str, object] = {"progress": local.progress or detail.progress}
        for name in ("attempts", "logs"):
            if len(getattr(local, name)) >= len(getattr(detail, name)):
                update |= local.model_dump(include={f"{name}_dropped"}) | {name: getattr(local, name)}
        run = detail.run.model_copy(update={"worker": local.run.worker}) if local.run.worker else detail.run
        return detail.model_copy(update={**update, "run": run})

    @override
    async def executors(self) -> ExecutorPage:
        """Return the executors of this process, and all nodes."""
        nodes, local = await super().executors(), await self._local.executors()
        return nodes.model_copy(update={"executors": local.executors})

    @override
    async def metrics(self) -> str:
        """Return the metrics of this process and of the store."""
        return f"{await self._local.metrics()}{await super().metrics()}"


def console_of_scheduler(scheduler: AsyncIOScheduler) -> StoreConsole | None:
    """Return the console of the store of a scheduler; None if it has none, or one of another kind."""
    try:
        store = scheduler.store
    except InvalidInputError:
        return None
    return console_of(store._connector._store)
