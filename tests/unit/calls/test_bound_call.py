"""Calls with their arguments: `scheduler.call` and `task.then_call`."""

from __future__ import annotations

import pytest

from asyncz import (
    AsyncIOScheduler,
    DebugExecutor,
    DuplicateTaskError,
    InvalidInputError,
    UnknownAliasError,
    UnknownOptionError,
)
from tests.helpers import payloads

pytestmark = pytest.mark.anyio


async def test_call_passes_arguments_by_position_and_keyword() -> None:
    async with AsyncIOScheduler() as scheduler:
        assert await scheduler.call(payloads.add, 1, 2).add(trigger=None).run() == 3
        assert await scheduler.call(sorted, [1, 3, 2], reverse=True).add(trigger=None).run() == [3, 2, 1]


async def test_call_can_be_added_again() -> None:
    scheduler = AsyncIOScheduler()
    call = scheduler.call(payloads.add, 1, 2)
    assert repr(call) == f"<BoundCall of {payloads.__name__}:add>"
    assert {call.add(id="one").id, call.add(id="two", paused=True).id} == {"one", "two"}
    with pytest.raises(DuplicateTaskError):
        call.add(id="one")
    assert len(scheduler.tasks) == 2
    call.add(id="one", replace_existing=True)
    assert len(scheduler.tasks) == 2


async def test_call_takes_options_as_add_task_does() -> None:
    scheduler = AsyncIOScheduler()
    executor = DebugExecutor()
    called = scheduler.call(payloads.add, 1, 2).add(id="a", executor=executor, timeout=3, overlap="queue_one")
    added = scheduler.add_task(payloads.add, 1, 2, id="b", executor=executor, timeout=3, overlap="queue_one")
    assert (called.limits, called.executor, called.function) == (added.limits, added.executor, added.function)


def test_call_rejects_wrong_input() -> None:
    scheduler = AsyncIOScheduler()
    call = scheduler.call(payloads.add, 1, 2)
    with pytest.raises(InvalidInputError, match="fn"):
        scheduler.call(3)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(UnknownAliasError, match="threadpol"):
        call.add(executor="threadpol")
    with pytest.raises(UnknownOptionError, match="max_instances"):
        call.add(max_instance=3)  # type: ignore[call-arg]  # wrong on purpose
    assert scheduler.tasks == ()


async def test_executor_alias_names_the_executor() -> None:
    scheduler = AsyncIOScheduler()
    io = scheduler.add_executor("threadpool", alias="io", max_workers=1)
    tasks = [
        scheduler.add_task(payloads.add, 1, 2, executor=io),
        scheduler.call(payloads.add, 1, 2).add(executor=io),
        scheduler.task(executor=io)(payloads.add).schedule(1, 2),
        scheduler.add_task(payloads.add, 1, 2).then(str, executor=io),
    ]
    assert [task.executor for task in tasks] == ["io"] * 4
    other = scheduler.add_executor(DebugExecutor(), alias="other")
    tasks[0].modify(executor=other)
    assert tasks[0].executor == "other"


async def test_then_call_hands_results_over() -> None:
    async with AsyncIOScheduler() as scheduler:
        total = scheduler.call(payloads.add, 1, 2).add(trigger=None)
        text = total.then_call(str).add(id="text", timeout=3)
        padded = text.then_call(zero_filled).add(executor="threadpool")
        await total.run()
        assert await padded.result() == "003"
        assert (text.id, text.limits.timeout, text.limits.overlap_policy) == ("text", 3, "queue_all")


async def zero_filled(text: str) -> str:
    return text.zfill(3)


def test_then_call_rejects_wrong_input() -> None:
    scheduler = AsyncIOScheduler()
    task = scheduler.add_task(payloads.add, 1, 2)
    with pytest.raises(InvalidInputError, match="fn"):
        task.then_call(3)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(UnknownOptionError, match="coalesce"):
        task.then_call(str).add(overlap="skip")  # type: ignore[call-arg]  # wrong on purpose
