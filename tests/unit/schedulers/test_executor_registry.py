"""Registry of executors: the end of a late start."""

from __future__ import annotations

import asyncio

import pytest

from asyncz import _shutdown_limits
from asyncz.schedulers._executor_registry import Cut, _end_start

pytestmark = pytest.mark.anyio


async def test_hanging_late_start_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the cut of a shutdown, a late start that hangs is cancelled."""

    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(_shutdown_limits, "LEAST_SECONDS", 0.01)
    cut, starting = Cut(), asyncio.create_task(hang())
    cut.set()
    async with asyncio.timeout(30):
        await _end_start(starting, cut)
        await asyncio.wait([starting])
    assert starting.cancelled()
