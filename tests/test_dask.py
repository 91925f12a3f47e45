"""Runs on a Dask cluster, and what becomes of them when parts of it are lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager, closing
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pytest
from dask import config as dask_config
from distributed.versions import VersionMismatchWarning
from typing_extensions import TypeVarTuple, Unpack, override

from asyncz import (
    AsyncIOScheduler,
    ClusterConnectionError,
    ClusterState,
    DaskExecutor,
    FuturesExecutor,
    InvalidInputError,
    PluginError,
    RunHandle,
    SchedulerState,
    SerializationError,
    TaskCancelled,
    TaskCancelledError,
    TaskError,
    TaskExitError,
    TaskMissed,
    TaskTimeoutError,
    UniversalExecutor,
    WorkerLostError,
    create_executor,
)
from asyncz.executors.dask import _client_protocol, _executor as dask
from asyncz.testing import ExecutorConformance
from tests import functions
from tests.cluster import Proxy, part
from tests.functions import ResultT
from tests.test_defects import until

# What is kept for a module is made once, also where tests run side by side.
pytestmark = pytest.mark.xdist_group("cluster")

Ts = TypeVarTuple("Ts")


class Client(_client_protocol.Client, Protocol):
    """What a client can do besides; by itself it has too few types."""

    def submit(
        self, function: Callable[[int, int], int], first: int, second: int, /, *, pure: bool
    ) -> Awaitable[int]: ...
    def restart(self) -> Awaitable[object]: ...
    def get_executor(self) -> Executor: ...


class MakesClient(Protocol):
    def __call__(self, address: str, /, *, asynchronous: bool = False, set_as_default: bool) -> Client: ...


make_client: MakesClient = import_module("distributed").Client


@asynccontextmanager
async def client_of(address: str) -> AsyncIterator[Client]:
    client = make_client(address, asynchronous=True, set_as_default=False)
    await client
    yield client
    await client.close()


class TestDaskExecutor(ExecutorConformance):
    runs_in_another_process = True
    hang_timeout = 30.0

    @pytest.fixture(autouse=True)
    def _on_cluster(self, cluster: str) -> None:
        self.address = cluster

    @override
    def make_executor(self) -> UniversalExecutor:
        return DaskExecutor(self.address)


class TestFuturesExecutorOfDask(ExecutorConformance):
    runs_in_another_process = True
    hang_timeout = 30.0

    @pytest.fixture(autouse=True)
    def _on_cluster(self, pool_of_dask: Executor) -> None:
        self.pool = pool_of_dask

    @override
    def make_executor(self) -> UniversalExecutor:
        return FuturesExecutor(self.pool)


@pytest.fixture(scope="module")
def pool_of_dask(cluster: str) -> Iterator[Executor]:
    with closing(make_client(cluster, set_as_default=False)) as client:
        yield client.get_executor()


def run(
    scheduler: AsyncIOScheduler, function: Callable[[Unpack[Ts]], ResultT], *arguments: Unpack[Ts]
) -> RunHandle[ResultT]:
    return scheduler.add_task(function, *arguments, executor="tried", trigger=None).run()


def cluster_state(scheduler: AsyncIOScheduler) -> ClusterState:
    state = scheduler.state.executors[0].cluster
    assert state is not None
    return state


@asynccontextmanager
async def full(scheduler: AsyncIOScheduler, folder: Path) -> AsyncIterator[None]:
    """Every thread of the cluster is busy in this block."""
    marks = [folder / f"busy-{number}" for number in range(4)]
    busy = [run(scheduler, functions.mark_and_wait, str(mark), str(folder / "go on")) for mark in marks]
    await until(lambda: all(mark.exists() for mark in marks))
    yield
    (folder / "go on").touch()
    await asyncio.gather(*busy)


# What it is like to use it


def test_a_cluster_of_its_own_comes_and_goes_with_the_executor() -> None:
    async def main() -> None:
        async with AsyncIOScheduler() as scheduler:
            scheduler.add_executor("dask", alias="tried", cluster_kwargs={"n_workers": 1, "threads_per_worker": 2})
            task = scheduler.add_task(functions.process_id, executor="tried", trigger=None)
            worker = await task.run()
            state = scheduler.state.executors[0]
            assert (state.workers, cluster_state(scheduler).workers, cluster_state(scheduler).threads) == (1, 1, 2)
            assert cluster_state(scheduler).memory > 0
            assert cluster_state(scheduler).address.startswith("tcp://127.0.0.1:")
            assert SchedulerState.model_validate_json(scheduler.state.model_dump_json()) == scheduler.state
            os.kill(worker, 0)
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)

    asyncio.run(main())


def test_results_and_errors_come_with_their_types_and_where_they_were_made(cluster: str) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster)}) as scheduler:
            assert await run(scheduler, functions.add, 1, 2) == 3
            assert await scheduler.add_task(functions.add_async, 1, 2, executor="tried").result() == 3
            ending = await run(scheduler, functions.fail, "remotely").notification()
            assert isinstance(ending, TaskError)
            assert isinstance(ending.exception, ValueError)
            assert "in fail" in ending.traceback
            assert ending.details.worker is not None
            assert ending.details.worker.pid not in {None, os.getpid()}
            with pytest.raises(TaskExitError, match=r"SystemExit\(3\)"):
                await run(scheduler, functions.leave)

    asyncio.run(main())


def test_what_pickle_alone_cannot_is_pickled_as_dask_does(cluster: str) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster)}) as scheduler:
            offset = 40

            def make_adder() -> Callable[[int], int]:
                return lambda number: offset + number

            assert (await run(scheduler, make_adder))(2) == 42

    asyncio.run(main())


def test_what_cannot_travel_is_rejected_or_ends_its_run(cluster: str) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster)}) as scheduler:
            with pytest.raises(SerializationError, match="argument"):
                scheduler.add_task(type, threading.Lock(), executor="tried")
            with pytest.raises(SerializationError, match="result"):
                await run(scheduler, threading.Lock)
            with pytest.raises(SerializationError, match="cannot be unpickled"):
                await run(scheduler, functions.badly_loading_result)
            assert await run(scheduler, functions.add, 1, 2) == 3

    asyncio.run(main())


@pytest.mark.usefixtures("long_turns")
def test_runs_that_are_due_together_go_out_in_few_submissions(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with client_of(cluster) as client:
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

            monkeypatch.setattr(client, "map", counting)
            async with AsyncIOScheduler(executors={"tried": DaskExecutor(client=client)}) as scheduler:
                scheduler.pause()
                tasks = [scheduler.add_task(functions.add, number, 1, executor="tried") for number in range(300)]
                scheduler.resume()
                assert await asyncio.gather(*(task.result() for task in tasks)) == list(range(1, 301))
            assert sum(submissions) == 300
            assert len(submissions) <= 30
            # It is its owner's.
            assert await client.submit(functions.add, 2, 3, pure=False) == 5

    asyncio.run(main())


def test_a_task_asks_for_resources_of_its_worker(cluster: str) -> None:
    async def main() -> None:
        executor = DaskExecutor(cluster, resources={"GPU": 1})
        async with AsyncIOScheduler(executors={"tried": executor}) as scheduler:
            handle = run(scheduler, functions.add, 1, 2)
            async with client_of(cluster) as client:
                await client.submit(functions.add, 1, 2, pure=False)
            assert not handle.done()
            assert handle.cancel()
            with pytest.raises(TaskCancelledError):
                await handle

    asyncio.run(main())


def test_a_dask_that_is_not_installed_says_how_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "find_spec", lambda _: None)
    with pytest.raises(PluginError, match=r"pip install 'asyncz\[dask\]'"):
        create_executor("dask")


def test_wrong_parameters_are_rejected_at_once(cluster: str) -> None:
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
                async with AsyncIOScheduler(executors={"tried": DaskExecutor(client=client)}):
                    pass

        asyncio.run(with_another_loops_client())


# Limits and cancellation


def test_a_cancelled_coroutine_is_cancelled_in_its_worker(cluster: str, tmp_path: Path) -> None:
    async def main() -> None:
        begun, cancelled = tmp_path / "begun", tmp_path / "cancelled"
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster)}) as scheduler:
            handle = scheduler.add_task(
                functions.wait_to_be_cancelled, str(begun), str(cancelled), executor="tried", trigger=None
            ).run()
            await until(begun.exists)
            assert handle.cancel()
            with pytest.raises(TaskCancelledError):
                await handle
            await until(cancelled.exists)
            await until(lambda: scheduler.state.executors[0].running == 0)

    asyncio.run(main())


def test_a_time_limit_counts_from_the_call_of_the_function(cluster: str, tmp_path: Path) -> None:
    async def main() -> None:
        begun, cancelled = tmp_path / "begun", tmp_path / "cancelled"
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster)}) as scheduler:
            limited = partial(scheduler.add_task, executor="tried", trigger=None, timeout=0.2)
            async with full(scheduler, tmp_path):
                waiting = limited(functions.add, 1, 2).run()
                await asyncio.sleep(0.3)
                assert not waiting.done()
            assert await waiting == 3
            with pytest.raises(TaskTimeoutError):
                await limited(functions.wait_to_be_cancelled, str(begun), str(cancelled)).run()
            await until(cancelled.exists)

    asyncio.run(main())


def test_a_function_that_cannot_be_stopped_counts_until_it_returns(cluster: str, tmp_path: Path) -> None:
    async def main() -> None:
        begun, go_on = tmp_path / "begun", tmp_path / "go on"
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster)}) as scheduler:
            task = scheduler.add_task(
                functions.mark_and_wait, str(begun), str(go_on), executor="tried", trigger=None, timeout=0.05
            )
            with pytest.raises(TaskTimeoutError):
                await task.run()
            # What the workers answer to the cancellation comes after it.
            assert await run(scheduler, functions.add, 1, 2) == 3
            state = scheduler.state.executors[0]
            assert (state.running, state.abandoned) == (1, 1)
            go_on.touch()
            await until(lambda: scheduler.state.executors[0].running == 0)

    asyncio.run(main())


def test_a_function_on_the_cluster_knows_its_run_and_whether_that_is_cancelled(cluster: str, tmp_path: Path) -> None:
    async def main() -> None:
        begun, noted = tmp_path / "begun", tmp_path / "noted"
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster)}) as scheduler:
            known = scheduler.add_task(functions.run_that_calls, id="known", executor="tried", trigger=None).run()
            assert await known == (known.run_id, "known", 1)
            handle = run(scheduler, functions.note_once_cancelled, str(begun), str(noted))
            await until(begun.exists)
            assert handle.cancel()
            with pytest.raises(TaskCancelledError):
                await handle
            await until(noted.exists)
            await until(lambda: scheduler.state.executors[0].running == 0)

    asyncio.run(main())


def test_a_run_that_is_cancelled_before_it_began_is_never_executed(cluster: str, tmp_path: Path) -> None:
    async def main() -> None:
        noted = tmp_path / "noted"
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster)}) as scheduler:
            async with full(scheduler, tmp_path):
                waiting = run(scheduler, functions.note_and_fail, str(noted))
                # It has left for the cluster.
                await until(lambda: scheduler.state.executors[0].queued == 0)
                assert waiting.cancel()
                with pytest.raises(TaskCancelledError):
                    await waiting
                # It is released although nothing has become free.
                await until(lambda: scheduler.state.executors[0].running == 4)
            assert await run(scheduler, functions.add, 1, 2) == 3
        assert not noted.exists()

    asyncio.run(main())


def test_a_run_that_waited_too_long_on_the_cluster_is_missed(cluster: str, tmp_path: Path) -> None:
    async def main() -> None:
        noted = tmp_path / "noted"
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster)}) as scheduler:
            async with full(scheduler, tmp_path):
                late = scheduler.add_task(
                    functions.note_and_fail, str(noted), executor="tried", trigger=None, misfire_grace_time=0.1
                ).run()
                await asyncio.sleep(0.2)
            assert isinstance(await late.notification(), TaskMissed)
        assert not noted.exists()

    asyncio.run(main())


# What is lost


def test_a_lost_worker_ends_its_run_which_is_executed_once(cluster: str, tmp_path: Path) -> None:
    async def main() -> None:
        noted = tmp_path / "noted"
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster)}) as scheduler:
            with pytest.raises(WorkerLostError, match="tcp://"):
                await run(scheduler, functions.note_and_die, str(noted))
            assert await run(scheduler, functions.add, 1, 2) == 3
        assert noted.read_text() == "called\n"

    asyncio.run(main())


def test_dask_repeats_what_it_may(cluster: str, tmp_path: Path) -> None:
    async def main() -> None:
        failed, killed = tmp_path / "failed", tmp_path / "killed"
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster, retries=1)}) as scheduler:
            with pytest.raises(ValueError, match="noted"):
                await run(scheduler, functions.note_and_fail, str(failed))
            with pytest.raises(WorkerLostError):
                await run(scheduler, functions.note_and_die, str(killed))
        assert failed.read_text() == killed.read_text() == "called\ncalled\n"

    asyncio.run(main())


def test_a_restart_of_the_cluster_ends_its_runs(cluster: str, tmp_path: Path) -> None:
    async def main() -> None:
        begun = tmp_path / "begun"
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster)}) as scheduler:
            handle = run(scheduler, functions.mark_and_wait, str(begun), str(tmp_path / "never"))
            await until(begun.exists)
            async with client_of(cluster) as client:
                await client.restart()
            with pytest.raises(WorkerLostError, match="restart"):
                await handle
            assert await run(scheduler, functions.add, 1, 2) == 3

    asyncio.run(main())


def test_a_cut_connection_ends_what_was_there_and_holds_what_is_due(cluster: str, tmp_path: Path) -> None:
    async def main() -> None:
        begun, go_on = tmp_path / "begun", tmp_path / "go on"
        proxy = Proxy(cluster)
        await proxy.open()
        endings: list[object] = []
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(proxy.address)}) as scheduler:
            scheduler.subscribe(TaskError, endings.append)
            cut_off = run(scheduler, functions.mark_and_wait, str(begun), str(go_on))
            await until(begun.exists)
            await proxy.close()
            with pytest.raises(ClusterConnectionError, match="lost"):
                await cut_off
            await until(lambda: not cluster_state(scheduler).connected)
            waiting = run(scheduler, functions.add, 1, 2)
            dropped = run(scheduler, functions.add, 1, 2)
            await until(lambda: scheduler.state.executors[0].queued == 2)
            assert dropped.cancel()
            go_on.touch()
            await proxy.open()
            assert await waiting == 3
            assert cluster_state(scheduler).connected
            # Start marks and lost workers are told of on the new connection, too.
            with pytest.raises(WorkerLostError):
                await run(scheduler, functions.note_and_die, str(tmp_path / "noted"))
            with pytest.raises(TaskTimeoutError):
                await scheduler.add_task(
                    functions.sleep_async, 60.0, executor="tried", trigger=None, timeout=0.05
                ).run()
        await proxy.close()
        assert len(endings) == 3

    asyncio.run(main())


def test_a_scheduler_that_is_started_again_is_found_again() -> None:
    async def main() -> None:
        with part("scheduler") as address:
            scheduler = AsyncIOScheduler(executors={"tried": DaskExecutor(address)})
            await scheduler.start()
            # It has no worker, so what it has been given waits there.
            lost = run(scheduler, functions.add, 1, 2)
            await until(lambda: scheduler.state.executors[0].queued == 0)
        with pytest.raises(ClusterConnectionError):
            await lost
        waiting = run(scheduler, functions.add, 1, 2)
        with part("scheduler", address), part("worker", address):
            assert await waiting == 3
            await scheduler.shutdown()

    asyncio.run(main())


def test_a_client_that_has_given_up_is_replaced(cluster: str) -> None:
    async def main() -> None:
        proxy = Proxy(cluster)
        await proxy.open()
        with dask_config.set({"distributed.comm.timeouts.connect": "200ms"}):
            async with AsyncIOScheduler(executors={"tried": DaskExecutor(proxy.address)}) as scheduler:
                assert await run(scheduler, functions.add, 1, 2) == 3
                await proxy.close()
                waiting = run(scheduler, functions.add, 1, 2)
                await asyncio.sleep(1)
                await proxy.open()
                assert await waiting == 3
        await proxy.close()

    asyncio.run(main())


def test_a_client_of_the_users_that_is_closed_breaks_the_executor(cluster: str, tmp_path: Path) -> None:
    async def main() -> None:
        begun, go_on = tmp_path / "begun", tmp_path / "go on"
        async with (
            client_of(cluster) as client,
            AsyncIOScheduler(executors={"tried": DaskExecutor(client=client)}) as scheduler,
        ):
            handle = run(scheduler, functions.mark_and_wait, str(begun), str(go_on))
            await until(begun.exists)
            await client.close()
            with pytest.raises(ClusterConnectionError):
                await handle
            waiting = run(scheduler, functions.add, 1, 2)
            with pytest.raises(ClusterConnectionError, match="closed"):
                await waiting
            await until(lambda: scheduler.state.executors[0].status == "broken")
            go_on.touch()

    asyncio.run(main())


def test_a_cluster_that_is_not_there_fails_the_start() -> None:
    async def main() -> None:
        with (
            dask_config.set({"distributed.comm.timeouts.connect": "100ms"}),
            pytest.raises(ClusterConnectionError, match=r"tcp://127\.0\.0\.1:1: "),
        ):
            async with AsyncIOScheduler(executors={"tried": DaskExecutor("tcp://127.0.0.1:1")}):
                pass

    asyncio.run(main())


def test_a_worker_without_asyncz_ends_the_runs_that_it_is_given(cluster: str) -> None:
    async def main() -> None:
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(cluster, resources={"bare": 1})}) as scheduler:
            with pytest.raises(WorkerLostError, match="asyncz of this version has to be installed"):
                await run(scheduler, functions.add, 1, 2)

    with part("worker without asyncz", cluster):
        asyncio.run(main())


def test_a_scheduler_of_another_version_is_warned_of() -> None:
    async def main(address: str) -> None:
        async with AsyncIOScheduler(executors={"tried": DaskExecutor(address)}):
            pass

    with part("scheduler of another version") as address:
        # Warnings are errors here.
        with pytest.raises(ClusterConnectionError, match="Mismatched versions"):
            asyncio.run(main(address))
        with pytest.warns(VersionMismatchWarning, match="distributed"):
            asyncio.run(main(address))


def test_a_shutdown_that_does_not_wait_lets_go_of_what_runs(cluster: str, tmp_path: Path) -> None:
    async def main() -> None:
        begun, go_on = tmp_path / "begun", tmp_path / "go on"
        scheduler = AsyncIOScheduler(executors={"tried": DaskExecutor(cluster)})
        await scheduler.start()
        handle = run(scheduler, functions.mark_and_wait, str(begun), str(go_on))
        await until(begun.exists)
        await scheduler.shutdown(wait=False)
        assert isinstance(await handle.notification(), TaskCancelled)
        assert scheduler.state.executors[0].running == 0
        go_on.touch()

    asyncio.run(main())


@pytest.mark.parametrize("executor", ["processpool", "dask"])
def test_one_word_moves_a_task_from_a_pool_to_a_cluster(executor: str) -> None:
    command = [sys.executable, "-m", "tests.examples.pool_or_cluster", executor]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "2262 primes\n"
    assert "the first ones: [2, 3, 5, 7, 11]" in result.stderr
