"""Runs on a Dask cluster."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import pytest

from asyncz import (
    AsyncIOScheduler,
    DaskExecutor,
    InvalidInputError,
    MissingExtraError,
    SchedulerState,
    SerializationError,
    TaskCancelledError,
    TaskError,
    TaskExitError,
    create_executor,
)
from asyncz.executors.dask import _executor as dask
from tests.helpers import decorated, payloads
from tests.helpers.dask_client import Client, client_of, cluster_state, make_client
from tests.helpers.executors import start_run

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("cluster"), pytest.mark.slow]


async def test_dask_local_cluster_lives_with_executor() -> None:
    async with AsyncIOScheduler() as scheduler:
        scheduler.add_executor("dask", alias="under_test", cluster_kwargs={"n_workers": 1, "threads_per_worker": 2})
        task = scheduler.add_task(payloads.process_id, executor="under_test", trigger=None)
        worker = await task.run()
        state = scheduler.state.executors[0]
        assert (state.workers, cluster_state(scheduler).workers, cluster_state(scheduler).threads) == (1, 1, 2)
        assert cluster_state(scheduler).memory > 0
        assert cluster_state(scheduler).address.startswith("tcp://127.0.0.1:")
        assert SchedulerState.model_validate_json(scheduler.state.model_dump_json()) == scheduler.state
        os.kill(worker, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


async def test_dask_results_and_errors_keep_origin(cluster: str) -> None:
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        assert await start_run(scheduler, payloads.add, 1, 2) == 3
        assert await scheduler.add_task(payloads.add_async, 1, 2, executor="under_test").result() == 3
        ending = await start_run(scheduler, payloads.fail, "remotely").notification()
        assert isinstance(ending, TaskError)
        assert isinstance(ending.exception, ValueError)
        assert "in fail" in ending.traceback
        assert ending.details.worker is not None
        assert ending.details.worker.pid not in {None, os.getpid()}
        with pytest.raises(TaskExitError, match=r"SystemExit\(3\)"):
            await start_run(scheduler, payloads.leave)


async def test_dask_closure_pickled_by_cloudpickle(cluster: str) -> None:
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        offset = 40

        def make_adder() -> Callable[[int], int]:
            return lambda number: offset + number

        assert (await start_run(scheduler, make_adder))(2) == 42


async def test_dask_unpicklable_call_or_result_fails(cluster: str) -> None:
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        with pytest.raises(SerializationError, match="argument"):
            scheduler.add_task(type, threading.Lock(), executor="under_test")
        with pytest.raises(SerializationError, match="result"):
            await start_run(scheduler, threading.Lock)
        with pytest.raises(SerializationError, match="cannot be unpickled"):
            await start_run(scheduler, payloads.badly_loading_result)
        assert await start_run(scheduler, payloads.add, 1, 2) == 3


@contextmanager
def counted_submissions(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Yield a list that gets the number of runs of each submission."""
    submissions: list[int] = []
    hand_over = client.map

    def counting(
        execute: Callable[[bytes], bytes],
        parcels: Sequence[bytes],
        /,
        key: list[str],
        pure: bool,
        resources: dict[str, float] | None,
        retries: int | None,
    ) -> Sequence[Awaitable[bytes]]:
        submissions.append(len(parcels))
        return hand_over(execute, parcels, key=key, pure=pure, resources=resources, retries=retries)

    with monkeypatch.context() as patch:
        patch.setattr(client, "map", counting)
        yield submissions


@pytest.mark.usefixtures("long_slices")
async def test_dask_simultaneous_runs_submitted_together(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with client_of(cluster) as client:
        with counted_submissions(client, monkeypatch) as submissions:
            async with AsyncIOScheduler(executors={"under_test": DaskExecutor(client=client)}) as scheduler:
                scheduler.pause()
                tasks = [scheduler.add_task(payloads.add, number, 1, executor="under_test") for number in range(300)]
                scheduler.resume()
                assert await asyncio.gather(*(task.result() for task in tasks)) == list(range(1, 301))
        assert sum(submissions) == 300
        assert len(submissions) <= 30
        # It is its owner's.
        assert await client.submit(payloads.add, 2, 3, pure=False) == 5


@pytest.mark.usefixtures("long_slices")
async def test_dask_large_runs_submitted_in_parts(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    large = b"x" * 600_000
    async with client_of(cluster) as client:
        with counted_submissions(client, monkeypatch) as submissions:
            async with AsyncIOScheduler(executors={"under_test": DaskExecutor(client=client)}) as scheduler:
                scheduler.pause()
                tasks = [scheduler.add_task(len, large, executor="under_test") for _ in range(3)]
                scheduler.resume()
                assert await asyncio.gather(*(task.result() for task in tasks)) == [len(large)] * 3
        assert submissions == [1, 1, 1]


async def test_dask_resources_restrict_workers(cluster: str) -> None:
    executor = DaskExecutor(cluster, resources={"GPU": 1})
    async with AsyncIOScheduler(executors={"under_test": executor}) as scheduler:
        handle = start_run(scheduler, payloads.add, 1, 2)
        async with client_of(cluster) as client:
            await client.submit(payloads.add, 1, 2, pure=False)
        assert not handle.done()
        assert handle.cancel()
        with pytest.raises(TaskCancelledError):
            await handle


def test_dask_missing_package_names_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'asyncz-typed\[dask\]'"):
        create_executor("dask")


def test_dask_invalid_arguments_rejected(cluster: str) -> None:
    with pytest.raises(InvalidInputError, match="retries"):
        DaskExecutor(retries=-1)

    async def main() -> None:
        async with client_of(cluster) as client:
            with pytest.raises(InvalidInputError, match="address"):
                DaskExecutor(cluster, client=client)

    asyncio.run(main())
    with closing(make_client(cluster, set_as_default=False)) as client:

        async def with_another_loops_client() -> None:
            with pytest.raises(InvalidInputError, match="asynchronous=True"):
                async with AsyncIOScheduler(executors={"under_test": DaskExecutor(client=client)}):
                    pass

        asyncio.run(with_another_loops_client())


async def test_dask_runs_decorated_functions(cluster: str) -> None:
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        assert await scheduler.add_task(decorated.square, 5, executor="under_test").result() == 25
        assert await scheduler.call(decorated.cube, number=2).add(executor="under_test").result() == 8
        assert await scheduler.add_task(decorated.negation, 2, executor="under_test").result() == -2
        bound = scheduler.call(decorated.Counter(40).add, 2).add(executor="under_test", trigger=None)
        assert await bound.run() == 42
        again = scheduler.task(executor="under_test", trigger=None)(decorated.cube)
        assert await again.schedule(3).run() == 27
