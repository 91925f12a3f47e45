"""Executors under test, and schedulers that use them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
import threading
from collections.abc import Callable
from functools import partial

import pytest
from typing_extensions import Unpack

from asyncz import (
    AsyncIOExecutor,
    AsyncIOScheduler,
    DebugExecutor,
    ExecutorState,
    ProcessPoolExecutor,
    RunHandle,
    ThreadPoolExecutor,
    UniversalExecutor,
)
from asyncz.config import ProcessPoolKwargs
from asyncz.executors.base import BaseExecutor
from tests.helpers import payloads
from tests.helpers.generics import ResultT, Ts
from tests.helpers.recorder import EventRecorder


def start_run(
    scheduler: AsyncIOScheduler, function: Callable[[Unpack[Ts]], ResultT], *arguments: Unpack[Ts]
) -> RunHandle[ResultT]:
    return scheduler.add_task(function, *arguments, executor="under_test", trigger=None).run()


MAKERS: dict[str, Callable[[], UniversalExecutor]] = {
    "asyncio": AsyncIOExecutor,
    "threadpool": partial(ThreadPoolExecutor, 4),
    "processpool": partial(ProcessPoolExecutor, 2),
    "debug": DebugExecutor,
}


def scheduler_with(kind: str) -> AsyncIOScheduler:
    """Return a scheduler with an executor of a kind under the alias `under_test`."""
    return AsyncIOScheduler(executors={"under_test": MAKERS[kind]()})


def events_of_one_run(kind: str, call: Callable[[], object], timeout: float | None = None) -> EventRecorder:
    """Return the events of one run of a function, followed by a run that returns 3."""

    async def main() -> EventRecorder:
        scheduler = scheduler_with(kind)
        listener = EventRecorder.of_scheduler(scheduler)
        async with asyncio.timeout(60), scheduler:
            task = scheduler.add_task(call, executor="under_test", trigger=None, timeout=timeout)
            await task.run().notification()
            assert await scheduler.add_task(payloads.add, 1, 2, executor="under_test", trigger=None).run() == 3
            while scheduler.state.executors[0].running:
                await asyncio.sleep(0.005)
            assert scheduler.state.executors[0].instances == ()
        assert listener.threads == {threading.get_ident()}
        return listener

    return asyncio.run(main())


every_executor = pytest.mark.parametrize("kind", MAKERS)
every_queueing_executor = pytest.mark.parametrize("kind", ["asyncio", "threadpool", "processpool"])


def state_of(scheduler: AsyncIOScheduler) -> ExecutorState:
    return scheduler.state.executors[0]


def with_one_worker(kind: str) -> BaseExecutor:
    """Return an executor that runs one function at a time, in the default executor of the loop if it uses that."""
    if kind == "asyncio":
        asyncio.get_running_loop().set_default_executor(concurrent.futures.ThreadPoolExecutor(1))
        return AsyncIOExecutor()
    return ThreadPoolExecutor(1) if kind == "threadpool" else ProcessPoolExecutor(1)


def process_pool_of(
    workers: int, method: str = "forkserver", **pool_kwargs: Unpack[ProcessPoolKwargs]
) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, {"mp_context": multiprocessing.get_context(method), **pool_kwargs})
