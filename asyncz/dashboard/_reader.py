"""Source of the states that the dashboard shows: one process, or all nodes of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import attrs

from asyncz.config import TriggerConfig
from asyncz.dashboard.states import (
    ActionName,
    ActionReport,
    EventPage,
    ExecutorPage,
    Run,
    RunDetail,
    RunPage,
    SchedulerInfo,
    Scope,
    TaskDetail,
    TaskFilter,
    TaskOrder,
    TaskPage,
    Timeline,
)
from asyncz.stores.records import RunRecordState


@attrs.frozen
class TaskSelection:
    """Selection and order of tasks.

    Attributes:
        search: Text that the id, the function or the executor contains; case does not matter.
        filter: Selection by state; None for all tasks.
        executor: Alias of an executor; empty for all executors.
        order: Order of the tasks.
        after: Key of the last task of the page before; None for the first page.
        limit: Maximum number of tasks of a page.
    """

    search: str = ""
    filter: TaskFilter | None = None
    executor: str = ""
    order: TaskOrder = "id"
    after: str | None = None
    limit: int = 50


@attrs.frozen
class RunSelection:
    """Selection of runs.

    Attributes:
        task_id: Id of a task; None for all tasks.
        outcome: Outcome; `running` for runs in progress, None for all runs.
        before: Position of the last run of the page before; None for the first page.
        limit: Maximum number of runs of a page.
        stored: Read the runs of all nodes from the store, if there is one.
        since: Earliest time of the runs; None for no limit.
        until: Time before which the runs were; None for no limit.
        text: Text that the error contains; case does not matter.
    """

    task_id: str | None = None
    outcome: RunRecordState | None = None
    before: int | None = None
    limit: int = 50
    stored: bool = False
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""


class Reader(Protocol):
    """Source of states. The coroutines do not block the event loop."""

    @property
    def scope(self) -> Scope:
        """Scope of the states: this process, or all nodes of a store."""
        ...

    @property
    def now(self) -> datetime:
        """Current time by the clock of the machine, UTC."""
        ...

    @property
    def stores_runs(self) -> bool:
        """True if a selection of runs can ask for stored ones."""
        ...

    def info(self) -> SchedulerInfo:
        """Return the scheduler and its process, for a user with the right to look."""
        ...

    async def refresh(self) -> None:
        """Read what `info` returns, if that is not in this process."""
        ...

    def aliases(self) -> Sequence[str]:
        """Return the aliases of the executors."""
        ...

    async def tasks(self, selection: TaskSelection, /) -> TaskPage:
        """Return a page of tasks, with redacted errors."""
        ...

    async def counts(self) -> Mapping[TaskFilter, int]:
        """Return the number of tasks that each filter selects."""
        ...

    async def task(self, task_id: str, /) -> TaskDetail:
        """Return a task with its arguments, options and next due times.

        Raises:
            TaskLookupError: No task has the id.
        """
        ...

    async def runs(self, selection: RunSelection, /) -> RunPage:
        """Return a page of runs, newest first."""
        ...

    async def run(self, run_id: str, /) -> RunDetail:
        """Return a run with its traceback, attempts and log records.

        Raises:
            RunLookupError: No such run is kept.
            RequestError: The id is not one of a run.
        """
        ...

    def can_cancel(self, run: Run, /) -> bool:
        """Return True if the action for a run may cancel it: the run is in progress, and of this scope."""
        ...

    async def executors(self) -> ExecutorPage:
        """Return the executors and the nodes."""
        ...

    async def timeline(self, past: timedelta, future: timedelta, /) -> Timeline:
        """Return past and coming runs in a window around now."""
        ...

    async def events(self, before: str | None, limit: int, /) -> EventPage:
        """Return a page of events, newest first."""
        ...

    async def metrics(self) -> str:
        """Return metrics in the text format of Prometheus."""
        ...


class Actor(Protocol):
    """Actions of users, each of which is an event that names the user."""

    async def act(
        self, action: ActionName, ids: Sequence[str], user: str, trigger: TriggerConfig | None, /
    ) -> ActionReport:
        """Carry out an action on tasks; a failure on one of them does not affect the others.

        Raises:
            InvalidInputError: The action needs a trigger and has none, or the other way round.
        """
        ...

    async def cancel_run(self, run_id: UUID, user: str, /) -> ActionReport:
        """Cancel a run."""
        ...

    async def set_paused(self, paused: bool, user: str, /) -> ActionReport:
        """Pause or resume the scheduler."""
        ...
