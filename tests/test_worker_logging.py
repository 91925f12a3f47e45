"""What workers log arrives in the logging of the parent: all of it, in order, also from one that is killed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import pytest

from asyncz import AsyncIOScheduler, ProcessPoolExecutor, WorkerLostError
from asyncz.config import ProcessPoolKwargs
from tests import functions


def messages_of(
    caplog: pytest.LogCaptureFixture, call: Callable[[], None], pool_kwargs: ProcessPoolKwargs | None = None
) -> list[str]:
    """What is logged under `tried` or `initializer`, while one run of a function ends as it may."""

    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": ProcessPoolExecutor(1, pool_kwargs)}) as scheduler:
            await scheduler.add_task(call, executor="tried", trigger=None).run().notification()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())
    return [record.getMessage() for record in caplog.records if record.name in {"tried", "initializer"}]


def test_many_and_large_records_of_several_threads_arrive_in_order_though_the_worker_is_killed_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    records, size = 200, 300_000
    messages = messages_of(caplog, partial(functions.log_many, "tried", records, size))
    assert len(messages) == 4 * records
    numbers: dict[str, list[int]] = {}
    for message in messages:
        thread, number, padding = message.split(" ", 2)
        numbers.setdefault(thread, []).append(int(number))
        assert len(padding) == (size if int(number) % 10 == 0 else 0)
    assert numbers == {str(thread): list(range(records)) for thread in range(4)}


def test_a_signal_handler_that_logs_in_the_midst_of_a_record_neither_hangs_nor_garbles(
    caplog: pytest.LogCaptureFixture,
) -> None:
    messages = messages_of(caplog, partial(functions.log_in_signal_handlers, "tried", 200))
    # One handler may interrupt another, so only their number is sure.
    handled = {message for message in messages if message.startswith("handler")}
    assert handled == {f"handler {number}" for number in range(len(handled))}
    others = [message for message in messages if not message.startswith("handler")]
    assert [message.split(" ")[0] for message in others] == [str(number) for number in range(200)]
    assert {len(message.split(" ")[1]) for message in others} == {100_000}


def test_what_the_initializer_logs_arrives_also_after_it_has_replaced_the_handlers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    call = partial(functions.log, "tried", logging.DEBUG, "from the run")
    messages = messages_of(caplog, call, {"initializer": functions.log_in_initializer})
    assert messages == ["before the configuration", "after the configuration", "from the run"]


def test_records_of_runs_arrive_where_the_initializer_has_set_the_list_of_handlers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    call = partial(functions.log, "tried", logging.WARNING, "from the run")
    assert messages_of(caplog, call, {"initializer": functions.set_handlers_in_initializer}) == ["from the run"]


def test_a_worker_that_is_killed_for_its_records_is_told_after_them(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": ProcessPoolExecutor(2)}) as scheduler:
            for number in range(20):
                task = scheduler.add_task(functions.log_and_die, "tried", f"last words {number}", executor="tried")
                with pytest.raises(WorkerLostError):
                    await task.result()
                assert caplog.messages.count(f"last words {number}") == 1

    asyncio.run(main())
