"""The conformance suite on pools of `concurrent.futures`."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

import loky
import pytest
from typing_extensions import override

from asyncz import FuturesExecutor, UniversalExecutor
from asyncz.testing import ExecutorConformance, executors
from tests.helpers.foreign_pools import pool_of_one_process

pytestmark = [pytest.mark.xdist_group("pools"), pytest.mark.slow]


class KeptPool:
    """Gives each executor the same pool, as long as that is whole: processes take their time to start."""

    def __init__(self) -> None:
        self._pools = [pool_of_one_process()]

    def maker(self) -> Callable[[], Executor]:
        """Return a pool, as an executor needs at its start, and again if the pool is broken."""
        before: list[Executor] = []

        def make() -> Executor:
            if before and before[-1] is self._pools[-1]:
                self._pools.append(pool_of_one_process())
            before.append(self._pools[-1])
            return self._pools[-1]

        return make

    def end(self) -> None:
        """Shut down all that were made."""
        for pool in self._pools:
            pool.shutdown()


@pytest.fixture(scope="module")
def kept_pool() -> Iterator[KeptPool]:
    pool = KeptPool()
    yield pool
    pool.end()


class TestFuturesExecutorOfThreads(ExecutorConformance):
    @override
    def make_executor(self) -> UniversalExecutor:
        return FuturesExecutor(partial(ThreadPoolExecutor, 4))


class TestFuturesExecutorOfProcesses(ExecutorConformance):
    runs_in_another_process = True
    signals_cancellation = False
    hang_timeout = 30.0

    @pytest.fixture(autouse=True)
    def _with_pool(self, kept_pool: KeptPool) -> None:
        self.pool = kept_pool

    @override
    def make_executor(self) -> UniversalExecutor:
        return FuturesExecutor(self.pool.maker(), shutdown_pool=False)


class TestFuturesExecutorOfLoky(ExecutorConformance):
    runs_in_another_process = True
    signals_cancellation = False
    hang_timeout = 30.0

    @pytest.fixture(autouse=True)
    def _with_fewer_queued_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Each costs the only process of loky 10 ms of CPU time.
        monkeypatch.setattr(executors, "_QUEUED", 200)

    @override
    def make_executor(self) -> UniversalExecutor:
        return FuturesExecutor(partial(loky.get_reusable_executor, 1), shutdown_pool=False)


@pytest.mark.skipif(
    not hasattr(concurrent.futures, "InterpreterPoolExecutor"), reason="pools of interpreters exist from Python 3.14 on"
)
class TestFuturesExecutorOfInterpreters(ExecutorConformance):
    runs_in_another_process = True
    signals_cancellation = False
    hang_timeout = 30.0

    @override
    def make_executor(self) -> UniversalExecutor:
        return FuturesExecutor(partial(getattr(concurrent.futures, "InterpreterPoolExecutor"), 4))  # noqa: B009

    @override
    def test_dead_worker_ends_one_run(self) -> None:
        pytest.skip("an interpreter dies with its process")
