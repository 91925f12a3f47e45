"""Rules of declarations, shared by all stores: pure functions of records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncz.stores.exceptions import StoredTaskConflictError
from asyncz.stores.records import ExistingTaskPolicy, TaskRecord


def records_to_write(
    tasks: Sequence[TaskRecord], known: Mapping[str, TaskRecord], existing: ExistingTaskPolicy
) -> list[TaskRecord]:
    """Return the records that a declaration writes, with the version of the known ones.

    Raises:
        StoredTaskConflictError: A task is known with another declaration, and the policy is `refuse`.
    """
    written = [_record_to_write(task, known.get(task.id), existing) for task in tasks]
    return [record for record in written if record is not None]


def _record_to_write(task: TaskRecord, known: TaskRecord | None, existing: ExistingTaskPolicy) -> TaskRecord | None:
    if known is None or known.removed:
        return task.model_copy(update={"version": 0 if known is None else known.version})
    if known.declaration == task.declaration and existing != "replace":
        # Unchanged: written only if it was undeclared until now.
        return None if known.state != "undeclared" else _declared(known)
    if task.app_version < known.app_version:
        return None
    match existing:
        case "refuse":
            raise StoredTaskConflictError(task.id)
        case "keep":
            return None if known.state != "undeclared" else _declared(known)
        case "replace":
            return task.model_copy(update={"version": known.version})
        case "update":
            # An unchanged trigger keeps its next due time, so that an overdue one is not lost.
            schedule = known if task.trigger == known.trigger else task
            update = {"paused": known.paused, "next_due": schedule.next_due, "started_at": schedule.started_at}
            return task.model_copy(update={"version": known.version, **update})


def _declared(known: TaskRecord) -> TaskRecord:
    return known.model_copy(update={"state": "active", "inactive_since": None})
