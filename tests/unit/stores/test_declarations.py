"""Records that a declaration writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from asyncz.stores import StoredTaskConflictError
from asyncz.stores._declarations import records_to_write
from asyncz.stores.records import ExistingTaskPolicy, TaskRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICIES: tuple[ExistingTaskPolicy, ...] = get_args(ExistingTaskPolicy)
KNOWN = TaskRecord(
    id="job",
    function="jobs:old",
    declaration="old",
    trigger="daily",
    paused=True,
    next_due=NOW,
    started_at=NOW - timedelta(days=1),
    app_version=2,
    version=7,
)
NEW = KNOWN.model_copy(
    update={
        "function": "jobs:new",
        "declaration": "new",
        "paused": False,
        "next_due": NOW + timedelta(hours=1),
        "started_at": NOW + timedelta(hours=2),
        "version": 0,
    }
)


def written(task: TaskRecord, known: TaskRecord | None, existing: ExistingTaskPolicy) -> TaskRecord | None:
    found = records_to_write([task], {} if known is None else {known.id: known}, existing)
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("existing", POLICIES)
def test_unknown_or_removed_task_is_written(existing: ExistingTaskPolicy) -> None:
    assert written(NEW.model_copy(update={"version": 5}), None, existing) == NEW
    removed = KNOWN.model_copy(update={"removed": True})
    assert written(NEW, removed, existing) == NEW.model_copy(update={"version": 7})


@pytest.mark.parametrize("existing", POLICIES)
def test_unchanged_task_is_written_if_undeclared(existing: ExistingTaskPolicy) -> None:
    """A task that is undeclared becomes active; only `replace` writes an unchanged one all the same."""
    same = NEW.model_copy(update={"declaration": KNOWN.declaration})
    replaced = same.model_copy(update={"version": 7})
    assert written(same, KNOWN, existing) == (replaced if existing == "replace" else None)
    undeclared = KNOWN.model_copy(update={"state": "undeclared", "inactive_since": NOW})
    assert written(same, undeclared, existing) == (replaced if existing == "replace" else KNOWN)


@pytest.mark.parametrize("existing", POLICIES)
def test_older_program_writes_nothing(existing: ExistingTaskPolicy) -> None:
    assert written(NEW.model_copy(update={"app_version": 1}), KNOWN, existing) is None


def test_changed_task_is_written_by_policy() -> None:
    with pytest.raises(StoredTaskConflictError, match="job"):
        written(NEW, KNOWN, "refuse")
    assert written(NEW, KNOWN, "keep") is None
    undeclared = KNOWN.model_copy(update={"state": "undeclared", "inactive_since": NOW})
    assert written(NEW, undeclared, "keep") == KNOWN
    assert written(NEW, KNOWN, "replace") == NEW.model_copy(update={"version": 7})


def test_update_keeps_schedule_of_same_trigger() -> None:
    update = {"version": 7, "paused": True}
    times = {"next_due": KNOWN.next_due, "started_at": KNOWN.started_at}
    assert written(NEW, KNOWN, "update") == NEW.model_copy(update={**update, **times})
    hourly = NEW.model_copy(update={"trigger": "hourly"})
    assert written(hourly, KNOWN, "update") == hourly.model_copy(update=update)
