"""Options that the pools have in common."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from asyncz import AsyncIOScheduler, ProcessPoolExecutor, TaskCancelled, TaskExecuted, ThreadPoolExecutor
from tests.helpers import payloads
from tests.helpers.waiting import Gate, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["threadpool", "processpool"])
async def test_pool_options_accepted_by_alias(kind: str, gate: Gate) -> None:
    scheduler = AsyncIOScheduler()
    if kind == "threadpool":
        scheduler.add_executor(
            "threadpool", alias="under_test", max_workers=1, cancel_futures=True, overwrite_wait=False
        )
    else:
        scheduler.add_executor(
            "processpool", alias="under_test", max_workers=1, cancel_futures=True, overwrite_wait=False
        )

    await scheduler.start()
    handle = scheduler.add_task(gate, executor="under_test", trigger=None).run()
    await scheduler.shutdown(wait=True)
    assert isinstance(await handle.notification(), TaskCancelled)


@pytest.mark.parametrize("kind", ["threadpool", "processpool"])
@pytest.mark.parametrize("wait", [True, False])
async def test_overwrite_wait_takes_precedence(kind: str, wait: bool, gate: Gate) -> None:
    pool = (ThreadPoolExecutor if kind == "threadpool" else ProcessPoolExecutor)(1, overwrite_wait=wait)
    scheduler = AsyncIOScheduler(executors={"under_test": pool})
    await scheduler.start()
    handle = scheduler.add_task(gate, executor="under_test", trigger=None).run()
    await until(gate.is_reached)
    shutdown = asyncio.ensure_future(scheduler.shutdown(wait=not wait))
    if wait:
        await asyncio.sleep(0.05)
        assert not shutdown.done()
        gate.open()
    await shutdown
    assert isinstance(await handle.notification(), TaskExecuted if wait else TaskCancelled)


@pytest.mark.parametrize("kind", ["threadpool", "processpool"])
async def test_cancel_futures_drops_queue_at_shutdown(kind: str, gate: Gate) -> None:
    pool = (ThreadPoolExecutor if kind == "threadpool" else ProcessPoolExecutor)(1, cancel_futures=True)
    scheduler = AsyncIOScheduler(executors={"under_test": pool})
    await scheduler.start()
    running = scheduler.add_task(gate, executor="under_test", trigger=None).run()
    await until(gate.is_reached)
    queued = [scheduler.add_task(payloads.sleep, 0.01, executor="under_test", trigger=None).run() for _ in range(3)]
    shutdown = asyncio.ensure_future(scheduler.shutdown())
    await until(lambda: all(handle.done() for handle in queued))
    assert not running.done()
    gate.open()
    await shutdown
    assert isinstance(await running.notification(), TaskExecuted)
    assert {type(await handle.notification()) for handle in queued} == {TaskCancelled}


@pytest.mark.parametrize("max_workers", [0, -1])
def test_invalid_limits_rejected(max_workers: int) -> None:
    for pool in (ThreadPoolExecutor, ProcessPoolExecutor):
        with pytest.raises(ValueError, match="max_workers"):
            pool(max_workers)
        with pytest.raises(ValueError, match="max_queue"):
            pool(1, max_queue=-1)
    with pytest.raises(ValueError, match="max_tasks_per_child"):
        ProcessPoolExecutor(1, {"max_tasks_per_child": max_workers})


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_pools_share_parameters(pool: type[ThreadPoolExecutor | ProcessPoolExecutor]) -> None:
    parameters = inspect.signature(pool).parameters
    assert list(parameters)[:4] == ["max_workers", "pool_kwargs", "cancel_futures", "overwrite_wait"]
    assert parameters["cancel_futures"].default is False
    assert parameters["overwrite_wait"].default is None


async def test_invalid_pool_kwargs_rejected() -> None:
    with pytest.raises(ValueError, match="thread_prefix"):
        ThreadPoolExecutor(1, {"thread_prefix": "x"})  # type: ignore[arg-type]  # wrong on purpose
    unready = ThreadPoolExecutor(1, {"initializer": "x"})  # type: ignore[arg-type]  # wrong on purpose

    with pytest.raises(ValueError, match="initializer must be a callable"):
        await AsyncIOScheduler(executors={"io": unready}).start()
