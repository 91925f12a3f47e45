"""Rule: signals are handled in `wait_closed` only."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.helpers import payloads
from tests.helpers.executors import MAKERS, scheduler_with

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", MAKERS)
async def test_signals_handled_in_wait_closed_only(kind: str) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)

    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in numbers]

    before = handlers()
    scheduler = scheduler_with(kind)
    await scheduler.start()
    assert await scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None).run() == 3
    assert handlers() == before
    waiting = asyncio.ensure_future(scheduler.wait_closed())
    await asyncio.sleep(0)
    assert all(now is not handler for now, handler in zip(handlers(), before, strict=True))
    await scheduler.shutdown()
    await waiting
    assert handlers() == before
