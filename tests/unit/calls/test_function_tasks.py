"""Tasks that are found by their function."""

from __future__ import annotations

from functools import partial

import pytest

from asyncz import AsyncIOScheduler, FunctionMismatchError, InvalidInputError, TaskLookupError
from tests.helpers import decorated, payloads

pytestmark = pytest.mark.anyio


def double(number: int) -> int:
    return 2 * number


def test_get_task_of_function_returns_its_task() -> None:
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(payloads.add, 1, 2, id="sum")
    assert scheduler.tasks_of(payloads.add).get("sum") is task
    assert scheduler.tasks_of(partial(payloads.add, 3)).get("sum") is task
    assert scheduler.tasks_of(payloads.add).get("sum") is task
    assert scheduler.tasks_of(payloads.add).all() == (task,)
    assert scheduler.tasks_of(double).all() == ()


def test_get_task_of_another_function_raises() -> None:
    scheduler = AsyncIOScheduler()
    scheduler.add_task(payloads.add, 1, 2, id="sum")
    with pytest.raises(FunctionMismatchError, match=r"'sum' calls \S+:add, not \S+:double") as raised:
        scheduler.tasks_of(double).get("sum")
    assert raised.value.task_id == "sum"
    with pytest.raises(TaskLookupError, match="other"):
        scheduler.tasks_of(double).get("other")
    with pytest.raises(InvalidInputError, match="fn"):
        scheduler.tasks_of(3).get("sum")  # type: ignore[arg-type]  # wrong on purpose


def test_get_task_finds_downstream_and_decorated_tasks() -> None:
    scheduler = AsyncIOScheduler()
    downstream = scheduler.add_task(payloads.add, 1, 2).then(double)
    assert scheduler.tasks_of(double).get(downstream.id) is downstream
    square = scheduler.task()(decorated.square.__wrapped__)
    task = square.schedule(3)
    assert scheduler.tasks_of(square).get(task.id) is task
    assert scheduler.tasks_of(square.__wrapped__).get(task.id) is task


def test_get_task_compares_the_instance_of_a_method() -> None:
    scheduler = AsyncIOScheduler()
    one, other = decorated.Counter(1), decorated.Counter(1)
    task = scheduler.add_task(one.add.__wrapped__, 3)
    assert scheduler.tasks_of(one.add).get(task.id) is task
    with pytest.raises(FunctionMismatchError):
        scheduler.tasks_of(other.add).get(task.id)
