"""The run that calls the current code."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Protocol, TypeAlias
from uuid import UUID

import attrs
from typing_extensions import TypeVar, override

from asyncz._checks import check_optional_instance, shown
from asyncz._run_owners import RunPermit, run_ownership
from asyncz._running import RunHere, RunningRun, running_run
from asyncz.clock import utc
from asyncz.exceptions import AsynczError, InvalidInputError, NoCurrentRunError

if TYPE_CHECKING:
    import sqlite3

ResultT = TypeVar("ResultT")
_MAX_MESSAGE = 1000


class PostgresConnection(Protocol):
    """Connection of psycopg that blocks, with rows of any kind: its type is known without psycopg."""

    @property
    def pgconn(self) -> object:
        """Connection of libpq."""
        ...

    def commit(self) -> None:
        """Commit the transaction."""
        ...

    def rollback(self) -> None:
        """Roll the transaction back."""
        ...


class PostgresAsyncConnection(Protocol):
    """Asynchronous connection of psycopg, with rows of any kind: its type is known without psycopg."""

    @property
    def pgconn(self) -> object:
        """Connection of libpq."""
        ...

    async def commit(self) -> None:
        """Commit the transaction."""
        ...

    async def rollback(self) -> None:
        """Roll the transaction back."""
        ...


if TYPE_CHECKING:
    _Connection: TypeAlias = sqlite3.Connection | PostgresConnection
else:
    _Connection = object


@attrs.define(eq=False, slots=False, repr=False)
class RunFinishError(AsynczError, RuntimeError):
    """The outcome of a run cannot be stored in a transaction of its function, which is to be rolled back.

    Attributes:
        task_id: Id of the task.
        reason: Reason, and advice.
    """

    task_id: str
    reason: str

    @override
    def __str__(self) -> str:
        return f"the run of the task {self.task_id!r} cannot be finished in a transaction: {self.reason}"


@attrs.frozen(eq=False)
class CurrentRun:
    """A run, as its own function sees it; `current_run` returns it.

    Attributes:
        task_id: Id of the task.
        attempt: 1 for the first attempt, 2 for the first retry, and so on.
        scheduled: Due time, in seconds since the epoch.
        fence: Number that grows when another node takes over the run; None if there is no store. If a target rejects a
            smaller number than the last one, it receives no effect of a node that was cut off.
        node: Id of the scheduler that owns the run, as in `SchedulerStore.nodes`; None if there is no store.
    """

    _run_id: Callable[[], UUID]
    task_id: str
    attempt: int
    scheduled: float
    _is_cancelled: Callable[[], bool]
    _report: Callable[[float, float | None, str], None]
    fence: int | None = None
    node: str | None = None
    _finish: Callable[[object, object], None] | None = None
    _finish_async: Callable[[object, object], Awaitable[None]] | None = None

    @property
    def run_id(self) -> UUID:
        """Id of the run, unique over all processes and the same for all its attempts; its events carry it."""
        return self._run_id()

    @property
    def scheduled_at(self) -> datetime:
        """Due time, UTC."""
        return utc(self.scheduled)

    def is_cancelled(self) -> bool:
        """Return True if the run should end: it was cancelled, or abandoned. Thread-safe.

        A thread cannot be stopped, so a long function calls this now and then, and returns if it is True. The run then
        ends as cancelled on every executor, whatever the function returns or raises, unless its outcome was reported
        before, as after a timeout. In a worker process, a function that calls this has a few seconds to return before
        its worker is killed; on a cluster it runs until it returns. A coroutine need not call this, as it is cancelled
        at its next `await`.

        With a store, this is also True in coroutines and threads if the scheduler has lost its lease, so that another
        one may run the function again.

        Example:
            >>> for block in blocks:
            ...     if current_run().is_cancelled():
            ...         return
            ...     work_on(block)
        """
        return self._is_cancelled()

    def report(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Report the progress of the run: `TaskState.progress` has the latest report, and `TaskProgress` is emitted.

        Call this as often as is convenient: each report replaces the one before. An event is emitted at once when a run
        reports for the first time, then at most 10 per second, each with the latest report. The last report is always
        emitted, at the latest when the run ends. A report after that is dropped. Thread-safe, on every executor.

        Args:
            done: Amount of work that is done, in any unit, at least 0.
            total: Total amount of work in the same unit, at least 0; None if unknown. May be smaller than `done`.
            message: Text for people, of which the first 1,000 characters are kept.

        Raises:
            InvalidInputError: A number is negative or not finite, or an argument has another type.

        Example:
            >>> run = current_run()
            >>> for number, block in enumerate(blocks):
            ...     work_on(block)
            ...     run.report(number + 1, len(blocks), f"block {block.name}")
        """
        amount, whole = _checked_amount("done", done), None if total is None else _checked_amount("total", total)
        check_optional_instance("message", message, str)
        self._report(amount, whole, "" if message is None else str(message)[:_MAX_MESSAGE])

    def finish_in(self, connection: _Connection, result: ResultT, /) -> ResultT:
        """Store the outcome of the run, `executed`, in a transaction of yours: it and your changes commit together.

        The transaction is that of a connection to the database of the store. If it commits, the run is finished on all
        nodes, also if this process is killed at the next line, exactly once, with its changes and the runs of its
        downstream tasks. An exception that the function raises afterwards is logged, and a result other than this one
        is dropped. If the transaction is rolled back, the run ends as if this had not been called. An outcome that the
        scheduler has reported meanwhile, as after a timeout or a cancellation, stays as it was reported, but the
        history has the committed one.

        Call this at the end of the transaction, and commit before the function returns: other nodes wait for it. Do
        not change the result afterwards. With SQLite, a transaction that reads first has to begin with BEGIN IMMEDIATE.
        With PostgreSQL, the isolation has to be READ COMMITTED, because an older snapshot may not have the run yet. For
        functions on threads and event loops of the process of the scheduler, not for those in worker processes.

        Args:
            connection: Connection of `sqlite3` or psycopg that is in a transaction, or begins one by itself.
            result: Result of the run.

        Returns:
            The result.

        Raises:
            RunFinishError: The run is not stored, has an outcome, or belongs to another node: roll back.
            InvalidInputError: The connection is of another kind, or commits each statement by itself.
            StoreSchemaError: The database has no tables of a store.

        Example:
            >>> def book(order: int) -> int:
            ...     with sqlite3.connect("jobs.db") as connection:
            ...         connection.execute("UPDATE orders SET booked = 1 WHERE id = ?", [order])
            ...         return current_run().finish_in(connection, order)
        """
        if self._finish is None:
            raise self._not_here()
        self._finish(connection, result)
        return result

    async def finish_in_async(self, connection: PostgresAsyncConnection, result: ResultT, /) -> ResultT:
        """Do the same as `finish_in`, with an asynchronous connection of psycopg.

        Args:
            connection: Connection that is in a transaction, or begins one by itself.
            result: Result of the run.

        Returns:
            The result.

        Raises:
            RunFinishError: The run is not stored, has an outcome, or belongs to another node: roll back.
            InvalidInputError: The connection is of another kind, or commits each statement by itself.
            StoreSchemaError: The database has no tables of a store.
        """
        if self._finish_async is None:
            raise self._not_here()
        await self._finish_async(connection, result)
        return result

    def _not_here(self) -> RunFinishError:
        if self.fence is None:
            reason = "it is not stored; add its task to a scheduler with a store of SQLite or PostgreSQL"
        else:
            reason = "its function runs in another process than its scheduler; use the executor 'threadpool'"
        return RunFinishError(self.task_id, reason)


