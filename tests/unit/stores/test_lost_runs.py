"""Retry policies of stored tasks for the runs of lost nodes."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import Mock

import pytest

from asyncz import Retry
from asyncz.limits import TaskLimits
from asyncz.schedulers._store_retries import ForeignRetries
from asyncz.stores import StoreSession
from asyncz.stores._limits import encode_limits
from asyncz.stores.records import TaskRecord

pytestmark = pytest.mark.anyio


def task(task_id: str, revision: int, retry: Retry | None, **values: object) -> TaskRecord:
    options = encode_limits(TaskLimits(retry=retry))
    return TaskRecord.model_validate(
        {"id": task_id, "function": "jobs:job", "options": options, "revision": revision, **values}
    )


class Session:
    """Session with some tasks, which returns one per page."""

    def __init__(self, *tasks: TaskRecord) -> None:
        self.tasks = tasks
        self.pages = 0

    def typed(self) -> StoreSession:
        return Mock(spec=StoreSession, changes=self.changes)

    async def changes(self, since: int, limit: int, /) -> Sequence[TaskRecord]:
        self.pages += 1
        assert limit > 1
        return [each for each in self.tasks if each.revision > since][:1]


async def test_lost_run_has_delay_of_stored_policy() -> None:
    retry = Retry(attempts=3, delay=5, backoff=2)
    session = Session(
        task("plain", 1, None),
        task("retried", 4, retry),
        task("removed", 5, retry, removed=True),
        task("parked", 6, retry, state="parked"),
        task("other error", 7, Retry(attempts=3, on=(KeyError,))),
        task("unknown", 9, None, options='{"speed": 3}'),
    )
    retries = ForeignRetries(session.typed())
    assert [await retries.delay_after_loss("retried", attempt) for attempt in (1, 2, 3)] == [5, 10, None]
    for task_id in ("plain", "removed", "parked", "other error", "unknown", "missing"):
        assert await retries.delay_after_loss(task_id, 1) is None
    assert session.pages == len(session.tasks) + 1


async def test_policy_with_foreign_exception_has_delay() -> None:
    """The classes of a policy are not imported."""
    foreign = task("job", 1, Retry(attempts=2, delay=7, on=(KeyError, Exception)))
    options = foreign.options.replace("builtins:KeyError", "no_such_module_here:Oops")
    retries = ForeignRetries(Session(foreign.model_copy(update={"options": options})).typed())
    assert await retries.delay_after_loss("job", 1) == 7
