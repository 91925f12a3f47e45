"""Stored records of tasks that are being read while the program may change the tasks."""

from __future__ import annotations

import hashlib

import attrs

from asyncz.schedulers._parts import AnyController
from asyncz.schedulers._task_registry import TaskRegistry
from asyncz.stores.records import TaskRecord


class SupersededError(Exception):
    """The program has added, replaced or removed a task while its stored record was being read."""


@attrs.frozen
class Reading:
    """Work with the stored record of a task, which waits for other threads and for the store.

    Meanwhile the program may add, replace or remove the task. Each step that changes the task therefore calls `check`
    first, under the lock, under which the program makes its changes too.

    Attributes:
        registry: Controllers by task id.
        record: The record.
        holder: Controller that had the id of the task when the work began.
    """

    registry: TaskRegistry[AnyController]
    record: TaskRecord
    holder: AnyController | None

    @property
    def is_superseded(self) -> bool:
        """True if the program has changed the task meanwhile."""
        return self.registry.holder(self.record.id) is not self.holder

    def check(self) -> None:
        """Check that the program has not changed the task meanwhile.

        Raises:
            SupersededError: It has.
        """
        if self.is_superseded:
            raise SupersededError(self.record.id)


def definition_of(record: TaskRecord) -> tuple[str, str, str | None]:
    """Return the values without which a task is another one."""
    return record.function, record.arguments, record.upstream


def declaration_of(record: TaskRecord, trigger: str | None, executor: str, options: str) -> str:
    """Return the hash of a declaration, by which a restart finds an unchanged task."""
    parts = (record.function, record.arguments, trigger or "", executor, options)
    text = "\0".join(parts if record.upstream is None else (*parts, record.upstream))
    return hashlib.sha256(text.encode()).hexdigest()