def _checked_amount(name: str, value: object) -> float:
    """Return an amount as a float, also one of another number type such as numpy's."""
    try:
        amount = -1.0 if isinstance(value, bool) or not isinstance(value, Real) else float(value)
    except OverflowError:
        amount = math.inf
    if not 0 <= amount < math.inf:
        raise InvalidInputError(name, shown(value), "it must be a finite number, at least 0")
    return amount


def current_run() -> CurrentRun:
    """Return the run of the calling function, which may call this through other functions. Thread-safe.

    Works in coroutines and the asyncio tasks that they create, in threads, in `asyncio.to_thread` and in worker
    processes; not in a thread that the function starts itself.

    Raises:
        NoCurrentRunError: The call does not come from a run.

    Example:
        >>> def fetch(url: str) -> bytes:
        ...     run = current_run()
        ...     logger.info("run %s of %s, attempt %d", run.run_id, run.task_id, run.attempt)
    """
    run = running_run.get(None)
    if run is None:
        raise NoCurrentRunError
    found = CurrentRun(
        lambda: run.run_id, run.task_id, run.attempt, run.scheduled, run.is_cancelled, run.report_progress
    )
    ownership = run_ownership.get()
    if ownership is None or ownership.task_id != run.task_id:
        # None, or of a run before, in a worker that does not give each run a context.
        return found
    is_cancelled = run.is_cancelled
    if ownership.permit is not None:
        is_cancelled = partial(_is_cancelled_or_lost, run, ownership.permit)
    finisher = ownership.finisher
    return attrs.evolve(
        found,
        fence=ownership.fence,
        node=ownership.node,
        is_cancelled=is_cancelled,
        finish=None if finisher is None else partial(finisher.finish, run),
        finish_async=None if finisher is None else partial(finisher.finish_async, run),
    )


def _is_cancelled_or_lost(run: RunningRun, permit: RunPermit) -> bool:
    if run.is_cancelled():
        return True
    if permit.is_valid:
        return False
    # Not a request for cancellation, after which no further attempt follows: the run may still get one elsewhere.
    permit.noticed = True
    if isinstance(run, RunHere):
        run._end_as_cancelled()
    return True
