"""Outbox: runs and tasks that are stored in a transaction of the user, and exist exactly if it commits."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias
from uuid import UUID

from typing_extensions import ParamSpec

from asyncz._aliases import LostRunPolicy
from asyncz._checks import check_choice, check_instance, check_text

# Also those that only other signatures name: their public home is here.
from asyncz._current_run import (
    PostgresAsyncConnection as PostgresAsyncConnection,
    PostgresConnection as PostgresConnection,
)
from asyncz._run_ids import new_run_id
from asyncz._signatures import check_function
from asyncz._traced_call import loaded_trace_context
from asyncz.calls import NOW
from asyncz.exceptions import InvalidInputError, TaskLookupError
from asyncz.limits import DEFAULT_LIMITS, TaskLimits
from asyncz.protocols import Trigger
from asyncz.stores._calls import FunctionNames, StoredCall, encode_arguments
from asyncz.stores._found_run import FoundRun
from asyncz.stores._limits import encode_limits
from asyncz.stores._triggers import encode_trigger
from asyncz.stores.codecs import Codec, check_codec
from asyncz.stores.records import Outcome, RunRecord, TaskRecord
from asyncz.tasks import Task
from asyncz.triggers.base import start_trigger

if TYPE_CHECKING:
    OutboxConnection: TypeAlias = sqlite3.Connection | PostgresConnection
    """Connection of the user: of the module `sqlite3`, or of psycopg with rows of any kind."""
else:
    OutboxConnection = object

P = ParamSpec("P")


class OutboxTransaction(Protocol):
    """The transaction of a connection.

    Attributes:
        locks_rows: True if the transaction locks rows and not the database, so that others can write meanwhile.
    """

    locks_rows: bool

    def now(self) -> datetime:
        """Return the time of the store."""
        ...

    def task(self, task_id: str) -> TaskRecord | None:
        """Return a stored task, also a removed one."""
        ...

    def add_run(self, run: RunRecord) -> None:
        """Insert a waiting run."""
        ...

    def add_task(self, task: TaskRecord) -> None:
        """Insert a task, or replace a removed one with the next version.

        Raises:
            StoredTaskConflictError: The store has a task with this id.
        """
        ...

    def finish(self, node: str, submission: RunRecord | None, outcome: Outcome) -> bool:
        """Store an outcome with the current fence, and the runs that receive its result; return False with another one.

        Args:
            node: Id of the node that owns the run.
            submission: The run, if the store may not have it yet.
            outcome: The outcome.

        Raises:
            InvalidInputError: The connection is in no transaction, and begins none by itself.
        """
        ...

    def rejection_of(self, outcome: Outcome, written: Outcome | None) -> FoundRun:
        """Return the state of a run whose outcome was rejected.

        Args:
            outcome: The rejected outcome.
            written: Outcome of the run that was written before; None if none was.
        """
        ...


class Outbox:
    """Submission of stored runs and tasks in a transaction of the user's connection.

    Needs no scheduler in this process. The connection is one to the database of the store, which has its tables
    already; the outbox neither commits nor rolls back. Without a transaction each call is one of its own.

    Args:
        functions: Functions by a stable name, as in `StoreOptions`.
        on_lost: Policy for the submitted runs if their node dies.
        codec: Codec of the arguments, as in `StoreOptions`.

    Raises:
        InvalidInputError: An option cannot be used.

    Example:
        >>> outbox = Outbox()
        >>> with psycopg.connect(url) as connection:
        ...     connection.execute("INSERT INTO orders VALUES (%s)", [order])
        ...     outbox.call(confirm, order).submit(connection, "confirm")
    """

    def __init__(
        self,
        *,
        functions: Mapping[str, object] | None = None,
        on_lost: LostRunPolicy = "fail",
        codec: Codec | None = None,
    ) -> None:
        check_choice("on_lost", on_lost, ("fail", "rerun"))
        check_codec(codec)
        self._codec = codec
        self._names = FunctionNames(functions or {}, {}, ())
        self._on_lost: LostRunPolicy = on_lost

    def submit(self, connection: OutboxConnection, task: Task[object] | str, /) -> UUID:
        """Submit a run of a stored task with the arguments of the task. Blocks.

        Args:
            connection: Connection with the transaction that stores the run.
            task: Task, or its id.

        Returns:
            The id of the run in the history of the store.

        Raises:
            InvalidInputError: The connection is of another kind.
            TaskLookupError: The store has no such task.
            StoreSchemaError: The database has no tables of a store.
        """
        return self._submit(connection, task.id if isinstance(task, Task) else task, None)

    def call(self, function: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> OutboxCall:
        """Return a function with its arguments; `submit` or `add` stores it.

        Raises:
            InvalidInputError: The function is not callable.
            ArgumentMismatchError: The function does not accept the arguments.
        """
        check_function("function", function, args, kwargs, used_by="call")
        return OutboxCall(self, partial(function, *args, **kwargs))

    def _submit(self, connection: OutboxConnection, task_id: str, call: StoredCall | None) -> UUID:
        check_text("task", task_id)
        arguments = None if call is None else encode_arguments(task_id, call, self._codec)
        name = "" if call is None else self._names.declare(task_id, call.function)
        transaction = transaction_of(connection)
        task = transaction.task(task_id)
        if task is None or task.removed:
            raise TaskLookupError(task_id)
        if call is not None and task.function != name:
            raise InvalidInputError("task", repr(task_id), f"it calls {task.function}, and not {name}")
        run = RunRecord(
            id=new_run_id(),
            task_id=task_id,
            kind="submitted",
            state="waiting",
            scheduled_at=transaction.now(),
            executor=task.executor,
            on_lost=self._on_lost,
            arguments=arguments,
            trace_context=loaded_trace_context(),
        )
        transaction.add_run(run)
        return run.id

    def _add(
        self,
        connection: OutboxConnection,
        call: StoredCall,
        task_id: str,
        *,
        trigger: Trigger | None,
        executor: str,
        limits: TaskLimits,
    ) -> None:
        check_text("id", task_id)
        check_text("executor", executor)
        check_instance("limits", limits, TaskLimits)
        function = self._names.declare(task_id, call.function)
        arguments, options = encode_arguments(task_id, call, self._codec), encode_limits(limits)
        encoded = encode_trigger(task_id, trigger)
        transaction = transaction_of(connection)
        now = transaction.now()
        record = TaskRecord(
            id=task_id,
            function=function,
            arguments=arguments,
            trigger=encoded,
            executor=executor,
            options=options,
            next_due=None if trigger is None else start_trigger(trigger, now).next_due_time(None, now),
            started_at=None if trigger is None else now,
        )
        transaction.add_task(record)


class OutboxCall:
    """A function with its arguments for the outbox; made by `Outbox.call`.

    Example:
        >>> outbox.call(remind, order).add(connection, id=f"remind-{order}", trigger=DateTrigger(tomorrow))
    """

    def __init__(self, outbox: Outbox, call: Callable[[], object]) -> None:
        self._outbox = outbox
        self._call: StoredCall = StoredCall.of(call)

    def submit(self, connection: OutboxConnection, task: Task[object] | str, /) -> UUID:
        """Submit a run of a stored task of this function with these arguments. Blocks.

        Args:
            connection: Connection with the transaction that stores the run.
            task: Task that calls the function, or its id.

        Returns:
            The id of the run in the history of the store.

        Raises:
            InvalidInputError: The connection is of another kind, or the task calls another function.
            TaskLookupError: The store has no such task.
            UnstorableTaskError: The function or an argument cannot be stored.
            StoreSchemaError: The database has no tables of a store.
        """
        return self._outbox._submit(connection, task.id if isinstance(task, Task) else task, self._call)

    def add(
        self,
        connection: OutboxConnection,
        /,
        *,
        id: str,
        trigger: Trigger | None = NOW,
        executor: str = "asyncio",
        limits: TaskLimits = DEFAULT_LIMITS,
    ) -> None:
        """Add a task that calls this function with these arguments. Blocks.

        Other changes of tasks wait until the transaction ends: keep it short.

        Args:
            connection: Connection with the transaction that stores the task.
            id: Id of the task.
            trigger: Trigger, by default due once, at once; None for a task on demand.
            executor: Alias of the executor.
            limits: Limits of the task.

        Raises:
            InvalidInputError: The connection is of another kind, or an option cannot be used.
            StoredTaskConflictError: The store has a task with this id.
            UnstorableTaskError: The function, an argument or the trigger cannot be stored.
            StoreSchemaError: The database has no tables of a store.
        """
        self._outbox._add(connection, self._call, id, trigger=trigger, executor=executor, limits=limits)


def transaction_of(connection: object) -> OutboxTransaction:
    """Return the transaction of a connection that blocks.

    Raises:
        InvalidInputError: The connection is of another kind.
    """
    if isinstance(connection, sqlite3.Connection):
        from asyncz.stores._outbox_sqlite import SqliteOutboxTransaction

        return SqliteOutboxTransaction(connection)
    if _is_psycopg(connection):
        from asyncz.stores._outbox_postgres import PostgresOutboxTransaction, is_async_connection, is_connection

        if is_connection(connection):
            return PostgresOutboxTransaction(connection)
        if is_async_connection(connection):
            raise InvalidInputError("connection", type(connection).__name__, "pass it to finish_in_async()")
    raise InvalidInputError(
        "connection",
        type(connection).__name__,
        "pass a connection of sqlite3 or a synchronous one of psycopg 3; a connection of SQLAlchemy has it as"
        " connection.connection.driver_connection",
    )


def _is_psycopg(connection: object) -> bool:
    """Return True for an instance of a class of psycopg, or of a subclass."""
    return any(cls.__module__.partition(".")[0] == "psycopg" for cls in type(connection).__mro__)
