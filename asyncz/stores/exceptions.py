"""Errors of stores."""

from __future__ import annotations

import attrs
from typing_extensions import override

from asyncz.exceptions import AsynczError


class StoreError(AsynczError):
    """Base class of the errors of stores."""


@attrs.define(eq=False, slots=False, repr=False)
class StoreConnectionError(StoreError, ConnectionError):
    """The database cannot be reached, or does not answer. The call can be repeated with the same arguments.

    Attributes:
        store: Description of the store, without passwords.
        reason: Message of the driver.
    """

    store: str
    reason: str

    @override
    def __str__(self) -> str:
        return f"the store {self.store} cannot be reached: {self.reason}"


@attrs.define(eq=False, slots=False, repr=False)
class StoreUnavailableError(StoreConnectionError):
    """The database was reached, but does not do now what was asked.

    Examples are missing privileges, a server that only reads, a full disk, and locks of another transaction. The call
    can be repeated with the same arguments.
    """

    @override
    def __str__(self) -> str:
        return f"the store {self.store} cannot be used: {self.reason}"


@attrs.define(eq=False, slots=False, repr=False)
class StoreDataError(StoreError, ValueError):
    """The database does not accept a value of a record; nothing has been changed.

    Attributes:
        store: Description of the store, without passwords.
        reason: Message of the driver.
    """

    store: str
    reason: str

    @override
    def __str__(self) -> str:
        return f"the store {self.store} does not accept a value: {self.reason}"


@attrs.define(eq=False, slots=False, repr=False)
class StoreSchemaError(StoreError, RuntimeError):
    """The database has a schema that this version of asyncz cannot use.

    Attributes:
        store: Description of the store, without passwords.
        found: Number of the newest migration in the database.
        needed: Number of the newest migration that this version knows.
        reason: Reason if the schema is not newer, and what to do; otherwise empty.
    """

    store: str
    found: int
    needed: int
    reason: str = ""

    @override
    def __str__(self) -> str:
        if self.reason:
            return f"the store {self.store} cannot be used with the schema {self.needed}: {self.reason}"
        return (
            f"the store {self.store} has the schema {self.found}, and this version knows the schemas up to"
            f" {self.needed}; install a newer version of asyncz"
        )


@attrs.define(eq=False, slots=False, repr=False)
class StoreClosedError(StoreError, RuntimeError):
    """The session with the store has been closed.

    Attributes:
        store: Description of the store.
    """

    store: str

    @override
    def __str__(self) -> str:
        return f"the session with the store {self.store} has been closed; open a new one"


@attrs.define(eq=False, slots=False, repr=False)
class StoredTaskConflictError(StoreError, ValueError):
    """A declared task is in the store already, with another declaration; nothing has been written.

    Attributes:
        task_id: Id of the task.
    """

    task_id: str

    @override
    def __str__(self) -> str:
        return (
            f"the store has a task {self.task_id!r} with another declaration; choose another id, or another policy for"
            " existing tasks"
        )


@attrs.define(eq=False, slots=False, repr=False)
class UnstorableTaskError(StoreError, ValueError):
    """A task cannot be stored; nothing was added.

    Attributes:
        task_id: Id of the task.
        part: Part of the task that cannot be stored.
        reason: Reason, and advice.
    """

    task_id: str
    part: str
    reason: str

    @override
    def __str__(self) -> str:
        return f"the {self.part} of the task {self.task_id!r} cannot be stored: {self.reason}"


@attrs.define(eq=False, slots=False, repr=False)
class UnreadableTaskError(StoreError, ValueError):
    """A stored task cannot run in this program; it stays in the store.

    Attributes:
        task_id: Id of the task.
        reason: Reason.
    """

    task_id: str
    reason: str

    @override
    def __str__(self) -> str:
        return f"the stored task {self.task_id!r} cannot run here: {self.reason}"


@attrs.define(eq=False, slots=False, repr=False)
class NodeLostError(StoreError, RuntimeError):
    """The node of a run died or lost its lease, so that the outcome of the run is not known.

    Attributes:
        task_id: Id of the task.
        node: Id of the node; empty if it is not known.
    """

    task_id: str
    node: str

    @override
    def __str__(self) -> str:
        node = f"the node {self.node}" if self.node else "a node"
        return f"{node} died during a run of the task {self.task_id!r}, or lost its lease"
