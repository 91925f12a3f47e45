"""Chains of stored tasks: a run of each downstream task is stored together with the outcome that has the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid5

import attrs

from asyncz._safe_logging import is_interrupt
from asyncz._text import exception_text
from asyncz._traced_call import encoded_trace_context
from asyncz.clock import utc
from asyncz.events import RunDetails
from asyncz.exceptions import NoResultError
from asyncz.schedulers._runtime import Runtime
from asyncz.schedulers._safe_logging import logger
from asyncz.stores._calls import MAX_HANDED_OVER, StoredCall, encode_arguments, encode_problem, encode_with_result
from asyncz.stores._unvalidated import evolved
from asyncz.stores.codecs import Codec
from asyncz.stores.exceptions import UnstorableTaskError
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import FINAL_RUN_STATES, LostRunPolicy, RunQuery, RunRecord, TaskRecord

# Seconds between two checks of downstream tasks that have lost their upstream task and still have runs.
_ORPHAN_DELAY = 1.0


@attrs.frozen
class HandOver:
    """Hand-over of a result to one downstream task.

    Attributes:
        run: Run of the downstream task, without its arguments. Its id is made from that of the upstream run, so that
            the same result is stored once.
        call: Call of the downstream task without the result; None if this node does not know its function.
        arguments: Stored arguments of the downstream task.
    """

    run: RunRecord
    call: StoredCall | None
    arguments: str

    def with_result(self, upstream: object, result: object, values: Codec | None) -> RunRecord:
        """Return the run with its arguments. In another thread, as the encoding is code of users.

        Args:
            upstream: Function that has returned the result.
            result: The result.
            values: Codec of arguments; None for JSON.
        """
        task_id = self.run.task_id
        try:
            if self.call is None:
                text = encode_with_result(task_id, self.arguments, upstream, result, values)
            else:
                text = encode_arguments(task_id, self.call.with_result(result), values)
            if len(text) > MAX_HANDED_OVER:
                reason = f"its arguments have {len(text)} characters, more than {MAX_HANDED_OVER}; store a reference"
                raise UnstorableTaskError(task_id, "result of its upstream task", reason)
        except BaseException as error:
            # Serializers are code of users. One result must not keep the node from its other work.
            if is_interrupt(error):
                raise
            # The run is stored all the same, and fails: no result disappears silently.
            problem = f"{error}" if isinstance(error, UnstorableTaskError) else exception_text(error)
            logger.error("A result cannot be handed over: %s", problem)
            text = encode_problem(problem)
        return evolved(self.run, {"arguments": text})


class SupportsCall(Protocol):
    """A stored task that this node can run."""

    @property
    def call(self) -> StoredCall:
        """Function with its arguments."""
        ...


class StoredChains:
    """Downstream tasks by the id of their upstream task, as the store has them.

    For the loop's thread, except for `note` under the lock of the runtime.

    Args:
        find: Returns a stored task; None if this node does not know its function.
        on_lost: Policy for the runs if their node dies.
        remove: Removes a task from the store, and from this scheduler.
    """

    def __init__(
        self,
        find: Callable[[str], SupportsCall | None],
        on_lost: LostRunPolicy,
        remove: Callable[[str], object],
    ) -> None:
        self._find = find
        self._on_lost: LostRunPolicy = on_lost
        self._remove = remove
        # Downstream records by their id, by the id of the upstream task.
        self._links: dict[str, dict[str, TaskRecord]] = {}
        self._upstream_of: dict[str, str] = {}
        self._known: set[str] = set()
        self._check_at = 0.0

    def note(self, record: TaskRecord) -> None:
        """Note a task as it is, or as this scheduler is going to declare it. Under the lock."""
        if record.removed:
            self.forget(record.id)
            return
        self._known.add(record.id)
        before = self._upstream_of.get(record.id)
        if before != record.upstream:
            self._unlink(record.id)
        if record.upstream is not None:
            self._upstream_of[record.id] = record.upstream
            # Replaced, not changed: the loop's thread may iterate over the other one.
            self._links[record.upstream] = {**self._links.get(record.upstream, {}), record.id: record}
            if record.upstream not in self._known:
                # Perhaps only until the record of that task is read.
                self._check_at = 0.0

    def forget(self, task_id: str) -> None:
        """Note that a task was removed. Under the lock."""
        self._known.discard(task_id)
        self._unlink(task_id)
        if task_id in self._links:
            self._check_at = 0.0

    def _unlink(self, task_id: str) -> None:
        upstream = self._upstream_of.pop(task_id, None)
        if upstream is None:
            return
        left = {known: record for known, record in self._links[upstream].items() if known != task_id}
        if left:
            self._links[upstream] = left
        else:
            del self._links[upstream]

    def has_downstream(self, task_id: str) -> bool:
        """Return True if results of a task are handed over."""
        return task_id in self._links

    def are_declared(self, task_id: str) -> bool:
        """Return False if the store does not know a downstream task of a task yet: a run of it would have no task."""
        return all(record.version for record in self._links.get(task_id, {}).values())

    def hand_overs(self, task_id: str, run_id: UUID, at: datetime, trace_context: str | None) -> tuple[HandOver, ...]:
        """Return the hand-overs of the result of a run.

        A task that no program declares any more receives nothing, as it is not fired either.

        Args:
            task_id: Id of the upstream task.
            run_id: Id of its run.
            at: Time of the result, by the clock of the store.
            trace_context: Trace context of the run, as JSON.
        """
        found: list[HandOver] = []
        for record in self._links.get(task_id, {}).values():
            if record.state != "undeclared":
                stored, run = self._find(record.id), self._run_of(record, run_id, at, trace_context)
                found.append(HandOver(run, None if stored is None else stored.call, record.arguments))
        return tuple(found)

    def _run_of(self, record: TaskRecord, run_id: UUID, at: datetime, trace_context: str | None) -> RunRecord:
        return RunRecord(
            id=uuid5(run_id, record.id),
            task_id=record.id,
            kind="submitted",
            state="waiting",
            scheduled_at=at,
            executor=record.executor,
            on_lost=self._on_lost,
            trace_context=trace_context,
        )

    # Removal

    async def remove_orphans(self, session: StoreSession, call_later: Callable[[float], object]) -> None:
        """Remove downstream tasks whose upstream task is gone, once both have no more runs.

        Args:
            session: Session with the store.
            call_later: Has this method called again after some seconds.
        """
        if time.monotonic() < self._check_at:
            return
        self._check_at = float("inf")
        try:
            # A copy, in one step: other threads add tasks.
            for upstream in [each for each in tuple(self._links) if each not in self._known]:
                await self._remove_orphans_of(upstream, session)
        except BaseException:
            self._check_at = 0.0
            raise
        if self._check_at < float("inf"):
            call_later(_ORPHAN_DELAY)

    async def _remove_orphans_of(self, upstream: str, session: StoreSession) -> None:
        busy = await _has_runs(session, upstream)
        for task_id in tuple(self._links.get(upstream, {})):
            if busy or await _has_runs(session, task_id):
                self._check_at = time.monotonic() + _ORPHAN_DELAY
            elif upstream not in self._known:
                logger.info("The task %r is removed: its upstream task %r is gone", task_id, upstream)
                self._remove(task_id)


async def _has_runs(session: StoreSession, task_id: str) -> bool:
    return bool(await session.runs(RunQuery(task_id=task_id, states=("waiting", "running"), limit=1)))


async def last_result(session: StoreSession, upstream: str) -> str:
    """Return the stored result of the last run of a task.

    Raises:
        NoResultError: There was no run yet, or the last one has no stored result.
    """
    for run in await session.runs(RunQuery(task_id=upstream, states=FINAL_RUN_STATES, limit=1)):
        if run.state == "executed" and run.result is not None:
            return run.result
    raise NoResultError(upstream)


class ResultReceivers:
    """Downstream tasks, as the outcomes of runs see them.

    Args:
        runtime: Shared state of the scheduler.
        chains: Downstream tasks.
        clock_offset: Returns the seconds by which the clock of the scheduler is ahead of that of the store.
    """

    def __init__(self, runtime: Runtime, chains: StoredChains, clock_offset: Callable[[], float]) -> None:
        self._runtime = runtime
        self._chains = chains
        self._clock_offset = clock_offset

    def are_declared(self, task_id: str) -> bool:
        """Return False if the store does not know a downstream task of a task yet: a run of it would have no task."""
        return self._chains.are_declared(task_id)

    def hand_overs(self, task_id: str, run_id: UUID, details: RunDetails) -> tuple[HandOver, ...]:
        """Return the hand-overs of the result of a run.

        Args:
            task_id: Id of the upstream task.
            run_id: Id of its run.
            details: Details of the outcome.
        """
        if not self._chains.has_downstream(task_id):
            return ()
        hook = self._runtime.run_hook
        trace_context = None if hook is None else encoded_trace_context(hook.headers_of_result(details))
        offset, now = self._clock_offset(), self._runtime.now()
        try:
            at = utc((now if details.finished is None else details.finished) - offset)
        except (ValueError, TypeError, OverflowError, OSError):
            # An executor may report any time; `outcome_of` logs it.
            at = utc(now - offset)
        return self._chains.hand_overs(task_id, run_id, at, trace_context)
