"""Calls, results and exceptions between processes."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from asyncz import AsyncIOScheduler, DaskExecutor, ProcessPoolExecutor, RemoteError, SerializationError
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
        with pytest.raises(SerializationError, match=r"the function .*a lambda cannot be pickled"):
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
        with pytest.raises(SerializationError, match=r"the argument 'obj' of builtins:len "):
            await task.run()
        numbers.pop()
        assert await task.run() == 2


async def test_unprintable_exception_reported() -> None:
    async with AsyncIOScheduler(executors={"under_test": process_pool_of(1)}) as scheduler:
        with pytest.raises((payloads.UnprintableError, RemoteError)):
            await scheduler.add_task(payloads.fail_unprintably, executor="under_test").result()
        assert await start_run(scheduler, payloads.add, 1, 1) == 2


def report(name: object, /, callback: object = None, *more: object, **named: object) -> str:
    return f"{name} {callback} {more} {named}"


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (partial(report, "a", lambda: 1), "the argument 'callback' of"),
        (partial(report, threading.Lock()), "the argument 'name' of"),
        (partial(report, "a", None, threading.Lock()), "the argument 3 of"),
        (partial(report, "a", extra=threading.Lock()), "the argument 'extra' of"),
        (partial(lambda text: text, "a"), "the function"),
        (partial(report, "a", [lambda: 1]), "the argument 'callback' of"),
    ],
)
def test_error_names_unpicklable_part(call: partial[object], named: str) -> None:
    for executor in (ProcessPoolExecutor(), DaskExecutor()):
        if isinstance(executor, DaskExecutor) and "Lock" not in repr(call):
            # cloudpickle pickles functions by value.
            continue
        with pytest.raises(SerializationError, match=named) as raised:
            executor.check_call(call)
        assert ("at the top level of a module" in str(raised.value)) is ("lock" not in str(raised.value))


def test_lambda_argument_named_in_message() -> None:
    with pytest.raises(SerializationError) as raised:
        ProcessPoolExecutor().check_call(partial(report, "a", callback=lambda: 1))
    text = str(raised.value)
    assert (
        f"argument 'callback' of {__name__}:report cannot be sent to another process: a lambda cannot be pickled"
        in text
    )
    assert "cloudpickle" in text
