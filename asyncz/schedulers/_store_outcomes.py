"""Outcomes of stored runs on their way to the store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Literal, TypeAlias
from uuid import UUID

import attrs

from asyncz._run_owners import FinishedRun, RunPermit
from asyncz._text import escape_surrogates, exception_text, raw_exception_text
from asyncz.clock import utc
from asyncz.events import (
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskMaxInstances,
    TaskMissed,
    TaskQueueFull,
)
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._store_chains import HandOver, ResultReceivers
from asyncz.schedulers._store_codec import CodecThreads
from asyncz.schedulers._store_pages import store_page
from asyncz.stores._calls import encode_problem, encode_result
from asyncz.stores._unvalidated import evolved, unvalidated
from asyncz.stores.codecs import Codec
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import FinalRunState, LostRunPolicy, Outcome, RunQuery, RunRecord

Ended: TypeAlias = TaskExecuted[object] | TaskError | TaskMissed | TaskCancelled | TaskMaxInstances | TaskQueueFull
"""Event that ends a run."""

ENDED = (TaskExecuted, TaskError, TaskMissed, TaskCancelled, TaskMaxInstances, TaskQueueFull)
"""Classes of the events that end a run."""

_EndState: TypeAlias = Literal["executed", "error", "missed", "cancelled"]
_STATES: Mapping[type[object], _EndState] = {
    TaskExecuted: "executed",
    TaskError: "error",
    TaskMissed: "missed",
    TaskCancelled: "cancelled",
    TaskMaxInstances: "missed",
    TaskQueueFull: "missed",
}
# Stores of users may raise others than `StoreDataError`.
_REJECTIONS = (ValueError, TypeError, OverflowError)
_PAGE = 200
# Characters of the results and arguments of one transaction, beyond which its last outcome may go.
_PAGE_SIZE = 8_000_000
# If the text of an error is longer, it is cut.
_MAX_TEXT = 65_536
_outcome = unvalidated(Outcome)


@attrs.frozen
class OwnedRun:
    """A run of which this node is the owner.

    Attributes:
        id: Id of the run.
        fence: Fence of this owner.
        task_id: Id of the task.
        at: Due time in this scheduler, in seconds since the epoch. Two executions of one run differ by microseconds.
        function: Function of the task.
        waited: True if the run was claimed, so that it can wait for any node again.
        on_lost: Policy if the node of the run dies.
        attempt: Number of the attempt with which this owner begins.
        permit: Right of the run to begin.
        lost_node: Id of the lost node whose attempt ends; None for attempts of this node.
    """

    id: UUID
    fence: int
    task_id: str
    at: float
    function: object
    waited: bool = False
    on_lost: LostRunPolicy = "fail"
    attempt: int = 1
    permit: RunPermit = attrs.field(factory=lambda: RunPermit(None))
    lost_node: str | None = None


@attrs.frozen(eq=False)
class _Result:
    """Outcome with a result, whose encoding is the code of users.

    Attributes:
        owned: The run.
        event: The outcome.
    """

    owned: OwnedRun
    event: TaskExecuted[object]


class PendingOutcomes:
    """Outcomes that the store has not accepted yet. For the loop's thread.

    Args:
        now: Returns the time of the store, UTC.
        wake: Function that starts the storing of outcomes soon.
        on_stored: Function that is called with the task id of each accepted outcome.
        codec: Threads for the encoding of results.
        receivers: Downstream tasks.
        offset: Returns the seconds by which the clock of the scheduler is ahead of that of the store.

    Attributes:
        rejected: Number of outcomes that the store has rejected, because another node has taken over the run.
        handed_over: True if runs of downstream tasks were stored since the last claim.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        wake: Callable[[], object],
        on_stored: Callable[[str], object],
        codec: CodecThreads,
        receivers: ResultReceivers,
        *,
        offset: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._now = now
        self._offset = offset
        self._wake = wake
        self._on_stored = on_stored
        self._codec = codec
        self._receivers = receivers
        self._outcomes: list[tuple[str, Outcome]] = []
        self._results: list[_Result] = []
        # Permits of runs with outcomes that were written in transactions of users.
        self._finished: dict[UUID, RunPermit] = {}
        self.rejected: int = 0
        self.handed_over: bool = False

    @property
    def fences(self) -> set[tuple[UUID, int]]:
        """Ids and fences of the runs."""
        found = {(outcome.run_id, outcome.fence) for _, outcome in self._outcomes}
        return found | {(each.owned.id, each.owned.fence) for each in self._results}

    @property
    def in_transactions(self) -> set[UUID]:
        """Ids of runs with transactions that may be open: a call of the store would wait for them."""
        return {run_id for run_id, permit in self._finished.items() if permit.is_writing}

    def clear(self) -> None:
        """Forget all outcomes."""
        self._outcomes.clear()
        self._results.clear()
        self._finished.clear()

    def forget(self, run_id: UUID) -> None:
        """Forget the outcome of a run, if it has one."""
        self._outcomes = [each for each in self._outcomes if each[1].run_id != run_id]
        self._results = [each for each in self._results if each.owned.id != run_id]

    def add(self, owned: OwnedRun, event: Ended) -> None:
        """Queue the outcome of a run for the store."""
        permit = owned.permit
        if permit.written is not None:
            self._finished[owned.id] = permit
        if permit.finished is not None and isinstance(event, TaskExecuted):
            # The same record: if its transaction was committed, the store has it already.
            self._outcomes.append((owned.task_id, outcome_in(permit.finished)))
            self._wake()
            return
        if isinstance(event, TaskExecuted):
            self._results.append(_Result(owned, event))
        else:
            self._outcomes.append((owned.task_id, outcome_of(owned, event, self._now(), offset=self._offset())))
        self._wake()

    def give_back(self, owned: OwnedRun, attempt: int | None = None, not_before: datetime | None = None) -> None:
        """Queue the return of a run to the store, where it waits for any node."""
        outcome = Outcome(
            run_id=owned.id,
            fence=owned.fence,
            state="waiting",
            attempt=attempt or owned.attempt,
            not_before=not_before,
        )
        self._outcomes.append((owned.task_id, outcome))
        self._wake()

    def end(self, owned: OwnedRun, state: FinalRunState, error: str = "") -> None:
        """End a run that was not started here."""
        text = _storable(error)[:_MAX_TEXT]
        outcome = Outcome(
            run_id=owned.id,
            fence=owned.fence,
            state=state,
            finished_at=self._now(),
            error=text,
            lost_node=owned.lost_node,
        )
        self._outcomes.append((owned.task_id, outcome))
        self._wake()

    async def store(self, session: StoreSession, *, skip: Callable[[], Collection[UUID]]) -> None:
        """Store the outcomes; if the call fails, they stay pending.

        Args:
            session: Session with the store.
            skip: Returns the ids of runs that the store does not know, whose outcomes stay pending. Called for each
                page: while this waits for the store, further runs begin and end.
        """
        if self._results:
            await self._encode_results()
        while page := self._page({*skip(), *self.in_transactions}):
            accepted, dropped = await self._store_page(session, [outcome for _, outcome in page])
            unknown = {outcome.run_id for _, outcome in page} - accepted - dropped
            committed = await self._committed(session, unknown)
            stored = {id(outcome) for _, outcome in page}
            self._outcomes = [each for each in self._outcomes if id(each[1]) not in stored]
            for task_id, outcome in page:
                permit = self._finished.pop(outcome.run_id, None)
                if outcome.run_id in accepted or (outcome.run_id in committed and _is_written(outcome, permit)):
                    self._on_stored(task_id)
                    self.handed_over |= bool(outcome.then)
                elif outcome.run_id not in dropped:
                    self._note_rejected(outcome, is_committed=outcome.run_id in committed)

    async def _committed(self, session: StoreSession, run_ids: Iterable[UUID]) -> set[UUID]:
        """Return the ids of runs that have the outcome that their function has written in a transaction."""
        committed = set[UUID]()
        for run_id in run_ids:
            permit = self._finished.get(run_id)
            if permit is not None and permit.written is not None:
                record = next(iter(await session.runs(RunQuery(run_id=run_id))), None)
                if is_committed(permit, permit.written, record):
                    committed.add(run_id)
        return committed

    @property
    def waits_for_declarations(self) -> bool:
        """True if results wait until the store knows the downstream tasks that receive them."""
        return bool(self._results)

    async def _encode_results(self) -> None:
        results = [each for each in self._results if self._receivers.are_declared(each.owned.task_id)]
        if not results:
            return
        given = [
            (each, self._receivers.hand_overs(each.owned.task_id, each.owned.id, each.event.details))
            for each in results
        ]
        encoded = await self._codec.call(partial(_encoded, given, self._now(), self._codec.values, self._offset()))
        done = {id(each) for each in results}
        self._results = [each for each in self._results if id(each) not in done]
        self._outcomes += encoded

    def _page(self, skip: Collection[UUID]) -> list[tuple[str, Outcome]]:
        page: dict[UUID, tuple[str, Outcome]] = {}
        size = 0
        for task_id, outcome in self._outcomes:
            # One outcome of a run: the store returns the ids of accepted outcomes, and a run that this node has lost
            # and owns again has two, of which at most one is accepted.
            if outcome.run_id not in skip and outcome.run_id not in page:
                page[outcome.run_id] = task_id, outcome
                size += len(outcome.result or "") + sum(len(run.arguments or "") for run in outcome.then)
                if len(page) == _PAGE or size > _PAGE_SIZE:
                    break
        return [*page.values()]

    async def _store_page(self, session: StoreSession, outcomes: Sequence[Outcome]) -> tuple[set[UUID], set[UUID]]:
        """Store outcomes, and return the ids of the accepted and of the dropped ones.

        If one cannot be stored, the others are.
        """
        accepted, dropped = set[UUID](), set[UUID]()
        rejected: list[tuple[Outcome, Exception]] = []

        async def finish(page: Sequence[Outcome]) -> None:
            accepted.update(await session.finish(page))

        await store_page(
            outcomes, finish, lambda outcome, error: rejected.append((outcome, error)), rejections=_REJECTIONS
        )
        for outcome, error in rejected:
            answer = await _store_reduced(session, outcome, error)
            if answer is None:
                dropped.add(outcome.run_id)
            else:
                accepted |= answer
        return accepted, dropped

    def _note_rejected(self, outcome: Outcome, *, is_committed: bool) -> None:
        if outcome.state == "waiting":
            # Another node owns the run already.
            return
        if is_committed:
            message = "The run %s has ended here as %r, after it was finished in a transaction, whose outcome counts"
            logger.warning(message, outcome.run_id, outcome.state)
            return
        self.rejected += 1
        logger.warning(
            "The outcome %r of the run %s was rejected: another node has taken over the run",
            outcome.state,
            outcome.run_id,
        )


