"""The conformance suite on Dask."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import closing

import pytest
from typing_extensions import override

from asyncz import DaskExecutor, FuturesExecutor, UniversalExecutor
from asyncz.testing import ExecutorConformance, executors
from tests.helpers.dask_client import make_client

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.slow]


@pytest.fixture(autouse=True)
def fewer_queued_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queue fewer runs: each costs a cluster more than 10 ms of CPU time."""
    monkeypatch.setattr(executors, "_QUEUED", 200)


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
    signals_cancellation = False
    hang_timeout = 30.0

    @pytest.fixture(autouse=True)
    def _on_cluster(self, pool_of_dask: Executor) -> None:
        self.pool = pool_of_dask

    @override
    def make_executor(self) -> UniversalExecutor:
        return FuturesExecutor(self.pool)

    @override
    def test_accepted_cancellation_reaches_coroutine(self) -> None:
        pytest.skip("a future of Dask can be cancelled while its function is running, which goes on")

    @override
    def test_finally_blocks_run_to_their_end(self) -> None:
        pytest.skip("a future of Dask can be cancelled while its function is running, which goes on")


@pytest.fixture(scope="module")
def pool_of_dask(cluster: str) -> Iterator[Executor]:
    with closing(make_client(cluster, set_as_default=False)) as client:
        yield client.get_executor()
