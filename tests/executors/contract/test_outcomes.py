"""Rule: each run ends once, with the outcome of its function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

import pytest

from asyncz import TaskCancelledError, TaskError, TaskExecuted, TaskExitError, TaskSubmitted
from tests.helpers import payloads
from tests.helpers.executors import events_of_one_run, every_executor, scheduler_with

pytestmark = pytest.mark.anyio


@every_executor
@pytest.mark.parametrize(
    ("call", "ending", "exception"),
    [
        (partial(payloads.add, 1, 2), "TaskExecuted", None),
        (partial(payloads.add_async, 1, 2), "TaskExecuted", None),
        (payloads.returns_coroutine, "TaskExecuted", None),
        (partial(payloads.fail, "x"), "TaskError", ValueError),
        (partial(payloads.fail_async, "x"), "TaskError", ValueError),
        (payloads.leave, "TaskError", SystemExit),
        (payloads.leave_async, "TaskError", SystemExit),
        (payloads.interrupt, "TaskError", KeyboardInterrupt),
        (payloads.interrupt_async, "TaskError", KeyboardInterrupt),
        (payloads.raise_base_exception, "TaskError", payloads.OwnBaseException),
        (payloads.raise_base_exception_async, "TaskError", payloads.OwnBaseException),
        (payloads.cancel_itself, "TaskCancelled", None),
        (payloads.cancel_itself_async, "TaskCancelled", None),
    ],
)
def test_outcome_reported_once(
    kind: str, call: Callable[[], object], ending: str, exception: type[BaseException] | None
) -> None:
    listener = events_of_one_run(kind, call)
    assert listener.names == ["TaskSubmitted", ending, "TaskSubmitted", "TaskExecuted", "SchedulerShutdown"]
    assert [type(each) for each in listener.exceptions] == ([] if exception is None else [exception])
    if ending == "TaskExecuted":
        assert isinstance(listener.events[1], TaskExecuted)
        assert listener.events[1].result == 3


@every_executor
async def test_function_kinds_return_results(kind: str) -> None:
    async with scheduler_with(kind) as scheduler:
        calls = [
            scheduler.add_task(payloads.add, 1, 2, executor="under_test"),
            scheduler.add_task(payloads.add_async, 1, 2, executor="under_test"),
            scheduler.add_task(payloads.AsyncAdder(), 1, 2, executor="under_test"),
            scheduler.add_task(partial(payloads.add_async, second=2), 1, executor="under_test"),
            scheduler.add_task(partial(payloads.add, second=2), 1, executor="under_test"),
        ]
        assert [await task.result() for task in calls] == [3] * 5


@every_executor
@pytest.mark.parametrize("function", [payloads.fail, payloads.fail_async])
async def test_exception_reaches_listener_and_awaiter(kind: str, function: Callable[[str], int]) -> None:
    errors: list[TaskError] = []
    async with scheduler_with(kind) as scheduler:
        scheduler.subscribe(TaskError, errors.append)
        with pytest.raises(ValueError, match="broken"):
            await scheduler.add_task(function, "broken", executor="under_test", trigger=None).run()
    assert len(errors) == 1
    assert "in fail" in errors[0].traceback
    assert errors[0].details.started_at is not None


@every_executor
@pytest.mark.parametrize("function", [payloads.leave, payloads.interrupt])
async def test_system_exit_is_error_of_run(kind: str, function: Callable[[], None]) -> None:
    async with scheduler_with(kind) as scheduler:
        with pytest.raises(TaskExitError):
            await scheduler.add_task(function, executor="under_test").result()
        assert await scheduler.add_task(payloads.add, 1, 1, executor="under_test").result() == 2


@every_executor
async def test_function_raising_cancelled_error_is_cancelled(kind: str) -> None:
    async with scheduler_with(kind) as scheduler:
        with pytest.raises(TaskCancelledError):
            await scheduler.add_task(payloads.cancel_itself, executor="under_test").result()


@every_executor
async def test_submission_precedes_outcome(kind: str) -> None:
    events: list[tuple[str, UUID]] = []
    async with scheduler_with(kind) as scheduler:
        scheduler.subscribe(TaskSubmitted, lambda event: events.append(("submitted", event.details.run_id)))
        scheduler.subscribe(TaskExecuted, lambda event: events.append(("ended", event.details.run_id)))
        scheduler.subscribe(TaskError, lambda event: events.append(("ended", event.details.run_id)))
        tasks = [scheduler.add_task(payloads.add, number, 1, executor="under_test") for number in range(50)]
        tasks.append(scheduler.add_task(payloads.fail, "x", executor="under_test"))
        for task in tasks[:-1]:
            await task.result()
        with pytest.raises(ValueError, match="x"):
            await tasks[-1].result()
    seen: set[UUID] = set()
    for kind_of_event, run_id in events:
        assert (run_id in seen) == (kind_of_event == "ended")
        seen.add(run_id)
    assert len(events) == 2 * 51
    assert (scheduler.state.submitted, scheduler.state.executed, scheduler.state.errors) == (51, 50, 1)
