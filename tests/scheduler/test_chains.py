"""Chains: each result of a task is passed to its downstream tasks."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest

from asyncz import (
    AsyncIOScheduler,
    DuplicateTaskError,
    Event,
    IntervalTrigger,
    InvalidInputError,
    NoResultError,
    Retry,
    SerializationError,
    TaskAdded,
    TaskError,
    TaskExecuted,
    TaskLimits,
    TaskSubmitted,
    UnknownAliasError,
    current_run,
)
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.executors import every_executor, scheduler_with
from tests.helpers.payloads import double, double_later, fail_at_two, to_text
from tests.helpers.recorder import EventRecorder
from tests.helpers.times import START
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


def function_of(function: Callable[[int], int], number: int) -> int:
    return pow(2, number) if isinstance(function, partial) else 2 * number


@every_executor
@pytest.mark.parametrize("function", [double, double_later, partial(pow, 2)])
async def test_chain_passes_each_result_downstream(kind: str, function: Callable[[int], int]) -> None:
    async with scheduler_with(kind) as scheduler:
        numbers = iter(range(1, 4))
        first = scheduler.add_task(lambda: next(numbers), trigger=None)
        second = first.then(function, executor="under_test")
        for number in range(1, 4):
            handle = first.run()
            assert await second.result() == function_of(function, number)
            assert await handle == number


async def test_chain_of_three_with_two_downstream_tasks() -> None:
    async with AsyncIOScheduler() as scheduler:
        numbers = iter(range(3))
        first = scheduler.add_task(lambda: next(numbers), trigger=None)
        second = first.then(double_later)
        third = second.then(to_text, executor="threadpool")
        other = first.then(double, executor="debug")
        log = EventRecorder.of_tasks(second, third, other)
        for _ in range(3):
            await first.run()
        await until(lambda: len(log.events) == 9)
        assert log.results(second) == log.results(other) == [0, 2, 4]
        assert log.results(third) == ["0", "2", "4"]


async def test_chain_failed_run_passes_nothing() -> None:
    """Pass results only; a failing downstream task has no effect on the others."""
    async with AsyncIOScheduler() as scheduler:
        numbers = iter(range(1, 4))
        first = scheduler.add_task(lambda: fail_at_two(next(numbers)), trigger=None)
        second = first.then(double)
        failing = first.then(lambda number: fail_at_two(number - 1), id="failing")
        third = failing.then(double)
        log = EventRecorder.of_tasks(first, second, failing, third)
        for _ in range(3):
            await first.run().notification()
        await until(lambda: len(log.events) == 3 + 2 + 2 + 1)
        assert log.kinds(first) == [TaskExecuted, TaskError, TaskExecuted]
        assert log.results(second) == [2, 6]
        assert log.kinds(failing) == [TaskExecuted, TaskError]
        assert log.results(third) == [0]


async def test_chain_run_is_due_when_result_arrives() -> None:
    """Emit the usual events, with the arrival of the result as due time."""
    clock = FakeClock()
    heard: list[Event] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        scheduler.subscribe(TaskAdded, heard.append)
        scheduler.subscribe(TaskSubmitted, heard.append)
        scheduler.subscribe(TaskExecuted, heard.append)
        first = scheduler.add_task(payloads.add, 1, 2, trigger=IntervalTrigger(hours=1), executor="debug", id="a")
        second = first.then(lambda _: current_run().scheduled_at, executor="debug", id="b")
        await clock.advance(hours=2, wait_for_runs=True)
        of_first = [event for event in heard if getattr(event, "task_id", "") == "a"]
        of_second = [event for event in heard if getattr(event, "task_id", "") == "b"]
        assert [type(event) for event in of_first] == [TaskAdded, *(TaskSubmitted, TaskExecuted) * 2]
        assert [type(event) for event in of_second] == [TaskAdded, *(TaskSubmitted, TaskExecuted) * 2]
        submitted = [event.details for event in of_second if isinstance(event, TaskSubmitted)]
        assert [details.scheduled_at for details in submitted] == [START + timedelta(hours=n) for n in (1, 2)]
        executed = [event for event in of_second if isinstance(event, TaskExecuted)]
        assert [event.details.run_id for event in executed] == [details.run_id for details in submitted]
        assert [event.result for event in executed] == [details.scheduled_at for details in submitted]
        assert (second.state.trigger, second.next_run_at) == ("after 'a'", None)
        assert (second.state.submitted, second.state.executed) == (2, 2)


async def test_chain_run_is_due_at_end_of_upstream_run() -> None:
    """Keep the time of the outcome as due time, although a listener before the chain has taken a minute."""
    clock = FakeClock()
    due: list[datetime | None] = []
    async with AsyncIOScheduler(clock=clock) as scheduler:
        first = scheduler.add_task(payloads.add, 1, 2, trigger=None, executor="debug")
        first.on_executed(lambda _: clock.set(START + timedelta(minutes=1)))
        second = first.then(double, executor="debug")
        second.on_executed(lambda event: due.append(event.details.scheduled_at))
        await clock.advance()
        await first.run()
        await clock.advance(wait_for_runs=True)
    assert due == [START]


async def test_chain_run_has_context_of_then_call() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")

    def see(_: object) -> str:
        seen = variable.get()
        variable.set("changed by a run")
        return seen

    async with AsyncIOScheduler() as scheduler:
        variable.set("first")
        first = scheduler.add_task(variable.get, trigger=None)
        variable.set("second")
        second = first.then(see, executor="threadpool")
        variable.set("later")
        for _ in range(2):
            await first.run()
            assert await second.result() == "second"


async def test_chain_run_takes_last_result() -> None:
    async with AsyncIOScheduler() as scheduler:
        texts = iter(["1", "2", "no number"])
        first = scheduler.add_task(lambda: int(next(texts)), trigger=None, id="first")
        second = first.then(double, executor="threadpool", paused=True)
        with pytest.raises(NoResultError, match="'first' has no result"):
            second.run()
        for _ in range(2):
            await first.run()
        assert await second.run() == 4
        assert second.call() == 4
        await first.run().notification()
        with pytest.raises(NoResultError):
            second.run()
        assert second.state.submitted == 1


async def test_chain_submit_from_thread_takes_last_result() -> None:
    async with asyncio.timeout(30), AsyncIOScheduler() as scheduler:
        texts = iter(["1", "no number"])
        first = scheduler.add_task(lambda: int(next(texts)), trigger=None)
        second = first.then(double)
        log = EventRecorder.of_tasks(second)
        await first.run()
        await until(lambda: len(log.events) == 1)
        await asyncio.to_thread(second.submit)
        await until(lambda: len(log.events) == 2)
        await first.run().notification()
        await asyncio.to_thread(second.submit)
        await until(lambda: len(log.events) == 3)
        assert log.results(second) == [2, 2]
        assert isinstance(last := log.events[-1], TaskError)
        assert isinstance(last.exception, NoResultError)


async def test_chain_limits_default_and_modify() -> None:
    retry = Retry(attempts=2)
    scheduler = AsyncIOScheduler(defaults=TaskLimits(max_instances=3, timeout=60, retry=retry, coalesce=True))
    first = scheduler.add_task(payloads.add, 1, 2, trigger=None)
    second = first.then(double, timeout=30)
    limits = second.limits
    assert (limits.max_instances, limits.timeout, limits.retry, limits.coalesce) == (3, 30, retry, False)
    second.modify(max_instances=1, executor="threadpool")
    with pytest.raises(InvalidInputError, match="is due by results"):
        second.reschedule(IntervalTrigger(hours=1))
    async with asyncio.timeout(30), scheduler:
        log = EventRecorder.of_tasks(second)
        for _ in range(3):
            await first.run()
        await until(lambda: len(log.events) == 3)
        assert log.results(second) == [6, 6, 6]
        assert (second.executor, second.limits.max_instances) == ("threadpool", 1)


def test_chain_function_name_and_kind() -> None:
    scheduler = AsyncIOScheduler()
    first = scheduler.add_task(payloads.add, 1, 2)
    assert first.then(double_later).function == "tests.helpers.payloads:double_later"
    assert first.then(partial(double_later)).id == "double_later-3"
    assert first.then(double_later).is_coroutine
    assert not first.then(double).is_coroutine


def test_then_invalid_argument_changes_nothing() -> None:
    scheduler = AsyncIOScheduler()
    first = scheduler.add_task(payloads.add, 1, 2, id="first")
    before = scheduler.state
    rejections: list[tuple[type[Exception], Callable[[], object]]] = [
        (InvalidInputError, lambda: first.then(3)),  # type: ignore[call-overload]  # wrong on purpose
        (InvalidInputError, lambda: first.then(double, max_instances=0)),
        (InvalidInputError, lambda: first.then(double, timeout=-1)),
        (InvalidInputError, lambda: first.then(double, id="")),
        (DuplicateTaskError, lambda: first.then(double, id="first")),
        (UnknownAliasError, lambda: first.then(double, executor="kubernetes")),
        (SerializationError, lambda: first.then(lambda number: number, executor="processpool")),
    ]
    for error, call in rejections:
        with pytest.raises(error):
            call()
        assert scheduler.state == before
    assert not first._listeners
