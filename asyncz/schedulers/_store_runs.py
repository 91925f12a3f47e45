"""Runs that a scheduler has fired, submitted or claimed in the store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias
from uuid import UUID

from pydantic import TypeAdapter

from asyncz._run_ids import new_run_id
from asyncz._run_owners import LeaseTerm, OwnedCall, RunOwnership, RunPermit, owned_call
from asyncz._text import exception_text
from asyncz._traced_call import CallWithOrigin, encoded_trace_context, ownership_of
from asyncz.clock import utc
from asyncz.events import TaskCancelled, TaskError, TaskExecuted
from asyncz.exceptions import AsynczError, NoResultError
from asyncz.schedulers._parts import SchedulerParts
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._store_chains import ResultReceivers, last_result
from asyncz.schedulers._store_finish import FinishedRuns, StoredRunFinisher
from asyncz.schedulers._store_history import HistoryLimit
from asyncz.schedulers._store_outcomes import ENDED, Ended, OwnedRun, PendingOutcomes
from asyncz.schedulers._store_pages import store_page
from asyncz.schedulers._store_reports import StoredReports
from asyncz.schedulers._store_retries import ForeignRetries, with_lost_attempt
from asyncz.schedulers._store_tasks import StoredTask, StoredTasks
from asyncz.schedulers._stored_schedule import Step
from asyncz.schedulers.subscriptions import Subscription
from asyncz.stores._calls import StoredCall, call_with_result, decode_arguments
from asyncz.stores._unvalidated import unvalidated
from asyncz.stores.exceptions import NodeLostError, StoreClosedError, StoreConnectionError, UnreadableTaskError
from asyncz.stores.options import StoreOptions
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import Firing, RunQuery, RunRecord, RunRecordState

_PAGE = 200
# Runs of the first claim. Later ones are as large as the node had slots for.
_CLAIMED = 20
# Seconds until a node may claim a run again that this one could not start, doubled each time.
_NOT_HERE_DELAY = 5.0
_MAX_NOT_HERE_DELAY = 300.0
_MAX_NOT_HERE = 10_000
# Seconds: a retry policy may allow more than a date can express.
_MAX_RETRY_DELAY = 10 * 365 * 86_400.0
_HEADERS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])
# Two executions of a run in one process are told apart by a later due time, in seconds.
_APART = 1e-6

# The values are those of tasks and steps: valid texts and numbers, and due times in UTC, in their order.
_run_record = unvalidated(RunRecord)
_firing = unvalidated(Firing)
_Execution: TypeAlias = tuple[UUID, float]


class StoredRuns:
    """Firing of tasks, ownership of runs, and their outcomes. For the loop's thread, except for `submit`.

    Args:
        parts: Parts of the scheduler.
        tasks: Tasks that the store keeps.
        options: Options for the store.
        wake: Function that wakes the asyncio task for the pending work.

    Attributes:
        node_id: Id of this node.
        outcomes: Outcomes that the store has not accepted yet.
        reports: Reports of runs that the store does not have yet.
        history: Limit of the history.
        clock_offset: Seconds by which the clock of the scheduler is ahead of that of the store.
        wants_claim: True if runs may wait that this node can start.
        wants_reclaim: True if runs may belong to this node without its knowledge.
        taken_over: Number of runs that this node has taken over from lost ones.
    """

    def __init__(
        self, parts: SchedulerParts, tasks: StoredTasks, options: StoreOptions, wake: Callable[[], object]
    ) -> None:
        self._parts = parts
        self._tasks = tasks
        self._options = options
        self._wake = wake
        self._steps: dict[str, tuple[int, Step]] = {}
        # By run id and due time here, which tells apart two executions of one run in this process: after a lost lease,
        # the node may own a run again while the function of the first execution still runs. The second dict has the
        # runs that a call has started.
        self._owned: dict[_Execution, OwnedRun] = {}
        self._called: dict[_Execution, OwnedRun] = {}
        # Any thread appends. The loop's thread removes as many from the front as it has stored: a slice, in one step.
        self._submissions: list[RunRecord] = []
        # By run id. The function of a call may run inside of its submission, and call another task there.
        self._begun: dict[UUID, tuple[RunRecord, OwnedRun]] = {}
        self._claimed: Counter[str] = Counter()
        self._claim_limit = _CLAIMED
        self._refusals: dict[UUID, int] = {}
        # Runs whose function has been called, perhaps in part, and whose outcome this node does not know.
        self._left: set[UUID] = set()
        self._takes_over = False
        self._term: Callable[[], LeaseTerm | None] = lambda: None
        self._subscriptions: list[Subscription] = []
        self.history: HistoryLimit = HistoryLimit(options.retention)
        receivers = ResultReceivers(parts.runtime, tasks.chains, self._clock_offset)
        self.outcomes: PendingOutcomes = PendingOutcomes(
            self._store_now, wake, self.history.on_stored, tasks.codec, receivers, offset=self._clock_offset
        )
        self.reports: StoredReports = StoredReports(
            options.reporting, tasks, self._owned_by, wake, parts.runtime.inbox.put
        )
        self._finished = FinishedRuns(receivers, tasks.codec.values, self._store_now, self._clock_offset)
        self.node_id: str = ""
        self.clock_offset: float = 0.0
        self.wants_claim: bool = False
        self.wants_reclaim: bool = False
        self.taken_over: int = 0

    def open(self, node_id: str, term: Callable[[], LeaseTerm | None], session: StoreSession) -> None:
        """Receive the outcomes of runs.

        Args:
            node_id: Id of this node.
            term: Returns the present term of the lease.
            session: Session with the store.
        """
        self._finished.open(node_id, session)
        self.node_id, self._term = node_id, term
        self.wants_claim = self.wants_reclaim = self._takes_over = False
        self._left.clear()
        self._steps.clear()
        self._owned.clear()
        self._called.clear()
        self._begun.clear()
        self._claimed.clear()
        self._refusals.clear()
        self.outcomes.clear()
        self.reports.clear()
        dispatcher = self._parts.runtime.dispatcher
        self._subscriptions = [dispatcher.subscribe(each, self._on_end) for each in ENDED]
        self._subscriptions += self.reports.subscribe(dispatcher)

    def close(self) -> None:
        """Stop receiving outcomes."""
        self._finished.close()
        for subscription in self._subscriptions:
            subscription.unsubscribe()

    def _clock_offset(self) -> float:
        return self.clock_offset

    def _store_now(self) -> datetime:
        return utc(self._parts.runtime.now() - self.clock_offset)

    @property
    def _is_running(self) -> bool:
        return self._parts.runtime.status == "running"

    # Firing

    def offer_step(self, stored: StoredTask, step: Step) -> None:
        """Queue a step of a task, to be fired."""
        version = stored.record.version
        pending = self._steps.get(stored.record.id)
        if pending is not None and pending[0] == version and pending[1].next_due == step.due:
            step = pending[1].then(step, stored.controller.task.limits.coalesce)
        self._steps[stored.record.id] = version, step
        self._wake()

    async def fire(self, session: StoreSession) -> bool:
        """Fire the offered steps, and start the runs that this node has won; return False if a firing has failed."""
        steps = self._steps.copy()
        self._steps.clear()
        if not self._is_running:
            return True
        firings = [
            self._firing_of(stored, version, step)
            for task_id, (version, step) in steps.items()
            if (stored := self._tasks.get(task_id)) is not None
        ]
        won: set[str] = set()
        for start in range(0, len(firings), _PAGE):
            # Read before the call: a lease that ends meanwhile is not that of the runs.
            term = self._term()
            try:
                runs = await session.fire(firings[start : start + _PAGE])
            except BaseException:
                # Offered again: the local schedules have continued already.
                for firing in firings[start:]:
                    self._steps.setdefault(firing.task_id, steps[firing.task_id])
                raise
            for run in runs:
                won.add(run.task_id)
                self.start_run(run, term)
            # The loop has other work too.
            await asyncio.sleep(0)
        return len(won) == len(firings)

    def _firing_of(self, stored: StoredTask, version: int, step: Step) -> Firing:
        record = stored.record
        runs = [
            _run_record(
                id=new_run_id(),
                task_id=record.id,
                scheduled_at=utc(at),
                executor=record.executor,
                on_lost=self._options.on_lost,
            )
            for at in step.times
        ]
        if step.missed:
            missed = _run_record(
                id=new_run_id(),
                task_id=record.id,
                kind="missed",
                state="missed",
                scheduled_at=step.due,
                executor=record.executor,
                missed=step.missed,
                finished_at=self._store_now(),
            )
            runs.insert(0, missed)
        return _firing(task_id=record.id, version=version, due=step.due, next_due=step.next_due, runs=tuple(runs))

    # Runs of calls

    def submit(self, stored: StoredTask) -> None:
        """Queue a run for the store, where it waits for any node. Thread-safe."""
        self._submissions.append(self._submission(stored, "waiting"))

    def begin_call(self, stored: StoredTask) -> OwnedCall:
        """Return the call of a run that `Task.run` is going to submit to this node; `end_call` follows."""
        call, record = _call_on_demand(self._tasks, stored), self._submission(stored, "running")
        # It may begin at any time: other nodes do not know it yet.
        owned = OwnedRun(
            record.id,
            1,
            record.task_id,
            record.scheduled_at.timestamp(),
            stored.call.function,
            on_lost=record.on_lost,
        )
        self._begun[record.id] = record, owned
        return self._call_of(call, owned, record)

    def end_call(self, call: object, at: float | None) -> None:
        """Queue a run for the store that `Task.run` has submitted to this node.

        Args:
            call: Call of any run; nothing is done if `begin_call` has not returned it.
            at: Due time of the run here; None if its executor has rejected it.
        """
        begun = self._begun.pop(call.ownership.run_id, None) if isinstance(call, OwnedCall) else None
        if begun is not None and at is not None:
            record, owned = begun
            self._called[record.id, at] = owned
            self._submissions.append(record)
            self._wake()

    def _submission(self, stored: StoredTask, state: RunRecordState) -> RunRecord:
        record = stored.record
        return _run_record(
            id=new_run_id(),
            task_id=record.id,
            kind="submitted",
            state=state,
            scheduled_at=self._store_now(),
            executor=record.executor,
            on_lost=self._options.on_lost,
            trace_context=self._trace_context(),
        )

    def _trace_context(self) -> str | None:
        """Return the trace context of the calling code as JSON; None without one. Thread-safe."""
        hook = self._parts.runtime.run_hook
        return None if hook is None else encoded_trace_context(hook.headers_of_caller())

    async def store_submissions(self, session: StoreSession, *, has_lease: bool) -> None:
        """Store the runs of calls; those that run already need a lease.

        A run whose function is storing it in a transaction is kept to the end of the function: the call of the store,
        and all work of this node, would wait for the transaction.
        """
        while page := self._submissions[:_PAGE]:
            called = tuple(self._called.values())
            for owned in called:
                # Before the next line, so that a function that begins to write after it waits.
                owned.permit.is_submitting = True
            writing = {owned.id for owned in called if owned.permit.is_writing} | self.outcomes.in_transactions
            kept = [run for run in page if run.id in writing or (run.state == "running" and not has_lease)]
            left = {run.id for run in kept}
            stored, term = [run for run in page if run.id not in left], self._term()
            ids = {run.id for run in stored}
            try:
                await store_page(stored, session.submit, self._reject_submission)
                for owned in tuple(self._called.values()):
                    if owned.id in ids:
                        owned.permit.term = term
            finally:
                for owned in called:
                    owned.permit.is_submitting = False
            self._submissions[: len(page)] = kept
            self.wants_claim |= any(run.state == "waiting" for run in page)
            if kept:
                return

    def _reject_submission(self, run: RunRecord, error: Exception) -> None:
        """Forget the record of a run that the store does not accept. If the run has been started, it continues."""
        logger.error("The run %s of the task %r is not stored: %s", run.id, run.task_id, error)
        self._called = {key: owned for key, owned in self._called.items() if owned.id != run.id}
        self.outcomes.forget(run.id)
        self.reports.forget(run.id)

    def unstored(self) -> set[UUID]:
        """Return the ids of runs that the store does not know yet."""
        return {run.id for run in tuple(self._submissions)}

    # Ownership

    def start_run(
        self, run: RunRecord, term: LeaseTerm | None, *, waited: bool = False, call: StoredCall | None = None
    ) -> None:
        """Start a run of which this node has become the owner.

        Args:
            run: The run.
            term: Term of the lease before the store was asked for the run.
            waited: True if it was claimed or taken over. If so, it may wait for a slot, and no overlap policy ends it.
            call: Function with the arguments of the run; None for those of the task.
        """
        at, stored = run.scheduled_at.timestamp(), self._tasks.get(run.task_id)
        if run.kind == "missed":
            if stored is not None:
                logger.warning("The task %r has missed %d due time(s)", run.task_id, run.missed)
                stored.controller.report_missed(at, self._call_of(stored.call, self._owned_run(run, stored)))
            return
        if stored is None or not self._is_running:
            self.outcomes.give_back(self._owned_run(run, None), run.attempt)
            return
        owned = self._own(run, stored, term, waited=waited)
        bound = self._call_of(call or stored.call, owned)
        stored.controller.start_stored(owned.at, self._traced(bound, run.trace_context), waited=waited)

    def _traced(self, call: OwnedCall, trace_context: str | None) -> Callable[[], object]:
        """Return the call of a run with the origin that its submitter has stored, if runs are traced."""
        hook = self._parts.runtime.run_hook
        if hook is None or trace_context is None:
            return call
        try:
            headers = _HEADERS.validate_json(trace_context)
        except ValueError:
            return call
        return CallWithOrigin[object](call, hook.origin_of_headers(headers))

    def _call_of(self, call: StoredCall, owned: OwnedRun, submission: RunRecord | None = None) -> OwnedCall:
        """Return the call of a run that knows its owner, and its record if the store may not have it yet."""
        finisher = StoredRunFinisher(self._finished, owned, submission)
        ownership = RunOwnership(
            owned.id, owned.task_id, owned.fence, self.node_id, owned.permit, owned.attempt, finisher
        )
        return owned_call(call.bound(), ownership)

    def _own(self, run: RunRecord, stored: StoredTask, term: LeaseTerm | None, *, waited: bool = False) -> OwnedRun:
        owned = self._owned_run(run, stored, term, waited=waited)
        self._owned[run.id, owned.at] = owned
        if waited:
            self._claimed[run.task_id] += 1
        return owned

    def _owned_run(
        self,
        run: RunRecord,
        stored: StoredTask | None,
        term: LeaseTerm | None = None,
        *,
        waited: bool = False,
    ) -> OwnedRun:
        at = run.scheduled_at.timestamp()
        while (run.id, at) in self._owned or (run.id, at) in self._called:
            at += _APART
        function = None if stored is None else stored.call.function
        # With the other policy, the attempt that ends is one of this node.
        lost_node = run.lost_node if run.on_lost == "fail" else None
        return OwnedRun(
            run.id, run.fence, run.task_id, at, function, waited, run.on_lost, run.attempt, RunPermit(term), lost_node
        )

    async def claim(self, session: StoreSession) -> None:
        """Become the owner of waiting runs if there are slots for them."""
        self.wants_claim = self.outcomes.handed_over = False
        while self._is_running and (aliases := self._tasks.executors):
            limit, excess, term = self._claim_limit, 0, self._term()
            claimed = await session.claim(dict.fromkeys(aliases, limit), limit, self._tasks.busy(self._claimed))
            for run in claimed:
                if self._tasks.has_slot(run.task_id, self._claimed):
                    await self._start_claimed(session, run, term)
                else:
                    # For another node, if there is one. This one leaves the task out until a run of it has ended.
                    self.outcomes.give_back(self._owned_run(run, None), run.attempt)
                    excess += 1
            self._claim_limit = max(1, limit - excess) if excess else min(2 * limit, _PAGE)
            if len(claimed) < limit:
                return

    async def _start_claimed(self, session: StoreSession, run: RunRecord, term: LeaseTerm | None) -> None:
        stored = self._tasks.get(run.task_id)
        if stored is None and self._tasks.is_unknown(run.task_id):
            # Its task may have been added after the last look at changes.
            await self._tasks.read_changes(session)
            stored = self._tasks.get(run.task_id)
        if stored is None:
            self._refuse(session, run)
            return
        try:
            call = await self._call_with_arguments(session, stored, run)
        except (StoreConnectionError, StoreClosedError):
            # Not a fault of the run, which stays with this node: `reclaim` finds it.
            raise
        except AsynczError as error:
            self.outcomes.end(self._owned_run(run, stored), "error", exception_text(error))
            return
        if await _is_superseded(session, stored, run):
            owned = self._own(run, stored, term)
            stored.controller.reject_stored(owned.at, self._call_of(call, owned))
        else:
            self.start_run(run, term, waited=True, call=call)

    async def _call_with_arguments(self, session: StoreSession, stored: StoredTask, run: RunRecord) -> StoredCall:
        """Return the call of a run.

        Raises:
            UnreadableTaskError: The function does not accept the stored arguments.
            NoResultError: The run has no arguments of its own, and the last run of the upstream task has no result.
        """
        if run.arguments is None and stored.record.upstream is not None:
            text = await last_result(session, stored.record.upstream)
            with_result = partial(call_with_result, run.task_id, stored.call, text, self._options.codec)
            return await self._tasks.codec.call(with_result)
        if run.arguments is None:
            return stored.call
        # In another thread: the annotations of a function may be any code.
        decode = partial(decode_arguments, run.task_id, stored.call.function, run.arguments, self._options.codec)
        return await self._tasks.codec.call(decode)

    def _refuse(self, session: StoreSession, run: RunRecord) -> None:
        """End a run if its task is gone, or give it back if another program may know the task."""
        owned, task_id = self._owned_run(run, None), run.task_id
        if self._tasks.is_unknown(task_id):
            logger.warning("A run of the task %r is cancelled: the task was removed", task_id)
            self.outcomes.end(owned, "cancelled", "the task was removed")
        elif task_id in self._tasks.parked:
            self.outcomes.end(owned, "error", exception_text(UnreadableTaskError(task_id, self._tasks.parked[task_id])))
        else:
            if len(self._refusals) >= _MAX_NOT_HERE:
                self._refusals.clear()
            number = self._refusals[run.id] = self._refusals.get(run.id, 0) + 1
            delay = min(_NOT_HERE_DELAY * 2.0 ** min(number - 1, 10), _MAX_NOT_HERE_DELAY)
            # By the clock of the store, with which the store compares it.
            self.outcomes.give_back(owned, run.attempt, session.lease.now + timedelta(seconds=delay))

    async def take_over(self, session: StoreSession) -> None:
        """Become the owner of the runs of dead nodes, which fail or run again."""
        while self._is_running:
            # If anything fails from here on, `reclaim` has to find the runs of which this node does not know.
            self._takes_over, term = True, self._term()
            taken, foreign = await session.take_over(_PAGE), ForeignRetries(session)
            self.taken_over += len(taken)
            for each in taken:
                message = "The run %s of the task %r was taken over from the lost node %s"
                logger.warning(message, each.id, each.task_id, each.lost_node)
                run = await with_lost_attempt(self._tasks, session, each)
                if run.on_lost == "rerun":
                    await self._start_claimed(session, run, term)
                else:
                    await self._fail(run, term, foreign)
            self._takes_over = False
            if len(taken) < _PAGE:
                return

    async def _fail(self, run: RunRecord, term: LeaseTerm | None, foreign: ForeignRetries) -> None:
        """End the run of a lost node as failed, or give it back for its next attempt if its retry policy allows one."""
        # In a run that is found later, the former owner is missing, unless that is this node, with an earlier lease.
        node = run.lost_node or (self.node_id if run.id in self._left else "")
        error, stored = NodeLostError(run.task_id, node), self._tasks.get(run.task_id)
        if stored is None:
            # A program that knows the task makes the next attempt.
            delay = await foreign.delay_after_loss(run.task_id, run.attempt)
            if delay is None:
                self.outcomes.end(self._owned_run(run, None), "error", exception_text(error))
            else:
                self._give_back_for_retry(self._owned_run(run, None), run.attempt, delay)
            return
        owned = self._own(run, stored, term)
        delay = stored.controller.report_lost(owned.at, self._call_of(stored.call, owned), error)
        if delay is not None:
            # Through the store, which keeps the number of attempts: the next one may be lost too.
            del self._owned[run.id, owned.at]
            self.reports.on_end(owned, f"{run.id}")
            self._give_back_for_retry(owned, run.attempt, delay)

    def _give_back_for_retry(self, owned: OwnedRun, failed_attempt: int, delay: float) -> None:
        not_before = self._store_now() + timedelta(seconds=min(delay, _MAX_RETRY_DELAY))
        self.outcomes.give_back(owned, failed_attempt + 1, not_before)

    async def reclaim(self, session: StoreSession) -> None:
        """Start or fail runs that belong to this node without its knowledge.

        Either the answer of the store was lost, or their function has ended because the lease had ended. If their
        function may have been called, here or on a lost node, the policy of the run decides.
        """
        term, foreign = self._term(), ForeignRetries(session)
        async for run in self._unknown_runs(session):
            if self._may_have_failed(run):
                await self._fail(await with_lost_attempt(self._tasks, session, run), term, foreign)
            else:
                await self._start_claimed(session, run, term)
        self.wants_reclaim = self._takes_over = False
        self._left.clear()

    async def give_back_unknown(self, session: StoreSession) -> None:
        """Have the runs wait for any node that belong to this one without its knowledge, at the end of the session.

        If the policy of a run forbids another call, the next node that takes it over ends it.
        """
        async for run in self._unknown_runs(session):
            if not self._may_have_failed(run):
                self.outcomes.give_back(self._owned_run(run, None), run.attempt)

    def _may_have_failed(self, run: RunRecord) -> bool:
        """Return True if the function of an unknown run may have been called and must not be called again."""
        return run.on_lost == "fail" and (self._takes_over or run.id in self._left)

    async def _unknown_runs(self, session: StoreSession) -> AsyncGenerator[RunRecord, None]:
        # With the fence: an execution that has lost the run is not one of this owner.
        known = {(each.id, each.fence) for each in (*self._owned.values(), *self._called.values())}
        known |= self.outcomes.fences
        query = RunQuery(states=("running",), limit=_PAGE)
        while page := await session.runs(query):
            for run in page:
                if run.node == self.node_id and (run.id, run.fence) not in known:
                    yield run
            if len(page) < _PAGE:
                return
            query = query.model_copy(update={"before": page[-1].sequence})

    def task_of(self, run_id: UUID) -> str | None:
        """Return the id of the task of a run of this node; None if the run does not belong to this node."""
        for owned in (*self._owned.values(), *self._called.values()):
            if owned.id == run_id:
                return owned.task_id
        return None

    def forget_backlog(self, backlog: Sequence[tuple[float, object]]) -> None:
        """End the runs that waited in the backlog of a removed task, with their due times and calls."""
        for at, call in backlog:
            ownership = ownership_of(call)
            owned = None if ownership is None else self._owned.pop((ownership.run_id, at), None)
            if owned is not None:
                self._release(owned)
                self.outcomes.end(owned, "cancelled", "the task was removed")

    def _release(self, owned: OwnedRun) -> None:
        if owned.waited:
            self._claimed[owned.task_id] -= 1
            if not self._claimed[owned.task_id]:
                del self._claimed[owned.task_id]
            # A slot is free for another waiting run.
            self.wants_claim = True

    # Outcomes

    def _owned_by(self, run_id: UUID, scheduled: float) -> OwnedRun | None:
        """Return a run of this node by its id and its due time in this scheduler."""
        key = run_id, scheduled
        return self._called.get(key) or self._owned.get(key)

    def _on_end(self, event: Ended) -> None:
        details = event.details
        if details.scheduled is None:
            return
        key = details.run_id, details.scheduled
        called = self._called.pop(key, None)
        if called is not None:
            if self.reports:
                self.reports.on_end(called, f"{details.run_id}")
            if not self._continues_elsewhere(called, event):
                self.outcomes.add(called, event)
            return
        owned = self._owned.pop(key, None)
        if owned is None:
            return
        self._release(owned)
        if self.reports:
            self.reports.on_end(owned, f"{details.run_id}")
        if self._continues_elsewhere(owned, event):
            return
        is_draining = self._parts.runtime.status == "draining"
        delay = _retry_delay(self._tasks, event) if is_draining and isinstance(event, TaskError) else None
        if delay is not None:
            # A shutdown makes no more attempts on this node; another one, or this one after a restart, makes the next.
            self._give_back_for_retry(owned, details.attempt, delay)
        elif is_draining and isinstance(event, TaskCancelled) and details.started is None:
            # Another node, or this one after a restart, can still run it.
            self.outcomes.give_back(owned, max(details.attempt, owned.attempt))
        else:
            self.outcomes.add(owned, event)

    def _continues_elsewhere(self, owned: OwnedRun, event: Ended) -> bool:
        """Return False for an outcome; True if a run was cancelled because the lease had ended, which is not one."""
        permit = owned.permit
        if not isinstance(event, TaskCancelled) or not (permit.refused or permit.noticed):
            return False
        if permit.refused or owned.on_lost == "rerun":
            self.outcomes.give_back(owned, max(event.details.attempt, 1))
        else:
            # If the store still has it as a run of this node, it fails, which its retry policy may answer.
            self._left.add(owned.id)
            self.wants_reclaim = True
            self._wake()
        return True

    def give_back_all(self) -> None:
        """Give back all runs that have no outcome."""
        self.reports.close()
        owned, called = tuple(self._owned.values()), tuple(self._called.values())
        self._owned.clear()
        self._called.clear()
        for each in owned:
            self.outcomes.give_back(each)
        for each in called:
            # If it has a caller, that does not wait any more.
            self.outcomes.end(each, "cancelled")


def _call_on_demand(tasks: StoredTasks, stored: StoredTask) -> StoredCall:
    """Return the call of a run that begins on this node; a downstream task uses the last result of this node.

    Raises:
        NoResultError: The last run of the upstream task on this node had no result, or there was none.
    """
    upstream_id = stored.record.upstream
    if upstream_id is None:
        return stored.call
    upstream = tasks.get(upstream_id)
    last = None if upstream is None else upstream.controller.task.last_notification
    if not isinstance(last, TaskExecuted):
        raise NoResultError(upstream_id)
    return stored.call.with_result(last.result)


async def _is_superseded(session: StoreSession, stored: StoredTask, run: RunRecord) -> bool:
    """Return True if a later result waits for a downstream task that is to process the latest one only."""
    if stored.record.upstream is None or not stored.controller.task.limits.coalesce:
        return False
    newest = await session.runs(RunQuery(task_id=run.task_id, states=("waiting", "running"), limit=1))
    return any(each.sequence > run.sequence for each in newest)


def _retry_delay(tasks: StoredTasks, event: TaskError) -> float | None:
    """Return the delay of the next attempt after a failed one; None if none follows."""
    stored = tasks.get(event.task_id)
    return None if stored is None else stored.controller.retry_delay(event.details.attempt, event.exception)