def outcome_in(finished: FinishedRun) -> Outcome:
    """Return the outcome that a function has written in a transaction of its own."""
    # Worker processes import the class of `finished`, but not that of outcomes.
    assert isinstance(finished.outcome, Outcome)
    return finished.outcome


def is_committed(permit: RunPermit, finished: FinishedRun, record: RunRecord | None) -> bool | None:
    """Return True if the transaction that wrote an outcome was committed; None if this is not known.

    Args:
        permit: Right of the run to begin.
        finished: The written outcome.
        record: The run as the store has it; None if it does not.
    """
    if record is None:
        # The store removes finished runs only; this run, if it had it, was finished by this node, or after its lease.
        return None if not permit.is_valid else permit.term is not None
    outcome = outcome_in(finished)
    # Only the owner with a fence moves the run on to the next one.
    moved_on = (record.state, record.fence) == (outcome.state, outcome.fence + 1)
    return moved_on and record.finished_at == outcome.finished_at


def _is_written(outcome: Outcome, permit: RunPermit | None) -> bool:
    """Return True if an outcome is the one that the function of its run has written."""
    return permit is not None and permit.written is not None and permit.written.outcome is outcome


async def _store_reduced(session: StoreSession, outcome: Outcome, error: Exception) -> set[UUID] | None:
    """Store an outcome that the store does not accept without its texts, with the reason in their place.

    If the store does not accept the runs of downstream tasks either, they have the reason in place of the result, and
    fail: no result disappears silently.

    Returns:
        Id of the run if the outcome was accepted; None if the store does not accept it in any form.
    """
    logger.error("The outcome of the run %s is stored without details: %s", outcome.run_id, error)
    for then in _reduced_runs(outcome.then, error):
        reduced = Outcome(
            run_id=outcome.run_id,
            fence=outcome.fence,
            state=outcome.state,
            finished_at=outcome.finished_at,
            error=f"the details could not be stored: {_reason(error)}",
            then=then,
            lost_node=outcome.lost_node,
        )
        try:
            accepted = {*await session.finish([reduced])}
        except _REJECTIONS as again:
            error = again
            continue
        if outcome.then and then is not outcome.then:
            names = ", ".join(run.task_id for run in outcome.then)
            logger.error("The result of the run %s could not be handed over to %s", outcome.run_id, names)
        return accepted
    logger.error("The outcome of the run %s could not be stored; it is dropped: %s", outcome.run_id, _reason(error))
    return None


