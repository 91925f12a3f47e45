"""Runs that a scheduler has fired or claimed in the store, and their outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Literal, TypeAlias
from uuid import UUID, uuid4

import attrs

from asyncz._text import exception_text
from asyncz.clock import utc
from asyncz.events import (
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMaxInstances,
    TaskMissed,
    TaskQueueFull,
)
from asyncz.schedulers._parts import SchedulerParts
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._store_tasks import StoredTask, StoredTasks
from asyncz.schedulers._stored_schedule import Step
from asyncz.schedulers.subscriptions import Subscription
from asyncz.stores._calls import encode_result
from asyncz.stores.exceptions import NodeLostError
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import Firing, LostRunPolicy, Outcome, RunQuery, RunRecord

_Ended: TypeAlias = TaskExecuted[object] | TaskError | TaskMissed | TaskCancelled | TaskMaxInstances | TaskQueueFull
_EndState: TypeAlias = Literal["executed", "error", "missed", "cancelled"]
_ENDED = (TaskExecuted, TaskError, TaskMissed, TaskCancelled, TaskMaxInstances, TaskQueueFull)
_STATES: Mapping[type[object], _EndState] = {
    TaskExecuted: "executed",
    TaskError: "error",
    TaskMissed: "missed",
    TaskCancelled: "cancelled",
    TaskMaxInstances: "missed",
    TaskQueueFull: "missed",
}

_PAGE = 200
# Seconds until a node may claim a run again that this one could not start.
_NOT_HERE_DELAY = timedelta(seconds=5)
# Longer texts of an error are cut.
_MAX_TEXT = 65_536


@attrs.frozen
class OwnedRun:
    """A run of which this node is the owner.

    Attributes:
        id: Id in the store.
        fence: Fence of this owner.
        task_id: Id of the task.
        at: Due time, in seconds since the epoch.
        function: Function of the task.
    """

    id: UUID
    fence: int
    task_id: str
    at: float
    function: object


class StoredRuns:
    """Firing of tasks, ownership of runs, and their outcomes. For the loop's thread.

    Args:
        parts: Parts of the scheduler.
        tasks: Tasks that the store keeps.
        on_lost: Policy for runs whose node dies.
        wake: Function that has the pending work done soon.

    Attributes:
        rejected: Number of outcomes that the store has rejected, because another node has taken over the run.
    """

    def __init__(
        self, parts: SchedulerParts, tasks: StoredTasks, on_lost: LostRunPolicy, wake: Callable[[], object]
    ) -> None:
        self._parts = parts
        self._tasks = tasks
        self._on_lost: LostRunPolicy = on_lost
        self._wake = wake
        self._steps: dict[str, tuple[int, Step]] = {}
        self._owned: dict[tuple[str, float], OwnedRun] = {}
        self._outcomes: list[Outcome] = []
        # Outcomes with results, whose encoding is the code of users.
        self._results: list[tuple[OwnedRun, TaskExecuted[object]]] = []
        self._subscriptions: list[Subscription] = []
        self.rejected: int = 0

    def open(self) -> None:
        """Receive the outcomes of runs."""
        self._steps.clear()
        self._owned.clear()
        self._outcomes.clear()
        self._results.clear()
        self._subscriptions = [
            self._parts.runtime.dispatcher.subscribe_unchecked(each, self._on_end) for each in _ENDED
        ]

    def close(self) -> None:
        """Receive no more outcomes."""
        for subscription in self._subscriptions:
            subscription.unsubscribe()

    # Firing

    def offer_step(self, stored: StoredTask, step: Step) -> None:
        """Have a step of a task fired."""
        version = stored.record.version
        pending = self._steps.get(stored.record.id)
        if pending is not None and pending[0] == version and pending[1].next_due == step.due:
            step = pending[1].then(step)
        self._steps[stored.record.id] = version, step
        self._wake()

    async def fire(self, session: StoreSession) -> bool:
        """Fire the offered steps, and start the runs that this node has won; return False if a firing has failed."""
        steps = self._steps.copy()
        self._steps.clear()
        if self._parts.runtime.status != "running":
            return True
        firings = [
            self._firing_of(stored, version, step)
            for task_id, (version, step) in steps.items()
            if (stored := self._tasks.get(task_id)) is not None
        ]
        won: set[str] = set()
        for start in range(0, len(firings), _PAGE):
            try:
                runs = await session.fire(firings[start : start + _PAGE])
            except BaseException:
                # Offered again: the local schedules have gone on already.
                for firing in firings[start:]:
                    self._steps.setdefault(firing.task_id, steps[firing.task_id])
                raise
            for run in runs:
                won.add(run.task_id)
                self.start_run(run)
            # The loop has other work too.
            await asyncio.sleep(0)
        return len(won) == len(firings)

    def _firing_of(self, stored: StoredTask, version: int, step: Step) -> Firing:
        record = stored.record
        runs = [
            RunRecord(
                id=uuid4(), task_id=record.id, scheduled_at=utc(at), executor=record.executor, on_lost=self._on_lost
            )
            for at in step.times
        ]
        if step.missed:
            missed = RunRecord(
                id=uuid4(),
                task_id=record.id,
                kind="missed",
                state="missed",
                scheduled_at=step.due,
                executor=record.executor,
                missed=step.missed,
            )
            runs.insert(0, missed)
        return Firing(task_id=record.id, version=version, due=step.due, next_due=step.next_due, runs=tuple(runs))

    # Ownership

    def start_run(self, run: RunRecord, *, must_run: bool = False) -> None:
        """Start a run of which this node has become the owner."""
        at, stored = run.scheduled_at.timestamp(), self._tasks.get(run.task_id)
        if run.kind == "missed":
            if stored is not None:
                logger.warning("The task %r has missed %d due time(s)", run.task_id, run.missed)
                stored.controller.report_run(at, None)
            return
        if stored is None or self._parts.runtime.status != "running":
            self._give_back(run.id, run.fence, run.attempt, delay=stored is None)
            return
        self._owned[run.task_id, at] = self._owned_run(run, stored)
        stored.controller.offer_run(at, must_run=must_run)

    def _owned_run(self, run: RunRecord, stored: StoredTask) -> OwnedRun:
        return OwnedRun(run.id, run.fence, run.task_id, run.scheduled_at.timestamp(), stored.call.function)

    def _give_back(self, run_id: UUID, fence: int, attempt: int, *, delay: bool = False) -> None:
        not_before = utc(self._parts.runtime.now()) + _NOT_HERE_DELAY if delay else None
        self._outcomes.append(
            Outcome(run_id=run_id, fence=fence, state="waiting", attempt=attempt, not_before=not_before)
        )
        self._wake()

    async def claim(self, session: StoreSession) -> None:
        """Become the owner of waiting runs."""
        executors = dict.fromkeys(self._tasks.executors, _PAGE)
        if executors and self._parts.runtime.status == "running":
            for run in await session.claim(executors, _PAGE):
                self.start_run(run, must_run=True)

    async def take_over(self, session: StoreSession) -> None:
        """Become the owner of the runs of dead nodes, which fail or run again."""
        if self._parts.runtime.status != "running":
            return
        for run in await session.take_over(_PAGE):
            logger.warning("The run %s of the task %r was taken over from a lost node", run.id, run.task_id)
            if run.on_lost == "rerun":
                self.start_run(run, must_run=True)
            else:
                self._fail(run)

    def _fail(self, run: RunRecord) -> None:
        error, stored = NodeLostError(run.task_id, run.node or ""), self._tasks.get(run.task_id)
        if stored is not None:
            owned = self._owned_run(run, stored)
            self._owned[run.task_id, owned.at] = owned
            stored.controller.report_run(owned.at, error)
            return
        self._outcomes.append(
            Outcome(
                run_id=run.id,
                fence=run.fence,
                state="error",
                attempt=run.attempt,
                finished_at=utc(self._parts.runtime.now()),
                error=exception_text(error),
            )
        )
        self._wake()

    async def reclaim(self, session: StoreSession, node_id: str) -> None:
        """Start runs that belong to this node without its knowledge: the answer of the store was lost."""
        known = {each.id for each in self._owned.values()}
        known |= {outcome.run_id for outcome in self._outcomes} | {owned.id for owned, _ in self._results}
        for run in await session.runs(RunQuery(states=("running",), limit=10_000)):
            if run.node == node_id and run.id not in known:
                self.start_run(run)

    def forget_backlog(self, task_id: str, backlog: Sequence[float]) -> None:
        """End the runs that waited in the backlog of a removed task."""
        for at in backlog:
            owned = self._owned.pop((task_id, at), None)
            if owned is not None:
                self._outcomes.append(Outcome(run_id=owned.id, fence=owned.fence, state="cancelled"))
                self._wake()

    # Outcomes

    def _on_end(self, event: _Ended) -> None:
        details = event.details
        if details.scheduled is None:
            return
        owned = self._owned.pop((event.task_id, details.scheduled), None)
        if owned is None:
            return
        if isinstance(event, TaskExecuted):
            self._results.append((owned, event))
        elif isinstance(event, TaskCancelled) and details.started is None and self._parts.runtime.status == "draining":
            # Another node, or this one after a restart, can still run it.
            self._give_back(owned.id, owned.fence, 1)
            return
        else:
            self._outcomes.append(_outcome_of(owned, event))
        self._wake()

    async def finish(self, session: StoreSession) -> None:
        """Store the outcomes; those that fail stay pending."""
        if self._results:
            results = self._results.copy()
            self._results.clear()
            self._outcomes += await asyncio.to_thread(_encoded, results)
        while self._outcomes:
            page = self._outcomes[:_PAGE]
            accepted = {*await session.finish(page)}
            del self._outcomes[: len(page)]
            for outcome in page:
                if outcome.run_id not in accepted:
                    self.rejected += 1
                    logger.warning(
                        "The outcome %r of the run %s was rejected: another node has taken over the run",
                        outcome.state,
                        outcome.run_id,
                    )

    def give_back_all(self) -> None:
        """Give back all runs that have no outcome."""
        owned = tuple(self._owned.values())
        self._owned.clear()
        for each in owned:
            self._give_back(each.id, each.fence, 1)


def _encoded(results: Sequence[tuple[OwnedRun, TaskExecuted[object]]]) -> list[Outcome]:
    """Return outcomes with their results as JSON. In another thread, as results may be long and their types slow."""
    return [_outcome_of(owned, event, encode_result(owned.function, event.result)) for owned, event in results]


def _storable(text: str) -> str:
    """Return a text without lone surrogates and NUL, which a database does not accept."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _outcome_of(owned: OwnedRun, event: _Ended, result: str | None = None) -> Outcome:
    details = event.details
    error = text = ""
    if isinstance(event, TaskError):
        error, text = _storable(exception_text(event.exception)), _storable(event.traceback)
        error, text = error[:_MAX_TEXT], text[-_MAX_TEXT:]
    elif isinstance(event, TaskMaxInstances | TaskQueueFull):
        error = type(event).__name__
    return Outcome(
        run_id=owned.id,
        fence=owned.fence,
        state=_STATES[type(event)],
        attempt=max(details.attempt, 1),
        started_at=details.started_at,
        finished_at=details.finished_at,
        result=result,
        error=error,
        traceback=text,
    )
