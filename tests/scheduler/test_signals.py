"""Signals while a scheduler waits to be closed."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

import pytest

from asyncz import AsyncIOScheduler, TaskCancelled, TaskExecuted
from tests.helpers import payloads


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_forever_signal_drains(number: int) -> None:
    before = signal.getsignal(number)
    scheduler = AsyncIOScheduler()
    slow = scheduler.add_task(payloads.sleep_async, 0.2)
    scheduler.add_task(os.kill, os.getpid(), number)
    scheduler.run_forever()
    assert isinstance(slow.last_notification, TaskExecuted)
    assert signal.getsignal(number) == before


def test_run_forever_second_signal_cancels() -> None:
    scheduler = AsyncIOScheduler()

    def kill_twice() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        # Two at a time would be one.
        while scheduler.state.status != "draining":
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGTERM)

    slow = scheduler.add_task(payloads.sleep_async, 60.0)
    scheduler.add_task(kill_twice)
    scheduler.run_forever()
    assert isinstance(slow.last_notification, TaskCancelled)


def test_wait_closed_outside_main_thread() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            asyncio.get_running_loop().call_later(0.05, lambda: asyncio.ensure_future(scheduler.shutdown()))
            await scheduler.wait_closed()
        await scheduler.wait_closed()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
