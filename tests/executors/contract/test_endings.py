"""How coroutines and functions end on each executor: every cell of the table in the README."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent import futures
from functools import partial
from pathlib import Path

import pytest

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DaskExecutor,
    DebugExecutor,
    FuturesExecutor,
    ProcessPoolExecutor,
    TaskCancelled,
    TaskError,
    TaskExecuted,
    TaskTimeoutError,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from tests.helpers.endings import asking, coroutine, other
from tests.helpers.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

EXECUTORS: dict[str, Callable[[], UniversalExecutor]] = {
    "asyncio": AsyncIOExecutor,
    "threadpool": partial(ThreadPoolExecutor, 2),
    "processpool": partial(ProcessPoolExecutor, 1),
    "dask": lambda: DaskExecutor(cluster_kwargs={"n_workers": 1, "threads_per_worker": 2}),
    "futures-threads": partial(FuturesExecutor, partial(futures.ThreadPoolExecutor, 2)),
    "futures-processes": partial(
        FuturesExecutor, partial(futures.ProcessPoolExecutor, 1, multiprocessing.get_context("forkserver"))
    ),
}


def _logged(folder: Path) -> list[str]:
    log = folder / "log"
    return log.read_text().splitlines() if log.exists() else []


CANCELLED, GOES_ON, KILLED = ["finally"], ["returned", "finally"], list[str]()
SAW = ["saw it", "finally"]
# By executor and work: what the work logs after it began, once it was cancelled or exceeded its timeout.
TABLE: dict[str, tuple[Sequence[str], Sequence[str], Sequence[str]]] = {
    "asyncio": (CANCELLED, SAW, GOES_ON),
    "threadpool": (CANCELLED, SAW, GOES_ON),
    "processpool": (CANCELLED, SAW, KILLED),
    "dask": (CANCELLED, SAW, GOES_ON),
    "futures-threads": (CANCELLED, SAW, GOES_ON),
    "futures-processes": (GOES_ON, GOES_ON, GOES_ON),
}
WORK = (coroutine, asking, other)
# Executors that cannot cancel such work report what the function returns. Dask does not wait for it.
UNCANCELLED = {("asyncio", other), ("threadpool", other), ("futures-threads", other)} | {
    ("futures-processes", work) for work in WORK
}


@pytest.mark.parametrize("end", ["cancel", "timeout"])
@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("kind", EXECUTORS)
async def test_work_ends_as_the_table_says(kind: str, work: Callable[[str], object], end: str, tmp_path: Path) -> None:
    expected = TABLE[kind][WORK.index(work)]
    async with asyncio.timeout(100), AsyncIOScheduler(executors={"under_test": EXECUTORS[kind]()}) as scheduler:
        # A worker that starts would use up the timeout in a pool of the user.
        assert await scheduler.add_task(abs, -1, executor="under_test", trigger=None).run() == 1
        timeout = 1.0 if end == "timeout" else None
        task = scheduler.add_task(work, str(tmp_path), executor="under_test", trigger=None, timeout=timeout)
        handle = task.run()
        await until(lambda: _logged(tmp_path)[:1] == ["begun"])
        if end == "cancel":
            is_cancelled = handle.cancel()
            # A function on threads may still ask for the cancellation, so that the request is accepted.
            if (kind, work) in UNCANCELLED:
                (tmp_path / "go-on").touch()
                assert isinstance(await handle.notification(), TaskExecuted)
            else:
                assert is_cancelled or work is asking
                assert isinstance(await handle.notification(), TaskCancelled)
        else:
            outcome = await handle.notification()
            assert isinstance(outcome, TaskError)
            assert isinstance(outcome.exception, TaskTimeoutError)
            if expected == GOES_ON:
                (state,) = [each for each in scheduler.state.executors if each.alias == "under_test"]
                assert state.abandoned == 1
        if expected == GOES_ON:
            (tmp_path / "go-on").touch()
        await until(lambda: len(_logged(tmp_path)) > len(expected))
        await until(lambda: task.state.running == 0)
    assert _logged(tmp_path) == ["begun", *expected]


@pytest.mark.parametrize("work", WORK)
async def test_debug_runs_work_to_its_end(work: Callable[[str], object], tmp_path: Path) -> None:
    (tmp_path / "go-on").touch()
    async with asyncio.timeout(100), AsyncIOScheduler(executors={"under_test": DebugExecutor()}) as scheduler:
        handle = scheduler.add_task(work, str(tmp_path), executor="under_test", trigger=None, timeout=1e-6).run()
        handle.cancel()
        await handle.notification()
    assert _logged(tmp_path) == ["begun", "returned", "finally"]
