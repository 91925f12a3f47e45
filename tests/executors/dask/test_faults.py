"""Lost workers, connections and schedulers of a Dask cluster."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Never

import pytest
from dask import config as dask_config
from distributed.versions import VersionMismatchWarning
from typing_extensions import override

from asyncz import (
    AsyncIOScheduler,
    ClusterConnectionError,
    DaskExecutor,
    RunHandle,
    TaskCancelledError,
    TaskError,
    TaskTimeoutError,
    WorkerLostError,
)
from tests.helpers import payloads
from tests.helpers.cluster import Proxy, part
from tests.helpers.dask_client import client_of, cluster_state
from tests.helpers.executors import start_run
from tests.helpers.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("cluster"), pytest.mark.slow]


async def test_dask_lost_worker_ends_run_once(cluster: str, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        with pytest.raises(WorkerLostError, match="tcp://"):
            await start_run(scheduler, payloads.note_and_die, str(noted))
        assert await start_run(scheduler, payloads.add, 1, 2) == 3
    assert noted.read_text() == "called\n"


async def test_dask_retries_repeat_failed_and_lost_runs(cluster: str, tmp_path: Path) -> None:
    failed, killed = tmp_path / "failed", tmp_path / "killed"
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster, retries=1)}) as scheduler:
        with pytest.raises(ValueError, match="noted"):
            await start_run(scheduler, payloads.note_and_fail, str(failed))
        with pytest.raises(WorkerLostError):
            await start_run(scheduler, payloads.note_and_die, str(killed))
    assert failed.read_text() == killed.read_text() == "called\ncalled\n"


async def test_dask_cluster_restart_ends_runs(cluster: str, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        handle = start_run(scheduler, payloads.mark_and_wait, str(begun), str(tmp_path / "never"))
        await until(begun.exists)
        async with client_of(cluster) as client:
            await client.restart()
        with pytest.raises(WorkerLostError, match="restart"):
            await handle
        assert await start_run(scheduler, payloads.add, 1, 2) == 3


async def test_dask_lost_connection_ends_and_holds_runs(cluster: str, tmp_path: Path) -> None:
    """End the submitted runs, and hold the new ones until the connection is back."""
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    proxy = Proxy(cluster)
    await proxy.open()
    endings: list[object] = []
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(proxy.address)}) as scheduler:
        scheduler.subscribe(TaskError, endings.append)
        cut_off = start_run(scheduler, payloads.mark_and_wait, str(begun), str(go_on))
        await until(begun.exists)
        await proxy.close()
        with pytest.raises(ClusterConnectionError, match="lost"):
            await cut_off
        await until(lambda: not cluster_state(scheduler).connected)
        waiting = start_run(scheduler, payloads.add, 1, 2)
        dropped = start_run(scheduler, payloads.add, 1, 2)
        await until(lambda: scheduler.state.executors[0].queued == 2)
        assert dropped.cancel()
        go_on.touch()
        await proxy.open()
        assert await waiting == 3
        assert cluster_state(scheduler).connected
        # Start marks and lost workers are reported on the new connection, too.
        with pytest.raises(WorkerLostError):
            await start_run(scheduler, payloads.note_and_die, str(tmp_path / "noted"))
        with pytest.raises(TaskTimeoutError):
            await scheduler.add_task(
                payloads.sleep_async, 60.0, executor="under_test", trigger=None, timeout=0.05
            ).run()
    await proxy.close()
    assert len(endings) == 3


async def test_dask_restarted_scheduler_is_reconnected() -> None:
    with part("scheduler") as address:
        scheduler = AsyncIOScheduler(executors={"under_test": DaskExecutor(address)})
        await scheduler.start()
        # It has no worker, so submitted runs wait there.
        lost = start_run(scheduler, payloads.add, 1, 2)
        await until(lambda: scheduler.state.executors[0].queued == 0)
    with pytest.raises(ClusterConnectionError):
        await lost
    waiting = start_run(scheduler, payloads.add, 1, 2)
    with part("scheduler", address), part("worker", address):
        assert await waiting == 3
        await scheduler.shutdown()


async def test_dask_closed_client_is_replaced(cluster: str) -> None:
    proxy = Proxy(cluster)
    await proxy.open()
    with dask_config.set({"distributed.comm.timeouts.connect": "200ms"}):
        async with AsyncIOScheduler(executors={"under_test": DaskExecutor(proxy.address)}) as scheduler:
            assert await start_run(scheduler, payloads.add, 1, 2) == 3
            await proxy.close()
            waiting = start_run(scheduler, payloads.add, 1, 2)
            await asyncio.sleep(1)
            await proxy.open()
            assert await waiting == 3
    await proxy.close()


async def test_dask_user_client_closed_breaks_executor(cluster: str, tmp_path: Path) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go on"
    async with (
        client_of(cluster) as client,
        AsyncIOScheduler(executors={"under_test": DaskExecutor(client=client)}) as scheduler,
    ):
        handle = start_run(scheduler, payloads.mark_and_wait, str(begun), str(go_on))
        await until(begun.exists)
        await client.close()
        with pytest.raises(ClusterConnectionError):
            await handle
        waiting = start_run(scheduler, payloads.add, 1, 2)
        with pytest.raises(ClusterConnectionError, match="closed"):
            await waiting
        await until(lambda: scheduler.state.executors[0].status == "broken")
        go_on.touch()


async def test_dask_failed_submission_fails_runs(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        client_of(cluster) as client,
        AsyncIOScheduler(executors={"under_test": DaskExecutor(client=client)}) as scheduler,
    ):
        with monkeypatch.context() as patch:
            patch.setattr(client, "map", raising(RuntimeError("no graph")))
            with pytest.raises(RuntimeError, match="no graph"):
                await start_run(scheduler, payloads.add, 1, 2)
        assert await start_run(scheduler, payloads.add, 1, 2) == 3


def raising(error: Exception) -> Callable[[object], Never]:
    def call(*_: object, **__: object) -> Never:
        raise error

    return call


@pytest.mark.parametrize("answers_with_error", [False, True])
async def test_dask_unheard_cancellation_is_logged(
    cluster: str,
    answers_with_error: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go on"

    async def answer(*_: object, **__: object) -> dict[str, object]:
        return {"tcp://worker": OSError("no route")}

    async with (
        client_of(cluster) as client,
        AsyncIOScheduler(executors={"under_test": DaskExecutor(client=client)}) as scheduler,
    ):
        handle = start_run(scheduler, payloads.mark_and_wait, str(begun), str(go_on))
        await until(begun.exists)
        monkeypatch.setattr(client, "run", answer if answers_with_error else raising(OSError("no route")))
        assert handle.cancel()
        with pytest.raises(TaskCancelledError):
            await handle
        await until(lambda: "did not hear of a cancellation" in caplog.text)
        assert "no route" in caplog.text
        # The function goes on, and counts until it returns.
        assert scheduler.state.executors[0].abandoned == 1
        go_on.touch()
        await until(lambda: scheduler.state.executors[0].running == 0)


class Slow:
    """Argument that waits while an executor pickles it, and is an int in the worker."""

    pickling = threading.Event()
    go_on = threading.Event()

    @override
    def __reduce__(self) -> tuple[type[int], tuple[()]]:
        if threading.current_thread().name == "asyncz-dask-pickle":
            self.pickling.set()
            assert self.go_on.wait(60)
        return int, ()


def start_slowly_pickled_run(scheduler: AsyncIOScheduler) -> RunHandle[int]:
    Slow.pickling.clear()
    Slow.go_on.clear()
    return start_run(scheduler, payloads.add, Slow(), 2)  # type: ignore[arg-type]  # an int in the worker


async def test_dask_cancelled_while_pickled_never_runs(cluster: str) -> None:
    async with AsyncIOScheduler(executors={"under_test": DaskExecutor(cluster)}) as scheduler:
        handle = start_slowly_pickled_run(scheduler)
        await until(Slow.pickling.is_set)
        assert handle.cancel()
        with pytest.raises(TaskCancelledError):
            await handle
        Slow.go_on.set()
        assert await start_run(scheduler, payloads.add, 1, 2) == 3


async def test_dask_client_closed_while_pickling_fails_run(cluster: str) -> None:
    async with (
        client_of(cluster) as client,
        AsyncIOScheduler(executors={"under_test": DaskExecutor(client=client)}) as scheduler,
    ):
        handle = start_slowly_pickled_run(scheduler)
        await until(Slow.pickling.is_set)
        await client.close()
        with pytest.raises(ClusterConnectionError, match="closed"):
            await handle
        Slow.go_on.set()


async def test_dask_unreachable_cluster_fails_start() -> None:
    with (
        dask_config.set({"distributed.comm.timeouts.connect": "100ms"}),
        pytest.raises(ClusterConnectionError, match=r"tcp://127\.0\.0\.1:1: "),
    ):
        async with AsyncIOScheduler(executors={"under_test": DaskExecutor("tcp://127.0.0.1:1")}):
            pass


async def test_dask_worker_without_asyncz_fails_runs(cluster: str) -> None:
    with part("worker without asyncz", cluster):
        async with AsyncIOScheduler(
            executors={"under_test": DaskExecutor(cluster, resources={"bare": 1})}
        ) as scheduler:
            with pytest.raises(WorkerLostError, match="asyncz of this version has to be installed"):
                await start_run(scheduler, payloads.add, 1, 2)


def test_dask_version_mismatch_warns() -> None:
    async def main(address: str) -> None:
        async with AsyncIOScheduler(executors={"under_test": DaskExecutor(address)}):
            pass

    with part("scheduler of another version") as address:
        # Warnings are errors here.
        with pytest.raises(ClusterConnectionError, match="Mismatched versions"):
            asyncio.run(main(address))
        with pytest.warns(VersionMismatchWarning, match="distributed"):
            asyncio.run(main(address))
