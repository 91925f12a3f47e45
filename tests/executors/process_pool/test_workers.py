"""Start, options and replacement of worker processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal

import pytest

from asyncz import AsyncIOScheduler, ProcessPoolExecutor, WorkerLostError, WorkerStartError
from tests.helpers import payloads
from tests.helpers.executors import process_pool_of, scheduler_with, start_run

pytestmark = pytest.mark.anyio


@pytest.mark.slow
async def test_max_tasks_per_child_one_runs_all() -> None:
    pool = ProcessPoolExecutor(2, {"max_tasks_per_child": 1})
    async with asyncio.timeout(100), AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        handles = [
            scheduler.add_task(payloads.process_id, executor="under_test", trigger=None).run() for _ in range(20)
        ]
        assert len({await handle for handle in handles}) == 20
        assert scheduler.state.executors[0].lost_workers == 0


@pytest.mark.parametrize("method", [pytest.param("spawn", marks=pytest.mark.slow), "forkserver"])
async def test_pool_kwargs_reach_replacement_worker(method: str) -> None:
    import multiprocessing

    pool = ProcessPoolExecutor(
        1,
        {
            "mp_context": multiprocessing.get_context(method),
            "initializer": payloads.initialize,
            "initargs": ("ready",),
        },
    )
    async with AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        assert await scheduler.add_task(payloads.initialized_with, executor="under_test").result() == ["ready"]
        with pytest.raises(WorkerLostError):
            await scheduler.add_task(payloads.die, executor="under_test").result()
        assert await scheduler.add_task(payloads.initialized_with, executor="under_test").result() == ["ready"]
        assert scheduler.state.executors[0].replaced_workers == 1


async def test_max_tasks_per_child_replaces_workers() -> None:
    pool = ProcessPoolExecutor(1, {"max_tasks_per_child": 2})
    async with AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        ids = [await scheduler.add_task(payloads.process_id, executor="under_test").result() for _ in range(5)]
        assert ids[0] == ids[1] != ids[2] == ids[3] != ids[4]
        assert scheduler.state.executors[0].lost_workers == 0


@pytest.mark.slow
async def test_failed_initializer_breaks_executor() -> None:
    pool = ProcessPoolExecutor(1, {"initializer": payloads.failing_initializer})
    async with AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        handles = [scheduler.add_task(payloads.add, 1, 1, executor="under_test", trigger=None).run() for _ in range(5)]
        for handle in handles:
            with pytest.raises(WorkerStartError) as failed:
                await handle
            assert isinstance(failed.value.__cause__, OSError)
        assert scheduler.state.executors[0].status == "broken"


async def test_many_short_runs_return_in_order() -> None:
    async with scheduler_with("processpool") as scheduler:
        handles = [
            scheduler.add_task(payloads.add, number, 0, executor="under_test", trigger=None).run()
            for number in range(2000)
        ]
        assert [await handle for handle in handles] == list(range(2000))


def survives_interrupt() -> str:
    os.kill(os.getpid(), signal.SIGINT)
    return "went on"


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow), "forkserver"])
async def test_workers_ignore_sigint(method: str) -> None:
    pool = ProcessPoolExecutor(1, {"mp_context": multiprocessing.get_context(method)})
    async with asyncio.timeout(60), AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        assert await scheduler.add_task(survives_interrupt, executor="under_test").result() == "went on"


def how_it_was_started() -> list[str]:
    return [each.__name__ for each in type(multiprocessing.current_process()).mro()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (None, "ForkServerProcess"),
        ("fork", "ForkProcess"),
        ("spawn", "SpawnProcess"),
        ("forkserver", "ForkServerProcess"),
    ],
)
async def test_start_method_defaults_to_forkserver(method: str | None, expected: str) -> None:
    pool = ProcessPoolExecutor(1, {"mp_context": multiprocessing.get_context(method)} if method else None)
    async with asyncio.timeout(60), AsyncIOScheduler(executors={"under_test": pool}) as scheduler:
        assert expected in await scheduler.add_task(how_it_was_started, executor="under_test").result()


def test_start_method_spawn_without_forkserver(monkeypatch: pytest.MonkeyPatch) -> None:
    from asyncz.executors.process_pool import _process

    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert _process.default_context().get_start_method() == "spawn"


async def test_two_pools_are_independent() -> None:
    # Pools of others, such as loky's, may live on.
    before = {*multiprocessing.active_children()}
    pools = {"under_test": process_pool_of(2, "fork"), "other": process_pool_of(2, "fork")}
    async with asyncio.timeout(60), AsyncIOScheduler(executors=pools) as scheduler:
        other = scheduler.add_task(payloads.add, 1, 2, executor="other", trigger=None)
        assert [await start_run(scheduler, payloads.add, 1, 1), await other.run()] == [2, 3]
        with pytest.raises(WorkerLostError):
            await scheduler.add_task(payloads.die, executor="under_test").result()
        assert await other.run() == 3
    assert before.issuperset(multiprocessing.active_children())
