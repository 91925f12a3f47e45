"""State of a scheduler."""

from __future__ import annotations

import asyncio

import pytest

from asyncz import AsyncIOScheduler, IntervalTrigger, SchedulerState, ThreadPoolExecutor
from tests.helpers import payloads

pytestmark = pytest.mark.anyio


async def test_scheduler_repr_names_status_and_tasks() -> None:
    scheduler = AsyncIOScheduler()
    assert repr(scheduler) == "<AsyncIOScheduler, created, with 0 task(s)>"
    async with scheduler:
        scheduler.add_task(payloads.add, 1, 1, trigger=None)
        assert repr(scheduler) == "<AsyncIOScheduler, running, with 1 task(s)>"
    assert f"{scheduler}" == "<AsyncIOScheduler, stopped, with 1 task(s)>"


async def test_state_round_trips_through_json() -> None:
    async with AsyncIOScheduler(executors={"io": ThreadPoolExecutor(2)}) as scheduler:
        scheduler.add_task(payloads.add, 1, 1, executor="io", trigger=IntervalTrigger(hours=1))
        await asyncio.sleep(0.01)
        state = scheduler.state
        assert state.next_run_at is not None
        assert SchedulerState.model_validate_json(state.model_dump_json()) == state
