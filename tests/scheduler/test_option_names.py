"""Errors of invalid options name the option."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from asyncz import AsyncIOScheduler, InvalidInputError, Task
from tests.helpers.payloads import do_nothing
from tests.scheduler.test_validation import wrongly


def _then(scheduler: AsyncIOScheduler, **options: object) -> object:
    task: Task[None] = scheduler.add_task(do_nothing, trigger=None)
    return wrongly(task.then, lambda _: None, **options)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda scheduler: _then(scheduler, paused="yes"), "paused"),
        (lambda scheduler: scheduler.get_run(UUID(int=1).hex), "run_id"),
        (lambda scheduler: scheduler.in_thread(drain_timeout=-1), "drain_timeout"),
    ],
    ids=["then", "get_run", "thread"],
)
def test_invalid_option_is_named(call: Callable[[AsyncIOScheduler], object], name: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"^{name} cannot be "):
        call(AsyncIOScheduler())
