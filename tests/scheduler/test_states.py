"""State of a scheduler."""

from __future__ import annotations

import asyncio

import pytest

from asyncz import AsyncIOScheduler, IntervalTrigger, SchedulerState, ThreadPoolExecutor
from tests.helpers import payloads

pytestmark = pytest.mark.anyio


async def test_state_round_trips_through_json() -> None:
    async with AsyncIOScheduler(executors={"io": ThreadPoolExecutor(2)}) as scheduler:
        scheduler.add_task(payloads.add, 1, 1, executor="io", trigger=IntervalTrigger(hours=1))
        await asyncio.sleep(0.01)
        state = scheduler.state
        assert state.next_run_at is not None
        assert SchedulerState.model_validate_json(state.model_dump_json()) == state
