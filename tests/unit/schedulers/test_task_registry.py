"""Registry of tasks."""

from __future__ import annotations

from asyncz import AsyncIOScheduler
from tests.helpers.payloads import do_nothing


def test_task_stays_until_demands_are_handled() -> None:
    scheduler = AsyncIOScheduler()
    tasks = scheduler._parts.tasks
    controller = tasks.controller_of(scheduler.add_task(do_nothing, trigger=None))
    assert controller is not None
    for _ in range(4):
        tasks.demanded(controller)
    for _ in range(4):
        assert not tasks.retire(controller)
        tasks.demand_handled(controller)
    assert tasks.retire(controller)
