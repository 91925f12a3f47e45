"""Outcomes that only worker processes have."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from asyncz import AsyncIOScheduler, Retry, SerializationError, TaskRetrying, WorkerLostError
from tests.helpers import payloads
from tests.helpers.executors import events_of_one_run
from tests.helpers.recorder import EventRecorder

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("call", "exception"),
    [
        (payloads.unpicklable_result, SerializationError),
        (payloads.badly_loading_result, SerializationError),
        (payloads.die, WorkerLostError),
        (payloads.fail_with_two_arguments, Exception),
    ],
)
def test_process_outcome_reported_once(call: Callable[[], object], exception: type[Exception]) -> None:
    listener = events_of_one_run("processpool", call)
    assert listener.names == ["TaskSubmitted", "TaskError", "TaskSubmitted", "TaskExecuted", "SchedulerShutdown"]
    assert isinstance(listener.exceptions[0], exception)


async def test_lost_worker_retried_if_requested() -> None:
    async with AsyncIOScheduler(executors={"cpu": "processpool"}) as scheduler:
        watch = EventRecorder.of_scheduler(scheduler)
        retry = Retry(attempts=3, on=(WorkerLostError,))
        task = scheduler.add_task(payloads.die, retry=retry, executor="cpu", trigger=None)
        with pytest.raises(WorkerLostError):
            await task.run()
        assert (len(watch.of(TaskRetrying)), len(watch.outcomes)) == (2, 1)
        assert scheduler.state.executors[0].lost_workers == 3