def _reduced_runs(runs: tuple[RunRecord, ...], error: Exception) -> Sequence[tuple[RunRecord, ...]]:
    """Return runs of downstream tasks as they are, with a reason in place of their arguments, and none of them."""
    if not runs:
        return [()]
    problem = encode_problem(f"the result could not be handed over: {_reason(error)}")
    return [runs, tuple(evolved(run, {"arguments": problem}) for run in runs), ()]


def _reason(error: Exception) -> str:
    return exception_text(error).encode("ascii", "backslashreplace").decode()[:_MAX_TEXT].replace("\0", "\\0")


def _encoded(
    results: Sequence[tuple[_Result, tuple[HandOver, ...]]], now: datetime, values: Codec | None, offset: float
) -> list[tuple[str, Outcome]]:
    """Return outcomes with their results as JSON. In another thread, as results may be long and their types slow."""
    return [
        (each.owned.task_id, encoded_outcome(each.owned, each.event, hand_overs, now, values, offset=offset))
        for each, hand_overs in results
    ]


def encoded_outcome(
    owned: OwnedRun,
    event: TaskExecuted[object],
    hand_overs: Sequence[HandOver],
    now: datetime,
    values: Codec | None,
    *,
    offset: float,
) -> Outcome:
    """Return the outcome of a run with a result, and the runs that receive the result. Calls code of users.

    Args:
        owned: The run.
        event: Event with the result.
        hand_overs: Hand-overs of the result.
        now: Time of the store: that of the outcome, if the event has none.
        values: Codec of results; None for JSON.
        offset: Seconds by which the times of the event are ahead of the clock of the store.
    """
    outcome = outcome_of(owned, event, now, encode_result(owned.function, event.result, values), offset=offset)
    if not hand_overs:
        return outcome
    then = tuple(one.with_result(owned.function, event.result, values) for one in hand_overs)
    return evolved(outcome, {"then": then})


