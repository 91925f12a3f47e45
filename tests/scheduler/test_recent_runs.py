"""The recent runs in the state of a task."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from typing_extensions import override

from asyncz import AsyncIOScheduler, IntervalTrigger, InvalidInputError, Retry, TaskState
from asyncz.testing import FakeClock
from tests.helpers import payloads
from tests.helpers.times import START

pytestmark = pytest.mark.anyio


def fail_at(number: int) -> object:
    if number == 2:
        raise ValueError("two")
    if number == 3:
        raise asyncio.CancelledError
    return object()


async def test_recent_runs_ordered_oldest_first() -> None:
    clock = FakeClock()
    async with AsyncIOScheduler(clock=clock, recent_runs=3) as scheduler:
        numbers = iter(range(1, 6))
        task = scheduler.add_task(
            lambda: fail_at(next(numbers)), trigger=IntervalTrigger(hours=1), executor="debug", id="t"
        )
        assert not task.state.recent_runs
        run_ids: list[UUID] = []
        task.on_done(lambda notification: run_ids.append(notification.details.run_id))
        await clock.advance(hours=2, wait_for_runs=True)
        assert [run.outcome for run in task.state.recent_runs] == ["executed", "error"]
        await clock.advance(hours=3, wait_for_runs=True)
        recent = task.state.recent_runs
        assert [run.outcome for run in recent] == ["cancelled", "executed", "executed"]
        assert [run.run_id for run in recent] == run_ids[-3:]
        due = [START + timedelta(hours=hours) for hours in (3, 4, 5)]
        assert [run.scheduled_at for run in recent] == due
        assert [run.started_at for run in recent] == [run.finished_at for run in recent] == due
        assert TaskState.model_validate_json(task.state.model_dump_json()) == task.state


async def test_recent_runs_record_error_and_missed() -> None:
    clock = FakeClock()
    async with asyncio.timeout(30), AsyncIOScheduler(clock=clock) as scheduler:
        task = scheduler.add_task(
            payloads.fail, "broken", trigger=IntervalTrigger(hours=1), misfire_grace_time=5, executor="debug"
        )
        await clock.advance(hours=1, wait_for_runs=True)
        scheduler.pause()
        await clock.advance(hours=1, minutes=30)
        scheduler.resume()
        await clock.advance(1, wait_for_runs=True)
        failed, missed = task.state.recent_runs
        assert (failed.outcome, failed.error) == ("error", "ValueError: broken")
        assert (missed.outcome, missed.error, missed.started_at) == ("missed", "", None)


class UnprintableError(Exception):
    @override
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raise_it(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "text"), [(UnprintableError(), "UnprintableError"), (ValueError("x" * 9999), f"ValueError: {'x' * 988}")]
)
async def test_recent_runs_error_text_is_bounded(error: Exception, text: str) -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(raise_it, error, trigger=None)
        await task.run().notification()
        assert [run.error for run in task.state.recent_runs] == [text]


async def test_recent_runs_count_run_with_retries_once() -> None:
    async with AsyncIOScheduler() as scheduler:
        task = scheduler.add_task(payloads.fail, "x", trigger=None, retry=Retry(attempts=3, delay=0.0))
        await task.run().notification()
        assert [(run.outcome, run.attempt) for run in task.state.recent_runs] == [("error", 3)]


def test_recent_runs_default_is_five() -> None:
    async def main(scheduler: AsyncIOScheduler) -> int:
        async with scheduler:
            task = scheduler.add_task(payloads.add, 1, 2, trigger=None)
            for _ in range(7):
                await task.run()
            return len(task.state.recent_runs)

    assert asyncio.run(main(AsyncIOScheduler())) == 5
    assert asyncio.run(main(AsyncIOScheduler(recent_runs=0))) == 0
    for wrong in (-1, True, 1.5, "5"):
        with pytest.raises(InvalidInputError, match="recent_runs"):
            AsyncIOScheduler(recent_runs=wrong)  # type: ignore[arg-type]  # wrong on purpose
