"""Outcomes of stored runs that their functions write in transactions of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from datetime import datetime
from typing import Never
from uuid import UUID

from typing_extensions import TypeIs

from asyncz._current_run import RunFinishError
from asyncz._run_owners import FinishedRun, FunctionEnd
from asyncz._text import exception_text
from asyncz.exceptions import InvalidInputError
from asyncz.runs import TaskRun
from asyncz.schedulers._safe_logging import logger
from asyncz.schedulers._store_chains import ResultReceivers
from asyncz.schedulers._store_outcomes import OwnedRun, encoded_outcome, is_committed, outcome_in
from asyncz.stores._found_run import FoundRun
from asyncz.stores.codecs import Codec
from asyncz.stores.exceptions import StoreClosedError
from asyncz.stores.outbox import transaction_of
from asyncz.stores.protocol import StoreSession
from asyncz.stores.records import Outcome, RunQuery, RunRecord

# Seconds to wait for the store to say if a transaction was committed.
_LOOK_UP_TIMEOUT = 30.0
# Seconds to wait for the scheduler, which stores the run at this moment, and between two looks.
_SUBMISSION_TIMEOUT = 2.0
_PAUSE = 0.001


class FinishedRuns:
    """State that the finishers of all runs share. For any thread, except for `open` and `close`.

    Args:
        receivers: Downstream tasks.
        codec: Codec of results; None for JSON.
        now: Returns the time of the store, UTC.
        offset: Returns the seconds by which the clock of the scheduler is ahead of that of the store.
    """

    def __init__(
        self,
        receivers: ResultReceivers,
        codec: Codec | None,
        now: Callable[[], datetime],
        offset: Callable[[], float],
    ) -> None:
        self._receivers = receivers
        self._offset = offset
        self._codec = codec
        self._now = now
        # One tuple, which other threads read in one step.
        self._opened: tuple[StoreSession, asyncio.AbstractEventLoop] | None = None
        self.node_id: str = ""

    def open(self, node_id: str, session: StoreSession) -> None:
        """Use a session of a node. For the loop's thread."""
        self.node_id = node_id
        self._opened = session, asyncio.get_running_loop()

    def close(self) -> None:
        """Forget the session."""
        self._opened = None

    def outcome_of(self, owned: OwnedRun, run: TaskRun[object], result: object) -> Outcome:
        """Return the outcome of a run for a result that its function stores.

        Raises:
            RunFinishError: This would not be the outcome of the run.
        """
        event = run._executed_by_function(result)
        if event is None:
            raise RunFinishError(owned.task_id, "it was cancelled, or has an outcome already")
        if not self._receivers.are_declared(owned.task_id):
            reason = "the store does not know its downstream tasks yet; add them before the start of the scheduler"
            raise RunFinishError(owned.task_id, reason)
        hand_overs = self._receivers.hand_overs(owned.task_id, owned.id, event.details)
        return encoded_outcome(owned, event, hand_overs, self._now(), self._codec, offset=self._offset())

    def look_up(self, run_id: UUID) -> Future[RunRecord | None]:
        """Read a run from the store, on the loop of the scheduler.

        Raises:
            StoreClosedError: The scheduler is not running.
            RuntimeError: The loop was closed.
        """
        opened = self._opened
        if opened is None:
            raise StoreClosedError("of the run")
        session, loop = opened
        reading = _run_of(session, run_id)
        try:
            return asyncio.run_coroutine_threadsafe(reading, loop)
        except BaseException:
            reading.close()
            raise

    @property
    def is_on_loop(self) -> bool:
        """True if the calling code runs on the loop of the scheduler, so that it must not wait for it."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        return self._opened is not None and self._opened[1] is loop


async def _run_of(session: StoreSession, run_id: UUID) -> RunRecord | None:
    return next(iter(await session.runs(RunQuery(run_id=run_id))), None)


class StoredRunFinisher:
    """Finisher of one run, which belongs to this node.

    Args:
        shared: State that the finishers of all runs share.
        owned: The run.
        submission: Record of the run, if the store may not have it yet.
    """

    __slots__ = ("_owned", "_shared", "_submission")

    def __init__(self, shared: FinishedRuns, owned: OwnedRun, submission: RunRecord | None) -> None:
        self._shared = shared
        self._owned = owned
        self._submission = submission

    def finish(self, run: object, connection: object, result: object, /) -> None:
        """Write the outcome in the transaction of a connection that blocks.

        Raises:
            RunFinishError: The run has an outcome, or belongs to another node.
            InvalidInputError: The connection is of another kind, or in no transaction.
        """
        transaction = transaction_of(connection)
        outcome = self._outcome_of(run, result)
        self._owned.permit.is_writing = True
        if transaction.locks_rows and not self.is_on_loop:
            for pause in self._pauses_until_submitted():
                time.sleep(pause)
        if not transaction.finish(self._shared.node_id, self._unstored, outcome):
            raise self._rejection(run, transaction.rejection_of(outcome, self._written))
        self._owned.permit.note_written(FinishedRun(result, outcome))

    async def finish_async(self, run: object, connection: object, result: object, /) -> None:
        """Write the outcome in the transaction of a connection that is awaited.

        Raises:
            RunFinishError: The run has an outcome, or belongs to another node.
            InvalidInputError: The connection is of another kind, or in no transaction.
        """
        try:
            from asyncz.stores._outbox_postgres import PostgresAsyncTransaction, is_async_connection
        except ImportError:
            # Without psycopg there is no such connection.
            _reject_connection(connection)
        if not is_async_connection(connection):
            _reject_connection(connection)
        transaction = PostgresAsyncTransaction(connection)
        outcome = self._outcome_of(run, result)
        self._owned.permit.is_writing = True
        for pause in self._pauses_until_submitted():
            await asyncio.sleep(pause)
        if not await transaction.finish(self._shared.node_id, self._unstored, outcome):
            raise self._rejection(run, await transaction.rejection_of(outcome, self._written))
        self._owned.permit.note_written(FinishedRun(result, outcome))

    def _pauses_until_submitted(self) -> Generator[float, None, None]:
        """Yield pauses until the scheduler has stored the run, if it does so at this moment.

        If the transaction stored the run instead, all work of the node would wait for its end. The time is limited: the
        scheduler may wait for the transaction of another run.
        """
        end = time.monotonic() + _SUBMISSION_TIMEOUT
        while self._owned.permit.is_submitting and time.monotonic() < end:
            yield _PAUSE

    @property
    def _unstored(self) -> RunRecord | None:
        """Record of the run; None if the store has it.

        The loop's thread sets the term after it has stored the run. If it does so at this moment, the insert of the
        record finds the run, and changes nothing.
        """
        return self._submission if self._owned.permit.term is None else None

    def _outcome_of(self, run: object, result: object) -> Outcome:
        if not _is_task_run(run):
            raise RunFinishError(self._owned.task_id, "its executor runs it in a way of its own")
        if not self._owned.permit.is_valid:
            raise self._loss(run, "the node has lost its lease, so that another one may have taken it over")
        return self._shared.outcome_of(self._owned, run, result)

    @property
    def _written(self) -> Outcome | None:
        """Outcome that this attempt or an earlier one has written."""
        written = self._owned.permit.written
        return None if written is None else outcome_in(written)

    def _rejection(self, run: object, found: FoundRun) -> RunFinishError:
        owned, written = self._owned, self._owned.permit.written
        if found.fence is None:
            return RunFinishError(owned.task_id, _absence(found.isolation))
        if found.has_written and written is not None:
            # Also if it is one of an earlier attempt, it is the outcome of the run.
            owned.permit.note_written(written)
            return RunFinishError(owned.task_id, "it was finished before")
        return self._loss(run, f"another node has taken it over: its fence is {found.fence} and not {owned.fence}")

    def _loss(self, run: object, reason: str) -> RunFinishError:
        """Return the error for a run that this node has lost, and end it like one that has noticed it by itself."""
        self._owned.permit.noticed = True
        if _is_task_run(run):
            run._end_as_cancelled()
        return RunFinishError(self._owned.task_id, reason)

    # The end of the function

    @property
    def is_on_loop(self) -> bool:
        """True if the calling code runs on the loop of the scheduler, so that it must not wait for it."""
        return self._shared.is_on_loop

    def was_committed(self, finished: FinishedRun, /) -> bool | None:
        """Return True if the transaction of an outcome was committed; None if the store does not say so."""
        if self.is_on_loop:
            self._log_without_answer("the function has blocked the event loop of the scheduler")
            return None
        try:
            record = self._shared.look_up(self._owned.id).result(_LOOK_UP_TIMEOUT)
        except Exception as error:
            self._log_without_answer(exception_text(error))
            return None
        return self._is_committed(record, finished)

    async def was_committed_async(self, finished: FinishedRun, /) -> bool | None:
        """Do the same as `was_committed`, on the loop of the scheduler or another one."""
        try:
            async with asyncio.timeout(_LOOK_UP_TIMEOUT):
                record = await asyncio.wrap_future(self._shared.look_up(self._owned.id))
        except Exception as error:
            self._log_without_answer(exception_text(error))
            return None
        return self._is_committed(record, finished)

    def result_of(self, end: FunctionEnd, /) -> object:
        """Return the result of a run whose function has written an outcome, or raise the exception of the function."""
        if end.has_same_result:
            return end.returned
        return self._result_by(self.was_committed(end.finished), end)

    async def result_of_async(self, end: FunctionEnd, /) -> object:
        """Return the result of a run whose function has written an outcome, or raise the exception of the function."""
        if end.has_same_result:
            return end.returned
        return self._result_by(await self.was_committed_async(end.finished), end)

    def _log_without_answer(self, reason: str) -> None:
        """Log that the next outcome of the run finds out if the transaction was committed."""
        message = "It is not known if the transaction that finished the run %s was committed: %s"
        logger.warning(message, self._owned.id, reason)

    def _result_by(self, committed: bool | None, end: FunctionEnd) -> object:
        permit = self._owned.permit
        if not committed:
            if committed is not None:
                permit.set_aside()
            return _as_function(end)
        permit.note_written(end.finished)
        if end.error is not None:
            message = "The run %s raised an exception after it was finished in a transaction, whose outcome counts"
            logger.error(message, self._owned.id, exc_info=end.error)
        else:
            message = (
                "The run %s returned another result than the one of the transaction that finished it, which counts"
            )
            logger.warning(message, self._owned.id)
        return end.finished.result

    def _is_committed(self, record: RunRecord | None, finished: FinishedRun) -> bool | None:
        committed = is_committed(self._owned.permit, finished, record)
        if committed is None:
            self._log_without_answer("the store does not have the run any more, and this node has lost its lease")
        return committed


def _is_task_run(run: object) -> TypeIs[TaskRun[object]]:
    """Return True for a run of this process."""
    return isinstance(run, TaskRun)


def _as_function(end: FunctionEnd) -> object:
    """Return the result of a function, or raise its exception."""
    if end.error is None:
        return end.returned
    try:
        raise end.error
    finally:
        # The traceback holds this frame; with the local variable the exception would hold itself.
        del end


def _absence(isolation: str) -> str:
    """Return the reason for which a transaction does not see the run."""
    if isolation in {"repeatable read", "serializable"}:
        return (
            f"its isolation, {isolation.upper()}, shows the database as it was before the run was stored; use READ"
            " COMMITTED, or begin another transaction"
        )
    return "the database of the connection does not have it; use that of the store"


def _reject_connection(connection: object) -> Never:
    raise InvalidInputError(
        "connection", type(connection).__name__, "pass a psycopg.AsyncConnection, and other connections to finish_in()"
    )