def _storable(text: str) -> str:
    """Return a text without lone surrogates and NUL, which a database does not accept."""
    return escape_surrogates(text).replace("\0", "\\0")


def outcome_of(
    owned: OwnedRun, event: Ended, now: datetime, result: str | None = None, *, offset: float = 0.0
) -> Outcome:
    """Return the outcome of a run. If an executor has reported details that are not valid, they are left out.

    Args:
        owned: The run.
        event: Event that ended the run.
        now: Time of the store: that of the outcome, if the event has none. The history is pruned by it.
        result: Result as JSON.
        offset: Seconds by which the times of the event are ahead of the clock of the store.
    """
    try:
        return _full_outcome_of(owned, event, now, result, offset)
    except (ValueError, TypeError, OverflowError, OSError) as error:
        logger.error("The outcome of a run of the task %r has invalid details: %s", owned.task_id, error)
        reason = _storable(exception_text(error))[:_MAX_TEXT]
        state = _STATES[type(event)]
        return Outcome(
            run_id=owned.id,
            fence=owned.fence,
            state=state,
            finished_at=now,
            result=result,
            error=reason,
            lost_node=owned.lost_node,
        )


def _full_outcome_of(owned: OwnedRun, event: Ended, now: datetime, result: str | None, offset: float) -> Outcome:
    details = event.details
    error = text = ""
    if isinstance(event, TaskError):
        error, text = _storable(raw_exception_text(event.exception)), _storable(event.traceback)
        error, text = error[:_MAX_TEXT], text[-_MAX_TEXT:]
    elif isinstance(event, TaskMaxInstances | TaskQueueFull):
        error = type(event).__name__
    # The other values were computed here; this one comes from the executor.
    construct = _outcome if type(details.attempt) is int else Outcome
    return construct(
        run_id=owned.id,
        fence=owned.fence,
        state=_STATES[type(event)],
        attempt=max(details.attempt, 1),
        started_at=None if details.started is None else utc(details.started - offset),
        finished_at=now if details.finished is None else utc(details.finished - offset),
        result=result,
        error=error,
        traceback=text,
        lost_node=owned.lost_node,
    )
