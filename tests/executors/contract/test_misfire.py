"""Rule: a run that starts after its grace time is missed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from asyncz import (
    AsyncIOScheduler,
    DateTrigger,
    IntervalTrigger,
    TaskExecuted,
    TaskLimits,
    TaskMissed,
    TaskMissedError,
    TaskRun,
    TaskSpec,
)
from asyncz.testing import FakeClock, RecordingNotifier
from tests.helpers import payloads
from tests.helpers.executors import MAKERS, every_executor, every_queueing_executor, with_one_worker
from tests.helpers.manual_executors import CustomExecutor, inline
from tests.helpers.times import START
from tests.helpers.waiting import until

pytestmark = pytest.mark.anyio


@every_executor
async def test_late_run_missed(kind: str) -> None:
    executor, notifier = MAKERS[kind](), RecordingNotifier()
    await executor.start(notifier, "alone")
    task = TaskSpec("t", partial(payloads.add, 1, 2), limits=TaskLimits(misfire_grace_time=1.0))
    run = TaskRun(task, scheduled=time.time() - 5)
    executor.submit(run)
    await executor.shutdown()
    assert isinstance(await run.notification(), TaskMissed)
    record = notifier.record_of(run)
    assert (record.notified, record.released, record.released_first) == (1, 1, False)


@every_executor
@pytest.mark.parametrize("function", [payloads.add, payloads.add_async])
@pytest.mark.parametrize(("late", "ending"), [(60.0, "TaskExecuted"), (60.001, "TaskMissed")])
async def test_run_starts_within_grace_time(
    kind: str, late: float, ending: str, function: Callable[[int, int], int | Awaitable[int]]
) -> None:
    executor, notifier = MAKERS[kind](), RecordingNotifier()
    await executor.start(notifier, "under_test")
    task: TaskSpec[object] = TaskSpec("t", partial(function, 1, 2), limits=TaskLimits(misfire_grace_time=60.0))
    run = TaskRun(task, scheduled=1000.0, clock_now=lambda: 1000.0 + late)
    executor.submit(run)
    assert type(await run.notification()).__name__ == ending
    await executor.shutdown()


async def test_run_late_when_due_never_submitted() -> None:
    clock, trusting = FakeClock(), CustomExecutor(inline)
    async with AsyncIOScheduler(executors={"under_test": trusting}, clock=clock) as scheduler:
        missed: list[TaskMissed] = []
        scheduler.subscribe(TaskMissed, missed.append)
        at = START + timedelta(hours=1)
        scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=DateTrigger(at), misfire_grace_time=60)
        await clock.advance()
        scheduler.pause()
        await clock.advance(hours=2)
        scheduler.resume()
        await clock.advance(seconds=1)
    assert len(missed) == 1
    assert trusting.taken == []


@every_queueing_executor
async def test_run_late_in_queue_missed(kind: str, tmp_path: Path) -> None:
    mark, go_on, now = tmp_path / "mark", tmp_path / "go-on", [1000.0]

    executor = with_one_worker(kind)
    await executor.start(RecordingNotifier(), "under_test")
    blocking = TaskRun(TaskSpec("first", partial(payloads.mark_and_wait, str(mark), str(go_on))))
    executor.submit(blocking)
    await until(mark.exists)
    second = TaskSpec("second", partial(payloads.add, 1, 2), limits=TaskLimits(misfire_grace_time=60.0))
    late = TaskRun(second, scheduled=1000.0, clock_now=lambda: now[0])
    executor.submit(late)
    now[0] = 2000.0
    go_on.touch()
    assert isinstance(await blocking.notification(), TaskExecuted)
    assert isinstance(await late.notification(), TaskMissed)
    await executor.shutdown()


@pytest.mark.parametrize("kind", MAKERS)
async def test_default_grace_time_is_unlimited(kind: str) -> None:
    clock = FakeClock()
    due: list[datetime | None] = []
    async with AsyncIOScheduler(executors={"under_test": MAKERS[kind]()}, clock=clock) as scheduler:
        task = scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=IntervalTrigger(days=1))
        task.on_done(lambda event: due.append(event.details.scheduled_at))
        await clock.advance()
        scheduler.pause()
        await clock.advance(days=3.5)
        scheduler.resume()
        await clock.advance(seconds=1, wait_for_runs=True)
        assert isinstance(task.last_notification, TaskExecuted)
    assert due == [START + timedelta(days=3)]


async def test_late_coroutine_missed() -> None:
    missed: list[object] = []
    async with AsyncIOScheduler() as scheduler:
        with scheduler.subscribe(TaskMissed, missed.append):
            long_ago = DateTrigger(datetime(2020, 1, 1, tzinfo=UTC))
            task = scheduler.add_task(payloads.add_async, 1, 2, trigger=long_ago, misfire_grace_time=1)
            with pytest.raises(TaskMissedError):
                await task.result()
        assert len(missed) == 1
