"""Log records of worker processes arrive in the parent, complete and in order."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import pytest

from asyncz import AsyncIOScheduler, ProcessPoolExecutor, WorkerLostError
from asyncz.config import ProcessPoolKwargs
from tests.helpers import payloads
from tests.helpers.executors import scheduler_with

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_log_records_arrive_from_dying_worker(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with scheduler_with("processpool") as scheduler:
            await scheduler.add_task(payloads.log, "app.part", logging.INFO, "hello", executor="under_test").result()
            with pytest.raises(WorkerLostError):
                await scheduler.add_task(payloads.log_and_die, "app.part", "last words", executor="under_test").result()
    records = [(r.name, r.levelno, r.getMessage()) for r in caplog.records if r.name == "app.part"]
    assert records == [("app.part", logging.INFO, "hello"), ("app.part", logging.WARNING, "last words")]


async def messages_of(
    caplog: pytest.LogCaptureFixture, call: Callable[[], None], pool_kwargs: ProcessPoolKwargs | None = None
) -> list[str]:
    """Return the messages of the loggers `under_test` and `initializer` during one run of a function."""
    with caplog.at_level(logging.DEBUG):
        async with AsyncIOScheduler(executors={"under_test": ProcessPoolExecutor(1, pool_kwargs)}) as scheduler:
            await scheduler.add_task(call, executor="under_test", trigger=None).run().notification()
    return [record.getMessage() for record in caplog.records if record.name in {"under_test", "initializer"}]


async def test_many_large_records_arrive_in_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    records, size = 200, 300_000
    messages = await messages_of(caplog, partial(payloads.log_many, "under_test", records, size))
    assert len(messages) == 4 * records
    numbers: dict[str, list[int]] = {}
    for message in messages:
        thread, number, padding = message.split(" ", 2)
        numbers.setdefault(thread, []).append(int(number))
        assert len(padding) == (size if int(number) % 10 == 0 else 0)
    assert numbers == {str(thread): list(range(records)) for thread in range(4)}


async def test_logging_in_signal_handler_is_safe(
    caplog: pytest.LogCaptureFixture,
) -> None:
    messages = await messages_of(caplog, partial(payloads.log_in_signal_handlers, "under_test", 200))
    # One handler may interrupt another, so only their number is sure.
    handled = {message for message in messages if message.startswith("handler")}
    assert handled == {f"handler {number}" for number in range(len(handled))}
    others = [message for message in messages if not message.startswith("handler")]
    assert [message.split(" ")[0] for message in others] == [str(number) for number in range(200)]
    assert {len(message.split(" ")[1]) for message in others} == {100_000}


async def test_initializer_records_arrive(
    caplog: pytest.LogCaptureFixture,
) -> None:
    call = partial(payloads.log, "under_test", logging.DEBUG, "from the run")
    messages = await messages_of(caplog, call, {"initializer": payloads.log_in_initializer})
    assert messages == ["before the configuration", "after the configuration", "from the run"]


async def test_records_arrive_after_handlers_replaced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    call = partial(payloads.log, "under_test", logging.WARNING, "from the run")
    assert await messages_of(caplog, call, {"initializer": payloads.set_handlers_in_initializer}) == ["from the run"]


async def test_records_arrive_before_worker_loss(caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncIOScheduler(executors={"under_test": ProcessPoolExecutor(2)}) as scheduler:
        for number in range(20):
            task = scheduler.add_task(payloads.log_and_die, "under_test", f"last words {number}", executor="under_test")
            with pytest.raises(WorkerLostError):
                await task.result()
            assert caplog.messages.count(f"last words {number}") == 1
