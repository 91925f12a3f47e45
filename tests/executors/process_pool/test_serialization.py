"""Calls, results and exceptions between processes."""

from __future__ import annotations

import asyncio

import pytest

from asyncz import AsyncIOScheduler, RemoteError, SerializationError
from tests.helpers import payloads
from tests.helpers.executors import process_pool_of, scheduler_with, start_run

pytestmark = pytest.mark.anyio


async def test_remote_traceback_includes_cause() -> None:
    async with scheduler_with("processpool") as scheduler:
        task = scheduler.add_task(payloads.fail_with_cause, executor="under_test", trigger=None)
        notification = await task.run().notification()
        text = getattr(notification, "traceback", "")
        assert "LookupError: the cause" in text
        assert "ValueError: the effect" in text
        assert "in fail_with_cause" in text


async def test_unpicklable_parts_reported() -> None:
    async with scheduler_with("processpool") as scheduler:
        with pytest.raises(SerializationError, match="function or argument"):
            scheduler.add_task(lambda: 1, executor="under_test")
        assert scheduler.tasks == ()
        with pytest.raises(SerializationError, match="result"):
            await scheduler.add_task(payloads.unpicklable_result, executor="under_test").result()
        with pytest.raises(SerializationError, match="result"):
            await scheduler.add_task(payloads.badly_loading_result, executor="under_test").result()
        with pytest.raises(SerializationError, match="the worker cannot load it"):
            await scheduler.add_task(payloads.add, payloads.LoadsBadly(), 1, executor="under_test").result()  # type: ignore[arg-type, call-arg]  # never gets there
        with pytest.raises(RemoteError, match="TwoArgumentsError"):
            await scheduler.add_task(payloads.fail_with_two_arguments, executor="under_test").result()
        assert await scheduler.add_task(payloads.add, 1, 1, executor="under_test").result() == 2


async def test_remote_exception_has_traceback_note() -> None:
    async with scheduler_with("processpool") as scheduler:
        with pytest.raises(ValueError, match="far away") as raised:
            await scheduler.add_task(payloads.fail, "far away", executor="under_test").result()
        assert "in fail" in raised.value.__notes__[0]


async def test_argument_unpicklable_at_due_time_fails_run() -> None:
    async with asyncio.timeout(30), scheduler_with("processpool") as scheduler:
        numbers: list[object] = [1, 2]
        task = scheduler.add_task(len, numbers, executor="under_test", trigger=None)
        numbers.append(lambda: None)
        with pytest.raises(SerializationError, match="function or argument"):
            await task.run()
        numbers.pop()
        assert await task.run() == 2


async def test_unprintable_exception_reported() -> None:
    async with AsyncIOScheduler(executors={"under_test": process_pool_of(1)}) as scheduler:
        with pytest.raises((payloads.UnprintableError, RemoteError)):
            await scheduler.add_task(payloads.fail_unprintably, executor="under_test").result()
        assert await start_run(scheduler, payloads.add, 1, 1) == 2
